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
 * says that the lease is lost, or has not said for a whole lease that it is kept.
 */
export async function underLease<T>(
  leaseMs: number,
  extend: () => Promise<boolean>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let keptAtMs = performance.now();
  let isBeating = false;
  const giveUp = (cause?: unknown) => {
    if (performance.now() - keptAtMs < leaseMs) return;
    controller.abort(new LeaseLostError("the lease could not be kept", { cause }));
  };
  const beat = async () => {
    const startMs = performance.now();
    isBeating = true;
    try {
      if (await extend()) keptAtMs = startMs;
      else controller.abort(new LeaseLostError("the lease was taken over"));
    } catch (cause) {
      giveUp(cause);
    } finally {
      isBeating = false;
    }
  };
  const timer = setInterval(() => {
    // a store that hangs is as bad as one that fails; but after a pause of this
    // process it is asked first, as nobody may have taken over
    if (isBeating) giveUp();
    else if (!controller.signal.aborted) void beat();
  }, leaseMs / BEATS_PER_LEASE);
  try {
    return await work(controller.signal);
  } finally {
    // a heartbeat under way does no harm: its token is about to be spent
    clearInterval(timer);
  }
}

export function checkedLease(leaseMs: number): number {
  if (Number.isFinite(leaseMs) && leaseMs > 0) return leaseMs;
  throw new RangeError("a lease lasts for a positive number of milliseconds");
}
