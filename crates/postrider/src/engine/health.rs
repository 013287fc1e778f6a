//! The health of every webhook in memory, and what follows from it.
//!
//! An outcome changes it at the moment in which its record is queued, under one lock, so that
//! records carry health in the order in which it changed.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use postrider_core::health::Health;
use postrider_core::id::{TenantKey, UnixMs, WebhookKey};
use postrider_core::webhook::{DisabledReason, Webhook, WebhookState};
use postrider_store::{Store, StoreError};

use super::shell::RETRY_PAUSE;
use super::{Engine, LiveWebhook, lock};

/// Rows read at once at start.
const PAGE: usize = 1_000;

/// One entry for each webhook that was attempted; those of deleted ones are let go of.
#[derive(Debug, Default)]
pub(super) struct HealthBook {
    healths: Mutex<HashMap<WebhookKey, Health>>,
}

impl HealthBook {
    pub(super) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut healths = HashMap::new();
        let mut after = None;
        loop {
            let page = store.healths(after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|&(webhook, _)| webhook);
            healths.extend(page);
            if is_last {
                return Ok(Self { healths: Mutex::new(healths) });
            }
        }
    }

    pub(super) fn open(&self) -> MutexGuard<'_, HashMap<WebhookKey, Health>> {
        lock(&self.healths)
    }

    pub(super) fn of(&self, webhook: WebhookKey) -> Health {
        self.open().get(&webhook).copied().unwrap_or_default()
    }
}

impl Engine {
    /// Webhooks of a tenant that fail now or were disabled for it, those first that failed most
    /// often in a row; `limit` at most, and how many there are in all.
    pub fn troubled_webhooks(
        &self,
        tenant: TenantKey,
        limit: usize,
    ) -> (Vec<Arc<LiveWebhook>>, usize) {
        let failing: Vec<_> = {
            let healths = self.inner.health.open();
            let failing = healths.iter().filter(|(_, health)| health.failures_in_a_row > 0);
            failing.map(|(&webhook, health)| (health.failures_in_a_row, webhook)).collect()
        };
        let mut troubled: Vec<_> = failing
            .into_iter()
            .filter_map(|(failures, webhook)| Some((failures, self.webhook(tenant, webhook)?)))
            .filter(|(_, live)| {
                let by_a_person = WebhookState::Disabled(DisabledReason::Requested);
                live.webhook.state != by_a_person
            })
            .collect();
        troubled.sort_by_key(|(failures, live)| (Reverse(*failures), live.webhook.key));
        let count = troubled.len();
        (troubled.into_iter().take(limit).map(|(_, live)| live).collect(), count)
    }

    /// Webhooks of all tenants whose last attempt failed.
    pub fn failing_webhooks(&self) -> HashSet<WebhookKey> {
        let healths = self.inner.health.open();
        let failing = healths.iter().filter(|(_, health)| health.failures_in_a_row > 0);
        failing.map(|(&webhook, _)| webhook).collect()
    }

    /// When a webhook that fares like this is going to be disabled, if nothing succeeds until then.
    pub fn disabling_of(&self, health: &Health) -> Option<UnixMs> {
        health.disable_at(&self.inner.parts.health)
    }

    /// Before a change is stored: one that enables a webhook begins its count anew. That is durable
    /// first, or a crash in between would leave it enabled with a run that is past bearing.
    pub(super) async fn before_change(
        &self,
        before: WebhookState,
        webhook: &Webhook,
    ) -> Result<(), StoreError> {
        let is_enabled = webhook.state == WebhookState::Enabled && before != WebhookState::Enabled;
        if !is_enabled {
            return Ok(());
        }
        let anew = {
            let mut healths = self.inner.health.open();
            let health = healths.entry(webhook.key).or_default();
            *health = health.anew(self.now());
            *health
        };
        self.store().keep_health(webhook.key, anew).await
    }

    /// After a change was stored and is matched against.
    pub(super) fn after_change(&self, before: WebhookState, webhook: &Webhook) {
        match webhook.state {
            WebhookState::Disabled(reason) if before == WebhookState::Enabled => {
                self.announce_disabled(webhook, reason);
            }
            WebhookState::Deleted => {
                self.inner.health.open().remove(&webhook.key);
            }
            WebhookState::Enabled | WebhookState::Disabled(_) => {}
        }
    }

    /// Disables a webhook that failed for too long, unless that has changed meanwhile.
    pub(super) async fn disable_failing(self, webhook: WebhookKey) {
        let state = WebhookState::Disabled(DisabledReason::Failing);
        let is_due = || {
            let health = self.inner.health.of(webhook);
            health.is_past_bearing(self.now(), &self.inner.parts.health)
        };
        while let Err(error) = self.set_state_if_enabled(webhook, state, is_due).await {
            tracing::error!(%webhook, %error, "a webhook that fails could not be disabled; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
