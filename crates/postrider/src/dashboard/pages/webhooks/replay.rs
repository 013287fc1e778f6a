//! Sending past events to a webhook once more: counted first, then begun.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use postrider_core::id::{UnixMs, WebhookKey};
use postrider_core::webhook::WebhookState;
use postrider_signature::timestamp;
use serde_json::{Map, Value};

use super::find;
use super::webhook::path;
use crate::api::{replay_input, replays};
use crate::dashboard::elements::{count, empty, exactly, several};
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind, check};
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::visit::{Answer, Deed, Visit};
use crate::engine::{Counted, LiveWebhook, ReplayRequest};
use crate::http::problem::ApiError;

const HOUR_MS: UnixMs = 3_600_000;
/// How far back, as one may choose it.
const SPANS: [(&str, &str, UnixMs); 5] = [
    ("1h", "The last hour", HOUR_MS),
    ("24h", "The last 24 hours", 24 * HOUR_MS),
    ("7d", "The last 7 days", 7 * 24 * HOUR_MS),
    ("30d", "The last 30 days", 30 * 24 * HOUR_MS),
    ("92d", "Everything that is kept", 92 * 24 * HOUR_MS),
];
/// What is sent once more, and what that is.
const STATES: [(&str, &str, &str); 4] = [
    ("failed", "Failed", "Every attempt of its schedule failed."),
    ("cancelled", "Cancelled", "Ended before it was delivered."),
    (
        "missed",
        "Missed",
        "Published while the webhook was there, and not sent to it though it wants it now.",
    ),
    ("succeeded", "Succeeded", "Delivered already; the receiver gets it again."),
];
const FIELDS: [&str; 4] = ["since", "until", "types", "states"];

/// Where whoever enabled a webhook sees what it missed.
pub(super) fn missed_since(webhook: WebhookKey, since: UnixMs) -> String {
    format!(
        "/webhooks/{webhook}/replay?since={}&states=missed&count=yes",
        timestamp::format_ms(since)
    )
}

/// `GET /dashboard/t/{tenant}/webhooks/{id}/replay`: the form; with `count`, what there would be.
pub(super) async fn show(visit: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    let live = find(&visit, &id)?;
    if !visit.rights.may_manage {
        return Err(visit.not_found());
    }
    let query = visit.uri.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let form = Form::parse(query.as_bytes()).map_err(|error| visit.refuse(&error))?;
    if !form.is_ticked("count") {
        return Ok(page(&visit, &live, &form, &Faults::default(), &html! {}));
    }
    let request = match wanted(&visit, &live, &form) {
        Ok(request) => request,
        Err(error) => return Ok(page(&visit, &live, &form, &Faults::new(error), &html! {})),
    };
    let counted = visit.engine().count_replay(visit.tenant_key(), &request).await;
    Ok(match counted.map_err(|error| replays::refusal(&error)) {
        Ok(counted) => {
            let counted = told(&visit, &live, &form, &request, counted);
            page(&visit, &live, &form, &Faults::default(), &counted)
        }
        Err(error) => page(&visit, &live, &form, &Faults::new(error), &html! {}),
    })
}

/// `POST /dashboard/t/{tenant}/webhooks/{id}/replay`
pub(super) async fn start(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let live = find(&visit, &id)?;
    let request = wanted(&visit, &live, &form).map_err(|error| visit.refuse(&error))?;
    let started = visit.engine().start_replay(visit.tenant_key(), request).await;
    let replay = started.map_err(|error| visit.refuse(&replays::refusal(&error)))?;
    let of = form.text("of").and_then(|of| of.parse::<u64>().ok());
    let of = of.map(|of| format!("?of={of}")).unwrap_or_default();
    Ok(visit.go_to(format_args!("/replays/{}{of}", replay.key), Notice::ReplayStarted))
}

