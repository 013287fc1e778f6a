//! "Sometimes": the rare branches that a run must have met, or it proves less than it says.

use std::collections::BTreeMap;

macro_rules! rare {
    ($($name:ident: $text:literal,)*) => {
        /// A branch that few runs take.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rare {
            $(#[doc = $text] $name,)*
        }

        impl Rare {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it is, for people.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rare! {
    VoidPage: "a page came after something of it was cancelled",
    LoadFailed: "the store could not answer a load",
    LoadLate: "a page came more than a second late",
    SlotWait: "a delivery waited because the node had too much in flight",
    RoomWait: "memory was full while more was pending",
    RateWait: "a delivery waited for its webhook's rate",
    CrashBeforeCommit: "the process died with accepted events that were not committed",
    CrashAfterCommit: "the process died between a commit and its hand-over",
    CrashInFlight: "the process died with attempts in flight",
    CrashWhileLoading: "the process died while a page was on its way",
    CrashWhileChanging: "the process died between storing a webhook and telling of it",
    CrashInStart: "the process died while it looked for what was left",
    SendLost: "a request was lost with its process",
    SendSurvived: "a request reached its receiver although its process had died",
    CommitFailed: "a commit failed and wrote nothing",
    CommitUnknownAccepts: "a commit of events took effect and its answer was lost",
    CommitUnknownOutcomes: "a commit of outcomes took effect and its answer was lost",
    OutcomeLate: "outcomes waited for a second commit",
    CancelFailed: "the store could not cancel",
    CancelUnknown: "something was cancelled and the answer was lost",
    CancelInPages: "cancelling took several pages",
    ChangeFailed: "a webhook could not be stored",
    AcceptWhileCancelling: "an event came for a webhook while it was being cancelled",
    EnableWaits: "enabling waited for a cancelling to end",
    GoneWithOthers: "a receiver answered 410 with other attempts of it in flight",
    FormerGone: "a receiver answered 410 to which its webhook no longer leads",
    EndedAfterClosing: "an attempt failed after its webhook was closed",
    RetryWhileSettling: "a retry was asked for while an outcome was not durable",
    RetryUnderway: "a retry was refused because an attempt was due or under way",
    RetryOfFinal: "a finished delivery was retried",
    RetryOfWaiting: "a delivery that waited for its schedule was retried",
    RetryFailed: "the store could not take a retry",
    Repeat: "a publisher gave the same event twice",
    RepeatInBatch: "the same event came twice in one batch",
    IdConflict: "a publisher gave an id again for something else",
    ClockForwards: "the clock jumped forwards",
    ClockBackwards: "the clock jumped backwards",
    Exhausted: "a schedule was exhausted",
    RetryAfter: "a receiver asked for a longer wait than the schedule's",
    TimedOut: "a receiver did not answer",
    AnsweredTooLate: "a receiver answered after the deadline",
}

/// How often each was met.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<Rare, u64>);

impl Tally {
    pub(crate) fn meet(&mut self, rare: Rare) {
        *self.0.entry(rare).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (&rare, count) in &other.0 {
            *self.0.entry(rare).or_default() += count;
        }
    }

    pub fn count(&self, rare: Rare) -> u64 {
        self.0.get(&rare).copied().unwrap_or_default()
    }

    /// Those never met.
    pub fn missing(&self) -> impl Iterator<Item = Rare> + '_ {
        Rare::ALL.iter().copied().filter(|&rare| self.count(rare) == 0)
    }
}
