//! What a run measured.

use std::fmt;
use std::time::Duration;

/// Added up over rigs.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub kills: usize,
    /// Events that were answered 200 or 202.
    pub accepted: usize,
    /// Deliveries at rest in the end.
    pub deliveries: usize,
    /// Accepted events that are not stored, or that lack a delivery.
    pub lost: usize,
    /// Requests sent again, by the kill that was the reason.
    pub duplicates: Vec<usize>,
    /// What was in flight or not durably recorded at each kill.
    pub in_flight: Vec<usize>,
    /// From the start of a process to the first request that it sent.
    pub recoveries: Vec<Duration>,
}

impl Figures {
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.accepted += other.accepted;
        self.deliveries += other.deliveries;
        self.lost += other.lost;
        self.duplicates.extend(other.duplicates);
        self.in_flight.extend(other.in_flight);
        self.recoveries.extend(other.recoveries);
    }

    /// The recovery that half of all stay below, and the longest.
    pub fn recovery(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, accepted, deliveries, lost, .. } = self;
        write!(f, "{accepted} events accepted, {deliveries} deliveries at rest, {lost} lost")?;
        if *kills > 0 {
            let sum = |counts: &[usize]| counts.iter().sum::<usize>();
            let most = self.duplicates.iter().max().copied().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let mean = sum(&self.duplicates) as f64 / *kills as f64;
            let in_flight = sum(&self.in_flight);
            write!(f, "\n  {kills} kills; sent again per kill: most {most}, mean {mean:.2}, ")?;
            write!(f, "together {} of {in_flight} in flight", sum(&self.duplicates))?;
        }
        if let Some((half, most)) = self.recovery() {
            let (half, most) = (half.as_millis(), most.as_millis());
            let starts = self.recoveries.len();
            write!(f, "\n  {starts} starts; to the first attempt: p50 {half} ms, most {most} ms")?;
        }
        Ok(())
    }
}
