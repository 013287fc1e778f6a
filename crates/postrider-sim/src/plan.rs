//! What one seed's world is like: how big, how long, how bad.

use postrider_core::dispatcher::DispatcherLimits;
use postrider_core::id::UnixMs;
use postrider_core::schedule::{Jitter, RetrySchedule};

use crate::random::Random;

/// When every run begins, by the server's clock.
pub(crate) const START: UnixMs = 1_795_000_000_000;

/// Event types that are published; webhooks want some of them.
pub(crate) const EVENT_TYPES: [&str; 3] = ["code.generated", "code.reviewed", "deploy.done"];

/// Bytes of the largest body. A few of them fill the memory of a small plan.
pub(crate) const BODY_BYTES_MAX: usize = 120;

/// With rates everywhere, all that fills the memory may wait for one.
const RATES: [&[Option<u32>]; 3] =
    [&[None], &[None, None, Some(5), Some(40)], &[Some(5), Some(40)]];

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) tenants: usize,
    pub(crate) webhooks: usize,
    pub(crate) events: usize,
    /// Until publishers, operators and faults stop.
    pub(crate) busy_ms: i64,
    pub(crate) operations: usize,
    pub(crate) limits: DispatcherLimits,
    /// Deliveries cancelled in one step of the store.
    pub(crate) cancel_page: usize,
    /// Events and outcomes in one commit.
    pub(crate) batch_max: usize,
    /// Webhooks with pending work read at once at start.
    pub(crate) lanes_page: usize,
    /// In percent of calls to the store.
    pub(crate) store_fails: usize,
    pub(crate) store_unknown: usize,
    pub(crate) store_slow: usize,
    /// The process dies at one in so many of its effects; never at 0.
    pub(crate) crash_once_in: usize,
    pub(crate) clock_jumps: usize,
    /// In percent of a receiver's moods.
    pub(crate) bad_moods: usize,
    /// Attempts a second, one of which each webhook has.
    pub(crate) rates: &'static [Option<u32>],
}

impl Plan {
    pub(crate) fn new(random: &mut Random) -> Self {
        let busy_ms =
            random.pick(&[MINUTE_MS, 10 * MINUTE_MS, 2 * HOUR_MS, 24 * HOUR_MS, 96 * HOUR_MS]);
        let is_calm = random.once_in(6);
        let ready_max = random.pick(&[2, 6, 12, 40]);
        let lane_ready_max = random.pick(&[3, 5, 8]);
        Self {
            tenants: 1 + random.below(3),
            webhooks: 2 + random.below(7),
            events: 20 + random.below(100),
            busy_ms,
            operations: 5 + random.below(50),
            limits: DispatcherLimits {
                lane_ready_max,
                lane_ready_burst_max: lane_ready_max * random.pick(&[1, 3]),
                lane_ready_low: random.below(3),
                ready_max,
                ready_bytes_max: ready_max * random.pick(&[BODY_BYTES_MAX / 2, BODY_BYTES_MAX]),
                in_flight_max: random.pick(&[2, 5, 12]),
            },
            cancel_page: random.pick(&[1, 2, 5]),
            batch_max: random.pick(&[2, 8, 64]),
            lanes_page: random.pick(&[1, 2, 10]),
            store_fails: if is_calm { 0 } else { random.pick(&[0, 2, 10]) },
            store_unknown: if is_calm { 0 } else { random.pick(&[0, 2, 10]) },
            store_slow: random.pick(&[0, 10, 60]),
            crash_once_in: if is_calm { 0 } else { random.pick(&[0, 60, 250, 1_000]) },
            clock_jumps: if random.percent(50) { 1 + random.below(3) } else { 0 },
            bad_moods: random.pick(&[10, 40, 80]),
            rates: random.pick(&RATES),
        }
    }
}

/// A schedule for a webhook: short ones are met most, for their ends are.
pub(crate) fn schedule(random: &mut Random) -> RetrySchedule {
    let jitter = random.pick(&[Jitter::None, Jitter::Proportional { percent: 20 }]);
    match random.below(6) {
        0 => RetrySchedule::standard(),
        1 => RetrySchedule::automa(),
        2 => list(&[0], jitter),
        3 => list(&[0, 100, 100], jitter),
        4 => list(&[0, 5_000, 60_000, 600_000], jitter),
        _ => list(&[0, 1_000, 2_000, 4_000], jitter),
    }
}

fn list(delays_ms: &[i64], jitter: Jitter) -> RetrySchedule {
    RetrySchedule::list(delays_ms, jitter).expect("these delays are in bounds and begin with 0")
}

/// Times at which clients do something, ascending: half of them in bursts.
pub(crate) fn moments(random: &mut Random, count: usize, busy_ms: i64) -> Vec<i64> {
    let mut moments = Vec::with_capacity(count);
    while moments.len() < count {
        let at = random.between(0, busy_ms);
        let burst = if random.percent(50) { 1 + random.below(20) } else { 1 };
        for _ in 0..burst {
            moments.push(at + random.between(0, 40));
        }
    }
    moments.truncate(count);
    moments.sort_unstable();
    moments
}
