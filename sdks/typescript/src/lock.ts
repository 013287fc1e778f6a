/** Locks for what two different events share, with a fencing token. */
import { checkedLease, LeaseLostError, underLease } from "./inbox/lease.js";

/** How often a waiting lock looks again. */
const WAIT_STEP_MS = 100;

export interface HeldLock {
  readonly key: string;
  /** Unguessable; extending and releasing need it. */
  readonly token: string;
  /** Higher than that of every earlier holder: whoever guards the resource refuses lower ones. */
  readonly fence: number;
}

export type AcquireResult =
  | { readonly outcome: "acquired"; readonly lock: HeldLock }
  | { readonly outcome: "held_elsewhere"; readonly retryAfterSeconds: number };

/** The rules are those of `vectors/locks.json`. */
export interface LockStore {
  acquire(key: string, ttlMs: number, nowMs: number): Promise<AcquireResult>;
  /** Whether the lock was still ours; it now ends at the given time. */
  extend(lock: HeldLock, endsAtMs: number): Promise<boolean>;
  /** Whether the lock was still ours. */
  release(lock: HeldLock): Promise<boolean>;
}

export interface LockOptions {
  /** How long the lock lasts should its holder vanish. It is extended while `work` runs. */
  ttlMs: number;
  /** How long to wait for another holder. Default 0. */
  waitMs?: number;
  /** Milliseconds since 1970. Default: the clock. */
  now?: () => number;
}

export interface LockContext {
  readonly fence: number;
  /** Aborted when the lock is lost. */
  readonly signal: AbortSignal;
}

/** Somebody else holds the lock. */
export class LockHeldError extends Error {
  override readonly name = "LockHeldError";
  readonly code = "lock_held";

  constructor(
    key: string,
    readonly retryAfterSeconds: number,
  ) {
    super(`the lock ${JSON.stringify(key)} is held elsewhere`);
  }
}

/**
 * Runs `work` while holding the lock of a key, and gives it back. Throws
 * {@link LockHeldError} when the wait is over, and {@link LeaseLostError} when the
 * lock was lost before `work` ended: another holder may have been at it too.
 */
export async function withLock<T>(
  store: LockStore,
  key: string,
  options: LockOptions,
  work: (context: LockContext) => T | Promise<T>,
): Promise<T> {
  const ttlMs = checkedLease(options.ttlMs);
  const now = options.now ?? Date.now;
  const lock = await acquired(store, key, { ttlMs, waitMs: options.waitMs ?? 0, now });
  let isOurs = false;
  let result: T;
  try {
    result = await underLease(
      ttlMs,
      () => store.extend(lock, now() + ttlMs),
      async (signal) => work({ fence: lock.fence, signal }),
    );
  } finally {
    isOurs = await store.release(lock);
  }
  if (!isOurs) throw new LeaseLostError(`the lock ${JSON.stringify(key)} was lost`);
  return result;
}

async function acquired(
  store: LockStore,
  key: string,
  { ttlMs, waitMs, now }: { ttlMs: number; waitMs: number; now: () => number },
): Promise<HeldLock> {
  const endMs = performance.now() + waitMs;
  for (;;) {
    const result = await store.acquire(key, ttlMs, now());
    if (result.outcome === "acquired") return result.lock;
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) throw new LockHeldError(key, result.retryAfterSeconds);
    await new Promise((resolve) => setTimeout(resolve, Math.min(WAIT_STEP_MS, leftMs)));
  }
}
