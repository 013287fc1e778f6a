//! Which event was published when, and which of its deliveries really arrived, delivery by delivery.
//!
//! Sums would let a lost delivery hide behind a doubled one. Every event has a number in its data
//! and every webhook one in its path, and both are read from what the receiver got. Publishers and
//! receiver write at the same time, without locks.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::latency::Latencies;
use super::webhooks::{Behaviour, Webhooks};

/// Between two looks at how many have arrived.
const LOOK_EVERY: Duration = Duration::from_micros(500);

#[derive(Debug)]
pub(super) struct Ledger {
    webhooks: Webhooks,
    began: Instant,
    /// By event: microseconds from `began` to its publishing.
    published_us: Box<[AtomicU64]>,
    /// By event and place in its group: one more than the microseconds from publishing to the first
    /// arrival. 0: not arrived.
    arrived: Box<[AtomicU32]>,
    delivered: AtomicU64,
    duplicates: AtomicU64,
    strays: AtomicU64,
    unhealthy: AtomicU64,
}

impl Ledger {
    pub(super) fn new(webhooks: Webhooks, events: usize) -> Self {
        Self {
            webhooks,
            began: Instant::now(),
            published_us: (0..events).map(|_| AtomicU64::new(0)).collect(),
            arrived: (0..events * webhooks.fan_out).map(|_| AtomicU32::new(0)).collect(),
            delivered: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            strays: AtomicU64::new(0),
            unhealthy: AtomicU64::new(0),
        }
    }

    /// Notes that `event` is published `at`; before its request is sent.
    pub(super) fn publish(&self, event: usize, at: Instant) {
        let since = at.saturating_duration_since(self.began);
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        if let Some(published) = self.published_us.get(event) {
            published.store(micros, Ordering::Release);
        }
    }

    /// Notes that a healthy receiver got `event` for `webhook`, as far as these could be read.
    pub(super) fn arrive(&self, event: Option<usize>, webhook: Option<usize>) {
        let Some((published, arrived)) = self.delivery(event, webhook) else {
            self.strays.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let latency = now.saturating_sub(published.load(Ordering::Acquire));
        let noted = u32::try_from(latency).unwrap_or(u32::MAX).saturating_add(1);
        if arrived.compare_exchange(0, noted, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.delivered.fetch_add(1, Ordering::Relaxed);
        } else {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that a failing or hanging receiver got something.
    pub(super) fn arrive_unhealthy(&self) {
        self.unhealthy.fetch_add(1, Ordering::Relaxed);
    }

    /// Deliveries that arrived at healthy receivers, each counted once.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Arrivals at healthy receivers of what had arrived before.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }

    /// Arrivals at healthy receivers of what was never published, or not to them.
    pub(super) fn strays(&self) -> u64 {
        self.strays.load(Ordering::Relaxed)
    }

    /// Requests to failing and hanging receivers.
    pub(super) fn unhealthy_attempts(&self) -> u64 {
        self.unhealthy.load(Ordering::Relaxed)
    }

    /// Waits until so many deliveries have arrived, or no other one does for `patience`; returns
    /// when the last of them was seen.
    pub(super) fn wait_for(&self, expected: u64, patience: Duration) -> Instant {
        let (mut seen, mut since) = (self.delivered(), Instant::now());
        while seen < expected && since.elapsed() < patience {
            thread::sleep(LOOK_EVERY);
            let now = self.delivered();
            if now > seen {
                (seen, since) = (now, Instant::now());
            }
        }
        since
    }

    /// From publishing to the first arrival, of these events.
    pub(super) fn latencies(&self, events: Range<usize>) -> Latencies {
        let fan_out = self.webhooks.fan_out;
        let arrived = self.arrived[events.start * fan_out..events.end * fan_out].iter();
        arrived.filter_map(|noted| noted.load(Ordering::Relaxed).checked_sub(1)).collect()
    }

    /// How the receiver of `webhook` is to answer.
    pub(super) fn behaviour(&self, webhook: Option<usize>) -> Behaviour {
        let known = webhook.filter(|&webhook| webhook < self.webhooks.count());
        // What comes for nobody is counted as a stray where the healthy are counted.
        known.map_or(Behaviour::Healthy, |webhook| self.webhooks.behaviour(webhook))
    }

    fn delivery(
        &self,
        event: Option<usize>,
        webhook: Option<usize>,
    ) -> Option<(&AtomicU64, &AtomicU32)> {
        let (event, webhook) = (event?, webhook?);
        if self.webhooks.group_of_webhook(webhook) != self.webhooks.group_of_event(event) {
            return None;
        }
        let place = self.webhooks.place_in_group(webhook);
        let arrived = event.checked_mul(self.webhooks.fan_out)?.checked_add(place)?;
        Some((self.published_us.get(event)?, self.arrived.get(arrived)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four events to two groups of two webhooks, all published.
    fn published() -> Ledger {
        let webhooks = Webhooks { fan_out: 2, groups: 2, failing: 0, hanging: 0 };
        let ledger = Ledger::new(webhooks, 4);
        (0..4).for_each(|event| ledger.publish(event, Instant::now()));
        ledger
    }

    #[test]
    fn a_doubled_delivery_does_not_hide_a_lost_one() {
        let ledger = published();
        for (event, webhook) in [(0, 0), (0, 1), (1, 2), (1, 2), (2, 0), (2, 1), (3, 2), (3, 3)] {
            ledger.arrive(Some(event), Some(webhook));
        }
        assert_eq!((ledger.delivered(), ledger.duplicates(), ledger.strays()), (7, 1, 0));
        ledger.wait_for(8, Duration::ZERO);
        assert_eq!(ledger.delivered(), 7, "nobody waits for ever for what is lost");
    }

    #[test]
    fn what_no_event_explains_is_a_stray() {
        let ledger = published();
        let strays = [
            (None, Some(0)),
            (Some(0), None),
            (Some(4), Some(0)),
            (Some(0), Some(4)),
            // the other group's
            (Some(0), Some(2)),
            (Some(usize::MAX), Some(0)),
        ];
        for (event, webhook) in strays {
            ledger.arrive(event, webhook);
        }
        assert_eq!((ledger.delivered(), ledger.duplicates()), (0, 0));
        assert_eq!(ledger.strays(), 6);
    }

    #[test]
    fn latency_counts_from_publishing_to_the_first_arrival_after_the_warm_up() {
        let ledger = published();
        ledger.publish(2, Instant::now() + Duration::from_mins(1));
        ledger.arrive(Some(0), Some(0));
        ledger.arrive(Some(2), Some(1));
        ledger.arrive(Some(2), Some(1));
        let latencies = ledger.latencies(2..4).percentiles().unwrap();
        // Published in the future, so that the first arrival took no time at all.
        assert_eq!((latencies.p50, latencies.max), (0.0, 0.0));
        assert_eq!(ledger.latencies(3..4).percentiles(), None);
    }
}
