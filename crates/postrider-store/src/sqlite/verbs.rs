//! The verbs of the `Store` trait, each handed to where its work is done.

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

use super::failure::Outcome;
use super::view::View;
use super::{Shared, SqliteStore, access, catalogue, health, replays, retention, slots, webhooks};
use crate::error::StoreError;
use crate::records::{
    ApiKey, Backlog, Batch, CancelRequest, Cancelled, Cancelling, Committed, Counts,
    DeliveryStanding, DuePage, DueQuery, LaneStart, RetryRequest, Slot, Span, Statistics, Swept,
    Tenant, TenantEnding,
};
use crate::replay::{Replay, ReplayState, ReplayStep, ReplayStepped};
use crate::search::{DeliveryPage, DeliverySearch, EventPage, EventSearch};
use crate::store::{
    AccessStore, DeliveryStore, EventStore, EventTypeStore, HealthStore, MaintenanceStore,
    ReplayStore, WebhookStore,
};

impl SqliteStore {
    /// Runs blocking work on a thread for it. A panic in it goes on in the caller.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Unavailable("shutting down".to_owned())),
            },
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(|shared| shared.read(read)).await
    }
}

#[async_trait]
impl WebhookStore for SqliteStore {
    async fn insert_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.write(|c| webhooks::insert(c, &webhook))).await
    }

    async fn update_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.write(|c| webhooks::update(c, &webhook))).await
    }

    async fn webhooks(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<Webhook>, StoreError> {
        self.read(move |view| webhooks::list(view.connection, after, limit)).await
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        if batch.accepts.is_empty() && batch.records.is_empty() {
            return Ok(Committed::default());
        }
        self.shared.work(|work| work.batch(batch))
    }

    async fn event(&self, tenant: TenantKey, id: &str) -> Result<Option<Arc<Event>>, StoreError> {
        let id = id.to_owned();
        self.read(move |view| view.event_by_id(tenant, &id)).await
    }

    async fn event_by_key(&self, key: EventKey) -> Result<Option<Arc<Event>>, StoreError> {
        self.read(move |view| view.event_by_key(key)).await
    }

    async fn events(
        &self,
        tenant: TenantKey,
        before: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, StoreError> {
        self.read(move |view| view.events(tenant, before, limit)).await
    }

    async fn find_events(&self, search: EventSearch) -> Result<EventPage, StoreError> {
        self.read(move |view| view.find_events(&search)).await
    }

    async fn matching(&self, key: MatchingKey) -> Result<Option<Arc<Matching>>, StoreError> {
        let matching = self.read(move |view| view.matching(key)).await?;
        Ok(matching.map(Arc::new))
    }
}

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn due(&self, query: DueQuery) -> Result<DuePage, StoreError> {
        let due = move |shared: &Shared| shared.read(|view| view.due(&query, &shared.recent));
        self.blocking(due).await
    }

    async fn lanes(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<LaneStart>, StoreError> {
        self.read(move |view| view.lanes(after, limit)).await
    }

    async fn request_retry(
        &self,
        request: RetryRequest,
    ) -> Result<Option<DeliveryStanding>, StoreError> {
        self.blocking(move |shared| shared.work(|work| work.request_retry(request))).await
    }

    async fn cancel_pending(&self, cancelling: Cancelling) -> Result<usize, StoreError> {
        self.blocking(move |shared| shared.work(|work| work.cancel_pending(&cancelling))).await
    }

    async fn backlog(
        &self,
        webhooks: Vec<WebhookKey>,
        count_max: usize,
    ) -> Result<Backlog, StoreError> {
        self.read(move |view| view.backlog(&webhooks, count_max)).await
    }

    async fn request_cancel(
        &self,
        request: CancelRequest,
    ) -> Result<Option<Cancelled>, StoreError> {
        self.blocking(move |shared| shared.work(|work| work.request_cancel(request))).await
    }

    async fn find_deliveries(&self, search: DeliverySearch) -> Result<DeliveryPage, StoreError> {
        self.read(move |view| view.find_deliveries(&search)).await
    }

    async fn deliveries_of_event(
        &self,
        event: EventKey,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<DeliveryStanding>, StoreError> {
        self.read(move |view| view.deliveries_of_event(event, after, limit)).await
    }

    async fn delivery(
        &self,
        delivery: DeliveryKey,
    ) -> Result<Option<DeliveryStanding>, StoreError> {
        self.read(move |view| view.delivery(delivery)).await
    }

    async fn history(&self, delivery: DeliveryKey) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read(move |view| view.history(delivery)).await
    }

    async fn history_of_webhook(
        &self,
        webhook: WebhookKey,
        before: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read(move |view| view.history_of_webhook(webhook, before, limit)).await
    }
}

#[async_trait]
impl HealthStore for SqliteStore {
    async fn healths(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<(WebhookKey, Health)>, StoreError> {
        self.read(move |view| health::list(view.connection, after, limit)).await
    }

    async fn keep_health(&self, webhook: WebhookKey, health: Health) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.write(|c| health::keep(c, webhook, &health))).await
    }

    async fn add_statistics(&self, statistics: Statistics) -> Result<(), StoreError> {
        let add = move |c: &_| slots::add(c, &statistics, &mut Vec::new());
        self.blocking(move |shared| shared.write(add)).await
    }

    async fn webhook_slots(
        &self,
        webhooks: Vec<WebhookKey>,
        span: Span,
    ) -> Result<Vec<Slot<WebhookKey>>, StoreError> {
        self.read(move |view| slots::of_webhooks(view.connection, webhooks, span)).await
    }

    async fn tenant_slots(
        &self,
        tenant: TenantKey,
        span: Span,
    ) -> Result<Vec<Slot<TenantKey>>, StoreError> {
        self.read(move |view| slots::of_tenant(view.connection, tenant, span)).await
    }
}

