//! What an inbox asks of a place to keep its rows: one atomic step for each verb.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{Scope, hex, millis};
use crate::{Event, UnixMs};

/// A place for rows. The clock is the caller's, so that tests own it; all processes that share a
/// store should have theirs within a fraction of a lease.
#[async_trait]
pub trait InboxStore: fmt::Debug + Send + Sync + 'static {
    /// Leased: claims an event that is new, that failed, or whose lease has expired. A lease has
    /// expired at the very millisecond of its end.
    async fn claim(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Claimed, StoreError>;

    /// Queued: stores an event that is new, due at once.
    async fn accept(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        now: UnixMs,
    ) -> Result<Accepted, StoreError>;

    /// Queued: claims what was accepted first among what is due (or whose lease has expired) and
    /// has no earlier unfinished event of the same order key before it. What has used up its
    /// `attempts_max` by vanishing workers becomes dead on the way.
    async fn take(
        &self,
        scope: &Scope,
        attempts_max: u32,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Option<Taken>, StoreError>;

    /// Lets a lease end `lease` from now, even an expired one that nobody has taken over.
    async fn heartbeat(
        &self,
        token: &Token,
        lease: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError>;

    /// Records that the effect happened, and what repeats are to be answered with.
    async fn finish(&self, token: &Token, status: u16, now: UnixMs) -> Result<Settled, StoreError>;

    /// Records a failure. Leased (`retry_delays` is `None`): the next delivery may claim the event.
    /// Queued: it is due again after the delay of its attempt, or dead when there is none left.
    async fn fail(
        &self,
        token: &Token,
        error: &str,
        retry_delays: Option<&[Duration]>,
        now: UnixMs,
    ) -> Result<Failed, StoreError>;

    async fn stats(&self, scope: &Scope) -> Result<Stats, StoreError>;

    /// Makes an event that doesn't run ready for another first attempt.
    async fn reprocess(
        &self,
        scope: &Scope,
        id: &str,
        now: UnixMs,
    ) -> Result<Reprocessed, StoreError>;

    /// Removes an event whatever its state; its token is stale from then on.
    async fn forget(&self, scope: &Scope, id: &str) -> Result<bool, StoreError>;

    /// Removes what is done, failed or dead and last changed at `until` or before.
    async fn purge(&self, until: UnixMs) -> Result<u64, StoreError>;
}

/// An event as it comes to the inbox.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    pub id: &'a str,
    pub body: &'a [u8],
    /// Queued only.
    pub order_key: Option<&'a str>,
    /// The time that was signed, in seconds. Kept where the body is.
    pub signed_at_seconds: Option<i64>,
}

impl<'a> NewEntry<'a> {
    pub(crate) fn of(event: &'a Event, order_key: Option<&'a str>) -> Self {
        let signed_at_seconds = Some(event.timestamp_seconds);
        Self { id: &event.id, body: &event.body, order_key, signed_at_seconds }
    }

    /// What tells a repeat from another event under the same id.
    pub fn body_hash(&self) -> BodyHash {
        Sha256::digest(self.body).into()
    }
}

/// SHA-256 of a body.
pub type BodyHash = [u8; 32];

/// What its holder proves its claim with. Unguessable, never used twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(String);

impl Token {
    /// Makes a token of 128 random bits.
    pub(crate) fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::new("making a token", error))?;
        Ok(Self(hex(&bytes)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The right to handle an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub token: Token,
    /// 1 for the first.
    pub attempt: u32,
}

/// What came of [`InboxStore::claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    Claimed(Claim),
    /// It happened before; answer with this status.
    Done {
        status: u16,
    },
    /// Somebody else has it, for at most so long.
    Running {
        retry_after_seconds: u64,
    },
    /// The id was used before for another body.
    OtherBody,
}

/// What came of [`InboxStore::accept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Stored, now or before, and not done yet.
    Accepted,
    Done {
        status: u16,
    },
    /// Its attempts are used up; a person has to look at it.
    Dead,
    OtherBody,
}

/// An event taken by a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub claim: Claim,
    pub id: String,
    pub body: Vec<u8>,
    pub signed_at_seconds: Option<i64>,
}

/// Whether a lease is still one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    Held,
    Lost,
}

/// Whether an effect could be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Finished,
    /// The token is stale: somebody else has taken the event over.
    Lost,
}

/// What a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The next delivery may claim it.
    Failed,
    /// A worker takes it again from this time on.
    Pending {
        due_at_ms: UnixMs,
    },
    Dead,
    Lost,
}

impl Failed {
    /// What the failure of an attempt leads to; see [`InboxStore::fail`].
    pub(crate) fn after(attempt: u32, retry_delays: Option<&[Duration]>, now: UnixMs) -> Self {
        let Some(delays) = retry_delays else {
            return Self::Failed;
        };
        let made = usize::try_from(attempt).unwrap_or(usize::MAX);
        let delay = made.checked_sub(1).and_then(|made| delays.get(made));
        delay.map_or(Self::Dead, |&delay| Self::Pending { due_at_ms: now + millis(delay) })
    }

    /// The state and the due time, as they are stored.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn columns(self) -> (&'static str, Option<UnixMs>) {
        match self {
            Self::Failed => ("failed", None),
            Self::Pending { due_at_ms } => ("pending", Some(due_at_ms)),
            Self::Dead | Self::Lost => ("dead", None),
        }
    }
}

/// What came of [`InboxStore::reprocess`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reprocessed {
    Reprocessed,
    /// It runs; wait for its end.
    Running,
    Absent,
}

/// How many events of a scope stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub pending: u64,
    pub running: u64,
    pub done: u64,
    pub failed: u64,
    pub dead: u64,
}

impl Stats {
    /// Adds to the count of a state by its stored name.
    pub(crate) fn add(&mut self, state: &str, count: u64) {
        match state {
            "pending" => self.pending += count,
            "running" => self.running += count,
            "done" => self.done += count,
            "failed" => self.failed += count,
            _ => self.dead += count,
        }
    }
}

/// A store that did not answer; nothing is known of what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the inbox's store failed while {doing}: {source}")]
pub struct StoreError {
    doing: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    pub(crate) fn new(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { doing, source: source.into() }
    }
}
