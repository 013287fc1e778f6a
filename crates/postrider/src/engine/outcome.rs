//! What an attempt leads to: its record, with the health of its webhook; statistics; and what its
//! tenant is told.

use std::collections::HashMap;

use postrider_core::delivery::{
    Attempt, DeliveryState, Happening, HistoryEntry, Standing, Waiting,
};
use postrider_core::event::Event;
use postrider_core::health::{Change, Health, Outcome};
use postrider_core::id::{DeliveryKey, UnixMs, WebhookKey};
use postrider_core::webhook::{Webhook, WebhookState};

use super::Engine;

impl Engine {
    /// Queues what became of a delivery, and before it what its tenant is told of it: when the
    /// record is durable, so is the telling.
    pub(super) fn record(
        &self,
        delivery: DeliveryKey,
        event: &Event,
        was: Waiting,
        what: Happening,
        standing: Standing,
    ) {
        // held until the record is queued: the next outcome's health must come after this one's
        let mut healths = self.inner.health.open();
        let now = self.now();
        let health = match &what {
            Happening::Attempt(attempt) => {
                let ended = EndedAttempt { now, delivery, event, attempt };
                self.count(&ended, standing.state());
                self.judge(&ended, standing.state(), &mut healths)
            }
            Happening::Cancelled { .. } | Happening::RetryRequested { .. } => None,
        };
        let key = self.next_key(now);
        self.inner.commits.record(was, HistoryEntry { key, delivery, what, standing }, health);
    }

    fn count(&self, ended: &EndedAttempt<'_>, state: DeliveryState) {
        let EndedAttempt { now, delivery, event, attempt } = *ended;
        self.inner.metrics.attempted(attempt);
        self.inner.statistics.attempted(now, event.tenant, delivery.webhook, attempt, state);
    }

    /// What an attempt says about its webhook; returns the health that is to be kept. Nothing more
    /// is said about a deleted one, and an attempt of a test event says nothing.
    fn judge(
        &self,
        ended: &EndedAttempt<'_>,
        state: DeliveryState,
        healths: &mut HashMap<WebhookKey, Health>,
    ) -> Option<Health> {
        let live = self.inner.registry.get(ended.delivery.webhook)?;
        let webhook = &live.webhook;
        if webhook.state == WebhookState::Deleted || ended.event.is_test() {
            return None;
        }
        let is_reportable = !ended.event.event_type.is_reserved();
        if state == DeliveryState::Failed && is_reportable {
            self.announce_failed(webhook, ended);
        }
        let outcome = Outcome::of(&ended.attempt.result, is_reportable)?;
        let health = healths.entry(webhook.key).or_default();
        let change = health.note(outcome, ended.now, &self.inner.parts.health);
        self.follow(webhook, ended, change, health);
        (change != Change::Nothing).then_some(*health)
    }

    fn follow(&self, webhook: &Webhook, ended: &EndedAttempt<'_>, change: Change, health: &Health) {
        match change {
            Change::Nothing | Change::Run => {}
            Change::Failing => self.announce_failing(webhook, ended, health),
            Change::Recovered(before) => self.announce_recovered(webhook, ended.now, &before),
        }
        let is_past_bearing = health.is_past_bearing(ended.now, &self.inner.parts.health);
        if is_past_bearing && webhook.state == WebhookState::Enabled {
            self.spawn(self.clone().disable_failing(webhook.key));
        }
    }
}

/// An attempt that is over, and what it was of.
#[derive(Clone, Copy)]
pub(super) struct EndedAttempt<'a> {
    pub(super) now: UnixMs,
    pub(super) delivery: DeliveryKey,
    pub(super) event: &'a Event,
    pub(super) attempt: &'a Attempt,
}
