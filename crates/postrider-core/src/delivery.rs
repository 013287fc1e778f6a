//! The life of a delivery, and the one table that says how it goes on.
//!
//! Everything that can happen to a delivery is a [`Trigger`]; [`Standing::after`] is the only
//! place that decides what a trigger leads to. Stores compare and set what it answers.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use postrider_signature::BodyForm;

use crate::id::{DeliveryKey, HistoryKey, UnixMs};

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// An attempt is due at a time. Moved on by the dispatcher. Kept until it is final.
    Pending,
    /// A receiver answered 2xx. Final.
    Succeeded,
    /// The schedule is exhausted, or an answer said that trying again is useless. Final.
    Failed,
    /// Its webhook was deleted, disabled with cancelling or gone, or somebody cancelled it. Final.
    Cancelled,
}

impl DeliveryState {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The word for it, wherever one is needed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Nothing but a manual retry leads out of a final state.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }
}

/// All that decides how a delivery goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Pending(Waiting),
    Final { state: DeliveryState, progress: Progress },
}

/// An unfinished delivery's next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// No attempt starts before this.
    pub due: UnixMs,
    pub progress: Progress,
    pub mode: Mode,
}

/// How often a delivery was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Attempts made, manual ones too: the number of the last one.
    pub attempts: u32,
    /// Attempts made that the retry schedule counts.
    pub scheduled: u32,
}

/// On whose account the next attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Scheduled,
    /// One extra attempt that somebody asked for. When it fails, an unfinished schedule goes on
    /// at `resume`; a finished one stays finished.
    Manual {
        resume: Option<UnixMs>,
    },
}

/// What can happen to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    Attempted(Verdict),
    Cancelled,
    RetryRequested { at: UnixMs },
}

/// What an attempt means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Success,
    /// `retry_at`: when the schedule wants the next one; `None` when it is exhausted.
    /// A manual attempt's is ignored: it doesn't move the schedule.
    Failure {
        ended_at: UnixMs,
        retry_at: Option<UnixMs>,
    },
    /// Trying again is useless (410).
    Permanent,
}

/// A trigger that a standing doesn't know: cancelling or attempting what is already final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the delivery is {0:?} already")]
pub struct AlreadyFinal(pub DeliveryState);

impl Standing {
    /// A delivery as it is accepted: due at once, nothing tried yet.
    pub fn accepted(at: UnixMs) -> Self {
        Self::Pending(Waiting { due: at, progress: Progress::default(), mode: Mode::Scheduled })
    }

    pub fn state(&self) -> DeliveryState {
        match self {
            Self::Pending(_) => DeliveryState::Pending,
            Self::Final { state, .. } => *state,
        }
    }

    pub fn progress(&self) -> Progress {
        match self {
            Self::Pending(waiting) => waiting.progress,
            Self::Final { progress, .. } => *progress,
        }
    }

    /// When the next attempt is due, where there is to be one.
    pub fn due(&self) -> Option<UnixMs> {
        match self {
            Self::Pending(waiting) => Some(waiting.due),
            Self::Final { .. } => None,
        }
    }

    /// The transition table.
    pub fn after(self, trigger: Trigger) -> Result<Self, AlreadyFinal> {
        use DeliveryState::{Cancelled, Failed, Succeeded};
        let ended = |state, progress| Ok(Self::Final { state, progress });
        match (self, trigger) {
            (Self::Pending(waiting), Trigger::Attempted(verdict)) => {
                let progress = waiting.after_attempt();
                match (verdict, waiting.mode) {
                    (Verdict::Success, _) => ended(Succeeded, progress),
                    (Verdict::Permanent, _) => ended(Failed, progress),
                    (Verdict::Failure { retry_at: Some(due), .. }, Mode::Scheduled) => {
                        Ok(Self::Pending(Waiting { due, progress, mode: Mode::Scheduled }))
                    }
                    (Verdict::Failure { ended_at, .. }, Mode::Manual { resume: Some(due) }) => {
                        let due = due.max(ended_at);
                        Ok(Self::Pending(Waiting { due, progress, mode: Mode::Scheduled }))
                    }
                    (Verdict::Failure { retry_at: None, .. }, Mode::Scheduled)
                    | (Verdict::Failure { .. }, Mode::Manual { resume: None }) => {
                        ended(Failed, progress)
                    }
                }
            }
            (Self::Pending(waiting), Trigger::Cancelled) => ended(Cancelled, waiting.progress),
            (Self::Pending(waiting), Trigger::RetryRequested { at }) => {
                let resume = match waiting.mode {
                    Mode::Scheduled => Some(waiting.due),
                    Mode::Manual { resume } => resume,
                };
                let mode = Mode::Manual { resume };
                Ok(Self::Pending(Waiting { due: at, progress: waiting.progress, mode }))
            }
            (Self::Final { progress, .. }, Trigger::RetryRequested { at }) => {
                Ok(Self::Pending(Waiting {
                    due: at,
                    progress,
                    mode: Mode::Manual { resume: None },
                }))
            }
            (Self::Final { state, .. }, Trigger::Attempted(_) | Trigger::Cancelled) => {
                Err(AlreadyFinal(state))
            }
        }
    }
}