fn wanted(visit: &Visit, live: &LiveWebhook, form: &Form) -> Result<ReplayRequest, ApiError> {
    let span = form.text("span").and_then(|name| SPANS.into_iter().find(|span| span.0 == name));
    let since = match (form.text("since"), span) {
        (Some(since), _) => since.to_owned(),
        (None, span) => {
            let length_ms = span.map_or(24 * HOUR_MS, |(.., length_ms)| length_ms);
            timestamp::format_ms(visit.engine().now() - length_ms)
        }
    };
    let mut object = Map::new();
    object.insert("since".to_owned(), since.into());
    if let Some(until) = form.text("until") {
        object.insert("until".to_owned(), until.into());
    }
    let types = form.text("types").unwrap_or_default();
    let types: Vec<_> = types.split([',', ' ', '\n']).filter(|text| !text.is_empty()).collect();
    if !types.is_empty() {
        object.insert("types".to_owned(), types.into());
    }
    object.insert("states".to_owned(), form.all("states").collect());
    let text = Value::Object(object).to_string();
    Ok(replay_input::of_webhook(live.webhook.key, &text)?.request)
}

/// How many there are, and the button that sends them.
fn told(
    visit: &Visit,
    live: &LiveWebhook,
    form: &Form,
    request: &ReplayRequest,
    counted: Counted,
) -> Markup {
    let webhook = &live.webhook;
    let back = path(visit, webhook, "");
    let Some(since) = request.since else { return html! {} };
    let until = request.until.unwrap_or_else(|| visit.engine().now());
    let kinds = form.all("states").collect::<Vec<_>>().join(", ");
    if counted.count == 0 && !counted.is_more {
        let hint = html! { "There are no such deliveries (" (kinds) ") since " (exactly(since)) ". "
        a href=(back) { "To the webhook" } };
        return html! { section.card { (empty("Nothing to send", &hint)) } };
    }
    html! {
        section.card.stack id="counted" {
            h2 { @if counted.is_more { "At least " } (several(counted.count, "delivery")) " to send" }
            p { "Deliveries (" (kinds) ") of events accepted from " (exactly(since)) " until " (exactly(until)) "." }
            form.row method="post" action=(path(visit, webhook, "/replay")) {
                input type="hidden" name="since" value=(timestamp::format_ms(since));
                input type="hidden" name="until" value=(timestamp::format_ms(until));
                input type="hidden" name="types" value=(form.text("types").unwrap_or_default());
                @for state in form.all("states") { input type="hidden" name="states" value=(state); }
                @if !counted.is_more { input type="hidden" name="of" value=(counted.count); }
                button.primary type="submit" {
                    "Send " @if counted.is_more { "them" } @else { (count(counted.count)) }
                }
                a.button href=(back) { "Leave it" }
            }
        }
    }
}

fn page(
    visit: &Visit,
    live: &LiveWebhook,
    form: &Form,
    faults: &Faults,
    counted: &Markup,
) -> Response {
    let webhook = &live.webhook;
    let body = html! {
        div.stack {
            @if webhook.state != WebhookState::Enabled {
                p.caution { "The webhook is disabled, so nothing can be sent to it. "
                    a href=(path(visit, webhook, "")) { "Enable it first" } "." }
            }
            (counted)
            (choice(visit, live, form, faults))
        }
    };
    let (title, actions) = ("Replay past events", html! {});
    Page { visit, place: Place::Webhooks, title, actions, body }.answer()
}

fn choice(visit: &Visit, live: &LiveWebhook, form: &Form, faults: &Faults) -> Markup {
    let is_first = !form.is_ticked("count");
    let has = |state: &str| form.all("states").any(|chosen| chosen == state);
    let span = form.text("span").unwrap_or("24h");
    html! {
        form.form.card action=(path(visit, &live.webhook, "/replay")) {
            h2 { "What to send once more" }
            (faults.above(&FIELDS))
            fieldset {
                legend { "Deliveries that are" }
                @for (state, name, what) in STATES {
                    @let is_chosen = has(state) || (is_first && state != "succeeded");
                    @let label = html! { (name) span.hint { (what) } };
                    (check("checkbox", "states", state, is_chosen, &label))
                }
                (faults.beside("states"))
            }
            div.field {
                label for="span" { "Of events accepted in" }
                select id="span" name="span" {
                    @for (name, words, _) in SPANS {
                        option value=(name) selected[name == span] { (words) }
                    }
                }
                (faults.beside("since"))
            }
            (Field { name: "types", label: "Event types", kind: Kind::Line,
                hint: html! { "Names or patterns, with commas between them; empty for all." },
                value: form.text("types").unwrap_or_default() }.show(faults))
            div.row { button type="submit" name="count" value="yes" { "Count" }
                span.hint { "Nothing is sent yet." } }
        }
    }
}
