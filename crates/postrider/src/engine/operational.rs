//! Operational events: what the server itself tells a tenant, by its own webhooks.
//!
//! They go the way of every event, so they are matched, committed, signed and retried alike; but
//! only where a webhook wants them. Nothing is told about the delivery of an operational event, so
//! telling never leads to more telling. Under overload they are dropped rather than queued: the
//! queue before the writer is bounded, and publishers come first.

use postrider_core::delivery::AttemptResult;
use postrider_core::event_type::EventType;
use postrider_core::health::Health;
use postrider_core::id::{TenantKey, UnixMs};
use postrider_core::webhook::{DisabledReason, Webhook};
use postrider_signature::{NumberPolicy, timestamp};
use serde_json::{Value, json};

use super::Engine;
use super::outcome::EndedAttempt;
use super::publish::NewEvent;

/// A webhook was disabled: on request, because it is gone, or because it failed for too long.
pub const WEBHOOK_DISABLED: &str = "postrider.webhook.disabled";
/// A webhook has failed so often in a row; told once for each run.
pub const WEBHOOK_FAILING: &str = "postrider.webhook.failing";
/// A webhook that was told to be failing has succeeded again.
pub const WEBHOOK_RECOVERED: &str = "postrider.webhook.recovered";
/// A delivery has ended failed: its schedule is exhausted, or its receiver is gone.
pub const DELIVERY_FAILED: &str = "postrider.delivery.failed";

impl Engine {
    pub(super) fn announce_disabled(&self, webhook: &Webhook, reason: DisabledReason) {
        let health = self.inner.health.of(webhook.key);
        self.announce(webhook.tenant, WEBHOOK_DISABLED, || {
            json!({
                "webhook": named(webhook),
                "reason": reason_text(reason),
                "disabled_at": webhook.disabled_at.map(time),
                "failures_in_a_row": health.failures_in_a_row,
                "failing_since": health.failing_since.map(time),
            })
        });
    }

    pub(super) fn announce_failing(
        &self,
        webhook: &Webhook,
        ended: &EndedAttempt<'_>,
        health: &Health,
    ) {
        self.announce(webhook.tenant, WEBHOOK_FAILING, || {
            json!({
                "webhook": named(webhook),
                "failures_in_a_row": health.failures_in_a_row,
                "failing_since": health.failing_since.map(time),
                "to_be_disabled_at": health.disable_at(&self.inner.parts.health).map(time),
                "last_attempt": last_attempt(ended),
            })
        });
    }

    /// `before`: the run that has ended.
    pub(super) fn announce_recovered(&self, webhook: &Webhook, at: UnixMs, before: &Health) {
        self.announce(webhook.tenant, WEBHOOK_RECOVERED, || {
            json!({
                "webhook": named(webhook),
                "failures_in_a_row": before.failures_in_a_row,
                "failing_since": before.failing_since.map(time),
                "recovered_at": time(at),
            })
        });
    }

    pub(super) fn announce_failed(&self, webhook: &Webhook, ended: &EndedAttempt<'_>) {
        self.announce(webhook.tenant, DELIVERY_FAILED, || {
            json!({
                "webhook": named(webhook),
                "delivery": {"id": ended.delivery.to_string(), "attempts": ended.attempt.number},
                "last_attempt": last_attempt(ended),
            })
        });
    }

    /// Queues an operational event where a webhook of the tenant wants it.
    fn announce(&self, tenant: TenantKey, name: &'static str, data: impl FnOnce() -> Value) {
        let event_type: EventType = name.parse().expect("a name of this file");
        let now = self.now();
        let fanout = self.inner.registry.fanout(tenant, &event_type, || self.next_key(now));
        if fanout.matching.matched.is_empty() {
            return;
        }
        let data = data().to_string().into_bytes();
        let new = NewEvent { id: None, event_type, occurred_at: None, data };
        match self.accept(tenant, &new, NumberPolicy::default()) {
            // nobody waits for the answer: its deliveries begin once it is durable
            Ok(accept) => {
                if self.inner.commits.accept(accept).is_err() {
                    tracing::warn!(event = name, "too busy to tell a tenant; it is not told");
                }
            }
            Err(error) => {
                tracing::error!(event = name, %error, "what a tenant is told has no form");
            }
        }
    }
}

fn named(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.key.to_string(),
        "url": webhook.url,
        "description": webhook.description,
    })
}

fn last_attempt(ended: &EndedAttempt<'_>) -> Value {
    let result = &ended.attempt.result;
    let error = match result {
        AttemptResult::Answered(_) => None,
        AttemptResult::Broke { detail, .. } => Some(detail),
    };
    json!({
        "event": {"id": ended.event.id(), "type": ended.event.event_type.as_str()},
        "number": ended.attempt.number,
        "started_at": time(ended.attempt.started_at),
        "status": result.status(),
        "error": error,
    })
}

fn reason_text(reason: DisabledReason) -> &'static str {
    match reason {
        DisabledReason::Requested => "requested",
        DisabledReason::Gone => "gone",
        DisabledReason::Failing => "failing",
    }
}

fn time(ms: UnixMs) -> String {
    timestamp::format_ms(ms)
}
