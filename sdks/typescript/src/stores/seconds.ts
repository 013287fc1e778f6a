/** Until when to wait for a lease that ends, in whole seconds, at least one. */
export function retryAfterSeconds(leaseEndsAtMs: number, nowMs: number): number {
  return Math.max(1, Math.ceil((leaseEndsAtMs - nowMs) / 1_000));
}
