//! What was counted, as a server would have: finely as far back as that is kept, by the hour before.

use std::collections::BTreeMap;

use postrider_core::delivery::{Attempt, DeliveryState};
use postrider_core::id::{TenantKey, UnixMs, WebhookKey};
use postrider_core::statistics::{HOUR_SLOT_MS, TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at};
use postrider_store::{HealthStore, Slot, Statistics, StoreError};

use super::temper::HOUR_MS;

const KEEP_WEBHOOKS_MS: UnixMs = 8 * 24 * HOUR_MS;
const KEEP_TENANTS_MS: UnixMs = 31 * 24 * HOUR_MS;
const KEEP_HOURS_MS: UnixMs = 92 * 24 * HOUR_MS;
/// Slots of each kind in one transaction.
const PART: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Counted {
    now: UnixMs,
    webhooks: BTreeMap<(UnixMs, WebhookKey), Tally>,
    tenants: BTreeMap<(UnixMs, TenantKey), Tally>,
    successes: BTreeMap<WebhookKey, UnixMs>,
}

impl Counted {
    pub(crate) fn new(now: UnixMs) -> Self {
        let (webhooks, tenants) = (BTreeMap::new(), BTreeMap::new());
        Self { now, webhooks, tenants, successes: BTreeMap::new() }
    }

    pub(crate) fn accepted(&mut self, at: UnixMs, tenant: TenantKey) {
        self.of_tenant(at, tenant).events += 1;
    }

    pub(crate) fn attempted(
        &mut self,
        at: UnixMs,
        tenant: TenantKey,
        webhook: WebhookKey,
        attempt: &Attempt,
        state: DeliveryState,
    ) {
        let total_us = attempt.timing.total_us;
        self.of_tenant(at, tenant).count_attempt(&attempt.result, total_us, state);
        let slot = self.slot(at, WEBHOOK_SLOT_MS, KEEP_WEBHOOKS_MS);
        let tally = self.webhooks.entry((slot, webhook)).or_default();
        tally.count_attempt(&attempt.result, total_us, state);
        if attempt.result.is_success() {
            self.successes.insert(webhook, at);
        }
    }

    pub(crate) async fn store(self, store: &dyn HealthStore) -> Result<(), StoreError> {
        let mut webhooks: Vec<_> =
            self.webhooks.into_iter().map(|((at, of), tally)| Slot { of, at, tally }).collect();
        let mut tenants: Vec<_> =
            self.tenants.into_iter().map(|((at, of), tally)| Slot { of, at, tally }).collect();
        let keep = Statistics {
            keep_webhooks_from: self.now - KEEP_WEBHOOKS_MS,
            keep_tenants_from: self.now - KEEP_TENANTS_MS,
            keep_hours_from: self.now - KEEP_HOURS_MS,
            successes: self.successes.into_iter().collect(),
            ..Statistics::default()
        };
        while !webhooks.is_empty() || !tenants.is_empty() {
            let (webhooks, tenants) = (take(&mut webhooks), take(&mut tenants));
            store.add_statistics(Statistics { webhooks, tenants, ..keep.clone() }).await?;
        }
        // each drops the fine slots of one time that is out of date
        for _ in 0..KEEP_HOURS_MS / HOUR_SLOT_MS {
            store.add_statistics(keep.clone()).await?;
        }
        Ok(())
    }

    fn of_tenant(&mut self, at: UnixMs, tenant: TenantKey) -> &mut Tally {
        let slot = self.slot(at, TENANT_SLOT_MS, KEEP_TENANTS_MS);
        self.tenants.entry((slot, tenant)).or_default()
    }

    fn slot(&self, at: UnixMs, fine_ms: UnixMs, keep_ms: UnixMs) -> UnixMs {
        let is_fine = at > self.now - keep_ms - HOUR_SLOT_MS;
        slot_at(at, if is_fine { fine_ms } else { HOUR_SLOT_MS })
    }
}

fn take<T>(left: &mut Vec<T>) -> Vec<T> {
    left.drain(..left.len().min(PART)).collect()
}
