/**
 * The inbox in Redis 7, leased and queued, and locks. As durable as that
 * Redis: what it loses in a crash or evicts for want of memory is forgotten, and
 * comes again as new. Run it with `appendonly yes` and `maxmemory-policy noeviction`.
 */
import { createHash, randomUUID } from "node:crypto";

import type * as Store from "../inbox/store.js";
import type { AcquireResult, HeldLock, LockStore } from "../lock.js";
import * as scripts from "./redis-scripts.js";
import { retryAfterSeconds } from "./seconds.js";

/** What is used of a client: the calls of ioredis. */
export interface RedisClient {
  eval(script: string, keys: number, ...values: (string | number)[]): Promise<unknown>;
  evalsha(sha1: string, keys: number, ...values: (string | number)[]): Promise<unknown>;
}

/** What is used of a client of the package `redis`. */
export interface NodeRedisClient {
  eval(script: string, options: NodeRedisArguments): Promise<unknown>;
  evalSha(sha1: string, options: NodeRedisArguments): Promise<unknown>;
}

interface NodeRedisArguments {
  keys: string[];
  arguments: string[];
}

/** A client of the package `redis`, as {@link RedisStore} calls it. */
export function fromNodeRedis(client: NodeRedisClient): RedisClient {
  const split = (keys: number, values: (string | number)[]) => {
    const texts = values.map(String);
    return { keys: texts.slice(0, keys), arguments: texts.slice(keys) };
  };
  return {
    eval: (script, keys, ...values) => client.eval(script, split(keys, values)),
    evalsha: (sha1, keys, ...values) => client.evalSha(sha1, split(keys, values)),
  };
}

export interface RedisOptions {
  /** What all keys start with. Default `postrider`. */
  prefix?: string;
  /** How long an unfinished or reprocessed event is kept. Default 30 days. */
  unfinishedRetentionMs?: number;
}

const UNFINISHED_RETENTION_MS = 30 * 86_400_000;

export class RedisStore implements Store.LeasedStore, Store.QueuedStore, LockStore {
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #unfinishedRetentionMs: number;
  readonly #sha1s = new Map<string, string>();

  constructor(client: RedisClient, options: RedisOptions = {}) {
    this.#client = client;
    this.#prefix = options.prefix ?? "postrider";
    this.#unfinishedRetentionMs = options.unfinishedRetentionMs ?? UNFINISHED_RETENTION_MS;
  }

