//! Latencies and their percentiles, exact: every one is kept.

use serde::Serialize;

/// Shares of the latency curve are this far apart on its axis, where each decade is one nine more.
const CURVE_STEP: f64 = 0.02;

/// All latencies of a measurement, in ascending order.
#[derive(Debug)]
pub(super) struct Latencies {
    sorted_us: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p99_9: f64,
    pub(super) max: f64,
}

/// A point of the latency curve: all but one in 10^`nines` deliveries took at most `ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) nines: f64,
    pub(super) ms: f64,
}

impl FromIterator<u32> for Latencies {
    fn from_iter<I: IntoIterator<Item = u32>>(micros: I) -> Self {
        let mut sorted_us: Vec<u32> = micros.into_iter().collect();
        sorted_us.sort_unstable();
        Self { sorted_us }
    }
}

impl Latencies {
    /// In milliseconds; `None` when nothing arrived.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        Some(Percentiles {
            p50: self.all_but(0.5)?,
            p90: self.all_but(0.1)?,
            p99: self.all_but(0.01)?,
            p99_9: self.all_but(0.001)?,
            max: self.all_but(0.0)?,
        })
    }

    /// From the fastest to the last share that is still more than the slowest one.
    pub(super) fn curve(&self) -> Vec<Point> {
        let mut points = Vec::new();
        let mut nines = 0.0;
        let last = to_f64(self.sorted_us.len()).log10();
        while nines <= last {
            points.extend(self.all_but(10_f64.powf(-nines)).map(|ms| Point { nines, ms }));
            nines += CURVE_STEP;
        }
        points
    }

    /// The shortest time in which all but `share` of the deliveries had arrived (nearest rank).
    fn all_but(&self, share: f64) -> Option<f64> {
        let count = self.sorted_us.len();
        // What may be slower is rounded down, a little generously: 0.1 of 10 is one, whatever
        // 0.1 is in binary.
        let slower = floor(to_f64(count) * share + 1e-9).min(count.checked_sub(1)?);
        self.sorted_us.get(count - 1 - slower).map(|&micros| f64::from(micros) / 1_000.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is neither negative nor more than it"
)]
fn floor(share: f64) -> usize {
    share as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(values: impl IntoIterator<Item = u32>) -> Latencies {
        values.into_iter().map(|ms| ms * 1_000).collect()
    }

    #[test]
    fn percentiles_are_the_nearest_ranks() {
        let thousand = millis((1..=1_000).rev()).percentiles();
        assert_eq!(
            thousand,
            Some(Percentiles { p50: 500.0, p90: 900.0, p99: 990.0, p99_9: 999.0, max: 1_000.0 })
        );
        let ten = millis(1..=10).percentiles();
        assert_eq!(
            ten,
            Some(Percentiles { p50: 5.0, p90: 9.0, p99: 10.0, p99_9: 10.0, max: 10.0 })
        );
    }

    #[test]
    fn one_latency_is_every_percentile_and_none_has_no_percentiles() {
        let one = millis([7]).percentiles();
        assert_eq!(one, Some(Percentiles { p50: 7.0, p90: 7.0, p99: 7.0, p99_9: 7.0, max: 7.0 }));
        assert_eq!(millis([]).percentiles(), None);
        assert_eq!(millis([]).curve(), []);
    }

    #[test]
    fn the_curve_rises_from_the_fastest_to_the_tail() {
        let curve = millis(1..=1_000).curve();
        assert_eq!(curve.first(), Some(&Point { nines: 0.0, ms: 1.0 }));
        assert!(curve.is_sorted_by(|a, b| a.ms <= b.ms && a.nines < b.nines));
        let last = curve.last().unwrap();
        assert!(last.nines <= 3.0 && last.ms >= 998.0, "{last:?}");
        let at_90 = curve.iter().find(|point| point.nines > 0.999).unwrap();
        assert!((at_90.ms - 900.0).abs() < 1.5, "{at_90:?}");
    }
}
