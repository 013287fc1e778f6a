//! The `Store` trait: what Postrider asks of a place to keep things.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_core::catalogue::CatalogueEntry;
use postrider_core::delivery::HistoryEntry;
use postrider_core::event::Event;
use postrider_core::event_type::EventType;
use postrider_core::health::Health;
use postrider_core::id::{
    ApiKeyKey, DeliveryKey, EventKey, HistoryKey, MatchingKey, ReplayKey, TenantKey, UnixMs,
    WebhookKey,
};
use postrider_core::matching::Matching;
use postrider_core::webhook::Webhook;

use crate::error::StoreError;
use crate::records::{
    ApiKey, Backlog, Batch, CancelRequest, Cancelled, Cancelling, Committed, Counts,
    DeliveryStanding, DuePage, DueQuery, LaneStart, RetryRequest, Slot, Span, Statistics, Swept,
    Tenant, TenantEnding,
};
use crate::replay::{Replay, ReplayState, ReplayStep, ReplayStepped};
use crate::search::{DeliveryPage, DeliverySearch, EventPage, EventSearch};

/// All verbs of a store. Shared as `Arc<dyn Store>`.
pub trait Store:
    WebhookStore
    + EventStore
    + DeliveryStore
    + HealthStore
    + EventTypeStore
    + ReplayStore
    + AccessStore
    + MaintenanceStore
{
}

impl<T> Store for T where
    T: WebhookStore
        + EventStore
        + DeliveryStore
        + HealthStore
        + EventTypeStore
        + ReplayStore
        + AccessStore
        + MaintenanceStore
{
}

/// Webhooks. A deleted one stays as a tombstone until retention takes it.
#[async_trait]
pub trait WebhookStore: Send + Sync + 'static {
    /// Stores a new webhook. Doing it again with the same key and content is harmless;
    /// `Conflict` with other content.
    async fn insert_webhook(&self, webhook: Webhook) -> Result<(), StoreError>;

    /// Replaces a webhook whose stored version is `webhook.version - 1`.
    /// `Conflict` when it has another or there is none.
    async fn update_webhook(&self, webhook: Webhook) -> Result<(), StoreError>;

    /// Every webhook of every tenant after `after`, tombstones too, ascending by key: how the
    /// registry is filled at start.
    async fn webhooks(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<Webhook>, StoreError>;
}

/// Events and the matchings that explain their fan-out.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Writes one group commit. When it returns `Ok`, all of it survives a power cut. An empty
    /// batch does nothing.
    ///
    /// Accepts come before records, so a record may be about an event of the same batch. A given
    /// id is free again once its event is gone. One that reads as an id that we made, for an event
    /// of the same tenant without a given id, is taken as long as that event is there: the event
    /// under it could not be found. Only a repeat of what was accepted under it as a given id
    /// comes before that. In another tenant it is an id like any other. A key is never used for a
    /// second event or entry: the same event under its own key is a repeat, and the same entry
    /// under its own is done, as long as retention has not taken them.
    ///
    /// May block the calling thread for as long as a commit takes: give it a thread of its own.
    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError>;

    /// The event with this public id (given or made), in this tenant only.
    async fn event(&self, tenant: TenantKey, id: &str) -> Result<Option<Arc<Event>>, StoreError>;

    /// The event with this key, in whichever tenant.
    async fn event_by_key(&self, key: EventKey) -> Result<Option<Arc<Event>>, StoreError>;

    /// Events of a tenant older than `before`, newest first.
    async fn events(
        &self,
        tenant: TenantKey,
        before: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, StoreError>;

    /// Events of a tenant by what they are, newest first. Looks at a bounded number of them.
    async fn find_events(&self, search: EventSearch) -> Result<EventPage, StoreError>;

    /// A matching, as long as an event that names it is there.
    async fn matching(&self, key: MatchingKey) -> Result<Option<Arc<Matching>>, StoreError>;
}