  async claim(
    key: Store.InboxKey,
    bodySha256: string,
    { nowMs, leaseMs }: Store.Lease,
  ): Promise<Store.ClaimResult> {
    const token = randomUUID();
    const values = [key.id, bodySha256, token, nowMs, nowMs + leaseMs, this.#unfinishedRetentionMs];
    const [outcome, value] = await this.#words(scripts.claim, key, values);
    switch (outcome) {
      case "claimed":
        return { outcome, claim: { key, token, attempt: Number(value) } };
      case "done":
        return { outcome, status: Number(value) };
      case "running":
        return { outcome, retryAfterSeconds: retryAfterSeconds(Number(value), nowMs) };
      default:
        return { outcome: "other_body" };
    }
  }

  heartbeat({ key, token }: Store.Claim, leaseEndsAtMs: number): Promise<boolean> {
    return this.#isDone(scripts.heartbeat, key, [key.id, token, leaseEndsAtMs]);
  }

  finish({ key, token }: Store.Claim, status: number, times: Store.Settled): Promise<boolean> {
    const values = [key.id, token, "done", "status", status, times.retentionMs];
    return this.#isDone(scripts.settle, key, values);
  }

  fail({ key, token }: Store.Claim, error: string, times: Store.Settled): Promise<boolean> {
    const values = [key.id, token, "failed", "error", error, times.retentionMs];
    return this.#isDone(scripts.settle, key, values);
  }

  async accept(
    key: Store.InboxKey,
    acceptance: Store.Acceptance,
    nowMs: number,
  ): Promise<Store.AcceptResult> {
    const [outcome, value] = await this.#words(scripts.accept, key, [
      key.id,
      acceptance.bodySha256,
      nowMs,
      acceptance.orderKey ?? "",
      // Redis clients hand out text
      acceptance.body.toString("base64"),
      acceptance.signedAtSeconds,
      acceptance.serverHost ?? "",
    ]);
    if (outcome === "done") return { outcome, status: Number(value) };
    return { outcome: outcome as "accepted" | "dead" | "other_body" };
  }

  async take(
    name: Store.InboxName,
    { nowMs, leaseMs, attemptsMax, retentionMs }: Store.TakeLease,
  ): Promise<Store.Taken | undefined> {
    const token = randomUUID();
    const values = [token, nowMs, nowMs + leaseMs, attemptsMax, retentionMs];
    const row = (await this.#run(scripts.take, this.#inbox(name), values)) as string[] | null;
    if (!row) return undefined;
    const [id = "", attempt, body = "", signedAtSeconds, serverHost] = row;
    return {
      claim: {
        key: { source: name.source, consumer: name.consumer, id },
        token,
        attempt: Number(attempt),
      },
      event: {
        body: Buffer.from(body, "base64"),
        signedAtSeconds: Number(signedAtSeconds),
        serverHost: serverHost === "" ? undefined : serverHost,
      },
    };
  }

  retry(
    { key, token }: Store.Claim,
    error: string,
    dueAtMs: number | "never",
    times: Store.Settled,
  ): Promise<boolean> {
    return dueAtMs === "never"
      ? this.#isDone(scripts.settle, key, [
          key.id,
          token,
          "dead",
          "error",
          error,
          times.retentionMs,
        ])
      : this.#isDone(scripts.retry, key, [key.id, token, dueAtMs, error]);
  }

  async stats(name: Store.InboxName): Promise<Store.Stats> {
    const counts = (await this.#run(scripts.stats, this.#inbox(name), [])) as number[];
    const [pending = 0, running = 0, done = 0, failed = 0, dead = 0] = counts;
    return { pending, running, done, failed, dead };
  }

  async reprocess(
    key: Store.InboxKey,
    nowMs: number,
  ): Promise<"reprocessed" | "running" | "absent"> {
    const values = [key.id, nowMs, this.#unfinishedRetentionMs];
    const outcome = await this.#run(scripts.reprocess, this.#inbox(key), values);
    return outcome as "reprocessed" | "running" | "absent";
  }

  async forget(key: Store.InboxKey): Promise<"forgotten" | "absent"> {
    const outcome = await this.#run(scripts.forget, this.#inbox(key), [key.id]);
    return outcome as "forgotten" | "absent";
  }

  /** Settled events expire by themselves: there is never anything to remove. */
  purge(): Promise<number> {
    return Promise.resolve(0);
  }

  async acquire(key: string, ttlMs: number, nowMs: number): Promise<AcquireResult> {
    const token = randomUUID();
    const values = [token, nowMs, nowMs + ttlMs];
    const result = await this.#run(scripts.acquire, this.#lock(key), values);
    const [outcome, value] = result as [string, string];
    if (outcome === "acquired") {
      return { outcome, lock: { key, token, fence: Number(value) } };
    }
    const seconds = retryAfterSeconds(Number(value), nowMs);
    return { outcome: "held_elsewhere", retryAfterSeconds: seconds };
  }

  async extend({ key, token }: HeldLock, endsAtMs: number): Promise<boolean> {
    return (await this.#run(scripts.extend, this.#lock(key), [token, endsAtMs])) === 1;
  }

  async release({ key, token }: HeldLock): Promise<boolean> {
    return (await this.#run(scripts.release, this.#lock(key), [token])) === 1;
  }

  #inbox({ source, consumer }: Store.InboxName): string {
    return `${this.#prefix}:{${source}|${consumer}}`;
  }

  #lock(key: string): string {
    return `${this.#prefix}:lock:${key}`;
  }

  async #isDone(
    script: string,
    name: Store.InboxName,
    values: (string | number)[],
  ): Promise<boolean> {
    return (await this.#run(script, this.#inbox(name), values)) === 1;
  }

  async #words(
    script: string,
    name: Store.InboxName,
    values: (string | number)[],
  ): Promise<string[]> {
    return (await this.#run(script, this.#inbox(name), values)) as string[];
  }

  /** By its digest; in full when Redis has not seen it yet. */
  async #run(script: string, key: string, values: (string | number)[]): Promise<unknown> {
    let sha1 = this.#sha1s.get(script);
    if (sha1 === undefined) {
      sha1 = createHash("sha1").update(script).digest("hex");
      this.#sha1s.set(script, sha1);
    }
    try {
      return await this.#client.evalsha(sha1, 1, key, ...values);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return this.#client.eval(script, 1, key, ...values);
    }
  }
}
