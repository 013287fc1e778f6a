//! What a row says that could not be claimed or accepted.

use super::store::{Accepted, Claimed, NewEntry, StoreError};
use super::{hex, retry_after_seconds};
use crate::UnixMs;

/// Why an event could not be handled in a transaction.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError<E> {
    /// The handler failed; nothing of what it did remains.
    #[error("{0}")]
    Handler(E),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The columns of `sql::STANDING`.
pub(super) struct Standing {
    pub(super) hash: String,
    pub(super) state: String,
    pub(super) status: Option<i64>,
    pub(super) lease_until: Option<UnixMs>,
}

impl Standing {
    pub(super) fn claimed(&self, entry: &NewEntry<'_>, now: UnixMs) -> Claimed {
        if self.hash != hex(&entry.body_hash()) {
            return Claimed::OtherBody;
        }
        if self.state == "done" {
            return Claimed::Done { status: self.status() };
        }
        let until = self.lease_until.unwrap_or(now);
        Claimed::Running { retry_after_seconds: retry_after_seconds(now, until) }
    }

    pub(super) fn accepted(&self, entry: &NewEntry<'_>) -> Accepted {
        match &*self.state {
            _ if self.hash != hex(&entry.body_hash()) => Accepted::OtherBody,
            "done" => Accepted::Done { status: self.status() },
            "dead" => Accepted::Dead,
            _ => Accepted::Accepted,
        }
    }

    /// As a handler gave it, so it always is one.
    fn status(&self) -> u16 {
        self.status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200)
    }
}
