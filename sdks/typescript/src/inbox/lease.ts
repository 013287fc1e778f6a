/** Keeping a lease while its holder works, and telling the holder when it is lost. */

/** Time limits of what runs under a lease. */
export const LEASE_MS = 30_000;
/** Three heartbeats fit into a lease, so that one may fail. */
const BEATS_PER_LEASE = 3;

/** Someone else may hold it now: whatever is done from here on may be done twice. */
export class LeaseLostError extends Error {
  override readonly name = "LeaseLostError";
  readonly code = "lease_lost";
}

/**
 * Runs `work` while `extend` keeps the lease. The signal is aborted when `extend`
 * says that the lease is lost, or has thrown for as long as the lease lasts.
 */
export async function underLease<T>(
  leaseMs: number,
  extend: () => Promise<boolean>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let keptAtMs = performance.now();
  let beating: Promise<void> | undefined;
  const beat = async () => {
    const startMs = performance.now();
    try {
      if (await extend()) keptAtMs = startMs;
      else controller.abort(new LeaseLostError("the lease was taken over"));
    } catch (cause) {
      if (performance.now() - keptAtMs < leaseMs) return;
      controller.abort(new LeaseLostError("the lease could not be kept", { cause }));
    }
  };
  const timer = setInterval(() => {
    if (controller.signal.aborted) return;
    beating ??= beat().finally(() => (beating = undefined));
  }, leaseMs / BEATS_PER_LEASE);
  try {
    return await work(controller.signal);
  } finally {
    clearInterval(timer);
    // a heartbeat under way must not follow the finish
    await beating;
  }
}

export function checkedLease(leaseMs: number): number {
  if (Number.isFinite(leaseMs) && leaseMs > 0) return leaseMs;
  throw new RangeError("a lease lasts for a positive number of milliseconds");
}
