//! What goes into a store and comes out of it, beside the core's own records.

use std::sync::Arc;

use postrider_core::delivery::{CancelReason, DeliveryState, HistoryEntry, Standing, Waiting};
use postrider_core::event::{Event, Fingerprint};
use postrider_core::health::Health;
use postrider_core::id::{
    ApiKeyKey, DeliveryKey, EventKey, HistoryKey, TenantKey, UnixMs, WebhookKey,
};
use postrider_core::matching::Matching;
use postrider_core::statistics::{Grain, Tally};
use postrider_core::webhook::Webhook;

/// One group commit: all of it becomes durable together, or none of it.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub accepts: Vec<Accept>,
    pub records: Vec<Record>,
}

/// An event to accept together with its whole fan-out. Its deliveries are due at
/// `event.accepted_at()`.
#[derive(Clone, Debug)]
pub struct Accept {
    pub event: Arc<Event>,
    /// The matching that `event.matching` names. Stored with the first event that names it, and
    /// again with the first in each bucket of time, so it may be named for as long as one likes.
    pub matching: Arc<Matching>,
    /// Compared when the publisher gave an id that the tenant has given before. For an id that we
    /// made, the verbatim bodies are compared instead.
    pub fingerprint: Fingerprint,
}

/// What became of an [`Accept`].
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// Stored now, with all its deliveries.
    New,
    /// The same event was accepted before, perhaps earlier in this batch: here it is. Its id may
    /// be one that we made, given back with the same verbatim body.
    Repeat { first: Arc<Event>, matched: usize },
    /// The id was used before for something else: given by the publisher, or made by us for an
    /// event of this tenant. Nothing is stored.
    IdConflict,
}

/// What happened to a pending delivery, and how it stands now.
#[derive(Clone, Debug)]
pub struct Record {
    /// How the delivery was waiting; its pending row is found by this.
    pub was: Waiting,
    /// Appended to the history; `entry.standing` is how the delivery stands from now on. Its key
    /// is greater than the event's and than those of all earlier entries of the delivery; how it
    /// compares to other deliveries' doesn't matter.
    pub entry: HistoryEntry,
    /// How its webhook fares from now on, where that must be kept. Of several in a batch the last
    /// counts for each webhook. It is kept even when the record itself is refused.
    pub health: Option<Health>,
}

/// What became of a [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The entry is in the history: written now, or before by a commit whose answer was lost.
    Done,
    /// No pending delivery stood like that: somebody else ended it. Nothing was written.
    NotPending,
}

/// The answers to a [`Batch`], each in the order asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    pub accepts: Vec<Accepted>,
    pub records: Vec<Recorded>,
}

/// Asks for due deliveries of one webhook.
#[derive(Clone, Debug)]
pub struct DueQuery {
    pub webhook: WebhookKey,
    /// Deliveries due at this time or before.
    pub until: UnixMs,
    /// At most this many.
    pub limit: usize,
    /// Bodies of at most so many bytes together, by
    /// [`Bodies::size_bytes`](postrider_core::event::Bodies::size_bytes), but always at least one
    /// delivery where one is due (and `limit` is not 0): none is too big to come at all.
    pub bytes_max: usize,
    /// Events whose deliveries the owner has in hand already; they are skipped. A bounded number.
    pub except: Vec<EventKey>,
}

/// A page of due deliveries, ordered by due time, then by event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DuePage {
    pub deliveries: Vec<DueDelivery>,
    /// When the first pending delivery beyond this page (and not excepted) is due; `None` when
    /// there is none.
    pub next_due: Option<UnixMs>,
}

/// A due delivery with all that an attempt needs.
#[derive(Clone, Debug, PartialEq)]
pub struct DueDelivery {
    pub event: Arc<Event>,
    pub waiting: Waiting,
}

/// A webhook with pending deliveries, as found at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneStart {
    pub webhook: WebhookKey,
    /// When its first one is due.
    pub first_due: UnixMs,
}

