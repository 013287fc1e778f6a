//! What is counted of attempts and events, for people to see.
//!
//! Counted in memory and added to the store every few seconds and at stop. A crash loses what was
//! counted since; nothing is decided by it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use postrider_core::delivery::Attempt;
use postrider_core::health::Health;
use postrider_core::id::{Key, TenantKey, UnixMs, WebhookKey};
use postrider_core::statistics::{TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at};
use postrider_store::{Backlog, Slot, Statistics, StoreError, failpoint};
use tokio::sync::RwLock;

use super::{Engine, lock};

/// Between two flushes: so much a crash may lose.
const FLUSH_PAUSE: Duration = Duration::from_secs(10);
/// Slots added in one transaction, of each kind: some milliseconds of the writer's time.
const FLUSH_SLOTS: usize = 1_000;
/// Slots of each kind that memory holds until the next flush: ten times the webhooks that one
/// process can attempt in that time. Beyond it nothing more is counted.
const OPEN_SLOTS_MAX: usize = 100_000;
/// Pending deliveries that are counted for a person; beyond it "more" is enough.
const BACKLOG_COUNT_MAX: usize = 10_000;

const HOUR_MS: UnixMs = 3_600_000;
const DAY_MS: UnixMs = 24 * HOUR_MS;
/// A week and a day, so that the week of each window is whole.
const KEEP_WEBHOOK_SLOTS_MS: UnixMs = 8 * DAY_MS;
const KEEP_TENANT_SLOTS_MS: UnixMs = 31 * DAY_MS;

/// A span of time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    Hour,
    Day,
    Week,
}

/// How a webhook fares.
#[derive(Clone, Debug)]
pub struct WebhookHealth {
    pub health: Health,
    pub backlog: Backlog,
    pub windows: [(Window, Tally); 3],
}

/// What was counted of a tenant in a window.
#[derive(Clone, Debug)]
pub struct TenantStatistics {
    /// Every slot of the window, oldest first, [`Window::slot_ms`] each.
    pub slots: Vec<(UnixMs, Tally)>,
    pub total: Tally,
    pub backlog: Backlog,
}

impl Window {
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// Width of the slots that a tenant's window is told in: enough of them for a chart.
    pub fn slot_ms(self) -> UnixMs {
        match self {
            Self::Hour => TENANT_SLOT_MS,
            Self::Day => 15 * 60_000,
            Self::Week => 2 * HOUR_MS,
        }
    }

    /// When its first slot of some width begins. The last one holds `now`, so the window is as
    /// long as it says to the width of a slot.
    fn begin(self, now: UnixMs, slot_ms: UnixMs) -> UnixMs {
        let length_ms = match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
        };
        slot_at(now, slot_ms) + slot_ms - length_ms
    }
}

/// What was counted since the last flush.
#[derive(Debug, Default)]
pub(super) struct StatisticsBook {
    open: Mutex<Open>,
    /// Held by a flush alone, and by each reading of both memory and store: what is on its way
    /// between them is never counted twice or not at all.
    flushing: RwLock<()>,
}

#[derive(Debug, Default)]
struct Open {
    webhooks: OpenSlots<WebhookKey>,
    tenants: OpenSlots<TenantKey>,
    successes: HashMap<WebhookKey, UnixMs>,
}

type OpenSlots<K> = HashMap<(K, UnixMs), Tally>;

impl StatisticsBook {
    pub(super) fn attempted(
        &self,
        now: UnixMs,
        tenant: TenantKey,
        webhook: WebhookKey,
        attempt: &Attempt,
    ) {
        let total_us = attempt.timing.total_us;
        let mut open = lock(&self.open);
        if let Some(tally) = slot(&mut open.webhooks, webhook, slot_at(now, WEBHOOK_SLOT_MS)) {
            tally.count_attempt(&attempt.result, total_us);
            if attempt.result.is_success() {
                open.successes.insert(webhook, now);
            }
        }
        if let Some(tally) = slot(&mut open.tenants, tenant, slot_at(now, TENANT_SLOT_MS)) {
            tally.count_attempt(&attempt.result, total_us);
        }
    }

    pub(super) fn accepted(&self, now: UnixMs, tenant: TenantKey) {
        let at = slot_at(now, TENANT_SLOT_MS);
        if let Some(tally) = slot(&mut lock(&self.open).tenants, tenant, at) {
            tally.events += 1;
        }
    }

    fn take(&self, now: UnixMs) -> Statistics {
        let open = std::mem::take(&mut *lock(&self.open));
        Statistics {
            webhooks: closed(open.webhooks),
            tenants: closed(open.tenants),
            successes: open.successes.into_iter().collect(),
            keep_webhooks_from: now - KEEP_WEBHOOK_SLOTS_MS,
            keep_tenants_from: now - KEEP_TENANT_SLOTS_MS,
        }
    }
}

