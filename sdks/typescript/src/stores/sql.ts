/**
 * The inbox in SQL that SQLite and PostgreSQL both read. Each verb is one statement
 * that decides and changes; a second one only asks why nothing was changed.
 */
import { randomUUID } from "node:crypto";

import type * as Store from "../inbox/store.js";
import type { AcquireResult, HeldLock, LockStore } from "../lock.js";
import { retryAfterSeconds } from "./seconds.js";

export type SqlValue = string | number | Buffer | null;
export type SqlRow = Record<string, unknown>;
/** Runs a statement with `$1`, `$2`, … and gives its rows. */
export type Query = (sql: string, values: readonly SqlValue[]) => Promise<SqlRow[]>;

/** What the two databases do in their own ways. */
export interface SqlDriver<Tx> {
  readonly query: Query;
  /** What follows a SELECT whose row nobody else may take meanwhile. */
  readonly lockRows: string;
  /**
   * Runs `work` in a transaction and commits it, unless it throws. `undefined` when
   * somebody else has a transaction of the same name open.
   */
  transaction<T>(name: string, work: (query: Query, tx: Tx) => Promise<T>): Promise<T | undefined>;
}

/** A row can vanish between a statement and the question why it did nothing. */
const TRIES_MAX = 5;
/** When there is no lease to wait for. */
const BUSY_SECONDS = 1;

const IS_KEY = "source = $1 AND consumer = $2 AND id = $3";
const IS_CLAIM = `${IS_KEY} AND token = $4`;
const IS_OPEN = "state IN ('pending', 'running')";
const IS_SETTLED = "state IN ('done', 'failed', 'dead')";

