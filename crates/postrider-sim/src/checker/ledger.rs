//! The records that the checker compares.

use std::collections::BTreeSet;

/// Orders what clients and receivers did.
pub type Moment = u64;

/// Everything that was told and seen in one run.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub publishes: Vec<Publish>,
    pub changes: Vec<Change>,
    pub retries: Vec<Retry>,
    pub arrivals: Vec<Arrival>,
    /// How every delivery stands in the end.
    pub deliveries: Vec<Delivery>,
    /// Attempts that were under way, or not durably recorded, when the server was killed.
    pub cut_off: usize,
    /// How much earlier than its arrival an attempt may have started, in moments.
    pub slack: Moment,
}

/// A publisher's request.
#[derive(Clone, Debug)]
pub struct Publish {
    pub tenant: String,
    pub given_id: Option<String>,
    pub event_type: String,
    /// A digest of what the publisher said.
    pub content: u64,
    pub asked: Moment,
    /// When the answer came or the connection broke.
    pub ended: Moment,
    pub answer: Answer,
}

/// What a publisher was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted {
        id: String,
        is_repeat: bool,
        matched: usize,
    },
    Conflict,
    /// An error or no answer at all: it may be stored or not.
    Unknown,
}

/// A webhook was created, changed or deleted.
#[derive(Clone, Debug)]
pub struct Change {
    pub webhook: String,
    pub asked: Moment,
    pub ended: Moment,
    /// Acknowledged. Otherwise it may have taken effect or not.
    pub is_certain: bool,
    /// What is pending is cancelled by it.
    pub cancels: bool,
    pub setting: Setting,
}

/// A webhook as a change makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub tenant: String,
    pub url: String,
    /// Names the secret that signs.
    pub secret: String,
    /// Event types by name. `None`: all.
    pub wants: Option<BTreeSet<String>>,
    pub is_enabled: bool,
    /// Deleted or gone: nothing stays pending.
    pub is_closed: bool,
}

impl Setting {
    pub(super) fn wants(&self, event_type: &str) -> bool {
        self.wants.as_ref().is_none_or(|wants| wants.contains(event_type))
    }
}

/// Somebody asked for an attempt.
#[derive(Clone, Debug)]
pub struct Retry {
    pub event: String,
    pub webhook: String,
    /// By the server's clock; `None` when it was not acknowledged.
    pub acknowledged_at: Option<i64>,
}

/// A request at a receiver.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The one that the URL belongs to.
    pub webhook: String,
    /// The `webhook-id`.
    pub event: String,
    pub started: Moment,
    pub url: String,
    pub secret: String,
    /// Digests of the body's bytes and of the publisher's part of it.
    pub body: u64,
    pub content: u64,
    /// `None` when the receiver never answered.
    pub answered: Option<u16>,
}

/// A delivery as the server shows it.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub tenant: String,
    pub event: String,
    pub webhook: String,
    pub state: State,
    /// The delay before each attempt of its schedule.
    pub delays_ms: Vec<u64>,
    /// Oldest first.
    pub attempts: Vec<ListedAttempt>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Succeeded,
    Failed,
    Cancelled,
}

/// A recorded attempt. Times are the server's.
#[derive(Clone, Debug)]
pub struct ListedAttempt {
    pub number: u32,
    pub is_manual: bool,
    pub started_at: i64,
    pub ended_at: i64,
    pub status: Option<u16>,
    /// What the receiver asked for, where it counts.
    pub retry_after_ms: u64,
}

impl ListedAttempt {
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A digest for the ledger: 64-bit FNV-1a, which is the same everywhere.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(DIGEST_START, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The digest of nothing.
const DIGEST_START: u64 = 0xcbf2_9ce4_8422_2325;
