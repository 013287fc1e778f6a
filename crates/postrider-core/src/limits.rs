//! Every bound of the core in one place, each with its reason.

/// Attempts in flight at once for one webhook, unless it says otherwise: what small receivers
/// bear, and enough for 80/s at 100 ms an answer.
pub const LANE_CONCURRENCY_DEFAULT: u16 = 8;
/// What a webhook may ask for.
pub const LANE_CONCURRENCY_MAX: u16 = 256;
/// Due deliveries that one lane holds in memory; the rest waits in the store.
pub const LANE_READY_MAX: usize = 256;
/// The same for what was just accepted, while half of the memory for all lanes is free: a burst is then sent
/// without being read back, which is a fifteenth of its CPU. What lanes took so leaves the other half to all.
pub const LANE_READY_BURST_MAX: usize = 4_096;
/// A lane asks the store for more once this few are left, so that it doesn't run dry meanwhile.
pub const LANE_READY_LOW: usize = 64;
/// Due deliveries that all lanes together hold in memory.
pub const READY_MAX: usize = 50_000;
/// Bytes of bodies that all lanes together hold in memory. A fan-out counts its body once for
/// each lane, which errs on the safe side.
pub const READY_BYTES_MAX: usize = 64 << 20;
/// Bytes of bodies that one page from the store may bring, beyond its first delivery.
pub const LOAD_BYTES_MAX: usize = 4 << 20;
/// Attempts in flight at once on one node: bounds sockets and their buffers.
pub const IN_FLIGHT_MAX: usize = 4_096;
/// Of a failure's answer this much is kept (contract §3).
pub const KEPT_OF_FAILURE_BYTES: usize = 16 << 10;
/// Of a success's answer this much is kept (contract §3).
pub const KEPT_OF_SUCCESS_BYTES: usize = 1 << 10;
