//! What is counted of attempts, in slots of time.
//!
//! A slot is one span of time of one webhook or one tenant. Slots are added to and never changed
//! otherwise, so parts of one that were counted apart can be added in any order.

use crate::delivery::{AttemptResult, DeliveryState};
use crate::histogram::Histogram;
use crate::id::UnixMs;

/// Width of a webhook's slots: a day is 288 of them, fine enough for a week's chart.
pub const WEBHOOK_SLOT_MS: UnixMs = 5 * 60_000;
/// Width of a tenant's slots.
pub const TENANT_SLOT_MS: UnixMs = 60_000;
/// Width of the slots that both are counted in once more, for looks far back and at many at once.
pub const HOUR_SLOT_MS: UnixMs = 3_600_000;

/// How finely time is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// [`WEBHOOK_SLOT_MS`] or [`TENANT_SLOT_MS`].
    Fine,
    /// [`HOUR_SLOT_MS`].
    Hour,
}

/// What was counted in some time. What an older version counted has no classes and no retrying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events accepted; a webhook's tally has none.
    pub events: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// Failed attempts that another one was to follow; the others ended their delivery.
    pub retrying: u64,
    /// Failed attempts by the class of their answer's status.
    pub status_3xx: u64,
    pub status_4xx: u64,
    /// And whatever is in no other class.
    pub status_5xx: u64,
    /// Of the attempts that were answered: from their start to the end of the answer.
    pub response: Histogram,
}

impl Tally {
    pub fn attempts(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Failed attempts after which their delivery had failed.
    pub fn failed_finally(&self) -> u64 {
        self.failed.saturating_sub(self.retrying)
    }

    /// Attempts that were not answered, or not to the end.
    pub fn unanswered(&self) -> u64 {
        self.attempts().saturating_sub(self.response.len())
    }

    /// Counts an attempt that took so long and left its delivery in `state`.
    pub fn count_attempt(&mut self, result: &AttemptResult, total_us: u32, state: DeliveryState) {
        if result.is_success() {
            self.succeeded += 1;
        } else {
            self.failed += 1;
            self.retrying += u64::from(!state.is_final());
        }
        if let AttemptResult::Answered(answer) = result {
            self.response.record(total_us);
            match answer.status {
                200..300 => {}
                300..400 => self.status_3xx += 1,
                400..500 => self.status_4xx += 1,
                _ => self.status_5xx += 1,
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        add(&mut self.events, other.events);
        add(&mut self.succeeded, other.succeeded);
        add(&mut self.failed, other.failed);
        add(&mut self.retrying, other.retrying);
        add(&mut self.status_3xx, other.status_3xx);
        add(&mut self.status_4xx, other.status_4xx);
        add(&mut self.status_5xx, other.status_5xx);
        self.response.merge(&other.response);
    }
}

/// When the slot begins that `time` is in.
pub fn slot_at(time: UnixMs, width_ms: UnixMs) -> UnixMs {
    time - time.rem_euclid(width_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Answer, ErrorClass};

    fn answered(status: u16) -> AttemptResult {
        let answer = Answer { status, headers: vec![], body: "".into(), is_body_cut: false };
        AttemptResult::Answered(answer)
    }

    fn timed_out() -> AttemptResult {
        let detail = String::new();
        AttemptResult::Broke { class: ErrorClass::Timeout, detail, answer: None }
    }

    #[test]
    fn only_answers_have_response_times() {
        let mut tally = Tally::default();
        tally.count_attempt(&answered(500), 7, DeliveryState::Pending);
        tally.count_attempt(&answered(204), 9, DeliveryState::Succeeded);
        tally.count_attempt(&timed_out(), 15_000_000, DeliveryState::Pending);
        assert_eq!((tally.attempts(), tally.succeeded, tally.failed), (3, 1, 2));
        assert_eq!(tally.response.percentile_us(100), Some(9));
        assert_eq!(tally.unanswered(), 1);
    }

    #[test]
    fn failures_are_told_apart_by_what_follows_and_by_what_came() {
        let mut tally = Tally::default();
        for (result, state) in [
            (answered(200), DeliveryState::Succeeded),
            (answered(301), DeliveryState::Pending),
            (answered(429), DeliveryState::Pending),
            (answered(410), DeliveryState::Failed),
            (answered(503), DeliveryState::Pending),
            (answered(199), DeliveryState::Failed),
            (timed_out(), DeliveryState::Failed),
        ] {
            tally.count_attempt(&result, 1, state);
        }
        assert_eq!((tally.retrying, tally.failed_finally()), (3, 3));
        assert_eq!((tally.status_3xx, tally.status_4xx, tally.status_5xx), (1, 2, 2));
        assert_eq!(tally.unanswered(), 1);
        let mut twice = tally.clone();
        twice.merge(&tally);
        assert_eq!((twice.retrying, twice.status_4xx, twice.unanswered()), (6, 4, 2));
    }

    #[test]
    fn slots_begin_at_multiples_of_their_width() {
        assert_eq!(slot_at(299_999, WEBHOOK_SLOT_MS), 0);
        assert_eq!(slot_at(300_000, WEBHOOK_SLOT_MS), 300_000);
        assert_eq!(slot_at(-1, TENANT_SLOT_MS), -60_000);
    }
}
