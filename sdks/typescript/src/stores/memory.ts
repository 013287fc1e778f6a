/**
 * An inbox in the memory of one process: best effort. A restart forgets everything,
 * and a second process knows nothing of it. For tests and for trying things out.
 */
import { randomUUID } from "node:crypto";

import type * as Store from "../inbox/store.js";
import type { AcquireResult, HeldLock, LockStore } from "../lock.js";
import { retryAfterSeconds } from "./seconds.js";

interface Row {
  readonly seq: number;
  readonly key: Store.InboxKey;
  readonly bodySha256: string;
  readonly event: Store.StoredEvent | undefined;
  readonly orderKey: string | undefined;
  state: keyof Store.Stats;
  attempt: number;
  token: string | undefined;
  leaseEndsAtMs: number;
  dueAtMs: number;
  status: number;
  error: string | undefined;
  changedAtMs: number;
}

interface LockRow {
  fence: number;
  token: string | undefined;
  endsAtMs: number;
}

export class MemoryStore implements Store.LeasedStore, Store.QueuedStore, LockStore {
  // a Map keeps the order of insertion, which is the order of acceptance
  readonly #rows = new Map<string, Row>();
  readonly #locks = new Map<string, LockRow>();
  #seq = 0;

  claim(key: Store.InboxKey, bodySha256: string, lease: Store.Lease): Promise<Store.ClaimResult> {
    const row = this.#row(key) ?? this.#insert(key, bodySha256, { state: "failed" });
    if (row.bodySha256 !== bodySha256) return settled({ outcome: "other_body" });
    if (row.state === "done") return settled({ outcome: "done", status: row.status });
    const isExpired = row.state === "running" && row.leaseEndsAtMs <= lease.nowMs;
    if (row.state !== "failed" && !isExpired) {
      const seconds = retryAfterSeconds(row.leaseEndsAtMs, lease.nowMs);
      return settled({ outcome: "running", retryAfterSeconds: seconds });
    }
    return settled({ outcome: "claimed", claim: claimRow(row, lease) });
  }

  heartbeat(claim: Store.Claim, leaseEndsAtMs: number): Promise<boolean> {
    return this.#change(claim, { leaseEndsAtMs });
  }

  finish(claim: Store.Claim, status: number, { nowMs }: Store.Settled): Promise<boolean> {
    return this.#change(claim, { state: "done", status, changedAtMs: nowMs, token: undefined });
  }

  fail(claim: Store.Claim, error: string, { nowMs }: Store.Settled): Promise<boolean> {
    return this.#change(claim, { state: "failed", error, changedAtMs: nowMs, token: undefined });
  }

  accept(
    key: Store.InboxKey,
    acceptance: Store.Acceptance,
    nowMs: number,
  ): Promise<Store.AcceptResult> {
    const row = this.#row(key);
    if (!row) {
      const { bodySha256, orderKey, ...event } = acceptance;
      this.#insert(key, bodySha256, { state: "pending", dueAtMs: nowMs, event, orderKey });
      return settled({ outcome: "accepted" });
    }
    if (row.bodySha256 !== acceptance.bodySha256) return settled({ outcome: "other_body" });
    if (row.state === "done") return settled({ outcome: "done", status: row.status });
    return settled({ outcome: row.state === "dead" ? "dead" : "accepted" });
  }

  take(name: Store.InboxName, lease: Store.TakeLease): Promise<Store.Taken | undefined> {
    const busy = new Set<string>();
    for (const row of this.#of(name)) {
      if (!row.event || (row.state !== "pending" && row.state !== "running")) continue;
      const isExpired = row.state === "running" && row.leaseEndsAtMs <= lease.nowMs;
      if (isExpired && row.attempt >= lease.attemptsMax) {
        const error = "the lease of the last attempt expired";
        Object.assign(row, { state: "dead", token: undefined, changedAtMs: lease.nowMs, error });
        continue;
      }
      const isFree = row.orderKey === undefined || !busy.has(row.orderKey);
      if (isFree && (isExpired || (row.state === "pending" && row.dueAtMs <= lease.nowMs))) {
        return settled({ claim: claimRow(row, lease), event: row.event });
      }
      if (row.orderKey !== undefined) busy.add(row.orderKey);
    }
    return settled(undefined);
  }