/// Asks for one attempt at once.
#[derive(Clone, Copy, Debug)]
pub struct RetryRequest {
    pub delivery: DeliveryKey,
    pub at: UnixMs,
    /// Key of the history entry that this makes.
    pub key: HistoryKey,
}

/// Asks to cancel one delivery.
#[derive(Clone, Copy, Debug)]
pub struct CancelRequest {
    pub delivery: DeliveryKey,
    pub at: UnixMs,
    /// Key of the history entry that this makes.
    pub key: HistoryKey,
}

/// What became of a [`CancelRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled.
    Now(DeliveryStanding),
    /// It was final before; nothing was written.
    AlreadyFinal(DeliveryState),
}

/// Asks to cancel pending deliveries of one webhook, at most as many as there are `keys`.
#[derive(Clone, Debug)]
pub struct Cancelling {
    pub webhook: WebhookKey,
    pub at: UnixMs,
    pub reason: CancelReason,
    /// A key for each history entry that this may make, ascending.
    pub keys: Vec<HistoryKey>,
    /// Events whose deliveries the owner has in flight; they are left alone.
    pub except: Vec<EventKey>,
}

/// How many deliveries are pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    pub count: usize,
    /// There are more than were counted.
    pub is_more: bool,
    /// When the oldest event among those counted was accepted.
    pub oldest_at: Option<UnixMs>,
}

/// What was counted in one slot of time of a webhook or a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot<K> {
    pub of: K,
    /// A multiple of the width of its kind ([`postrider_core::statistics`]).
    pub at: UnixMs,
    pub tally: Tally,
}

/// Which slots of time are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub grain: Grain,
    /// When a slot begins: the first that is wanted.
    pub from: UnixMs,
    /// Slots that begin then or later are not wanted.
    pub until: UnixMs,
}

/// What was counted since it was last stored. A bounded number of slots, all of them fine: the
/// store counts them into hours by itself.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    pub webhooks: Vec<Slot<WebhookKey>>,
    pub tenants: Vec<Slot<TenantKey>>,
    /// When attempts of webhooks last succeeded.
    pub successes: Vec<(WebhookKey, UnixMs)>,
    /// Slots of webhooks that begin before this are out of date.
    pub keep_webhooks_from: UnixMs,
    /// The same for those of tenants.
    pub keep_tenants_from: UnixMs,
    /// The same for hours of both.
    pub keep_hours_from: UnixMs,
}

/// How one delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryStanding {
    pub delivery: DeliveryKey,
    pub standing: Standing,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub key: TenantKey,
    /// Unique. 1–64 of `[a-z0-9_-]`.
    pub name: String,
    pub created_at: UnixMs,
}

/// Asks to delete a tenant with all that can act for it.
#[derive(Clone, Debug)]
pub struct TenantEnding {
    pub tenant: TenantKey,
    pub at: UnixMs,
    /// Its webhooks as they are once they are deleted, each with the version after its present one.
    pub tombstones: Vec<Webhook>,
}

/// An API key, without its secret part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub key: ApiKeyKey,
    /// `None` for an admin key.
    pub tenant: Option<TenantKey>,
    pub scope: Scope,
    pub description: Option<String>,
    /// SHA-256 of the whole key text.
    pub hash: [u8; 32],
    pub created_at: UnixMs,
    pub expires_at: Option<UnixMs>,
    pub revoked_at: Option<UnixMs>,
}

/// What a key may do; each includes those after it, but `Publish` and `Read` stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything, in every tenant.
    Admin,
    /// Webhooks, events and deliveries of its tenant.
    Manage,
    /// Publishing events.
    Publish,
    /// Reading.
    Read,
}

/// How many deliveries there are by how they stand: created = pending + finished, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    /// Σ fan-out of all events ever accepted.
    pub deliveries_created: u64,
    /// Counted, not remembered: rows in the pending table.
    pub deliveries_pending: u64,
    /// Endings less reopenings by manual retries.
    pub deliveries_finished: u64,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows that went into list indexes.
    pub indexed: usize,
    /// Buckets of old events and history that were dropped.
    pub dropped_buckets: usize,
}
