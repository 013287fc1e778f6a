//! Who gets an event and who doesn't, and why.

use maud::{Markup, html};

use crate::api::explanation::{ConsideredView, Explanation, Outcome};
use crate::dashboard::elements;
use crate::dashboard::stranger::Text;
use crate::dashboard::visit::Visit;
use postrider_core::id::{Key, WebhookKey};

/// Webhooks named of each kind; the API names the rest.
const NAMED_MAX: usize = 100;

pub(super) fn card(visit: &Visit, explanation: &Explanation) -> Markup {
    let counts = &explanation.unmatched_counts;
    let unmatched = counts.disabled
        + counts.type_not_wanted
        + counts.deleted
        + counts.filter_said_no
        + counts.filter_failed;
    let matched = explanation.matched as u64;
    let of = |webhooks: &[ConsideredView]| webhooks.len().min(NAMED_MAX) as u64;
    let shown = of(&explanation.matched_webhooks) + of(&explanation.unmatched_webhooks);
    let hidden = (matched + unmatched).saturating_sub(shown);
    html! {
        section.card.flush {
            header { h2 { "Who gets it, and why" } span.hint { (explanation.summary) } }
            @if shown == 0 {
                (elements::empty("No webhook was considered", &html! {
                    "There was none when the event was accepted. "
                    a href=(visit.href("/webhooks")) { "See webhooks" }
                }))
            } @else {
                div.table { table {
                    caption.hidden { "Webhooks that were considered for the event" }
                    thead { tr {
                        th scope="col" { "Webhook" }
                        th scope="col" { "Matched" }
                        th scope="col" { "Why" }
                    } }
                    tbody {
                        @for it in explanation.matched_webhooks.iter().take(NAMED_MAX) { (row(visit, it)) }
                        @for it in explanation.unmatched_webhooks.iter().take(NAMED_MAX) { (row(visit, it)) }
                    }
                } }
            }
            @if hidden > 0 { p.cut.pad { (elements::several(hidden, "more webhook")) " considered, not named here." } }
        }
    }
}

fn row(visit: &Visit, considered: &ConsideredView) -> Markup {
    let id = &considered.webhook_id;
    let key = WebhookKey::parse(id);
    let live = key.and_then(|key| visit.engine().any_webhook(visit.tenant_key(), key));
    let (kind, word) = match considered.outcome {
        Outcome::Matched => ("ok", "yes"),
        Outcome::Disabled => ("warn", "disabled"),
        Outcome::TypeNotWanted => ("idle", "other types"),
        Outcome::Deleted => ("idle", "deleted"),
        Outcome::FilterSaidNo => ("idle", "filtered out"),
        Outcome::FilterFailed => ("bad", "filter failed"),
    };
    html! {
        tr {
            td.url {
                a href=(visit.href(format_args!("/webhooks/{id}"))) { code.id { (id) } }
                @if let Some(live) = live { span.under title=(live.webhook.url) { (live.webhook.url) } }
            }
            td { (elements::badge(kind, word)) }
            td.wide {
                (considered.text)
                @if let Some(filter) = &considered.filter {
                    span.under.break { code { (Text(filter.as_bytes())) } }
                }
            }
        }
    }
}
