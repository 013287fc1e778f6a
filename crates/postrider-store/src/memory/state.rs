//! What the memory store holds, and how retention thins it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postrider_core::catalogue::CatalogueEntry;
use postrider_core::delivery::{HistoryEntry, Standing, Waiting};
use postrider_core::event::{Event, Fingerprint};
use postrider_core::event_type::EventType;
use postrider_core::health::Health;
use postrider_core::id::{
    ApiKeyKey, DeliveryKey, EventKey, HistoryKey, MatchingKey, ReplayKey, TenantKey, UnixMs,
    WebhookKey,
};
use postrider_core::matching::Matching;
use postrider_core::webhook::{Webhook, WebhookState};

use super::health::Slots;
use crate::bucket::{Bucket, Buckets};
use crate::records::{ApiKey, Counts, Swept, Tenant};
use crate::replay::Replay;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) webhooks: BTreeMap<WebhookKey, Webhook>,
    pub(super) events: BTreeMap<EventKey, Arc<Event>>,
    pub(super) given_ids: BTreeMap<(TenantKey, Box<str>), (EventKey, Fingerprint)>,
    /// By the bucket of the events that name them: a matching lives as long as they do.
    pub(super) matchings: BTreeMap<(Bucket, MatchingKey), Arc<Matching>>,
    /// Deliveries that no matching names, and when a replay added them.
    pub(super) added: BTreeMap<DeliveryKey, UnixMs>,
    pub(super) replays: BTreeMap<ReplayKey, Replay>,
    /// Every delivery of every event.
    pub(super) standings: BTreeMap<DeliveryKey, Standing>,
    /// Exactly the unfinished deliveries.
    pub(super) pending: BTreeMap<(WebhookKey, UnixMs, EventKey), Waiting>,
    pub(super) history: BTreeMap<HistoryKey, HistoryEntry>,
    pub(super) event_types: BTreeMap<(TenantKey, EventType), CatalogueEntry>,
    pub(super) healths: BTreeMap<WebhookKey, Health>,
    pub(super) webhook_slots: Slots<WebhookKey>,
    pub(super) tenant_slots: Slots<TenantKey>,
    pub(super) tenants: BTreeMap<TenantKey, Tenant>,
    pub(super) api_keys: BTreeMap<ApiKeyKey, ApiKey>,
    /// All but the pending ones, which are counted.
    pub(super) counts: Counts,
}

impl State {
    /// Drops what ended before `keep_from`, bucket by bucket, but what is pending.
    pub(super) fn sweep(&mut self, buckets: Buckets, keep_from: UnixMs) -> Swept {
        let first_kept = buckets.first_not_ended(keep_from);
        let pending: BTreeSet<EventKey> = self.pending.keys().map(|&(_, _, event)| event).collect();
        let mut dropped = BTreeSet::new();

        self.events.retain(|&key, event| {
            let bucket = buckets.of(key);
            let keeps = bucket >= first_kept || pending.contains(&key);
            if !keeps {
                dropped.insert(bucket);
                if let Some(id) = &event.given_id {
                    self.given_ids.remove(&(event.tenant, id.clone()));
                }
            }
            keeps
        });
        let named: BTreeSet<(Bucket, MatchingKey)> =
            (self.events.values()).map(|event| (buckets.of(event.key), event.matching)).collect();
        self.matchings.retain(|name, _| named.contains(name));
        self.standings.retain(|delivery, _| self.events.contains_key(&delivery.event));
        self.added.retain(|delivery, _| self.events.contains_key(&delivery.event));
        self.replays.retain(|_, replay| replay.finished_at.is_none_or(|at| at >= keep_from));
        self.history.retain(|&key, _| {
            let bucket = buckets.of(key);
            let keeps = bucket >= first_kept;
            if !keeps {
                dropped.insert(bucket);
            }
            keeps
        });
        let waits: BTreeSet<WebhookKey> = self.pending.keys().map(|&(w, _, _)| w).collect();
        self.webhooks.retain(|key, webhook| {
            let is_old = webhook.state == WebhookState::Deleted && webhook.updated_at < keep_from;
            !is_old || waits.contains(key)
        });
        Swept { indexed: 0, dropped_buckets: dropped.len() }
    }
}