impl Waiting {
    /// The progress once this attempt is made.
    pub fn after_attempt(&self) -> Progress {
        Progress {
            attempts: self.progress.attempts + 1,
            scheduled: self.progress.scheduled + u32::from(self.mode == Mode::Scheduled),
        }
    }
}

/// One thing that happened to a delivery, as it is kept. Entries are append-only; the last one
/// by key says how the delivery stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    pub key: HistoryKey,
    pub delivery: DeliveryKey,
    pub what: Happening,
    /// How the delivery stood from then on.
    pub standing: Standing,
}

/// What a history entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    Attempt(Box<Attempt>),
    Cancelled { at: UnixMs, reason: CancelReason },
    RetryRequested { at: UnixMs },
}

/// Why a delivery was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    WebhookDeleted,
    WebhookDisabled,
    /// Its receiver answered 410 to another delivery.
    WebhookGone,
    Requested,
}

/// One HTTP request that was made for a delivery, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    pub is_manual: bool,
    pub started_at: UnixMs,
    pub timing: Timing,
    /// The address that was dialled, where it came to that.
    pub address: Option<SocketAddr>,
    /// `None` in records of versions that didn't keep it, and when the webhook was not known.
    pub outline: Option<Arc<Outline>>,
    /// The signing headers as sent: they can't be worked out later, when secrets have changed.
    /// Empty when no request could be built, and so nothing was sent.
    pub signed_headers: Vec<(String, String)>,
    pub result: AttemptResult,
}

/// What a webhook made of the requests of its attempts, which a later change of it must not
/// rewrite. Attempts share it as long as the webhook stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// As somebody gave it.
    pub url: Box<str>,
    /// Names of the custom headers; their values are sealed, and kept nowhere else.
    pub header_names: Vec<Box<str>>,
    pub body_form: BodyForm,
}

/// How long the phases of an attempt took, in microseconds; zero where a phase did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub dns_us: u32,
    pub connect_us: u32,
    pub tls_us: u32,
    /// From the first byte sent to the first byte of the answer.
    pub wait_us: u32,
    pub total_us: u32,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver answered in time.
    Answered(Answer),
    /// It did not; `answer` is what had come by then.
    Broke { class: ErrorClass, detail: String, answer: Option<Answer> },
}

/// An answer as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 100–599.
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    /// At most [`KEPT_OF_FAILURE_BYTES`](crate::limits::KEPT_OF_FAILURE_BYTES) or
    /// [`KEPT_OF_SUCCESS_BYTES`](crate::limits::KEPT_OF_SUCCESS_BYTES).
    pub body: Bytes,
    pub is_body_cut: bool,
}

/// Why an attempt got no answer that counts. Stable: stored, and shown as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The URL or an address it leads to is not allowed.
    NotAllowed,
    DnsFailure,
    DnsTimeout,
    ConnectRefused,
    ConnectFailed,
    ConnectTimeout,
    Tls,
    /// The connection broke after the request began.
    Reset,
    /// The answer ended before it was whole.
    Truncated,
    /// What came was not HTTP.
    Protocol,
    /// The deadline passed.
    Timeout,
    /// The event's data can't be written in the form that the webhook's profile wants.
    BodyForm,
    /// A fault of ours.
    Internal,
}

impl ErrorClass {
    pub const ALL: [Self; 13] = [
        Self::NotAllowed,
        Self::DnsFailure,
        Self::DnsTimeout,
        Self::ConnectRefused,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Reset,
        Self::Truncated,
        Self::Protocol,
        Self::Timeout,
        Self::BodyForm,
        Self::Internal,
    ];
}

