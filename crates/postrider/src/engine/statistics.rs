//! What is counted of attempts and events, for people to see.
//!
//! Counted in memory and added to the store every few seconds and at stop. A crash loses what was
//! counted since; nothing is decided by it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use postrider_core::delivery::{Attempt, DeliveryState};
use postrider_core::health::Health;
use postrider_core::id::{Key, TenantKey, UnixMs, WebhookKey};
use postrider_core::statistics::{Grain, TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at};
use postrider_store::{Backlog, Slot, Span, Statistics, StoreError, failpoint};
use tokio::sync::RwLock;

use super::series::Series;
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
pub(super) const KEEP_WEBHOOK_SLOTS_MS: UnixMs = 8 * DAY_MS;
pub(super) const KEEP_TENANT_SLOTS_MS: UnixMs = 31 * DAY_MS;
/// A quarter of a year: longer than most events are kept, and no more rows than fine slots have.
const KEEP_HOURS_MS: UnixMs = 92 * DAY_MS;

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
    pub series: Series,
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
    fn slot_ms(self) -> UnixMs {
        match self {
            Self::Hour => TENANT_SLOT_MS,
            Self::Day => 15 * 60_000,
            Self::Week => 2 * HOUR_MS,
        }
    }

    /// When its first slot of some width begins. The last one holds `now`, so the window is as
    /// long as it says to the width of a slot.
    fn begin(self, now: UnixMs, slot_ms: UnixMs) -> UnixMs {
        slot_at(now, slot_ms) + slot_ms - self.length_ms()
    }

    fn length_ms(self) -> UnixMs {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
        }
    }
}

/// What was counted since the last flush.
#[derive(Debug, Default)]
pub(super) struct StatisticsBook {
    pub(super) open: Mutex<Open>,
    /// Held by a flush alone, and by each reading of both memory and store: what is on its way
    /// between them is never counted twice or not at all.
    pub(super) flushing: RwLock<()>,
}

#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) webhooks: OpenSlots<WebhookKey>,
    pub(super) tenants: OpenSlots<TenantKey>,
    successes: HashMap<WebhookKey, UnixMs>,
}

pub(super) type OpenSlots<K> = HashMap<(K, UnixMs), Tally>;

impl StatisticsBook {
    pub(super) fn attempted(
        &self,
        now: UnixMs,
        tenant: TenantKey,
        webhook: WebhookKey,
        attempt: &Attempt,
        state: DeliveryState,
    ) {
        let total_us = attempt.timing.total_us;
        let mut open = lock(&self.open);
        if let Some(tally) = slot(&mut open.webhooks, webhook, slot_at(now, WEBHOOK_SLOT_MS)) {
            tally.count_attempt(&attempt.result, total_us, state);
            if attempt.result.is_success() {
                open.successes.insert(webhook, now);
            }
        }
        if let Some(tally) = slot(&mut open.tenants, tenant, slot_at(now, TENANT_SLOT_MS)) {
            tally.count_attempt(&attempt.result, total_us, state);
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
            keep_hours_from: now - KEEP_HOURS_MS,
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
        let span = Span { grain: Grain::Fine, from: begin(Window::Week), until: UnixMs::MAX };
        let slots = self.webhooks_counted(vec![webhook], span).await?;
        let windows = Window::ALL.map(|window| {
            let within = slots.iter().filter(|slot| slot.at >= begin(window));
            (window, sum(within.map(|slot| &slot.tally)))
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
        let begin = window.begin(self.now(), window.slot_ms());
        let series = self.tenant_series(tenant, begin..begin + window.length_ms()).await?;
        Ok(TenantStatistics { series, backlog: self.tenant_backlog(tenant).await? })
    }

    /// What is pending for all webhooks of a tenant, counted up to 10,000.
    pub async fn tenant_backlog(&self, tenant: TenantKey) -> Result<Backlog, StoreError> {
        let webhooks = self.webhooks(tenant, None, usize::MAX, |_| true);
        let webhooks = webhooks.iter().map(|live| live.webhook.key).collect();
        self.store().backlog(webhooks, BACKLOG_COUNT_MAX).await
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

/// `of` ascends.
pub(super) fn still_open<K: Key>(slots: &OpenSlots<K>, of: &[K]) -> Vec<Slot<K>> {
    let wanted = slots.iter().filter(|&(&(key, _), _)| of.binary_search(&key).is_ok());
    wanted.map(|(&(of, at), tally)| Slot { of, at, tally: tally.clone() }).collect()
}

fn closed<K>(slots: OpenSlots<K>) -> Vec<Slot<K>> {
    slots.into_iter().map(|((of, at), tally)| Slot { of, at, tally }).collect()
}

pub(super) fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
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
