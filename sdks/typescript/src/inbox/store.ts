/**
 * What an inbox keeps, and the verbs of the stores that keep it. Every verb is one
 * atomic step, and takes its time as an argument: milliseconds since 1970. The
 * rules are those of `vectors/inbox.json`.
 */

/** Which events are the same: one id, from one source, for one consumer. */
export interface InboxKey {
  readonly source: string;
  readonly consumer: string;
  readonly id: string;
}

/** An inbox without one event: what a worker takes from, and operators count. */
export type InboxName = Omit<InboxKey, "id">;

/** Whoever holds a claim runs the event, until the claim is lost. */
export interface Claim {
  readonly key: InboxKey;
  /** Unguessable and never reused; finishing needs it. */
  readonly token: string;
  /** How many claims the event has had, this one included. */
  readonly attempt: number;
}

/** What a delivery found when it could not be claimed. */
export type NotClaimed =
  | { readonly outcome: "done"; readonly status: number }
  | { readonly outcome: "running"; readonly retryAfterSeconds: number }
  | { readonly outcome: "other_body" };

export type ClaimResult = { readonly outcome: "claimed"; readonly claim: Claim } | NotClaimed;

/** An event as it was accepted. */
export interface StoredEvent {
  readonly body: Buffer;
  readonly signedAtSeconds: number;
  readonly serverHost?: string | undefined;
}

export interface Acceptance extends StoredEvent {
  readonly bodySha256: string;
  readonly orderKey?: string | undefined;
}

export type AcceptResult =
  | { readonly outcome: "accepted" | "dead" | "other_body" }
  | { readonly outcome: "done"; readonly status: number };

export interface Taken {
  readonly claim: Claim;
  readonly event: StoredEvent;
}

/** How many events are in each state. */
export interface Stats {
  readonly pending: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly dead: number;
}

/** What operators do, on every store. */
export interface OperableStore {
  stats(name: InboxName): Promise<Stats>;
  /** Lets a settled event run again; refused while it runs. */
  reprocess(key: InboxKey, nowMs: number): Promise<"reprocessed" | "running" | "absent">;
  forget(key: InboxKey): Promise<"forgotten" | "absent">;
  /** Removes what was settled at or before a time; returns how many. */
  purge(settledUntilMs: number): Promise<number>;
}

/** Claims that expire, for handlers whose effect is elsewhere. */
export interface ClaimStore extends OperableStore {
  /** Whether the claim still stood; its lease is now longer. */
  heartbeat(claim: Claim, leaseEndsAtMs: number): Promise<boolean>;
  /** Whether the claim still stood; the event is now done. */
  finish(claim: Claim, status: number, times: Settled): Promise<boolean>;
}

/** When an event is settled, and until when a store must remember that. */
export interface Settled {
  readonly nowMs: number;
  readonly retentionMs: number;
}

export interface LeasedStore extends ClaimStore {
  claim(key: InboxKey, bodySha256: string, lease: Lease): Promise<ClaimResult>;
  /** Whether the claim still stood; the next delivery can claim the event. */
  fail(claim: Claim, error: string, times: Settled): Promise<boolean>;
}

export interface Lease {
  readonly nowMs: number;
  readonly leaseMs: number;
}

/** Durable work, for handlers that run after the answer. */
export interface QueuedStore extends ClaimStore {
  accept(key: InboxKey, acceptance: Acceptance, nowMs: number): Promise<AcceptResult>;
  /** The event that was accepted first among those that may run now. */
  take(name: InboxName, lease: TakeLease): Promise<Taken | undefined>;
  /** Whether the claim still stood; the event is due again, or dead. */
  retry(claim: Claim, error: string, dueAtMs: number | "never", times: Settled): Promise<boolean>;
}

export interface TakeLease extends Lease {
  /** An expired lease of this attempt makes the event dead. */
  readonly attemptsMax: number;
  readonly retentionMs: number;
}

export type ProcessResult =
  | { readonly outcome: "new"; readonly status: number }
  | NotClaimed
  | { readonly outcome: "failed"; readonly error: unknown };

/** Inbox row and effect in one transaction of `Tx`. */
export interface TransactionalStore<Tx> extends OperableStore {
  process(
    key: InboxKey,
    bodySha256: string,
    nowMs: number,
    handler: (tx: Tx) => Promise<number>,
  ): Promise<ProcessResult>;
}