impl Engine {
    /// Runs as long as the engine.
    pub(super) async fn keep_statistics(self) {
        loop {
            tokio::time::sleep(FLUSH_PAUSE).await;
            let engine = self.clone();
            self.to_the_end(async move { engine.flush_statistics().await }).await;
        }
    }

    /// Adds what was counted to the store. What the store refuses is lost.
    pub(super) async fn flush_statistics(&self) {
        let _flushing = self.inner.statistics.flushing.write().await;
        let mut left = self.inner.statistics.take(self.now());
        loop {
            let part = first_part(&mut left);
            if let Err(error) = self.store().add_statistics(part).await {
                tracing::error!(%error, "statistics could not be stored; some are lost");
                return;
            }
            failpoint!(StatisticsAdded);
            if left.webhooks.len() + left.tenants.len() + left.successes.len() == 0 {
                return;
            }
        }
    }

    /// How a webhook fares, everything that was recorded until now included.
    pub async fn webhook_health(&self, webhook: WebhookKey) -> Result<WebhookHealth, StoreError> {
        let now = self.now();
        let begin = |window: Window| window.begin(now, WEBHOOK_SLOT_MS);
        let slots = {
            let _reading = self.inner.statistics.flushing.read().await;
            let mut slots =
                self.store().webhook_slots(webhook, begin(Window::Week), UnixMs::MAX).await?;
            slots.extend(still_open(&lock(&self.inner.statistics.open).webhooks, webhook));
            slots
        };
        let windows = Window::ALL.map(|window| {
            let within = slots.iter().filter(|&&(at, _)| at >= begin(window));
            (window, sum(within.map(|(_, tally)| tally)))
        });
        let backlog = self.store().backlog(vec![webhook], BACKLOG_COUNT_MAX).await?;
        Ok(WebhookHealth { health: self.inner.health.of(webhook), backlog, windows })
    }

    /// What was counted of a tenant, everything that was recorded until now included.
    pub async fn tenant_statistics(
        &self,
        tenant: TenantKey,
        window: Window,
    ) -> Result<TenantStatistics, StoreError> {
        let now = self.now();
        let begin = window.begin(now, window.slot_ms());
        let counted = {
            let _reading = self.inner.statistics.flushing.read().await;
            let mut counted = self.store().tenant_slots(tenant, begin, UnixMs::MAX).await?;
            counted.extend(still_open(&lock(&self.inner.statistics.open).tenants, tenant));
            counted
        };
        let mut slots = Vec::new();
        let mut at = begin;
        while at <= now {
            let end = at + window.slot_ms();
            let within = counted.iter().filter(|(time, _)| (at..end).contains(time));
            slots.push((at, sum(within.map(|(_, tally)| tally))));
            at = end;
        }
        let total = sum(slots.iter().map(|(_, tally)| tally));
        let webhooks = self.webhooks(tenant, None, usize::MAX, |_| true);
        let webhooks = webhooks.iter().map(|live| live.webhook.key).collect();
        let backlog = self.store().backlog(webhooks, BACKLOG_COUNT_MAX).await?;
        Ok(TenantStatistics { slots, total, backlog })
    }
}

/// The slot to count in; `None` when memory holds no more of them.
fn slot<K: Key + std::hash::Hash>(
    slots: &mut OpenSlots<K>,
    of: K,
    at: UnixMs,
) -> Option<&mut Tally> {
    if slots.len() >= OPEN_SLOTS_MAX && !slots.contains_key(&(of, at)) {
        return None;
    }
    Some(slots.entry((of, at)).or_default())
}

fn still_open<K: Key>(slots: &OpenSlots<K>, of: K) -> Vec<(UnixMs, Tally)> {
    let mine = slots.iter().filter(|&(&(key, _), _)| key == of);
    mine.map(|(&(_, at), tally)| (at, tally.clone())).collect()
}

fn closed<K>(slots: OpenSlots<K>) -> Vec<Slot<K>> {
    slots.into_iter().map(|((of, at), tally)| Slot { of, at, tally }).collect()
}

fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
    tallies.fold(Tally::default(), |mut sum, tally| {
        sum.merge(tally);
        sum
    })
}

/// As much as goes into one transaction, taken away from what is left.
fn first_part(left: &mut Statistics) -> Statistics {
    Statistics {
        webhooks: first(&mut left.webhooks),
        tenants: first(&mut left.tenants),
        successes: first(&mut left.successes),
        ..*left
    }
}

fn first<T>(left: &mut Vec<T>) -> Vec<T> {
    left.split_off(left.len().saturating_sub(FLUSH_SLOTS))
}
