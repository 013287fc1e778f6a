//! Where Postrider keeps events, webhooks and deliveries.
//!
//! The [`Store`] trait is a list of domain verbs, each one atomic step. No SQL, connection,
//! transaction or driver type shows through it; ids and times come from the caller. The
//! [`MemoryStore`] is the executable specification: what another store answers, it must
//! answer too, and the conformance suite in `tests/` holds them all to it. [`SqliteStore`] is
//! the embedded one.
//!
//! This is the only crate that knows SQL. It must not know HTTP.

mod bucket;
mod codec;
mod error;
pub mod failpoint;
mod memory;
mod records;
mod replay;
mod search;
mod sqlite;
mod store;
mod verification;

pub use bucket::BUCKET_MS_DEFAULT;
pub use error::StoreError;
pub use memory::MemoryStore;
pub use records::{
    Accept, Accepted, ApiKey, Backlog, Batch, CancelRequest, Cancelled, Cancelling, Committed,
    Counts, DeliveryStanding, DueDelivery, DuePage, DueQuery, LaneStart, Record, Recorded,
    RetryRequest, Scope, Slot, Span, Statistics, Swept, Tenant, TenantEnding,
};
pub use replay::{Replay, ReplayMove, ReplayState, ReplayStep, ReplayStepped};
pub use search::{
    DeliveryFilter, DeliveryPage, DeliverySearch, EventPage, EventSearch, FoundDelivery,
    LOOK_BYTES_MAX, LOOKS_MAX, LastAttempt, Order, StatusClass,
};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{
    AccessStore, DeliveryStore, EventStore, EventTypeStore, HealthStore, MaintenanceStore,
    ReplayStore, Store, WebhookStore,
};
pub use verification::{Checked, Violation, ViolationKind};
