//! What was counted over any range of time, in slots of one width: what a chart shows, and what a
//! table of webhooks sums up.

use std::collections::HashMap;
use std::ops::Range;

use postrider_core::health::Health;
use postrider_core::id::{Key, TenantKey, UnixMs, WebhookKey};
use postrider_core::statistics::{
    Grain, HOUR_SLOT_MS, TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at,
};
use postrider_store::{Backlog, Slot, Span, StoreError};

use super::statistics::{KEEP_TENANT_SLOTS_MS, KEEP_WEBHOOK_SLOTS_MS, still_open, sum};
use super::{Engine, lock};

/// More than these are no longer told apart in a chart. With the widths below it has 48 or more,
/// where what was counted is fine enough.
const SLOTS_MAX: UnixMs = 120;
const MINUTE_MS: UnixMs = 60_000;
const DAY_MS: UnixMs = 24 * HOUR_SLOT_MS;
/// Widths that people read easily, none more than two and a half times the one before. Beyond them
/// slots are of whole days.
const WIDTHS_MS: [UnixMs; 11] = [
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_SLOT_MS,
    2 * HOUR_SLOT_MS,
    4 * HOUR_SLOT_MS,
    8 * HOUR_SLOT_MS,
    12 * HOUR_SLOT_MS,
];
/// Hours of a webhook's summary.
const SUMMARY_HOURS: UnixMs = 24;
/// Pending deliveries that are counted for one row of a table.
const SUMMARY_BACKLOG_MAX: usize = 1_000;

/// What was counted in slots of one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    pub slot_ms: UnixMs,
    /// Every slot that the range touches, oldest first, without gaps. Each begins at a multiple of
    /// the width.
    pub slots: Vec<(UnixMs, Tally)>,
    pub total: Tally,
}

/// What a table says of a webhook.
#[derive(Clone, Debug)]
pub struct WebhookSummary {
    pub health: Health,
    /// Counted up to 1,000.
    pub backlog: Backlog,
    /// The last 24 hours, the present one included.
    pub day: Series,
}

impl Engine {
    /// What was counted of a tenant, everything that was recorded until now included.
    pub async fn tenant_series(
        &self,
        tenant: TenantKey,
        range: Range<UnixMs>,
    ) -> Result<Series, StoreError> {
        let kept_from = self.now() - KEEP_TENANT_SLOTS_MS;
        let plan = Plan::new(&range, TENANT_SLOT_MS, kept_from);
        let _reading = self.inner.statistics.flushing.read().await;
        let mut counted = self.store().tenant_slots(tenant, plan.span()).await?;
        counted.extend(still_open(&lock(&self.inner.statistics.open).tenants, &[tenant]));
        Ok(plan.series(counted))
    }

    /// What was counted of a webhook, everything that was recorded until now included.
    pub async fn webhook_series(
        &self,
        webhook: WebhookKey,
        range: Range<UnixMs>,
    ) -> Result<Series, StoreError> {
        let kept_from = self.now() - KEEP_WEBHOOK_SLOTS_MS;
        let plan = Plan::new(&range, WEBHOOK_SLOT_MS, kept_from);
        Ok(plan.series(self.webhooks_counted(vec![webhook], plan.span()).await?))
    }

    /// What a table says of these webhooks.
    pub async fn webhook_summaries(
        &self,
        webhooks: Vec<WebhookKey>,
    ) -> Result<HashMap<WebhookKey, WebhookSummary>, StoreError> {
        let until = slot_at(self.now(), HOUR_SLOT_MS) + HOUR_SLOT_MS;
        let plan =
            Plan { slot_ms: HOUR_SLOT_MS, from: until - SUMMARY_HOURS * HOUR_SLOT_MS, until };
        let mut counted: HashMap<_, Vec<_>> = HashMap::new();
        for slot in self.webhooks_counted(webhooks.clone(), plan.span()).await? {
            counted.entry(slot.of).or_default().push(slot);
        }
        let mut summaries = HashMap::with_capacity(webhooks.len());
        for webhook in webhooks {
            let summary = WebhookSummary {
                health: self.inner.health.of(webhook),
                backlog: self.store().backlog(vec![webhook], SUMMARY_BACKLOG_MAX).await?,
                day: plan.series(counted.remove(&webhook).unwrap_or_default()),
            };
            summaries.insert(webhook, summary);
        }
        Ok(summaries)
    }

    /// Slots at rest, and those that still lie in memory, which may begin at any time.
    pub(super) async fn webhooks_counted(
        &self,
        mut webhooks: Vec<WebhookKey>,
        span: Span,
    ) -> Result<Vec<Slot<WebhookKey>>, StoreError> {
        webhooks.sort_unstable();
        let _reading = self.inner.statistics.flushing.read().await;
        let mut counted = self.store().webhook_slots(webhooks.clone(), span).await?;
        counted.extend(still_open(&lock(&self.inner.statistics.open).webhooks, &webhooks));
        Ok(counted)
    }
}

/// How a range is told. `from` and `until` are multiples of the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    slot_ms: UnixMs,
    from: UnixMs,
    until: UnixMs,
}

