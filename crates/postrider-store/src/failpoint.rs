//! Named places where this process can be made to die, stall or fail.
//!
//! They exist only under the feature `failpoints`, which nothing but `postrider-faults` enables; in
//! every other build [`failpoint!`](crate::failpoint!) is no code at all. The store and the server
//! share one list, so that a test can go through it and see that each place is reached.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use armed::VARIABLE;

/// Passes a failpoint by name. The second form does something else where an error is asked for.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:ident) => {
        $crate::failpoint::Failpoint::$name.pass();
    };
    ($name:ident, $on_error:expr) => {
        if $crate::failpoint::Failpoint::$name.fails() {
            $on_error
        }
    };
}

/// Nothing: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($name:ident $(, $on_error:expr)?) => {};
}

#[cfg(feature = "failpoints")]
macro_rules! failpoints {
    ($($(#[$what:meta])* $name:ident,)+) => {
        /// A place in the server's code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Failpoint {
            $($(#[$what])* $name,)+
        }

        impl Failpoint {
            /// Every one, in the order of an event's way.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// As it is named in [`VARIABLE`].
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

#[cfg(feature = "failpoints")]
failpoints! {
    /// The process starts: what has pending deliveries was read, a page at a time.
    LanesRead,
    /// A publisher's request is read; nothing is done with it yet.
    BodyRead,
    /// It is known which webhooks an event goes to.
    Matched,
    /// An event waits for the writer.
    Queued,
    /// The writer took what waited.
    BatchTaken,
    /// Before a transaction.
    BeforeBegin,
    AfterBegin,
    EventInserted,
    GivenIdInserted,
    MatchingInserted,
    PendingInserted,
    PendingDeleted,
    HistoryInserted,
    CountersUpdated,
    /// Rows that were gathered are in the list indexes.
    IndexFilled,
    /// Everything of a transaction is done but its commit. Can fail as a sync does.
    BeforeCommit,
    /// The same. Can fail as a full disk does.
    WithoutRoom,
    /// The commit is durable and nobody knows of it. Can fail as a sync does.
    AfterCommit,
    BeforeCheckpoint,
    AfterCheckpoint,
    /// A batch is committed and not handed to the engine.
    Committed,
    /// The engine has what was committed; neither publishers nor the dispatcher were told.
    HandedOver,
    /// Publishers are told that their events are safe; the dispatcher isn't.
    PublishersTold,
    /// The dispatcher knows what was committed.
    DispatcherTold,
    /// A publisher's answer is made and not written.
    AnswerUnwritten,
    /// More due deliveries of a webhook were read from the store.
    PageRead,
    AttemptStarted,
    /// The request is built and signed.
    RequestBuilt,
    /// There is a new connection to the receiver.
    Dialled,
    /// Before bytes of a request are written. As an error: half of them are.
    RequestWriting,
    /// Bytes of a request are written.
    RequestWritten,
    AnswerHeadRead,
    AnswerBodyRead,
    /// The attempt is over; the dispatcher doesn't know.
    AttemptEnded,
    /// An outcome waits for the writer.
    OutcomeQueued,
    /// A new webhook is stored; nothing matches it yet.
    WebhookStored,
    /// A changed webhook is stored; everything else goes by what was before.
    ChangeStored,
    /// A manual retry is stored; the dispatcher doesn't know.
    RetryStored,
    /// Pending deliveries are cancelled in the store; the dispatcher doesn't know.
    PendingCancelled,
    /// A page of a replay is stored; its deliveries are not told.
    ReplayMoved,
    StatisticsAdded,
    /// What is past its retention is out of sight, in a transaction not committed yet.
    BucketDropped,
    /// One of its tables is gone, in a transaction not committed yet.
    TableDropped,
    /// An orderly end begins.
    DrainBegun,
    /// Attempts have ended; the writer still has to write what became of them.
    Drained,
}
