//! What the sender is to be answered.

use super::store::{Accepted, Claimed, Failed, Settled};

/// An answer to a delivery: a status, and for some how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after_seconds: Option<u64>,
    /// A word for the log.
    pub outcome: &'static str,
}

/// Accepted, and done later or by hand.
const ACCEPTED: u16 = 202;
/// Running elsewhere: come again.
const CONFLICT: u16 = 409;
/// The id was used for another body: trying again is of no use, and somebody should know.
const OTHER_BODY: u16 = 422;
const FAILED: u16 = 500;

impl Answer {
    pub(crate) fn new(status: u16, outcome: &'static str) -> Self {
        Self { status, retry_after_seconds: None, outcome }
    }

    /// Of what can't be claimed.
    pub(crate) fn of_claimed(claimed: &Claimed) -> Self {
        match *claimed {
            Claimed::Claimed(_) => Self::new(ACCEPTED, "claimed"),
            Claimed::Done { status } => Self::new(status, "done"),
            Claimed::Running { retry_after_seconds } => Self {
                retry_after_seconds: Some(retry_after_seconds),
                ..Self::new(CONFLICT, "running")
            },
            Claimed::OtherBody => Self::new(OTHER_BODY, "other_body"),
        }
    }

    pub(crate) fn of_accepted(accepted: Accepted) -> Self {
        match accepted {
            Accepted::Accepted => Self::new(ACCEPTED, "accepted"),
            Accepted::Done { status } => Self::new(status, "done"),
            Accepted::Dead => Self::new(ACCEPTED, "dead"),
            Accepted::OtherBody => Self::new(OTHER_BODY, "other_body"),
        }
    }

    pub(crate) fn of_finished(settled: Settled, status: u16) -> Self {
        match settled {
            Settled::Finished => Self::new(status, "new"),
            Settled::Lost => Self::lost(),
        }
    }

    pub(crate) fn of_failed(failed: Failed) -> Self {
        match failed {
            Failed::Failed | Failed::Pending { .. } | Failed::Dead => Self::new(FAILED, "failed"),
            Failed::Lost => Self::lost(),
        }
    }

    fn lost() -> Self {
        Self { retry_after_seconds: Some(1), ..Self::new(CONFLICT, "lost") }
    }
}