export class SqlStore<Tx>
  implements Store.LeasedStore, Store.QueuedStore, Store.TransactionalStore<Tx>, LockStore
{
  readonly #driver: SqlDriver<Tx>;

  constructor(driver: SqlDriver<Tx>) {
    this.#driver = driver;
  }

  async claim(
    key: Store.InboxKey,
    bodySha256: string,
    { nowMs, leaseMs }: Store.Lease,
  ): Promise<Store.ClaimResult> {
    const token = randomUUID();
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const [claimed] = await this.#query(
        `INSERT INTO postrider_inbox AS existing
           (source, consumer, id, body_sha256, state, attempt, token, lease_ends_at_ms, changed_at_ms)
         VALUES ($1, $2, $3, $4, 'running', 1, $5, $6, $7)
         ON CONFLICT (source, consumer, id) DO UPDATE
           SET state = 'running', attempt = existing.attempt + 1, token = excluded.token,
             lease_ends_at_ms = excluded.lease_ends_at_ms, changed_at_ms = excluded.changed_at_ms
           WHERE existing.body_sha256 = excluded.body_sha256
             AND (existing.state = 'failed'
               OR (existing.state = 'running'
                 AND existing.lease_ends_at_ms <= excluded.changed_at_ms))
         RETURNING attempt`,
        [...keyValues(key), bodySha256, token, nowMs + leaseMs, nowMs],
      );
      if (claimed) {
        return { outcome: "claimed", claim: { key, token, attempt: Number(claimed["attempt"]) } };
      }
      const reason = notClaimed(await this.#row(key), bodySha256, nowMs);
      if (reason) return reason;
    }
    return { outcome: "running", retryAfterSeconds: BUSY_SECONDS };
  }

  heartbeat(claim: Store.Claim, leaseEndsAtMs: number): Promise<boolean> {
    return this.#change(claim, "lease_ends_at_ms = $5", [leaseEndsAtMs]);
  }

  finish(claim: Store.Claim, status: number, { nowMs }: Store.Settled): Promise<boolean> {
    const change = "state = 'done', status = $5, changed_at_ms = $6, token = NULL, error = NULL";
    return this.#change(claim, change, [status, nowMs]);
  }

  fail(claim: Store.Claim, error: string, { nowMs }: Store.Settled): Promise<boolean> {
    const change = "state = 'failed', error = $5, changed_at_ms = $6, token = NULL";
    return this.#change(claim, change, [error, nowMs]);
  }

  async accept(
    key: Store.InboxKey,
    acceptance: Store.Acceptance,
    nowMs: number,
  ): Promise<Store.AcceptResult> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const [accepted] = await this.#query(
        `INSERT INTO postrider_inbox
           (source, consumer, id, body_sha256, state, attempt, due_at_ms, changed_at_ms,
            order_key, body, signed_at_seconds, server_host)
         VALUES ($1, $2, $3, $4, 'pending', 0, $5, $5, $6, $7, $8, $9)
         ON CONFLICT (source, consumer, id) DO NOTHING
         RETURNING seq`,
        [
          ...keyValues(key),
          acceptance.bodySha256,
          nowMs,
          acceptance.orderKey ?? null,
          acceptance.body,
          acceptance.signedAtSeconds,
          acceptance.serverHost ?? null,
        ],
      );
      if (accepted) return { outcome: "accepted" };
      const row = await this.#row(key);
      if (row) return acceptedBefore(row, acceptance.bodySha256);
    }
    throw new Error(`event ${key.id} is being accepted and forgotten at the same time`);
  }

  async take(
    name: Store.InboxName,
    { nowMs, leaseMs, attemptsMax }: Store.TakeLease,
  ): Promise<Store.Taken | undefined> {
    await this.#query(
      `UPDATE postrider_inbox SET state = 'dead', token = NULL, changed_at_ms = $3,
         error = 'the lease of the last attempt expired'
       WHERE source = $1 AND consumer = $2
         AND state IN ('pending', 'running') AND state = 'running' -- the first for the partial index
         AND lease_ends_at_ms <= $3
         AND attempt >= $4 AND body IS NOT NULL
       RETURNING seq`,
      [name.source, name.consumer, nowMs, attemptsMax],
    );
    const token = randomUUID();
    const [row] = await this.#query(
      `UPDATE postrider_inbox SET state = 'running', attempt = attempt + 1, token = $3,
         lease_ends_at_ms = $4
       WHERE seq = (
         SELECT seq FROM postrider_inbox AS next
         WHERE source = $1 AND consumer = $2 AND body IS NOT NULL AND ${IS_OPEN}
           AND (CASE state WHEN 'pending' THEN due_at_ms ELSE lease_ends_at_ms END) <= $5
           AND (order_key IS NULL OR NOT EXISTS (
             SELECT 1 FROM postrider_inbox AS earlier
             WHERE earlier.source = $1 AND earlier.consumer = $2
               AND earlier.order_key = next.order_key AND earlier.seq < next.seq
               AND earlier.state IN ('pending', 'running')))
         ORDER BY seq LIMIT 1 ${this.#driver.lockRows})
       RETURNING id, attempt, body, signed_at_seconds, server_host`,
      [name.source, name.consumer, token, nowMs + leaseMs, nowMs],
    );
    if (!row) return undefined;
    const key = { source: name.source, consumer: name.consumer, id: String(row["id"]) };
    const claim = { key, token, attempt: Number(row["attempt"]) };
    return { claim, event: storedEvent(row) };
  }

  retry(
    claim: Store.Claim,
    error: string,
    dueAtMs: number | "never",
    { nowMs }: Store.Settled,
  ): Promise<boolean> {
    const change = "state = $5, due_at_ms = $6, error = $7, changed_at_ms = $8, token = NULL";
    const next = dueAtMs === "never" ? (["dead", null] as const) : (["pending", dueAtMs] as const);
    return this.#change(claim, change, [...next, error, nowMs]);
  }

  async process(
    key: Store.InboxKey,
    bodySha256: string,
    nowMs: number,
    handler: (tx: Tx) => Promise<number>,
  ): Promise<Store.ProcessResult> {
    let failure: { error: unknown } | undefined;
    const work = async (query: Query, tx: Tx): Promise<Store.ProcessResult> => {
      const known = await knownRow(query, key, bodySha256, nowMs);
      if (known) return known;
      let status: number;
      try {
        status = await handler(tx);
      } catch (error) {
        failure = { error };
        throw error;
      }
      const sql = `UPDATE postrider_inbox SET status = $4 WHERE ${IS_KEY} RETURNING seq`;
      const rows = await query(sql, [...keyValues(key), status]);
      if (rows.length === 0) throw new Error("the handler took back the inbox's transaction");
      return { outcome: "new", status };
    };
    try {
      const result = await this.#driver.transaction(keyValues(key).join("\n"), work);
      return result ?? { outcome: "running", retryAfterSeconds: BUSY_SECONDS };
    } catch (error) {
      // the database's own failures are the caller's to see
      if (failure?.error !== error) throw error;
      return { outcome: "failed", error };
    }
  }

  async stats(name: Store.InboxName): Promise<Store.Stats> {
    const stats = { pending: 0, running: 0, done: 0, failed: 0, dead: 0 };
    const rows = await this.#query(
      `SELECT state, count(*) AS events FROM postrider_inbox
       WHERE source = $1 AND consumer = $2 GROUP BY state`,
      [name.source, name.consumer],
    );
    for (const row of rows) stats[row["state"] as keyof Store.Stats] = Number(row["events"]);
    return stats;
  }

  async reprocess(
    key: Store.InboxKey,
    nowMs: number,
  ): Promise<"reprocessed" | "running" | "absent"> {
    const [changed] = await this.#query(
      `UPDATE postrider_inbox
       SET state = CASE WHEN body IS NULL THEN 'failed' ELSE 'pending' END,
         attempt = 0, due_at_ms = $4, changed_at_ms = $4
       WHERE ${IS_KEY} AND state <> 'running' RETURNING seq`,
      [...keyValues(key), nowMs],
    );
    if (changed) return "reprocessed";
    return (await this.#row(key)) ? "running" : "absent";
  }

  async forget(key: Store.InboxKey): Promise<"forgotten" | "absent"> {
    const sql = `DELETE FROM postrider_inbox WHERE ${IS_KEY} RETURNING seq`;
    const rows = await this.#query(sql, keyValues(key));
    return rows.length > 0 ? "forgotten" : "absent";
  }

  async purge(settledUntilMs: number): Promise<number> {
    const rows = await this.#query(
      `DELETE FROM postrider_inbox WHERE ${IS_SETTLED} AND changed_at_ms <= $1 RETURNING seq`,
      [settledUntilMs],
    );
    return rows.length;
  }

  async acquire(key: string, ttlMs: number, nowMs: number): Promise<AcquireResult> {
    const token = randomUUID();
    const [acquired] = await this.#query(
      `INSERT INTO postrider_lock AS existing (key, fence, token, ends_at_ms)
       VALUES ($1, 1, $2, $3)
       ON CONFLICT (key) DO UPDATE
         SET fence = existing.fence + 1, token = excluded.token, ends_at_ms = excluded.ends_at_ms
         WHERE existing.token IS NULL OR existing.ends_at_ms <= $4
       RETURNING fence`,
      [key, token, nowMs + ttlMs, nowMs],
    );
    if (acquired) {
      return { outcome: "acquired", lock: { key, token, fence: Number(acquired["fence"]) } };
    }
    const [row] = await this.#query("SELECT ends_at_ms FROM postrider_lock WHERE key = $1", [key]);
    const seconds = retryAfterSeconds(Number(row?.["ends_at_ms"] ?? nowMs), nowMs);
    return { outcome: "held_elsewhere", retryAfterSeconds: seconds };
  }

  async extend(lock: HeldLock, endsAtMs: number): Promise<boolean> {
    const rows = await this.#query(
      "UPDATE postrider_lock SET ends_at_ms = $3 WHERE key = $1 AND token = $2 RETURNING key",
      [lock.key, lock.token, endsAtMs],
    );
    return rows.length > 0;
  }

  async release(lock: HeldLock): Promise<boolean> {
    const rows = await this.#query(
      "UPDATE postrider_lock SET token = NULL WHERE key = $1 AND token = $2 RETURNING key",
      [lock.key, lock.token],
    );
    return rows.length > 0;
  }

  #query(sql: string, values: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.#driver.query(sql, values);
  }

  async #row(key: Store.InboxKey): Promise<SqlRow | undefined> {
    return (await this.#query(selectRow, keyValues(key)))[0];
  }

  async #change(claim: Store.Claim, change: string, values: SqlValue[]): Promise<boolean> {
    const sql = `UPDATE postrider_inbox SET ${change} WHERE ${IS_CLAIM} RETURNING seq`;
    const rows = await this.#query(sql, [...keyValues(claim.key), claim.token, ...values]);
    return rows.length > 0;
  }
}

