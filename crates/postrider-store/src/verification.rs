//! What looking through a whole store finds: how much was looked at, and what is not as it must be.

use std::fmt;

/// How many of each were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub events: u64,
    pub deliveries: u64,
    /// Of the deliveries, those that are not finished.
    pub pending: u64,
    pub attempts: u64,
    /// Entries of histories: attempts, cancellings, retries asked for.
    pub history: u64,
    /// Rows of list indexes.
    pub index_rows: u64,
    pub webhooks: u64,
    pub healths: u64,
    pub replays: u64,
    pub violations: u64,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub kind: ViolationKind,
    /// The ids it is about; empty where it is about the whole store.
    pub about: String,
    /// What was found.
    pub detail: String,
}

macro_rules! kinds {
    ($($kind:ident, $name:literal, $meaning:literal;)+) => {
        /// In which way something is not as it must be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ViolationKind {
            $(#[doc = $meaning] $kind,)+
        }

        impl ViolationKind {
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Stable, for programs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// For people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)+ }
            }
        }
    };
}

kinds! {
    Integrity, "integrity", "SQLite finds its own structure damaged: restore a copy";
    Unreadable, "unreadable", "what is stored can't be read back, or something it needs is gone";
    Unaccounted, "unaccounted", "deliveries created are not those pending and finished: some came or went unrecorded";
    BodyMissing, "body-missing", "an event has lost the body that would be sent";
    IdLost, "id-lost", "an event can't be found under the id that its publisher gave, which could be accepted twice";
    FanOutTwice, "fan-out-twice", "a replay added a delivery that the event had already";
    AddedWithoutEvent, "added-without-event", "a replay added a delivery to an event that is not there";
    WrongTenant, "wrong-tenant", "an event goes to a webhook of another tenant";
    PendingMissing, "pending-missing", "a delivery is unfinished by its history but nothing will attempt it: it is lost";
    PendingStray, "pending-stray", "an attempt is to be made that no history knows of, or of what is finished";
    PendingWithoutEvent, "pending-without-event", "an attempt is to be made of an event that is not there";
    PendingWithoutWebhook, "pending-without-webhook", "an attempt is to be made for a webhook that is not there";
    KeptMiscounted, "kept-miscounted", "an old event's count of pending deliveries is wrong: it is kept too long, or goes too early";
    HistoryWithoutDelivery, "history-without-delivery", "something happened to a delivery that its event doesn't have";
    AttemptsNotDense, "attempts-not-dense", "attempts are not numbered 1, 2, 3 …: one is missing or counted twice";
    AttemptAfterEnd, "attempt-after-end", "an attempt was made after its delivery had ended, and nobody had asked for it";
    AttemptEarly, "attempt-early", "an attempt was made before it was due";
    ScheduleNotKept, "schedule-not-kept", "a delivery failed before or after the last attempt of its retry schedule";
    StandingDoesNotFollow, "standing-does-not-follow", "how a delivery stands does not follow from what happened to it";
    IndexMissing, "index-missing", "a list leaves something out";
    IndexStray, "index-stray", "a list names something that is not there, or twice";
    HealthWithoutWebhook, "health-without-webhook", "a health is kept of a webhook that is not there";
    ReplayMiscounted, "replay-miscounted", "a replay's state and counts contradict each other";
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.name())?;
        if !self.about.is_empty() {
            write!(f, " {}", self.about)?;
        }
        write!(f, ": {} ({})", self.detail, self.kind.meaning())
    }
}
