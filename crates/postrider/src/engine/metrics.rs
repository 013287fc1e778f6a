//! What the server counts for whoever watches it, as `OpenMetrics` text.
//!
//! A registry of its own for each engine: several run in one test process. What others know
//! already (what is in flight, pending, accounted for) is asked for when the text is written.

use std::fmt;
use std::sync::atomic::AtomicI64;

use postrider_core::delivery::{Attempt, AttemptResult};
use postrider_store::{Counts, StoreError};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::Engine;

type Level = Gauge<i64, AtomicI64>;
type Outcome = [(&'static str, &'static str); 1];

/// See the module's text.
pub(super) struct Metrics {
    registry: Registry,
    accepted: Counter,
    succeeded: Counter,
    failed: Counter,
    response_seconds: Histogram,
    batch_sizes: Histogram,
    in_flight: Level,
    pending: Level,
    unaccounted: Level,
    resident_bytes: Level,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let attempts = Family::<Outcome, Counter>::default();
        let metrics = Self {
            registry: Registry::default(),
            accepted: Counter::default(),
            succeeded: attempts.get_or_create_owned(&[("outcome", "succeeded")]),
            failed: attempts.get_or_create_owned(&[("outcome", "failed")]),
            // from 1 ms to 16 s, beyond the default deadline
            response_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            // from 1 to the largest batch
            batch_sizes: Histogram::new(exponential_buckets(1.0, 2.0, 14)),
            in_flight: Level::default(),
            pending: Level::default(),
            unaccounted: Level::default(),
            resident_bytes: Level::default(),
        };
        metrics.registered(attempts)
    }

    fn registered(mut self, attempts: Family<Outcome, Counter>) -> Self {
        let process = self.registry.sub_registry_with_prefix("process");
        process.register_with_unit(
            "resident_memory",
            "Memory that the process holds",
            Unit::Bytes,
            self.resident_bytes.clone(),
        );
        let ours = self.registry.sub_registry_with_prefix("postrider");
        ours.register("events_accepted", "Events accepted since the start", self.accepted.clone());
        ours.register("attempts", "Attempts ended since the start, by outcome", attempts);
        ours.register("attempts_in_flight", "Attempts under way", self.in_flight.clone());
        ours.register("deliveries_pending", "Deliveries not yet finished", self.pending.clone());
        ours.register(
            "unaccounted_deliveries",
            "Deliveries created, less those pending and finished: always 0",
            self.unaccounted.clone(),
        );
        ours.register_with_unit(
            "response_time",
            "From the start of an attempt to the end of its answer, where one came",
            Unit::Seconds,
            self.response_seconds.clone(),
        );
        ours.register(
            "commit_batch_size",
            "Events and outcomes in each group commit",
            self.batch_sizes.clone(),
        );
        self
    }

    pub(super) fn attempted(&self, attempt: &Attempt) {
        let is_success = attempt.result.is_success();
        if is_success { &self.succeeded } else { &self.failed }.inc();
        if matches!(attempt.result, AttemptResult::Answered(_)) {
            self.response_seconds.observe(f64::from(attempt.timing.total_us) / 1e6);
        }
    }

    pub(super) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(super) fn committed(&self, batch_size: usize) {
        self.batch_sizes.observe(f64::from(u32::try_from(batch_size).unwrap_or(u32::MAX)));
    }
}

impl Engine {
    /// All metrics as `OpenMetrics` text.
    pub async fn metrics(&self) -> Result<String, StoreError> {
        let counts = self.store().counts().await?;
        let metrics = &self.inner.metrics;
        metrics.in_flight.set(level(self.in_flight()));
        metrics.pending.set(level(counts.deliveries_pending));
        metrics.unaccounted.set(unaccounted(&counts));
        if let Some(bytes) = resident_bytes() {
            metrics.resident_bytes.set(bytes);
        }
        let mut text = String::new();
        encode(&mut text, &metrics.registry).expect("writing to a string does not fail");
        Ok(text)
    }
}

fn unaccounted(counts: &Counts) -> i64 {
    let accounted = counts.deliveries_pending + counts.deliveries_finished;
    level(counts.deliveries_created) - level(accounted)
}

fn level(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// What proc(5) says, where there is one.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}