const selectRow = `SELECT state, body_sha256, status, lease_ends_at_ms FROM postrider_inbox
  WHERE ${IS_KEY}`;

/**
 * Inside of a transaction: why the event is not to be handled, or nothing, and then
 * its row stands as done, to be committed with the effect.
 */
async function knownRow(
  query: Query,
  key: Store.InboxKey,
  bodySha256: string,
  nowMs: number,
): Promise<Store.NotClaimed | undefined> {
  const values = [...keyValues(key), bodySha256, nowMs];
  const [written] = await query(
    `INSERT INTO postrider_inbox AS existing
       (source, consumer, id, body_sha256, state, attempt, changed_at_ms)
     VALUES ($1, $2, $3, $4, 'done', 1, $5)
     ON CONFLICT (source, consumer, id) DO UPDATE
       SET state = 'done', attempt = existing.attempt + 1, changed_at_ms = excluded.changed_at_ms
       WHERE existing.body_sha256 = excluded.body_sha256 AND existing.state = 'failed'
     RETURNING seq`,
    values,
  );
  if (written) return undefined;
  const [row] = await query(selectRow, keyValues(key));
  return (
    notClaimed(row, bodySha256, nowMs) ?? { outcome: "running", retryAfterSeconds: BUSY_SECONDS }
  );
}

