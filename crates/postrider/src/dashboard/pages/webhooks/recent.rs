//! Deliveries of one webhook, as rows.

use maud::{Markup, html};
use postrider_core::delivery::Standing;
use postrider_core::id::UnixMs;
use postrider_store::{FoundDelivery, LastAttempt};

use crate::dashboard::elements::{ago, ago_or, badge, id, state_badge};
use crate::dashboard::visit::Visit;
use crate::meaning;

pub(super) fn table(visit: &Visit, deliveries: &[FoundDelivery], now: UnixMs) -> Markup {
    html! {
        div.table {
            table aria-label="Recent deliveries" {
                thead {
                    tr {
                        th scope="col" { "State" }
                        th scope="col" { "Event" }
                        th scope="col" { "Event type" }
                        th.number scope="col" { "Attempts" }
                        th scope="col" { "Last answer" }
                        th scope="col" { "Last attempt" }
                        th scope="col" { "Next" }
                    }
                }
                tbody { @for found in deliveries { (row(visit, found, now)) } }
            }
        }
    }
}

fn row(visit: &Visit, found: &FoundDelivery, now: UnixMs) -> Markup {
    let progress = found.standing.map(|standing| standing.progress()).unwrap_or_default();
    html! {
        tr data-row id=(found.delivery) {
            td { @match found.standing {
                Some(standing) => (state_badge(standing.state(), progress.attempts)),
                None => (badge("idle", "missed")),
            } }
            td { a.cover href=(visit.href(format_args!("/deliveries/{}", found.delivery))) {
                (id(&found.event_id)) } }
            td { span.tag { (found.event_type.as_str()) } }
            td.number { (progress.attempts) }
            td { @if let Some(last) = &found.last_attempt { (answer(last)) } @else { span.none { "–" } } }
            td { (ago_or(found.last_attempt.map(|last| last.started_at), now, "–")) }
            td { @match found.standing {
                Some(Standing::Pending(waiting)) if waiting.due > now => (ago(waiting.due, now)),
                Some(Standing::Pending(_)) => "now",
                _ => span.none { "–" },
            } }
        }
    }
}

fn answer(last: &LastAttempt) -> Markup {
    let meaning = match (last.broke, last.status) {
        (Some(class), _) => Some(meaning::by_class(class)),
        (None, status) => status.and_then(meaning::of_status),
    };
    html! {
        @if let Some(status) = last.status { code { (status) } " " }
        @if let Some(meaning) = meaning { span.muted title=(meaning.text) { (meaning.class) } }
    }
}
