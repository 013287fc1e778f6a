//! How webhooks fare, and what was counted.

use std::collections::BTreeMap;

use postrider_core::health::Health;
use postrider_core::id::{Key, UnixMs, WebhookKey};
use postrider_core::statistics::{Grain, HOUR_SLOT_MS, Tally, slot_at};
use postrider_core::webhook::WebhookState;

use super::state::State;
use crate::records::{Backlog, Batch, Slot, Span, Statistics};

/// What was counted of one kind of things.
#[derive(Debug)]
pub(super) struct Slots<K> {
    fine: BTreeMap<(UnixMs, K), Tally>,
    hours: BTreeMap<(UnixMs, K), Tally>,
}

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
        let Statistics { webhooks, tenants, keep_hours_from, .. } = statistics;
        self.webhook_slots.add(webhooks, statistics.keep_webhooks_from, keep_hours_from);
        self.tenant_slots.add(tenants, statistics.keep_tenants_from, keep_hours_from);
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

impl<K: Key> Slots<K> {
    pub(super) fn of(&self, wanted: &[K], span: Span) -> Vec<Slot<K>> {
        let slots = match span.grain {
            Grain::Fine => &self.fine,
            Grain::Hour => &self.hours,
        };
        let within = slots
            .iter()
            .filter(|((at, of), _)| (span.from..span.until).contains(at) && wanted.contains(of));
        within.map(|(&(at, of), tally)| Slot { of, at, tally: tally.clone() }).collect()
    }

    fn add(&mut self, new: Vec<Slot<K>>, keep_from: UnixMs, keep_hours_from: UnixMs) {
        for Slot { of, at, tally } in new {
            self.fine.entry((at, of)).or_default().merge(&tally);
            self.hours.entry((slot_at(at, HOUR_SLOT_MS), of)).or_default().merge(&tally);
        }
        drop_oldest(&mut self.fine, keep_from);
        drop_oldest(&mut self.hours, keep_hours_from);
    }
}

impl<K> Default for Slots<K> {
    fn default() -> Self {
        Self { fine: BTreeMap::new(), hours: BTreeMap::new() }
    }
}

fn drop_oldest<K: Ord>(slots: &mut BTreeMap<(UnixMs, K), Tally>, keep_from: UnixMs) {
    let oldest = slots.keys().next().map(|&(at, _)| at);
    if let Some(oldest) = oldest.filter(|&at| at < keep_from) {
        slots.retain(|&(at, _), _| at != oldest);
    }
}