impl AttemptResult {
    /// The status, where an answer came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(answer) => Some(answer.status),
            Self::Broke { answer, .. } => answer.as_ref().map(|answer| answer.status),
        }
    }

    /// Success is 200–299 and nothing else.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered(answer) if (200..300).contains(&answer.status))
    }

    /// 410: the receiver wants nothing any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Answered(answer) if answer.status == 410)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pending(due: UnixMs, mode: Mode) -> Standing {
        Standing::Pending(Waiting { due, progress: Progress { attempts: 2, scheduled: 2 }, mode })
    }

    #[test]
    fn a_failed_manual_attempt_leaves_the_schedule_where_it_was() {
        let asked =
            pending(9_000, Mode::Scheduled).after(Trigger::RetryRequested { at: 1_000 }).unwrap();
        assert_eq!(asked.due(), Some(1_000));
        let verdict = Verdict::Failure { ended_at: 2_000, retry_at: Some(70_000) };
        let resumed = asked.after(Trigger::Attempted(verdict)).unwrap();
        assert_eq!(resumed.due(), Some(9_000));
        assert_eq!(resumed.progress(), Progress { attempts: 3, scheduled: 2 });
    }

    #[test]
    fn a_second_manual_request_keeps_the_first_ones_resumption() {
        let twice = pending(9_000, Mode::Manual { resume: Some(50_000) })
            .after(Trigger::RetryRequested { at: 9_500 })
            .unwrap();
        let Standing::Pending(waiting) = twice else { panic!("{twice:?}") };
        assert_eq!(waiting.mode, Mode::Manual { resume: Some(50_000) });
    }

    #[test]
    fn an_exhausted_schedule_fails_and_a_retry_of_it_is_one_attempt() {
        let verdict = Verdict::Failure { ended_at: 1, retry_at: None };
        let failed = pending(0, Mode::Scheduled).after(Trigger::Attempted(verdict)).unwrap();
        assert_eq!(failed.state(), DeliveryState::Failed);
        let again = failed.after(Trigger::RetryRequested { at: 5 }).unwrap();
        let verdict = Verdict::Failure { ended_at: 6, retry_at: Some(99) };
        assert_eq!(
            again.after(Trigger::Attempted(verdict)).unwrap().state(),
            DeliveryState::Failed
        );
    }

    fn verdicts() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Success),
            Just(Verdict::Permanent),
            (0i64..1_000, proptest::option::of(0i64..1_000))
                .prop_map(|(ended_at, retry_at)| Verdict::Failure { ended_at, retry_at }),
        ]
    }

    fn triggers() -> impl Strategy<Value = Trigger> {
        prop_oneof![
            verdicts().prop_map(Trigger::Attempted),
            Just(Trigger::Cancelled),
            (0i64..1_000).prop_map(|at| Trigger::RetryRequested { at }),
        ]
    }

    proptest! {
        #[test]
        fn nothing_but_a_manual_retry_leads_out_of_a_final_state(
            triggers in proptest::collection::vec(triggers(), 1..40)
        ) {
            let mut standing = Standing::accepted(0);
            for trigger in triggers {
                let before = standing;
                match before.after(trigger) {
                    Ok(after) => {
                        if before.state().is_final() {
                            let asked = matches!(trigger, Trigger::RetryRequested { .. });
                            prop_assert!(asked);
                            prop_assert_eq!(after.state(), DeliveryState::Pending);
                        }
                        let made = u32::from(matches!(trigger, Trigger::Attempted(_)));
                        prop_assert_eq!(after.progress().attempts, before.progress().attempts + made);
                        prop_assert!(after.progress().scheduled <= after.progress().attempts);
                        standing = after;
                    }
                    Err(AlreadyFinal(state)) => {
                        prop_assert!(state.is_final());
                        let asked = matches!(trigger, Trigger::RetryRequested { .. });
                        prop_assert!(!asked);
                    }
                }
            }
        }

        #[test]
        fn a_failure_never_makes_the_next_attempt_due_before_it_ended(
            due in 0i64..1_000, ended_at in 0i64..1_000
        ) {
            let manual = pending(0, Mode::Manual { resume: Some(due) });
            let verdict = Verdict::Failure { ended_at, retry_at: None };
            let after = manual.after(Trigger::Attempted(verdict)).unwrap();
            prop_assert!(after.due().is_some_and(|next| next >= ended_at));
        }
    }
}
