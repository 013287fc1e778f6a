//! What was found: of each measurement, of its rounds together, and against the forwarder.

use serde::Serialize;

use super::latency::{Percentiles, Point};

/// What one measurement found, or the rounds of one.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) process: &'static str,
    pub(super) connections: usize,
    /// CPU seconds of the whole process for 1,000 deliveries to healthy receivers, whatever else
    /// it did.
    pub(super) cpu_s_per_1000: f64,
    pub(super) accepted_per_s: f64,
    pub(super) delivered_per_s: f64,
    /// From publishing to the first arrival, at healthy receivers.
    pub(super) latency_ms: Percentiles,
    /// From starting the process to its listening.
    pub(super) ready_ms: f64,
    /// The same to the arrival of an event that was in the store.
    pub(super) first_attempt_ms: Option<f64>,
    /// Before anything is published.
    pub(super) idle_rss_mib: f64,
    pub(super) peak_rss_mib: f64,
    /// To healthy receivers, each counted once. This and what follows are sums over all rounds,
    /// warm-up included.
    pub(super) deliveries: u64,
    pub(super) duplicates: u64,
    pub(super) lost: u64,
    /// Requests that failing and hanging receivers got.
    pub(super) unhealthy_attempts: u64,
    #[serde(skip)]
    pub(super) curve: Vec<Point>,
}

/// The server against what it is compared with: the median over the rounds, and for CPU the
/// extremes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) with: &'static str,
    pub(super) connections: usize,
    pub(super) cpu: f64,
    pub(super) cpu_least: f64,
    pub(super) cpu_most: f64,
    pub(super) throughput: f64,
    pub(super) p99: f64,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    pub(super) events: usize,
    /// Events per second; `None`: flat out.
    pub(super) rate: Option<u32>,
    pub(super) fan_out: usize,
    pub(super) webhooks: usize,
    pub(super) failing: f64,
    pub(super) hanging: f64,
    /// Webhooks that want none of the events.
    pub(super) registered: usize,
    /// Deliveries that wait in the store.
    pub(super) backlog: usize,
    pub(super) payload_bytes: usize,
    pub(super) rounds: usize,
    /// Processors that this machine lends.
    pub(super) cores: usize,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    pub(super) settings: Settings,
    pub(super) figures: Vec<Figures>,
    pub(super) comparisons: Vec<Comparison>,
}

/// Holds each round of the server against the other's of the same round: what else the machine
/// does changes from round to round, and falls on both. `None` without another.
pub(super) fn compare(server: &[Figures], other: &[Figures]) -> Option<Comparison> {
    let ratios = |of: fn(&Figures) -> f64| {
        let rounds = server.iter().zip(other);
        let mut ratios: Vec<f64> = rounds.map(|(server, other)| of(server) / of(other)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    let cpu = ratios(|figures| figures.cpu_s_per_1000);
    let throughput = ratios(|figures| figures.delivered_per_s);
    let p99 = ratios(|figures| figures.latency_ms.p99);
    Some(Comparison {
        with: other.first()?.process,
        connections: server.first()?.connections,
        cpu: *cpu.get(cpu.len() / 2)?,
        cpu_least: *cpu.first()?,
        cpu_most: *cpu.last()?,
        throughput: *throughput.get(throughput.len() / 2)?,
        p99: *p99.get(p99.len() / 2)?,
    })
}

/// The middle one by CPU, with what was delivered, doubled and lost in any round. `None` without
/// rounds.
pub(super) fn median(mut rounds: Vec<Figures>) -> Option<Figures> {
    let sum = |of: fn(&Figures) -> u64| rounds.iter().map(of).sum::<u64>();
    let deliveries = sum(|figures| figures.deliveries);
    let duplicates = sum(|figures| figures.duplicates);
    let lost = sum(|figures| figures.lost);
    let unhealthy_attempts = sum(|figures| figures.unhealthy_attempts);
    rounds.sort_by(|a, b| a.cpu_s_per_1000.total_cmp(&b.cpu_s_per_1000));
    let middle = rounds.len() / 2;
    let figures = rounds.into_iter().nth(middle)?;
    Some(Figures { deliveries, duplicates, lost, unhealthy_attempts, ..figures })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cpu_s_per_1000: f64, duplicates: u64, lost: u64) -> Figures {
        Figures {
            process: "postrider",
            connections: 16,
            cpu_s_per_1000,
            accepted_per_s: 100.0,
            delivered_per_s: 100.0 / cpu_s_per_1000,
            latency_ms: Percentiles::default(),
            ready_ms: 50.0,
            first_attempt_ms: None,
            idle_rss_mib: 15.0,
            peak_rss_mib: 20.0,
            deliveries: 10,
            duplicates,
            lost,
            unhealthy_attempts: 0,
            curve: Vec::new(),
        }
    }

    #[test]
    fn the_median_keeps_what_other_rounds_lost_and_doubled() {
        let rounds = vec![round(3.0, 1, 0), round(1.0, 0, 2), round(2.0, 0, 0)];
        let middle = median(rounds).unwrap();
        assert!((middle.cpu_s_per_1000 - 2.0).abs() < f64::EPSILON);
        assert_eq!((middle.deliveries, middle.duplicates, middle.lost), (30, 1, 2));
    }

    #[test]
    fn rounds_are_compared_one_by_one() {
        let server = [round(2.0, 0, 0), round(12.0, 0, 0), round(3.0, 0, 0)];
        let forward = [round(1.0, 0, 0), round(4.0, 0, 0), round(2.0, 0, 0)];
        let ratios = compare(&server, &forward).unwrap();
        let found = [ratios.cpu_least, ratios.cpu, ratios.cpu_most, ratios.throughput];
        for (found, expected) in found.into_iter().zip([1.5, 2.0, 3.0, 0.5]) {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
        assert!(compare(&server, &[]).is_none());
    }
}
