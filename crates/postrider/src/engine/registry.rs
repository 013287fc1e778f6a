//! All webhooks in memory, and which of them want an event type.
//!
//! Matching is worked out once per event type and state of a tenant's webhooks. Publishing the
//! same type again costs one look-up, however many webhooks there are. Where webhooks that want
//! the type have filters, it is worked out once for each different set of verdicts instead.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use postrider_core::event_type::EventType;
use postrider_core::id::{MatchingKey, TenantKey, UnixMs, WebhookKey};
use postrider_core::matching::{Matching, Verdict, match_webhooks};
use postrider_core::target::TargetPolicy;
use postrider_core::webhook::{Webhook, WebhookState};
use postrider_signature::BodyForm;
use postrider_store::{Store, StoreError};

use super::live::LiveWebhook;
use super::lock;
use crate::profile::Profiles;

/// Matchings remembered for one tenant: more event types than any catalogue has.
const FANOUTS_MAX: usize = 4_096;
/// What the matchings remembered for one tenant for different verdicts of filters may hold
/// together, in webhooks and verdicts: some megabytes.
const NARROWED_ITEMS_MAX: usize = 1 << 18;
/// Webhooks read at once when the registry is filled.
const PAGE: usize = 1_000;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Registry {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_key: HashMap<WebhookKey, Arc<LiveWebhook>>,
    tenants: HashMap<TenantKey, TenantTable>,
}

#[derive(Debug, Default)]
struct TenantTable {
    /// Deleted ones too, as explanations name them.
    webhooks: BTreeMap<WebhookKey, Arc<LiveWebhook>>,
    fanouts: HashMap<EventType, Arc<Fanout>>,
    /// Fan-outs by what the filters of `Fanout::asked` said.
    narrowed: HashMap<(EventType, Vec<Verdict>), Arc<Fanout>>,
    narrowed_items: usize,
    not_deleted: usize,
}

/// Who gets an event type, and in which forms.
#[derive(Debug)]
pub(super) struct Fanout {
    pub(super) matching: Arc<Matching>,
    pub(super) needs_ecma: bool,
    pub(super) needs_jcs: bool,
    /// The webhooks that want the type and have a filter, which must be asked about each event:
    /// as long as there are any, this is not who gets one.
    pub(super) asked: Vec<Arc<LiveWebhook>>,
}

impl Registry {
    pub(super) async fn load(
        store: &dyn Store,
        profiles: &Profiles,
        policy: &TargetPolicy,
    ) -> Result<Self, StoreError> {
        let registry = Self::default();
        let mut after = None;
        loop {
            let page = store.webhooks(after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|webhook| webhook.key);
            for webhook in page {
                registry.put(Arc::new(live(webhook, profiles, policy)?));
            }
            if is_last {
                return Ok(registry);
            }
        }
    }

    /// Adds a webhook or replaces its earlier state; from now on events match against this.
    pub(super) fn put(&self, live: Arc<LiveWebhook>) {
        let mut tables = lock(&self.tables);
        let key = live.webhook.key;
        let counts = |live: &LiveWebhook| usize::from(live.webhook.state != WebhookState::Deleted);
        let tenant = tables.tenants.entry(live.webhook.tenant).or_default();
        tenant.not_deleted += counts(&live);
        if let Some(before) = tenant.webhooks.insert(key, live.clone()) {
            tenant.not_deleted -= counts(&before);
        }
        tenant.forget_fanouts();
        tables.by_key.insert(key, live);
    }

    /// Lets go of webhooks that were deleted before `time`: what could name them is gone.
    pub(super) fn forget_deleted(&self, time: UnixMs) {
        let mut tables = lock(&self.tables);
        let is_kept = |live: &LiveWebhook| {
            live.webhook.state != WebhookState::Deleted || live.webhook.updated_at >= time
        };
        tables.by_key.retain(|_, live| is_kept(live));
        for tenant in tables.tenants.values_mut() {
            tenant.webhooks.retain(|_, live| is_kept(live));
            tenant.forget_fanouts();
        }
        tables.tenants.retain(|_, tenant| !tenant.webhooks.is_empty());
    }

    pub(super) fn get(&self, key: WebhookKey) -> Option<Arc<LiveWebhook>> {
        lock(&self.tables).by_key.get(&key).cloned()
    }

    pub(super) fn count(&self, tenant: TenantKey) -> usize {
        lock(&self.tables).tenants.get(&tenant).map_or(0, |table| table.not_deleted)
    }