impl Plan {
    /// `fine_ms`: the width of what is counted, which is kept since `kept_from`; hours are kept
    /// longer.
    fn new(range: &Range<UnixMs>, fine_ms: UnixMs, kept_from: UnixMs) -> Self {
        let least_ms = if range.start < kept_from { HOUR_SLOT_MS } else { fine_ms };
        let widths = WIDTHS_MS.into_iter().filter(|&width_ms| width_ms >= least_ms);
        let plans = widths.map(|width_ms| Self::of_width(range, width_ms));
        plans.into_iter().find(|plan| plan.len() <= SLOTS_MAX).unwrap_or_else(|| {
            let days = (range.end - range.start).max(0) / (SLOTS_MAX * DAY_MS) + 1;
            Self::of_width(range, days * DAY_MS)
        })
    }

    fn of_width(range: &Range<UnixMs>, slot_ms: UnixMs) -> Self {
        let from = slot_at(range.start, slot_ms);
        // rounded up, and never empty
        let until = slot_at(range.end.max(range.start + 1) - 1, slot_ms) + slot_ms;
        Self { slot_ms, from, until }
    }

    fn len(&self) -> UnixMs {
        (self.until - self.from) / self.slot_ms
    }

    fn span(&self) -> Span {
        let grain = if self.slot_ms < HOUR_SLOT_MS { Grain::Fine } else { Grain::Hour };
        Span { grain, from: self.from, until: self.until }
    }

    fn series<K: Key>(&self, counted: Vec<Slot<K>>) -> Series {
        let begins = (0..self.len()).map(|at| self.from + at * self.slot_ms);
        let mut slots: Vec<_> = begins.map(|at| (at, Tally::default())).collect();
        for slot in counted {
            let at = usize::try_from((slot.at - self.from).div_euclid(self.slot_ms));
            if let Some((_, tally)) = at.ok().and_then(|at| slots.get_mut(at)) {
                tally.merge(&slot.tally);
            }
        }
        let total = sum(slots.iter().map(|(_, tally)| tally));
        Series { slot_ms: self.slot_ms, slots, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Saturday, 14:03:20 UTC.
    const NOW: UnixMs = 1_795_874_600_000;

    fn plan(length_ms: UnixMs, fine_ms: UnixMs) -> Plan {
        Plan::new(&(NOW - length_ms..NOW), fine_ms, 0)
    }

    #[test]
    fn a_chart_has_between_48_and_120_slots_whatever_its_range() {
        for minutes in (48..60 * 24 * 110).step_by(7) {
            let plan = plan(minutes * MINUTE_MS, TENANT_SLOT_MS);
            assert!((48..=120).contains(&plan.len()), "{minutes} minutes: {plan:?}");
            assert!(plan.from <= NOW - minutes * MINUTE_MS && plan.until >= NOW);
        }
    }

    #[test]
    fn common_ranges_have_common_widths() {
        for (length_ms, fine_ms, width_ms) in [
            (HOUR_SLOT_MS - MINUTE_MS, TENANT_SLOT_MS, MINUTE_MS),
            (HOUR_SLOT_MS, WEBHOOK_SLOT_MS, WEBHOOK_SLOT_MS),
            (DAY_MS, TENANT_SLOT_MS, 15 * MINUTE_MS),
            (7 * DAY_MS, TENANT_SLOT_MS, 2 * HOUR_SLOT_MS),
            (31 * DAY_MS, WEBHOOK_SLOT_MS, 8 * HOUR_SLOT_MS),
            (92 * DAY_MS, WEBHOOK_SLOT_MS, DAY_MS),
            (3_650 * DAY_MS, WEBHOOK_SLOT_MS, 31 * DAY_MS),
            (0, TENANT_SLOT_MS, MINUTE_MS),
        ] {
            assert_eq!(plan(length_ms, fine_ms).slot_ms, width_ms, "{length_ms}");
        }
    }

    #[test]
    fn what_is_no_longer_kept_finely_is_told_by_the_hour() {
        let range = NOW - HOUR_SLOT_MS..NOW;
        let plan = Plan::new(&range, WEBHOOK_SLOT_MS, NOW);
        assert_eq!((plan.slot_ms, plan.span().grain), (HOUR_SLOT_MS, Grain::Hour));
    }

    #[test]
    fn what_is_outside_the_range_is_not_counted() {
        let plan = Plan { slot_ms: HOUR_SLOT_MS, from: 0, until: 2 * HOUR_SLOT_MS };
        let tally = Tally { succeeded: 1, ..Tally::default() };
        let of = TenantKey::from_raw(1);
        let times = [-1, 0, HOUR_SLOT_MS - 1, HOUR_SLOT_MS, 2 * HOUR_SLOT_MS];
        let series = plan.series(times.map(|at| Slot { of, at, tally: tally.clone() }).to_vec());
        let counted = series.slots.iter().map(|(at, tally)| (*at, tally.succeeded));
        assert_eq!(counted.collect::<Vec<_>>(), [(0, 2), (HOUR_SLOT_MS, 1)]);
        assert_eq!(series.total.succeeded, 3);
    }
}
