//! What is counted of attempts, in slots of time.
//!
//! A slot is one span of time of one webhook or one tenant. Slots are added to and never changed
//! otherwise, so parts of one that were counted apart can be added in any order.

use crate::delivery::AttemptResult;
use crate::histogram::Histogram;
use crate::id::UnixMs;

/// Width of a webhook's slots: a day is 288 of them, fine enough for a week's chart.
pub const WEBHOOK_SLOT_MS: UnixMs = 5 * 60_000;
/// Width of a tenant's slots.
pub const TENANT_SLOT_MS: UnixMs = 60_000;

/// What was counted in some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events accepted; a webhook's tally has none.
    pub events: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// Of the attempts that were answered: from their start to the end of the answer.
    pub response: Histogram,
}

impl Tally {
    pub fn attempts(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    pub fn count_attempt(&mut self, result: &AttemptResult, total_us: u32) {
        if result.is_success() {
            self.succeeded += 1;
        } else {
            self.failed += 1;
        }
        if matches!(result, AttemptResult::Answered(_)) {
            self.response.record(total_us);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.events = self.events.saturating_add(other.events);
        self.succeeded = self.succeeded.saturating_add(other.succeeded);
        self.failed = self.failed.saturating_add(other.failed);
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

    #[test]
    fn only_answers_have_response_times() {
        let answer = Answer { status: 500, headers: vec![], body: "".into(), is_body_cut: false };
        let mut tally = Tally::default();
        tally.count_attempt(&AttemptResult::Answered(answer.clone()), 7);
        tally.count_attempt(&AttemptResult::Answered(Answer { status: 204, ..answer }), 9);
        let detail = String::new();
        let broke = AttemptResult::Broke { class: ErrorClass::Timeout, detail, answer: None };
        tally.count_attempt(&broke, 15_000_000);
        assert_eq!((tally.attempts(), tally.succeeded, tally.failed), (3, 1, 2));
        assert_eq!(tally.response.percentile_us(100), Some(9));
    }

    #[test]
    fn slots_begin_at_multiples_of_their_width() {
        assert_eq!(slot_at(299_999, WEBHOOK_SLOT_MS), 0);
        assert_eq!(slot_at(300_000, WEBHOOK_SLOT_MS), 300_000);
        assert_eq!(slot_at(-1, TENANT_SLOT_MS), -60_000);
    }
}