/** Why a row is not to be claimed; nothing when it may have become claimable. */
function notClaimed(
  row: SqlRow | undefined,
  bodySha256: string,
  nowMs: number,
): Store.NotClaimed | undefined {
  if (!row) return undefined;
  if (row["body_sha256"] !== bodySha256) return { outcome: "other_body" };
  if (row["state"] === "done") return { outcome: "done", status: Number(row["status"]) };
  if (row["state"] === "failed") return undefined;
  // pending and dead rows are another kind of inbox's, and left to it
  const endsAtMs = row["state"] === "running" ? Number(row["lease_ends_at_ms"]) : nowMs;
  const seconds = retryAfterSeconds(endsAtMs, nowMs);
  return { outcome: "running", retryAfterSeconds: seconds };
}

function acceptedBefore(row: SqlRow, bodySha256: string): Store.AcceptResult {
  if (row["body_sha256"] !== bodySha256) return { outcome: "other_body" };
  if (row["state"] === "done") return { outcome: "done", status: Number(row["status"]) };
  return { outcome: row["state"] === "dead" ? "dead" : "accepted" };
}

function storedEvent(row: SqlRow): Store.StoredEvent {
  const host = row["server_host"];
  return {
    body: Buffer.from(row["body"] as Uint8Array),
    signedAtSeconds: Number(row["signed_at_seconds"]),
    serverHost: typeof host === "string" ? host : undefined,
  };
}

function keyValues({ source, consumer, id }: Store.InboxKey): SqlValue[] {
  return [source, consumer, id];
}
