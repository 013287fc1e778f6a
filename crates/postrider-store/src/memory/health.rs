//! How webhooks fare, and what was counted.

use std::collections::BTreeMap;

use postrider_core::health::Health;
use postrider_core::id::{Key, UnixMs, WebhookKey};
use postrider_core::statistics::Tally;
use postrider_core::webhook::WebhookState;

use super::state::State;
use crate::records::{Backlog, Batch, Slot, Statistics};

type Slots<K> = BTreeMap<(UnixMs, K), Tally>;

impl State {
    pub(super) fn keep_healths(&mut self, batch: &Batch) {
        let told = batch.records.iter().filter_map(|record| Some((record, record.health?)));
        let last: BTreeMap<WebhookKey, Health> =
            told.map(|(record, health)| (record.entry.delivery.webhook, health)).collect();
        for (webhook, health) in last {
            self.keep_health(webhook, health);
        }
    }

    pub(super) fn keep_health(&mut self, webhook: WebhookKey, health: Health) {
        let stored = self.healths.get(&webhook);
        let is_newer = stored.is_none_or(|stored| stored.counted_from <= health.counted_from);
        if self.has_webhook(webhook) && is_newer {
            self.healths.insert(webhook, health);
        }
    }

    pub(super) fn add_statistics(&mut self, statistics: Statistics) {
        add(&mut self.webhook_slots, statistics.webhooks, statistics.keep_webhooks_from);
        add(&mut self.tenant_slots, statistics.tenants, statistics.keep_tenants_from);
        for (webhook, at) in statistics.successes {
            if self.has_webhook(webhook) {
                let health = self.healths.entry(webhook).or_default();
                health.last_success_at = health.last_success_at.max(Some(at));
            }
        }
    }

    pub(super) fn backlog(&self, webhooks: &[WebhookKey], count_max: usize) -> Backlog {
        let mut backlog = Backlog::default();
        for &webhook in webhooks {
            for &(_, _, event) in self.pending.keys().filter(|&&(of, _, _)| of == webhook) {
                if backlog.count == count_max {
                    return Backlog { is_more: true, ..backlog };
                }
                backlog.count += 1;
                let at = event.made_at();
                backlog.oldest_at = Some(backlog.oldest_at.map_or(at, |oldest| oldest.min(at)));
            }
        }
        backlog
    }

    fn has_webhook(&self, webhook: WebhookKey) -> bool {
        let stored = self.webhooks.get(&webhook);
        stored.is_some_and(|stored| stored.state != WebhookState::Deleted)
    }
}

pub(super) fn slots_of<K: Key>(
    slots: &Slots<K>,
    of: K,
    from: UnixMs,
    until: UnixMs,
) -> Vec<(UnixMs, Tally)> {
    let wanted = slots.iter().filter(|((at, key), _)| (from..until).contains(at) && *key == of);
    wanted.map(|(&(at, _), tally)| (at, tally.clone())).collect()
}

fn add<K: Key>(slots: &mut Slots<K>, new: Vec<Slot<K>>, keep_from: UnixMs) {
    for slot in new {
        slots.entry((slot.at, slot.of)).or_default().merge(&slot.tally);
    }
    let oldest = slots.keys().next().map(|&(at, _)| at);
    if let Some(oldest) = oldest.filter(|&at| at < keep_from) {
        slots.retain(|&(at, _), _| at != oldest);
    }
}
