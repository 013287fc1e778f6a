//! How a webhook fares: its present run of failures, and what follows from it.
//!
//! One outcome after the other changes a [`Health`]; the answer says whether the change must be
//! kept with the outcome and what there is to tell. A success of a webhook that is well changes
//! nothing that must be kept, so the common case costs no write.

use crate::delivery::{AttemptResult, ErrorClass};
use crate::id::UnixMs;

/// What is known of a webhook's attempts, in the order in which they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When the counting began anew: when it was last enabled after having been disabled. What was
    /// counted from an earlier time is out of date.
    pub counted_from: UnixMs,
    /// Failed attempts since the last success.
    pub failures_in_a_row: u32,
    /// When the first of them ended.
    pub failing_since: Option<UnixMs>,
    /// The tenant was told of this run of failures.
    pub is_reported: bool,
    /// To some seconds after a crash; exact where it ended a run of failures.
    pub last_success_at: Option<UnixMs>,
    pub last_failure_at: Option<UnixMs>,
}

/// When a run of failures has consequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// A webhook that has failed for so long is disabled. `None`: never.
    pub disable_after_ms: Option<UnixMs>,
    /// Its tenant is told at this many failures in a row.
    pub report_at: u32,
}

impl Default for HealthPolicy {
    /// Five days, and the fifth failure.
    fn default() -> Self {
        Self { disable_after_ms: Some(5 * 24 * 3_600_000), report_at: 5 }
    }
}

/// What an attempt says about its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// `is_reportable`: the tenant may be told. Not for a failure to deliver what we tell it.
    Failed {
        is_reportable: bool,
    },
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that must be kept: it was well and is.
    Nothing,
    /// The run of failures; to be kept with the outcome.
    Run,
    /// As `Run`, and it is time to tell that it is failing.
    Failing,
    /// As `Run`: a run that was told of has ended. This is how it was.
    Recovered(Health),
}

impl Health {
    /// The health of a webhook whose counting begins at `time`.
    pub fn counted_from(time: UnixMs) -> Self {
        Self { counted_from: time, ..Self::default() }
    }

    /// The same webhook's when the counting begins anew at `time`: its run is forgotten, and so is
    /// what was counted before but is stored later.
    #[must_use]
    pub fn anew(&self, time: UnixMs) -> Self {
        Self {
            last_success_at: self.last_success_at,
            last_failure_at: self.last_failure_at,
            ..Self::counted_from(time.max(self.counted_from.saturating_add(1)))
        }
    }

    /// Takes in an attempt that ended at `at`.
    pub fn note(&mut self, outcome: Outcome, at: UnixMs, policy: &HealthPolicy) -> Change {
        match outcome {
            Outcome::Succeeded => {
                let before = *self;
                self.last_success_at = before.last_success_at.max(Some(at));
                self.failures_in_a_row = 0;
                self.failing_since = None;
                self.is_reported = false;
                match before {
                    Self { is_reported: true, .. } => Change::Recovered(before),
                    Self { failing_since: Some(_), .. } => Change::Run,
                    Self { failing_since: None, .. } => Change::Nothing,
                }
            }
            Outcome::Failed { is_reportable } => {
                self.last_failure_at = self.last_failure_at.max(Some(at));
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.failing_since.get_or_insert(at);
                let is_due = self.failures_in_a_row >= policy.report_at && !self.is_reported;
                if is_due && is_reportable {
                    self.is_reported = true;
                    return Change::Failing;
                }
                Change::Run
            }
        }
    }

    /// Whether the webhook has failed for so long that it is to be disabled.
    pub fn is_past_bearing(&self, now: UnixMs, policy: &HealthPolicy) -> bool {
        self.disable_at(policy).is_some_and(|time| now >= time)
    }

    /// When it is going to be disabled, if nothing succeeds until then.
    pub fn disable_at(&self, policy: &HealthPolicy) -> Option<UnixMs> {
        Some(self.failing_since?.saturating_add(policy.disable_after_ms?))
    }
}

