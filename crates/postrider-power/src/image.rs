//! All that a store says, asked by its verbs, so that two stores can be compared.

use std::sync::Arc;

use anyhow::bail;
use postrider_core::catalogue::CatalogueEntry;
use postrider_core::delivery::HistoryEntry;
use postrider_core::event::Event;
use postrider_core::health::Health;
use postrider_core::id::{TenantKey, UnixMs, WebhookKey};
use postrider_core::matching::Matching;
use postrider_core::statistics::Grain;
use postrider_core::webhook::Webhook;
use postrider_store::{
    ApiKey, Counts, DeliveryStanding, DuePage, DueQuery, LaneStart, Replay, Slot, Span, Store,
    StoreError, Tenant,
};

/// More than there ever is of anything here.
const ALL: usize = 100_000;

#[derive(Debug, PartialEq)]
pub(crate) struct Image {
    counts: Counts,
    newest_key_ms: UnixMs,
    tenants: Vec<Tenant>,
    api_keys: Vec<ApiKey>,
    webhooks: Vec<Webhook>,
    healths: Vec<(WebhookKey, Health)>,
    event_types: Vec<CatalogueEntry>,
    lanes: Vec<LaneStart>,
    running_replays: Vec<Replay>,
    of_tenants: Vec<OfTenant>,
    of_webhooks: Vec<OfWebhook>,
}

#[derive(Debug, PartialEq)]
struct OfTenant {
    events: Vec<OfEvent>,
    replays: Vec<Replay>,
    /// Fine ones, and hours.
    slots: [Vec<Slot<TenantKey>>; 2],
}

/// An event with all of its fan-out.
#[derive(Debug, PartialEq)]
struct OfEvent {
    event: Arc<Event>,
    /// Found under its id too.
    is_found: bool,
    matching: Option<Arc<Matching>>,
    deliveries: Vec<DeliveryStanding>,
}

#[derive(Debug, PartialEq)]
struct OfWebhook {
    history: Vec<HistoryEntry>,
    due: DuePage,
    slots: [Vec<Slot<WebhookKey>>; 2],
}

impl Image {
    /// Of tenants and webhooks that are gone too, where they are named.
    pub(crate) async fn of(
        store: &dyn Store,
        tenants: &[TenantKey],
        webhooks: &[WebhookKey],
    ) -> Result<Self, StoreError> {
        let mut of_tenants = Vec::new();
        for &tenant in tenants {
            of_tenants.push(OfTenant::of(store, tenant).await?);
        }
        let mut of_webhooks = Vec::new();
        for &webhook in webhooks {
            of_webhooks.push(OfWebhook::of(store, webhook).await?);
        }
        let mut tenants = store.tenants().await?;
        tenants.sort_by_key(|tenant| tenant.key);
        let mut api_keys = store.api_keys().await?;
        api_keys.sort_by_key(|api_key| api_key.key);
        Ok(Self {
            counts: store.counts().await?,
            newest_key_ms: store.newest_key_ms().await?,
            tenants,
            api_keys,
            webhooks: store.webhooks(None, ALL).await?,
            healths: store.healths(None, ALL).await?,
            event_types: store.event_types(None, ALL).await?,
            lanes: store.lanes(None, ALL).await?,
            running_replays: store.running_replays(None, ALL).await?,
            of_tenants,
            of_webhooks,
        })
    }

    /// Fails with the first difference there is.
    pub(crate) fn expect(&self, found: &Self) -> anyhow::Result<()> {
        macro_rules! same {
            ($($field:ident)+) => {
                $(if self.$field != found.$field {
                    bail!(
                        "{} differ:\nexpected {:?}\nfound    {:?}",
                        stringify!($field), self.$field, found.$field
                    );
                })+
            };
        }
        same!(
            counts newest_key_ms tenants api_keys webhooks healths event_types lanes
            running_replays of_tenants of_webhooks
        );
        Ok(())
    }
}

impl OfTenant {
    async fn of(store: &dyn Store, tenant: TenantKey) -> Result<Self, StoreError> {
        let mut events = Vec::new();
        for event in store.events(tenant, None, ALL).await? {
            let by_id = store.event(tenant, &event.id()).await?;
            events.push(OfEvent {
                is_found: by_id.as_ref() == Some(&event),
                matching: store.matching(event.matching).await?,
                deliveries: store.deliveries_of_event(event.key, None, ALL).await?,
                event,
            });
        }
        Ok(Self {
            events,
            replays: store.replays(tenant, None, None, ALL).await?,
            slots: [
                store.tenant_slots(tenant, always(Grain::Fine)).await?,
                store.tenant_slots(tenant, always(Grain::Hour)).await?,
            ],
        })
    }
}

impl OfWebhook {
    async fn of(store: &dyn Store, webhook: WebhookKey) -> Result<Self, StoreError> {
        let all = DueQuery {
            webhook,
            until: UnixMs::MAX,
            limit: ALL,
            bytes_max: usize::MAX,
            except: Vec::new(),
        };
        Ok(Self {
            history: store.history_of_webhook(webhook, None, ALL).await?,
            due: store.due(all).await?,
            slots: [
                store.webhook_slots(vec![webhook], always(Grain::Fine)).await?,
                store.webhook_slots(vec![webhook], always(Grain::Hour)).await?,
            ],
        })
    }
}

fn always(grain: Grain) -> Span {
    Span { grain, from: 0, until: UnixMs::MAX }
}
