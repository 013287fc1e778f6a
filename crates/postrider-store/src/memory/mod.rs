//! The executable specification: every verb in its simplest form, in plain maps.
//!
//! Tests and the simulator run on it, and the conformance suite holds every other store to its
//! answers. It keeps nothing over a restart. Must not be clever: where a verb reads like its
//! documentation, a difference is the other store's fault.

mod deliveries;
mod events;
mod health;
mod replays;
mod search;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use postrider_core::catalogue::CatalogueEntry;
use postrider_core::delivery::HistoryEntry;
use postrider_core::event::Event;
use postrider_core::event_type::EventType;
use postrider_core::health::Health;
use postrider_core::id::{
    ApiKeyKey, DeliveryKey, EventKey, HistoryKey, Key, MatchingKey, ReplayKey, TenantKey, UnixMs,
    WebhookKey,
};
use postrider_core::matching::Matching;
use postrider_core::webhook::{Webhook, WebhookState};

use self::state::State;
use crate::bucket::{BUCKET_MS_DEFAULT, Buckets};
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

/// A store in memory. See the module.
#[derive(Debug)]
pub struct MemoryStore {
    buckets: Buckets,
    state: Mutex<State>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_bucket_ms(BUCKET_MS_DEFAULT)
    }
}

impl MemoryStore {
    /// An empty store whose retention drops buckets of `bucket_ms`, at least 1.
    pub fn with_bucket_ms(bucket_ms: i64) -> Self {
        Self { buckets: Buckets::of_width(bucket_ms), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // no verb leaves the maps half changed before something that can panic
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl WebhookStore for MemoryStore {
    async fn insert_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.webhooks.get(&webhook.key) {
            Some(stored) if *stored == webhook => Ok(()),
            Some(_) => Err(StoreError::Conflict("another webhook has this key")),
            None => {
                state.webhooks.insert(webhook.key, webhook);
                Ok(())
            }
        }
    }

    async fn update_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        let mut state = self.state();
        let stored = state.webhooks.get(&webhook.key);
        if stored.is_none_or(|stored| stored.version.checked_add(1) != Some(webhook.version)) {
            return Err(StoreError::Conflict("the webhook was changed meanwhile"));
        }
        if webhook.state == WebhookState::Deleted {
            state.healths.remove(&webhook.key);
        }
        state.webhooks.insert(webhook.key, webhook);
        Ok(())
    }

    async fn webhooks(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<Webhook>, StoreError> {
        let state = self.state();
        let later = state.webhooks.values().filter(|w| Some(w.key) > after);
        Ok(later.take(limit).cloned().collect())
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        let mut state = self.state();
        let committed = Committed {
            accepts: (batch.accepts.iter())
                .map(|accept| state.accept(self.buckets, accept.clone()))
                .collect(),
            records: batch.records.iter().map(|record| state.record(record.clone())).collect(),
        };
        state.keep_healths(batch);
        Ok(committed)
    }

    async fn event(&self, tenant: TenantKey, id: &str) -> Result<Option<Arc<Event>>, StoreError> {
        Ok(self.state().event(tenant, id))
    }

    async fn event_by_key(&self, key: EventKey) -> Result<Option<Arc<Event>>, StoreError> {
        Ok(self.state().events.get(&key).cloned())
    }

    async fn events(
        &self,
        tenant: TenantKey,
        before: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, StoreError> {
        let state = self.state();
        let newest_first = state.events.values().rev();
        let older = newest_first.filter(|e| before.is_none_or(|before| e.key < before));
        Ok(older.filter(|e| e.tenant == tenant).take(limit).cloned().collect())
    }

    async fn find_events(&self, search: EventSearch) -> Result<EventPage, StoreError> {
        Ok(self.state().find_events(&search))
    }

    async fn matching(&self, key: MatchingKey) -> Result<Option<Arc<Matching>>, StoreError> {
        let state = self.state();
        let mut all = state.matchings.values();
        Ok(all.find(|matching| matching.key == key).cloned())
    }
}

#[async_trait]
impl DeliveryStore for MemoryStore {
    async fn due(&self, query: DueQuery) -> Result<DuePage, StoreError> {
        self.state().due(&query)
    }

    async fn lanes(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<LaneStart>, StoreError> {
        Ok(self.state().lanes(after, limit))
    }

    async fn request_retry(
        &self,
        request: RetryRequest,
    ) -> Result<Option<DeliveryStanding>, StoreError> {
        self.state().request_retry(request)
    }

    async fn cancel_pending(&self, cancelling: Cancelling) -> Result<usize, StoreError> {
        self.state().cancel_pending(&cancelling)
    }

    async fn backlog(
        &self,
        webhooks: Vec<WebhookKey>,
        count_max: usize,
    ) -> Result<Backlog, StoreError> {
        Ok(self.state().backlog(&webhooks, count_max))
    }

    async fn request_cancel(
        &self,
        request: CancelRequest,
    ) -> Result<Option<Cancelled>, StoreError> {
        Ok(self.state().request_cancel(request))
    }

    async fn find_deliveries(&self, search: DeliverySearch) -> Result<DeliveryPage, StoreError> {
        Ok(self.state().find_deliveries(&search))
    }

    async fn deliveries_of_event(
        &self,
        event: EventKey,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<DeliveryStanding>, StoreError> {
        let state = self.state();
        let of_event = state.standings.iter().filter(|(d, _)| d.event == event);
        let later = of_event.filter(|(d, _)| Some(d.webhook) > after);
        Ok(later
            .take(limit)
            .map(|(&delivery, &standing)| DeliveryStanding { delivery, standing })
            .collect())
    }

    async fn delivery(
        &self,
        delivery: DeliveryKey,
    ) -> Result<Option<DeliveryStanding>, StoreError> {
        let standing = self.state().standings.get(&delivery).copied();
        Ok(standing.map(|standing| DeliveryStanding { delivery, standing }))
    }

    async fn history(&self, delivery: DeliveryKey) -> Result<Vec<HistoryEntry>, StoreError> {
        let state = self.state();
        let all = state.history.values();
        Ok(all.filter(|e| e.delivery == delivery).cloned().collect())
    }

    async fn history_of_webhook(
        &self,
        webhook: WebhookKey,
        before: Option<HistoryKey>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let state = self.state();
        let newest_first = state.history.values().rev();
        let older = newest_first.filter(|e| before.is_none_or(|before| e.key < before));
        Ok(older.filter(|e| e.delivery.webhook == webhook).take(limit).cloned().collect())
    }
}

#[async_trait]
impl HealthStore for MemoryStore {
    async fn healths(
        &self,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Result<Vec<(WebhookKey, Health)>, StoreError> {
        let state = self.state();
        let later = state.healths.iter().filter(|(webhook, _)| Some(**webhook) > after);
        Ok(later.take(limit).map(|(&webhook, &health)| (webhook, health)).collect())
    }

    async fn keep_health(&self, webhook: WebhookKey, health: Health) -> Result<(), StoreError> {
        self.state().keep_health(webhook, health);
        Ok(())
    }

    async fn add_statistics(&self, statistics: Statistics) -> Result<(), StoreError> {
        self.state().add_statistics(statistics);
        Ok(())
    }

    async fn webhook_slots(
        &self,
        webhooks: Vec<WebhookKey>,
        span: Span,
    ) -> Result<Vec<Slot<WebhookKey>>, StoreError> {
        Ok(self.state().webhook_slots.of(&webhooks, span))
    }

    async fn tenant_slots(
        &self,
        tenant: TenantKey,
        span: Span,
    ) -> Result<Vec<Slot<TenantKey>>, StoreError> {
        Ok(self.state().tenant_slots.of(&[tenant], span))
    }
}

#[async_trait]
impl EventTypeStore for MemoryStore {
    async fn put_event_type(&self, entry: CatalogueEntry) -> Result<(), StoreError> {
        let mut state = self.state();
        let place = (entry.tenant, entry.name.clone());
        let stored = state.event_types.get(&place);
        if stored == Some(&entry) {
            return Ok(());
        }
        if stored.map_or(0, |stored| stored.version).checked_add(1) != Some(entry.version) {
            return Err(StoreError::Conflict("the event type was changed meanwhile"));
        }
        state.event_types.insert(place, entry);
        Ok(())
    }

    async fn event_types(
        &self,
        after: Option<(TenantKey, EventType)>,
        limit: usize,
    ) -> Result<Vec<CatalogueEntry>, StoreError> {
        let state = self.state();
        let all = state.event_types.iter();
        let later = all.filter(|(place, _)| after.as_ref().is_none_or(|after| *place > after));
        Ok(later.take(limit).map(|(_, entry)| entry.clone()).collect())
    }
}

#[async_trait]
impl ReplayStore for MemoryStore {
    async fn insert_replay(&self, replay: Replay) -> Result<(), StoreError> {
        self.state().insert_replay(replay)
    }

    async fn replay(&self, key: ReplayKey) -> Result<Option<Replay>, StoreError> {
        Ok(self.state().replays.get(&key).cloned())
    }

    async fn replays(
        &self,
        tenant: TenantKey,
        webhook: Option<WebhookKey>,
        before: Option<ReplayKey>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        Ok(self.state().list_replays(tenant, webhook, before, limit))
    }

    async fn running_replays(
        &self,
        after: Option<ReplayKey>,
        limit: usize,
    ) -> Result<Vec<Replay>, StoreError> {
        Ok(self.state().running_replays(after, limit))
    }

    async fn step_replay(&self, step: ReplayStep) -> Result<ReplayStepped, StoreError> {
        self.state().step_replay(&step)
    }

    async fn end_replay(
        &self,
        key: ReplayKey,
        state: ReplayState,
        at: UnixMs,
    ) -> Result<Option<Replay>, StoreError> {
        Ok(self.state().end_replay(key, state, at))
    }
}

#[async_trait]
impl AccessStore for MemoryStore {
    async fn insert_tenant(&self, tenant: Tenant) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.tenants.get(&tenant.key) == Some(&tenant) {
            return Ok(());
        }
        if state.tenants.contains_key(&tenant.key) {
            return Err(StoreError::Conflict("another tenant has this key"));
        }
        if state.tenants.values().any(|t| t.name == tenant.name) {
            return Err(StoreError::Conflict("the tenant's name is taken"));
        }
        state.tenants.insert(tenant.key, tenant);
        Ok(())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.state().tenants.values().cloned().collect())
    }

    async fn delete_tenant(&self, ending: TenantEnding) -> Result<bool, StoreError> {
        let mut state = self.state();
        if !state.tenants.contains_key(&ending.tenant) {
            return Ok(false);
        }
        let is_next = |tombstone: &Webhook| {
            let stored = state.webhooks.get(&tombstone.key);
            stored.is_some_and(|stored| stored.version.checked_add(1) == Some(tombstone.version))
        };
        if !ending.tombstones.iter().all(is_next) {
            return Err(StoreError::Conflict("a webhook was changed meanwhile"));
        }
        for tombstone in ending.tombstones {
            state.healths.remove(&tombstone.key);
            state.webhooks.insert(tombstone.key, tombstone);
        }
        let keys = state.api_keys.values_mut();
        for key in keys.filter(|key| key.tenant == Some(ending.tenant)) {
            key.revoked_at = key.revoked_at.or(Some(ending.at));
        }
        state.event_types.retain(|(tenant, _), _| *tenant != ending.tenant);
        state.tenants.remove(&ending.tenant);
        Ok(true)
    }

    async fn insert_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.api_keys.get(&key.key) {
            Some(stored) if *stored == key => Ok(()),
            Some(_) => Err(StoreError::Conflict("another API key has this key")),
            None => {
                state.api_keys.insert(key.key, key);
                Ok(())
            }
        }
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let state = self.state();
        let live = state.api_keys.values().filter(|k| k.revoked_at.is_none());
        Ok(live.cloned().collect())
    }

    async fn revoke_api_key(&self, key: ApiKeyKey, at: UnixMs) -> Result<bool, StoreError> {
        let mut state = self.state();
        let live = state.api_keys.get_mut(&key);
        let live = live.filter(|key| key.revoked_at.is_none());
        Ok(live.map(|key| key.revoked_at = Some(at)).is_some())
    }
}

#[async_trait]
impl MaintenanceStore for MemoryStore {
    fn is_broken(&self) -> bool {
        false
    }

    async fn newest_key_ms(&self) -> Result<UnixMs, StoreError> {
        let state = self.state();
        let newest = [
            state.events.keys().max().map(|key| key.made_at()),
            state.history.keys().max().map(|key| key.made_at()),
            (state.matchings.keys()).map(|(_, key)| key.made_at()).max(),
            state.webhooks.keys().max().map(|key| key.made_at()),
            state.tenants.keys().max().map(|key| key.made_at()),
            state.api_keys.keys().max().map(|key| key.made_at()),
            state.replays.keys().max().map(|key| key.made_at()),
        ];
        Ok(newest.into_iter().flatten().max().unwrap_or(0))
    }

    async fn sweep(&self, keep_from: UnixMs) -> Result<Swept, StoreError> {
        Ok(self.state().sweep(self.buckets, keep_from))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let state = self.state();
        Ok(Counts {
            deliveries_pending: u64::try_from(state.pending.len()).unwrap_or(u64::MAX),
            ..state.counts
        })
    }
}