#[async_trait]
impl EventTypeStore for SqliteStore {
    async fn put_event_type(&self, entry: CatalogueEntry) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.write(|c| catalogue::put(c, &entry))).await
    }

    async fn event_types(
        &self,
        after: Option<(TenantKey, EventType)>,
        limit: usize,
    ) -> Result<Vec<CatalogueEntry>, StoreError> {
        self.read(move |view| catalogue::list(view.connection, after.as_ref(), limit)).await
    }
}

#[async_trait]
impl ReplayStore for SqliteStore {
    async fn insert_replay(&self, replay: Replay) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.write(|c| replays::insert(c, &replay))).await
    }

    async fn replay(&self, key: ReplayKey) -> Result<Option<Replay>, StoreError> {
        self.read(move |view| replays::stored(view.connection, key)).await
    }

    async fn replays(
        &self,
        tenant: TenantKey,
        webhook: Option<WebhookKey>,
        before: Option<ReplayKey>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        let list =
            move |view: View<'_>| replays::list(view.connection, tenant, webhook, before, limit);
        self.read(list).await
    }

    async fn running_replays(
        &self,
        after: Option<ReplayKey>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        self.read(move |view| replays::running(view.connection, after, limit)).await
    }

    async fn step_replay(&self, step: ReplayStep) -> Result<ReplayStepped, StoreError> {
        self.blocking(move |shared| shared.work(|work| work.step_replay(&step))).await
    }

    async fn end_replay(
        &self,
        key: ReplayKey,
        state: ReplayState,
        at: UnixMs,
    ) -> Result<Option<Replay>, StoreError> {
        self.blocking(move |shared| shared.write(|c| replays::end(c, key, state, at))).await
    }
}

#[async_trait]
impl AccessStore for SqliteStore {
    async fn insert_tenant(&self, tenant: Tenant) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.write(|c| access::insert_tenant(c, &tenant))).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read(|view| access::tenants(view.connection)).await
    }

    async fn delete_tenant(&self, ending: TenantEnding) -> Result<bool, StoreError> {
        self.blocking(move |shared| shared.write(|c| access::delete_tenant(c, &ending))).await
    }

    async fn insert_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.write(|c| access::insert_api_key(c, &key))).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.read(|view| access::api_keys(view.connection)).await
    }

    async fn revoke_api_key(&self, key: ApiKeyKey, at: UnixMs) -> Result<bool, StoreError> {
        self.blocking(move |shared| shared.write(|c| access::revoke_api_key(c, key, at))).await
    }
}

#[async_trait]
impl MaintenanceStore for SqliteStore {
    fn is_broken(&self) -> bool {
        self.shared.writer().is_broken()
    }

    async fn newest_key_ms(&self) -> Result<UnixMs, StoreError> {
        self.read(|view| view.newest_key_ms()).await
    }

    async fn sweep(&self, keep_from: UnixMs) -> Result<Swept, StoreError> {
        self.blocking(move |shared| shared.sweep(keep_from)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.read(|view| view.counts()).await
    }
}

impl Shared {
    fn sweep(&self, keep_from: UnixMs) -> Result<Swept, StoreError> {
        let swept = self.writer().write(|connection, ledger, scratch| {
            retention::sweep(connection, ledger, scratch, keep_from, self.index_rows)
        })?;
        // each in its own turn at the writer, so that commits come in between
        while self.write(retention::drop_one_table)? {
            std::thread::yield_now();
        }
        Ok(swept)
    }
}

impl View<'_> {
    pub(super) fn counts(&self) -> Outcome<Counts> {
        let mut terms = (self.connection).prepare_cached(
            "SELECT events, deliveries_created, deliveries_finished, \
             (SELECT count(*) FROM pending) FROM counter",
        )?;
        let (events, created, finished, pending): (i64, i64, i64, i64) =
            terms.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        Ok(Counts {
            events: events.cast_unsigned(),
            deliveries_created: created.cast_unsigned(),
            deliveries_pending: pending.cast_unsigned(),
            deliveries_finished: finished.cast_unsigned(),
        })
    }
}