/// Deliveries: pending work, and the history of what happened.
#[async_trait]
pub trait DeliveryStore: Send + Sync + 'static {
    /// Due deliveries of one webhook, without scanning history or other webhooks. Reads one event
    /// beyond the page at most, so that a bounded page costs bounded memory.
    async fn due(&self, query: DueQuery) -> Result<DuePage, StoreError>;

    /// Webhooks with pending deliveries after `after`, ascending by key, without scanning the
    /// deliveries themselves: how the dispatcher finds its work at start.
    async fn lanes(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<LaneStart>, StoreError>;

    /// Moves a delivery on by a manual retry, whatever its state. `None` when there is no such
    /// delivery (no such event, or not in its fan-out). The caller makes sure that no attempt
    /// of it is under way. The same request again (same key) changes nothing more.
    async fn request_retry(
        &self,
        request: RetryRequest,
    ) -> Result<Option<DeliveryStanding>, StoreError>;

    /// Cancels pending deliveries of a webhook, at most as many as keys were given. Returns how
    /// many; fewer than the keys means that nothing is left to cancel. A key that is in the
    /// history already counts as one that this made before.
    async fn cancel_pending(&self, cancelling: Cancelling) -> Result<usize, StoreError>;

    /// What is pending for these webhooks together, counting `count_max` deliveries at most.
    async fn backlog(
        &self,
        webhooks: Vec<WebhookKey>,
        count_max: usize,
    ) -> Result<Backlog, StoreError>;

    /// Cancels one delivery. `None` when there is no such delivery. The caller makes sure that no
    /// attempt of it is under way. The same request again (same key) changes nothing more.
    async fn request_cancel(&self, request: CancelRequest)
    -> Result<Option<Cancelled>, StoreError>;

    /// Deliveries of a tenant by what they are, in the order of their events. Looks at a bounded
    /// number of events and deliveries.
    async fn find_deliveries(&self, search: DeliverySearch) -> Result<DeliveryPage, StoreError>;

    /// How the deliveries of an event stand, ascending by webhook, after `after`.
    /// Empty when there is no such event.
    async fn deliveries_of_event(
        &self,
        event: EventKey,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<DeliveryStanding>, StoreError>;

    /// How a delivery stands; `None` when its event is unknown or did not go to its webhook,
    /// neither when it was accepted nor by a replay.
    async fn delivery(&self, delivery: DeliveryKey)
    -> Result<Option<DeliveryStanding>, StoreError>;

    /// What happened to a delivery, oldest first.
    async fn history(&self, delivery: DeliveryKey) -> Result<Vec<HistoryEntry>, StoreError>;

    /// What happened to the deliveries of a webhook before `before`, newest first.
    async fn history_of_webhook(
        &self,
        webhook: WebhookKey,
        before: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError>;
}

/// How webhooks fare: their health, which [`EventStore::commit`] keeps with the outcomes it tells
/// of, and what was counted in slots of time.
#[async_trait]
pub trait HealthStore: Send + Sync + 'static {
    /// The health of webhooks after `after` that one was kept for, ascending by key.
    async fn healths(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<(WebhookKey, Health)>, StoreError>;

    /// Keeps a health apart from any outcome: how a counting begins anew. Here as in a commit, one
    /// that was counted from an earlier time than the stored one changes nothing, nor does one of a
    /// webhook that is unknown or deleted.
    async fn keep_health(&self, webhook: WebhookKey, health: Health) -> Result<(), StoreError>;

    /// Adds to slots, making those that are missing; moves last successes forward; and drops what is
    /// out of date, of each kind the slots of one time at most.
    async fn add_statistics(&self, statistics: Statistics) -> Result<(), StoreError>;

    /// What was counted of webhooks, ascending by time and webhook.
    async fn webhook_slots(
        &self,
        webhooks: Vec<WebhookKey>,
        span: Span,
    ) -> Result<Vec<Slot<WebhookKey>>, StoreError>;

    /// What was counted of a tenant, ascending by time.
    async fn tenant_slots(
        &self,
        tenant: TenantKey,
        span: Span,
    ) -> Result<Vec<Slot<TenantKey>>, StoreError>;
}

/// What tenants keep about their event types.
#[async_trait]
pub trait EventTypeStore: Send + Sync + 'static {
    /// Stores a new entry, of version 1, or replaces the one whose stored version is
    /// `entry.version - 1`. `Conflict` when that is not what is stored under its tenant and name.
    /// Doing it again with the same content is harmless.
    async fn put_event_type(&self, entry: CatalogueEntry) -> Result<(), StoreError>;

    /// Every entry of every tenant after `after`, ascending by tenant and name: how the catalogue
    /// is filled at start.
    async fn event_types(
        &self,
        after: Option<(TenantKey, EventType)>,
        limit: usize,
    ) -> Result<Vec<CatalogueEntry>, StoreError>;
}

/// Replays. One that has ended stays as long as events do.
#[async_trait]
pub trait ReplayStore: Send + Sync + 'static {
    /// Stores a new replay. Doing it again with the same content is harmless; `Conflict` when the
    /// key is taken.
    async fn insert_replay(&self, replay: Replay) -> Result<(), StoreError>;

    async fn replay(&self, key: ReplayKey) -> Result<Option<Replay>, StoreError>;

    /// Replays of a tenant older than `before`, newest first; with a webhook, those that name it.
    async fn replays(
        &self,
        tenant: TenantKey,
        webhook: Option<WebhookKey>,
        before: Option<ReplayKey>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError>;

    /// Running replays of all tenants after `after`, ascending by key.
    async fn running_replays(
        &self,
        after: Option<ReplayKey>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError>;

    /// Moves a replay on by one step. What a move asks for is done as the delivery stands now: a
    /// final one in a state that the replay names gets a retry requested, one that is not there is
    /// added where the replay adds any, due at once and with the webhook's whole schedule, and any
    /// other is left alone. `Conflict` when the replay is not running or stands elsewhere. The
    /// caller makes sure that no attempt of any of the deliveries is under way.
    async fn step_replay(&self, step: ReplayStep) -> Result<ReplayStepped, StoreError>;

    /// Ends a running replay. `None` when there is none.
    async fn end_replay(
        &self,
        key: ReplayKey,
        state: ReplayState,
        at: UnixMs,
    ) -> Result<Option<Replay>, StoreError>;
}

/// Tenants and API keys.
#[async_trait]
pub trait AccessStore: Send + Sync + 'static {
    /// `Conflict` when the name or the key is taken. Doing it again with the same content is
    /// harmless.
    async fn insert_tenant(&self, tenant: Tenant) -> Result<(), StoreError>;

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError>;

    /// Deletes a tenant with its event types, revokes its keys and replaces its webhooks by their
    /// tombstones; `false` when there is no such tenant. `Conflict`, and nothing is changed, when a
    /// webhook has another version than the one before its tombstone's. Its name may be given
    /// again. What is pending is left to the caller, and its events and history to retention.
    async fn delete_tenant(&self, ending: TenantEnding) -> Result<bool, StoreError>;

    /// `Conflict` when the key is taken. Doing it again with the same content is harmless.
    async fn insert_api_key(&self, key: ApiKey) -> Result<(), StoreError>;

    /// Every key that was not revoked, for the server to hold in memory.
    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key; `false` when there is none or it was revoked before.
    async fn revoke_api_key(&self, key: ApiKeyKey, at: UnixMs) -> Result<bool, StoreError>;
}

/// What a server does for its store from time to time.
#[async_trait]
pub trait MaintenanceStore: Send + Sync + 'static {
    /// Whether an error has ended all writing, such as a failed sync: every write from now on is
    /// refused, and only a new process can go on. The server should end this one.
    fn is_broken(&self) -> bool;

    /// The time part of the greatest key stored, for [`KeyMaker::new`](postrider_core::id::KeyMaker::new); zero when empty.
    async fn newest_key_ms(&self) -> Result<UnixMs, StoreError>;

    /// Fills list indexes, and drops whole buckets of events, history and matchings that ended
    /// before `keep_from`. A bounded piece of work: call again while it reports any.
    /// What is pending keeps its event, its given id, its matching and the standings of all its
    /// deliveries, however old; their history goes by its own age. Tombstones of webhooks last
    /// changed before `keep_from` go too, once nothing is pending for them, and replays that ended
    /// before it.
    async fn sweep(&self, keep_from: UnixMs) -> Result<Swept, StoreError>;

    /// The accounting identity's terms, counted.
    async fn counts(&self) -> Result<Counts, StoreError>;
}