  retry(
    claim: Store.Claim,
    error: string,
    dueAtMs: number | "never",
    { nowMs }: Store.Settled,
  ): Promise<boolean> {
    const next: Partial<Row> =
      dueAtMs === "never" ? { state: "dead" } : { state: "pending", dueAtMs };
    return this.#change(claim, { ...next, error, changedAtMs: nowMs, token: undefined });
  }

  stats(name: Store.InboxName): Promise<Store.Stats> {
    const stats = { pending: 0, running: 0, done: 0, failed: 0, dead: 0 };
    for (const row of this.#of(name)) stats[row.state] += 1;
    return settled(stats);
  }

  reprocess(key: Store.InboxKey, nowMs: number): Promise<"reprocessed" | "running" | "absent"> {
    const row = this.#row(key);
    if (!row) return settled("absent");
    if (row.state === "running") return settled("running");
    const state = row.event ? "pending" : "failed";
    Object.assign(row, { state, attempt: 0, dueAtMs: nowMs, changedAtMs: nowMs });
    return settled("reprocessed");
  }

  forget(key: Store.InboxKey): Promise<"forgotten" | "absent"> {
    return settled(this.#rows.delete(text(key)) ? "forgotten" : "absent");
  }

  purge(settledUntilMs: number): Promise<number> {
    let removed = 0;
    for (const [name, row] of this.#rows) {
      const isSettled = row.state !== "pending" && row.state !== "running";
      if (isSettled && row.changedAtMs <= settledUntilMs && this.#rows.delete(name)) removed += 1;
    }
    return settled(removed);
  }

  acquire(key: string, ttlMs: number, nowMs: number): Promise<AcquireResult> {
    const row = this.#locks.get(key) ?? { fence: 0, token: undefined, endsAtMs: 0 };
    if (row.token !== undefined && row.endsAtMs > nowMs) {
      const seconds = retryAfterSeconds(row.endsAtMs, nowMs);
      return settled({ outcome: "held_elsewhere", retryAfterSeconds: seconds });
    }
    const lock = { key, token: randomUUID(), fence: row.fence + 1 };
    this.#locks.set(key, { fence: lock.fence, token: lock.token, endsAtMs: nowMs + ttlMs });
    return settled({ outcome: "acquired", lock });
  }

  extend(lock: HeldLock, endsAtMs: number): Promise<boolean> {
    const row = this.#locks.get(lock.key);
    if (row?.token !== lock.token) return settled(false);
    row.endsAtMs = endsAtMs;
    return settled(true);
  }

  release(lock: HeldLock): Promise<boolean> {
    const row = this.#locks.get(lock.key);
    if (row?.token !== lock.token) return settled(false);
    row.token = undefined;
    return settled(true);
  }

  #insert(key: Store.InboxKey, bodySha256: string, start: Partial<Row>): Row {
    this.#seq += 1;
    const row: Row = {
      seq: this.#seq,
      key,
      bodySha256,
      event: undefined,
      orderKey: undefined,
      state: "pending",
      attempt: 0,
      token: undefined,
      leaseEndsAtMs: 0,
      dueAtMs: 0,
      status: 0,
      error: undefined,
      changedAtMs: 0,
      ...start,
    };
    this.#rows.set(text(key), row);
    return row;
  }

  #row(key: Store.InboxKey): Row | undefined {
    return this.#rows.get(text(key));
  }

  #of({ source, consumer }: Store.InboxName): Row[] {
    return [...this.#rows.values()].filter(
      (row) => row.key.source === source && row.key.consumer === consumer,
    );
  }

  #change(claim: Store.Claim, change: Partial<Row>): Promise<boolean> {
    const row = this.#row(claim.key);
    if (row?.token !== claim.token) return settled(false);
    Object.assign(row, change);
    return settled(true);
  }
}

function claimRow(row: Row, { nowMs, leaseMs }: Store.Lease): Store.Claim {
  const token = randomUUID();
  row.attempt += 1;
  Object.assign(row, { state: "running", token, leaseEndsAtMs: nowMs + leaseMs });
  return { key: row.key, token, attempt: row.attempt };
}

function text(key: Store.InboxKey): string {
  return JSON.stringify([key.source, key.consumer, key.id]);
}

function settled<T>(value: T): Promise<T> {
  return Promise.resolve(value);
}
