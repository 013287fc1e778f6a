//! Deliveries in a table: how each stands, how often it was tried, and what came of it last.

use maud::{Markup, Render, html};
use postrider_core::delivery::{DeliveryState, Standing};
use postrider_core::id::Key as _;
use postrider_store::{FoundDelivery, LastAttempt};

use super::elements;
use super::visit::Visit;
use crate::api::deliveries::failure;

/// Attempts drawn as dots; of more, the number is told.
const DOTS_MAX: u32 = 8;

/// See the module's text.
pub(super) struct DeliveryTable<'a> {
    pub(super) visit: &'a Visit,
    pub(super) deliveries: &'a [FoundDelivery],
    /// Read out with the table.
    pub(super) caption: &'a str,
    /// Whether the events are not all the same one.
    pub(super) with_event: bool,
}

impl Render for DeliveryTable<'_> {
    fn render(&self) -> Markup {
        let took = |found: &FoundDelivery| found.last_attempt.map_or(0, |last| last.total_us);
        let longest_us = self.deliveries.iter().map(took).max().unwrap_or(0);
        html! {
            div.table { table {
                caption.hidden { (self.caption) }
                thead { tr {
                    th scope="col" { "State" }
                    th scope="col" { @if self.with_event { "Event" } @else { "Delivery" } }
                    th scope="col" { "Webhook" }
                    th scope="col" { "Attempts" }
                    th scope="col" { "Last answer" }
                    th scope="col" { "Took" }
                    th scope="col" { "When" }
                } }
                tbody { @for found in self.deliveries { (self.row(found, longest_us)) } }
            } }
        }
    }
}

impl DeliveryTable<'_> {
    fn row(&self, found: &FoundDelivery, longest_us: u32) -> Markup {
        let key = found.delivery;
        let now = self.visit.engine().now();
        let state = found.standing.as_ref().map_or(DeliveryState::Pending, Standing::state);
        let attempts = found.standing.as_ref().map_or(0, |standing| standing.progress().attempts);
        let due = found.standing.as_ref().and_then(Standing::due);
        let last = found.last_attempt.as_ref();
        let href = self.visit.href(format_args!("/deliveries/{key}"));
        html! {
            tr data-row id=(key) {
                td { (elements::state_badge(state, attempts)) }
                td {
                    a.cover href=(href) {
                        @if self.with_event { (found.event_type.as_str()) } @else { (key) }
                    }
                    @if self.with_event { span.under { code.id { (found.event_id) } } }
                    @if self.visit.rights.may_manage {
                        // what the key r sends
                        form method="post" action={ (href) "/retry" } data-retry hidden {}
                    }
                }
                td.url { (self.webhook(found)) }
                td { (dots(attempts, last)) }
                td { (last_answer(last)) }
                td { @if let Some(last) = last { (took(last.total_us, longest_us)) } }
                td {
                    (elements::ago(last.map_or(key.event.made_at(), |last| last.started_at), now))
                    @if let Some(due) = due {
                        span.under.nowrap { "next " @if due <= now { "now" } @else { (elements::ago(due, now)) } }
                    }
                }
            }
        }
    }

    fn webhook(&self, found: &FoundDelivery) -> Markup {
        let key = found.delivery.webhook;
        let live = self.visit.engine().any_webhook(self.visit.tenant_key(), key);
        let url = live.as_ref().map_or("deleted", |live| live.webhook.url.as_str());
        html! {
            span title=(url) { (url) }
            span.under { code.id { (key) } }
        }
    }
}

/// Attempts as dots: all but the last failed, or there would have been no other.
pub(super) fn dots(attempts: u32, last: Option<&LastAttempt>) -> Markup {
    let is_success = last.is_some_and(|last| failure(last).is_none());
    let drawn = attempts.min(DOTS_MAX);
    html! {
        span.dots {
            span.hidden { (elements::several(attempts.into(), "attempt")) }
            @if attempts > DOTS_MAX { span.count aria-hidden="true" { (attempts) } }
            @for at in 1..=drawn {
                span.dot.ok[at == drawn && is_success].bad[at < drawn || !is_success]
                    aria-hidden="true" {}
            }
            @if attempts == 0 { span.none aria-hidden="true" { "–" } }
        }
    }
}

/// What came of the last attempt, in as few plain words as it takes.
pub(super) fn last_answer(last: Option<&LastAttempt>) -> Markup {
    let Some(last) = last else {
        return html! { span.none { "not tried yet" } };
    };
    let meaning = failure(last);
    html! {
        span.answer title=[meaning.map(|meaning| meaning.text)] {
            @if let Some(status) = last.status {
                span.status.ok[meaning.is_none()].bad[meaning.is_some()] { (status) }
            }
            @if let Some(meaning) = meaning { span.why { (words(meaning.class)) } }
        }
    }
}

/// The name of a class of failures, as words.
pub(super) fn words(class: &str) -> String {
    match class {
        "dns_failure" => "host not found".to_owned(),
        "dns_timeout" => "DNS timed out".to_owned(),
        "connect_refused" => "connection refused".to_owned(),
        "connect_failed" => "no connection".to_owned(),
        "connect_timeout" => "connecting timed out".to_owned(),
        "tls" => "TLS failed".to_owned(),
        "connection" => "connection broke".to_owned(),
        "truncated" => "answer cut short".to_owned(),
        "protocol" => "no HTTP".to_owned(),
        "timeout" => "no answer in time".to_owned(),
        "not_allowed" => "address not allowed".to_owned(),
        "internal" => "fault of this server".to_owned(),
        other => other.replace('_', " "),
    }
}

/// A duration with a bar, as long as its share of the longest beside it.
fn took(us: u32, longest_us: u32) -> Markup {
    let percent = u64::from(us) * 100 / u64::from(longest_us.max(1));
    html! {
        span.took {
            span { (elements::duration_us(us.into())) }
            svg aria-hidden="true" { rect width=(format!("{}%", percent.max(2))) height="100%" rx="2" {} }
        }
    }
}
