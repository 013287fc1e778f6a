//! One measurement: a process of its own, a load on it, and what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::figures::Figures;
use super::ledger::Ledger;
use super::load::Load;
use super::process::{Child, Kind};
use super::receiver::Receiver;
use super::webhooks::Webhooks;

/// A delivery counts as lost when it has not arrived and no other one has for this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// The load of a measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) webhooks: Webhooks,
    pub(super) connections: usize,
    pub(super) events: usize,
    /// Events published before anything is counted, to open connections and fill caches.
    pub(super) warm_up: usize,
    pub(super) rate: Option<u32>,
    pub(super) payload_bytes: usize,
}

impl Plan {
    /// What is noted of its deliveries.
    pub(super) fn ledger(&self) -> Arc<Ledger> {
        Arc::new(Ledger::new(self.webhooks, self.warm_up + self.events))
    }

    /// Deliveries that must arrive, warm-up included.
    pub(super) fn expected(&self) -> anyhow::Result<u64> {
        Ok(u64::try_from(self.webhooks.expected(self.warm_up + self.events))?)
    }

    pub(super) fn run(&self, ledger: &Arc<Ledger>) -> anyhow::Result<Figures> {
        let receiver = Receiver::start(ledger.clone())?;
        let child = Child::start(self.kind, receiver.address(), self.webhooks)?;
        let load = Load::new(&child, ledger.clone(), self.webhooks, self.payload_bytes);
        load.run(self.connections, 0..self.warm_up, None)?;
        let warm = u64::try_from(self.webhooks.expected(self.warm_up))?;
        ledger.wait_for(warm, PATIENCE);

        let (cpu_before, delivered_before) = (child.cpu()?, ledger.delivered());
        let started = Instant::now();
        load.run(self.connections, self.warm_up..self.warm_up + self.events, self.rate)?;
        let accepted = started.elapsed();
        let delivered = ledger.wait_for(self.expected()?, PATIENCE).duration_since(started);
        child.settle();
        let cpu = child.cpu()?.saturating_sub(cpu_before);
        let deliveries = to_f64(ledger.delivered() - delivered_before);
        let latencies = ledger.latencies(self.warm_up);
        let figures = Figures {
            process: self.kind.name(),
            connections: self.connections,
            cpu_s_per_1000: cpu.as_secs_f64() / deliveries * 1_000.0,
            accepted_per_s: to_f64(self.events.try_into()?) / accepted.as_secs_f64(),
            delivered_per_s: deliveries / delivered.as_secs_f64(),
            latency_ms: latencies.percentiles().with_context(|| {
                format!("nothing arrived; the process said: {}", child.last_words())
            })?,
            peak_rss_mib: child.peak_rss_mib()?,
            deliveries: ledger.delivered(),
            duplicates: ledger.duplicates(),
            lost: self.expected()?.saturating_sub(ledger.delivered()),
            unhealthy_attempts: ledger.unhealthy_attempts(),
            curve: latencies.curve(),
        };
        ensure!(
            ledger.strays() == 0,
            "{} requests arrived that no event explains",
            ledger.strays()
        );
        if figures.lost > 0 {
            super::complain(&format!("the process said: {}", child.last_words()));
        }
        child.stop()?;
        Ok(figures)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