impl Outcome {
    /// What a result says about the receiver. `None` where it says nothing: a fault of ours, or
    /// data that the webhook's profile can't carry.
    pub fn of(result: &AttemptResult, is_reportable: bool) -> Option<Self> {
        match result {
            AttemptResult::Broke { class: ErrorClass::Internal | ErrorClass::BodyForm, .. } => None,
            _ if result.is_success() => Some(Self::Succeeded),
            _ => Some(Self::Failed { is_reportable }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAILED: Outcome = Outcome::Failed { is_reportable: true };
    const UNTOLD: Outcome = Outcome::Failed { is_reportable: false };
    const POLICY: HealthPolicy = HealthPolicy { disable_after_ms: Some(1_000), report_at: 3 };

    fn changes(outcomes: &[Outcome]) -> Vec<Change> {
        let mut health = Health::default();
        (0..).zip(outcomes).map(|(at, &outcome)| health.note(outcome, at, &POLICY)).collect()
    }

    #[test]
    fn a_success_of_what_is_well_need_not_be_kept() {
        assert_eq!(changes(&[Outcome::Succeeded, Outcome::Succeeded]), [Change::Nothing; 2]);
    }

    #[test]
    fn a_run_is_told_of_once_and_its_end_too() {
        let told = changes(&[FAILED, FAILED, FAILED, FAILED, Outcome::Succeeded, FAILED]);
        assert_eq!(told[..4], [Change::Run, Change::Run, Change::Failing, Change::Run]);
        let Change::Recovered(before) = told[4] else { panic!("{told:?}") };
        assert_eq!((before.failures_in_a_row, before.failing_since), (4, Some(0)));
        assert_eq!(told[5], Change::Run);
    }

    #[test]
    fn the_end_of_a_run_that_nobody_was_told_of_is_kept_only() {
        assert_eq!(changes(&[FAILED, Outcome::Succeeded]), [Change::Run; 2]);
    }

    #[test]
    fn what_we_tell_about_is_never_our_own_telling() {
        let told = changes(&[UNTOLD, UNTOLD, UNTOLD, UNTOLD, FAILED]);
        assert_eq!(told[..4], [Change::Run; 4]);
        assert_eq!(told[4], Change::Failing);
    }

    #[test]
    fn it_is_past_bearing_once_it_failed_for_long_enough_without_a_success() {
        let mut health = Health::default();
        health.note(FAILED, 500, &POLICY);
        assert!(!health.is_past_bearing(1_499, &POLICY));
        assert!(health.is_past_bearing(1_500, &POLICY));
        let never = HealthPolicy { disable_after_ms: None, ..POLICY };
        assert!(!health.is_past_bearing(i64::MAX, &never));
        health.note(Outcome::Succeeded, 1_400, &POLICY);
        assert!(!health.is_past_bearing(i64::MAX, &POLICY));
    }

    #[test]
    fn a_counting_that_begins_anew_is_a_later_one_whatever_the_clock_says() {
        let mut health = Health::counted_from(5_000);
        health.note(FAILED, 6_000, &POLICY);
        for (time, counted_from) in [(9_000, 9_000), (5_000, 5_001), (0, 5_001)] {
            let anew = health.anew(time);
            assert_eq!((anew.counted_from, anew.failures_in_a_row), (counted_from, 0));
            assert_eq!((anew.failing_since, anew.last_failure_at), (None, Some(6_000)));
        }
    }

    #[test]
    fn our_own_faults_say_nothing_about_a_receiver() {
        let broke = |class| AttemptResult::Broke { class, detail: String::new(), answer: None };
        for class in [ErrorClass::Internal, ErrorClass::BodyForm] {
            assert_eq!(Outcome::of(&broke(class), true), None);
        }
        assert_eq!(Outcome::of(&broke(ErrorClass::Timeout), true), Some(FAILED));
    }

    proptest! {
        /// What is kept at each change is enough: whoever reads it back goes on alike.
        #[test]
        fn what_was_kept_agrees_with_what_is_known_but_for_the_last_success(
            outcomes in proptest::collection::vec(0usize..3, 0..60),
        ) {
            let mut health = Health::default();
            let mut kept = Health::default();
            for (at, kind) in (0..).zip(outcomes) {
                let outcome = [Outcome::Succeeded, FAILED, UNTOLD][kind];
                if health.note(outcome, at, &POLICY) != Change::Nothing {
                    kept = health;
                }
                let last_success_at = health.last_success_at;
                prop_assert_eq!(Health { last_success_at, ..kept }, health);
                prop_assert_eq!(health.failing_since.is_some(), health.failures_in_a_row > 0);
            }
        }
    }
}
