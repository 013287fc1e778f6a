//! One measurement: a process of its own, a load on it, and what became of it.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::figures::Figures;
use super::ledger::Ledger;
use super::load::Load;
use super::process::{Child, Kind};
use super::receiver::Receiver;
use super::stock::{self, Stocked};
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
    pub(super) fn ledger(&self, stocked: Option<&Stocked>) -> Arc<Ledger> {
        Arc::new(Ledger::new(self.webhooks, self.measured(stocked).end))
    }

    /// Deliveries that must arrive, warm-up included.
    pub(super) fn expected(&self, stocked: Option<&Stocked>) -> anyhow::Result<u64> {
        Ok(u64::try_from(self.webhooks.expected(self.measured(stocked).end))?)
    }

    pub(super) fn run(
        &self,
        ledger: &Arc<Ledger>,
        stocked: Option<&Stocked>,
    ) -> anyhow::Result<Figures> {
        let receiver = Receiver::start(ledger.clone())?;
        let child = self.start(receiver.address(), ledger, stocked)?;
        let (measured, left) = (self.measured(stocked), left(stocked));
        ledger.wait_for(u64::try_from(self.webhooks.expected(left))?, PATIENCE);
        let idle_rss_mib = child.rss_mib()?;
        let load = Load::new(&child, ledger.clone(), self.webhooks, self.payload_bytes);
        load.run(self.connections, left..measured.start, None)?;
        let warm = u64::try_from(self.webhooks.expected(measured.start))?;
        ledger.wait_for(warm, PATIENCE);

        let (cpu_before, delivered_before) = (child.cpu()?, ledger.delivered());
        let started = Instant::now();
        load.run(self.connections, measured.clone(), self.rate)?;
        let accepted = started.elapsed();
        let expected = self.expected(stocked)?;
        let delivered = ledger.wait_for(expected, PATIENCE).duration_since(started);
        child.settle();
        let cpu = child.cpu()?.saturating_sub(cpu_before);
        let deliveries = to_f64(ledger.delivered() - delivered_before);
        let latencies = ledger.latencies(measured);
        let figures = Figures {
            process: self.kind.name(),
            connections: self.connections,
            cpu_s_per_1000: cpu.as_secs_f64() / deliveries * 1_000.0,
            accepted_per_s: to_f64(self.events.try_into()?) / accepted.as_secs_f64(),
            delivered_per_s: deliveries / delivered.as_secs_f64(),
            latency_ms: latencies.percentiles().with_context(|| {
                format!("nothing arrived; the process said: {}", child.last_words())
            })?,
            ready_ms: child.ready_after().as_secs_f64() * 1_000.0,
            first_attempt_ms: ledger.latencies(0..left).percentiles().map(|first| first.p50),
            idle_rss_mib,
            peak_rss_mib: child.peak_rss_mib()?,
            deliveries: ledger.delivered(),
            duplicates: ledger.duplicates(),
            lost: expected.saturating_sub(ledger.delivered()),
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

    fn start(
        &self,
        receiver: SocketAddr,
        ledger: &Ledger,
        stocked: Option<&Stocked>,
    ) -> anyhow::Result<Child> {
        if self.kind == Kind::Forwarder {
            return Child::forwarder(receiver, self.webhooks);
        }
        let server = Child::server(receiver, self.webhooks, stocked)?;
        if left(stocked) == 0 {
            return Ok(server);
        }
        let leave = |dir: &Path| stock::leave_first_event(dir, self.webhooks, self.payload_bytes);
        server.anew(leave, || ledger.publish(0, Instant::now()))
    }

    /// The events that are measured: after what was left and the warm-up.
    fn measured(&self, stocked: Option<&Stocked>) -> Range<usize> {
        let first = left(stocked) + self.warm_up;
        first..first + self.events
    }
}

/// Events that are in the store when the server starts: with a backlog one, by which is seen how
/// long it takes to the first attempt.
fn left(stocked: Option<&Stocked>) -> usize {
    stocked.map_or(0, |stocked| usize::from(stocked.has_backlog))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