    pub(super) fn page(
        &self,
        tenant: TenantKey,
        after: Option<WebhookKey>,
        limit: usize,
        is_wanted: impl Fn(&Webhook) -> bool,
    ) -> Vec<Arc<LiveWebhook>> {
        let tables = lock(&self.tables);
        let Some(table) = tables.tenants.get(&tenant) else { return Vec::new() };
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = table.webhooks.range((start, std::ops::Bound::Unbounded));
        let present =
            range.map(|(_, live)| live).filter(|live| live.webhook.state != WebhookState::Deleted);
        present.filter(|live| is_wanted(&live.webhook)).take(limit).cloned().collect()
    }

    /// Those not deleted that `is_wanted` picks, of all tenants.
    pub(super) fn filtered(&self, is_wanted: impl Fn(&Webhook) -> bool) -> Vec<Arc<LiveWebhook>> {
        let tables = lock(&self.tables);
        let present =
            tables.by_key.values().filter(|live| live.webhook.state != WebhookState::Deleted);
        present.filter(|live| is_wanted(&live.webhook)).cloned().collect()
    }

    /// Who gets `event_type` now, as far as the type says. `make_key` names a matching that has to
    /// be worked out.
    pub(super) fn fanout(
        &self,
        tenant: TenantKey,
        event_type: &EventType,
        make_key: impl FnOnce() -> MatchingKey,
    ) -> Arc<Fanout> {
        let mut tables = lock(&self.tables);
        let table = tables.tenants.entry(tenant).or_default();
        if let Some(known) = table.fanouts.get(event_type) {
            return known.clone();
        }
        if table.fanouts.len() >= FANOUTS_MAX {
            table.forget_fanouts();
        }
        let fanout = Arc::new(table.work_out(make_key(), event_type, |_| Verdict::Yes));
        table.fanouts.insert(event_type.clone(), fanout.clone());
        fanout
    }

    /// Who gets an event of whose type `fanout` speaks, and of which the filters of its `asked`
    /// said this. `None` when webhooks were changed meanwhile: it has to be asked again.
    pub(super) fn narrowed(
        &self,
        tenant: TenantKey,
        event_type: &EventType,
        fanout: &Arc<Fanout>,
        verdicts: Vec<Verdict>,
        make_key: impl FnOnce() -> MatchingKey,
    ) -> Option<Arc<Fanout>> {
        let mut tables = lock(&self.tables);
        let table = tables.tenants.get_mut(&tenant)?;
        table.fanouts.get(event_type).filter(|present| Arc::ptr_eq(present, fanout))?;
        let place = (event_type.clone(), verdicts);
        if let Some(known) = table.narrowed.get(&place) {
            return Some(known.clone());
        }
        let said: HashMap<_, _> =
            fanout.asked.iter().map(|live| live.webhook.key).zip(place.1.iter().cloned()).collect();
        let verdict = |webhook: &Webhook| said.get(&webhook.key).cloned().unwrap_or(Verdict::No);
        let narrowed = table.work_out(make_key(), event_type, verdict);
        let narrowed = Arc::new(Fanout { asked: Vec::new(), ..narrowed });
        let items = table.webhooks.len() + place.1.len();
        if table.narrowed_items + items > NARROWED_ITEMS_MAX {
            table.narrowed.clear();
            table.narrowed_items = 0;
        }
        table.narrowed_items += items;
        table.narrowed.insert(place, narrowed.clone());
        Some(narrowed)
    }
}

impl TenantTable {
    fn work_out(
        &self,
        key: MatchingKey,
        event_type: &EventType,
        verdict: impl Fn(&Webhook) -> Verdict,
    ) -> Fanout {
        let webhooks = self.webhooks.values().map(|live| &live.webhook);
        let mut asked = Vec::new();
        let matching = match_webhooks(key, event_type, webhooks, |webhook| {
            asked.extend(self.webhooks.get(&webhook.key).cloned());
            verdict(webhook)
        });
        let needs = |form| {
            let mut matched = matching.matched.iter().filter_map(|key| self.webhooks.get(key));
            matched.any(|live| live.profile().signing.body_form == form)
        };
        Fanout {
            needs_ecma: needs(BodyForm::Ecma),
            needs_jcs: needs(BodyForm::Jcs),
            asked,
            matching: Arc::new(matching),
        }
    }

    fn forget_fanouts(&mut self) {
        self.fanouts.clear();
        self.narrowed.clear();
        self.narrowed_items = 0;
    }
}

/// Joins a stored webhook with its profile.
fn live(
    webhook: Webhook,
    profiles: &Profiles,
    policy: &TargetPolicy,
) -> Result<LiveWebhook, StoreError> {
    let profile = profiles.get(&webhook.profile).cloned().ok_or_else(|| {
        let (key, name) = (webhook.key, &webhook.profile);
        StoreError::Unavailable(format!(
            "{key} has the profile {name}, which is not configured; add it back"
        ))
    })?;
    Ok(LiveWebhook::new(webhook, profile, policy))
}
