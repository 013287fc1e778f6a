//! "Send to…": an event of a type, made from its example, to everybody who wants it or as a test
//! to one webhook.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use maud::html;
use postrider_core::id::{Key, WebhookKey};
use postrider_core::webhook::WebhookState;
use serde_json::value::{RawValue, to_raw_value};

use super::{find, wanting};
use crate::api::{publish, test_event};
use crate::dashboard::elements::several;
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind};
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::pages::webhooks::address;
use crate::dashboard::pretty;
use crate::dashboard::visit::{Answer, Deed, Visit};
use crate::engine::KnownType;
use crate::http::json::JsonText;
use crate::http::problem::{ApiError, Code};

/// To whom, when it is not a webhook: everybody who wants it.
const EVERYBODY: &str = "everybody";
const FIELDS: [&str; 2] = ["data", "to"];

/// `GET /dashboard/t/{tenant}/event-types/{name}/send`
pub(super) async fn show(visit: Visit, Path((_, name)): Path<(String, String)>) -> Answer {
    let known = find(&visit, &name)?;
    if !visit.rights.may_manage || known.archived_at().is_some() {
        return Err(visit.not_found());
    }
    let example = known.example().map_or_else(|| "{}".to_owned(), pretty::text);
    let mut query = visit.query();
    let to = query.text("to").unwrap_or_default();
    let form = Form::of(vec![("data", example), ("to", to)]);
    Ok(page(&visit, &known, &form, &Faults::default()))
}

/// `POST /dashboard/t/{tenant}/event-types/{name}/send`
pub(super) async fn publish(Path((_, name)): Path<(String, String)>, deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let known = find(&visit, &name)?;
    match sent(&visit, &known, &form).await {
        Ok((path, notice)) => Ok(visit.go_to(path, notice)),
        Err(error) if Faults::is_of_form(&error) => {
            Ok(page(&visit, &known, &form, &Faults::new(error)))
        }
        Err(error) => Err(visit.refuse(&error)),
    }
}

/// Where what was sent can be watched.
async fn sent(visit: &Visit, known: &KnownType, form: &Form) -> Result<(String, Notice), ApiError> {
    let (engine, tenant) = (visit.engine(), visit.tenant_key());
    let data = JsonText::parse(form.text("data").unwrap_or_default().as_bytes());
    let data = data.map_err(|error| {
        let message = error.problem().detail.clone();
        ApiError::at(error.code(), "/data", message)
    })?;
    let text = event_text(known, data.as_str());
    let to = form.text("to").unwrap_or(EVERYBODY);
    if to == EVERYBODY {
        let published = engine.publish(tenant, publish::read(&text, None)?).await;
        let published = published.map_err(|error| publish::refusal(&error))?;
        return Ok((format!("/events/{}", published.event.key), Notice::Sent));
    }
    let unknown = || ApiError::at(Code::Validation, "/to", "there is no such webhook");
    let webhook = WebhookKey::parse(to).ok_or_else(unknown)?;
    engine.webhook(tenant, webhook).ok_or_else(unknown)?;
    let tested = engine.test_webhook(tenant, webhook, test_event::read(&text)?).await;
    let (_, delivery) = tested.map_err(|error| test_event::refusal(&error))?;
    Ok((format!("/deliveries/{delivery}"), Notice::TestSent))
}

/// `data` is checked.
fn event_text(known: &KnownType, data: &str) -> String {
    let mut members: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    members.extend(to_raw_value(known.name.as_str()).ok().map(|name| ("type", name)));
    members.extend(RawValue::from_string(data.to_owned()).ok().map(|data| ("data", data)));
    // a map of JSON always serialises
    serde_json::to_string(&members).unwrap_or_default()
}

fn page(visit: &Visit, known: &KnownType, form: &Form, faults: &Faults) -> Response {
    let back = visit.href(format_args!("/event-types/{}", known.name.as_str()));
    let is_enabled =
        |webhook: &postrider_core::webhook::Webhook| webhook.state == WebhookState::Enabled;
    let wanting = wanting(visit, &known.name);
    let wanted = wanting.iter().filter(|live| is_enabled(&live.webhook)).count() as u64;
    let webhooks = visit.engine().webhooks(visit.tenant_key(), None, usize::MAX, is_enabled);
    let to = form.text("to").unwrap_or(EVERYBODY);
    let body = html! {
        form.form.card method="post" action=(format!("{back}/send")) {
            (faults.above(&FIELDS))
            (Field { name: "data", label: "Data", kind: Kind::Lines(16),
                value: form.text("data").unwrap_or_default(),
                hint: html! { "The example; change what you like. Any JSON value." } }.show(faults))
            div.field {
                label for="to" { "Send to" }
                select id="to" name="to" aria-describedby="to-hint" {
                    option value=(EVERYBODY) selected[to == EVERYBODY] {
                        "Everybody who wants it: up to " (several(wanted, "webhook"))
                    }
                    optgroup label="As a test to one webhook" {
                        @for live in &webhooks {
                            @let key = live.webhook.key.to_string();
                            option value=(key) selected[to == key] { (address(&live.webhook)) }
                        }
                    }
                }
                p.hint id="to-hint" { "To everybody it is an event like any other: receivers act on it. A test \
                    has an id that begins with " code { "test_" } "." }
                (faults.beside("to"))
            }
            div.row {
                button.primary type="submit" { "Send" }
                a.button href=(back) { "Cancel" }
            }
        }
    };
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let title = format!("Send {}", known.name.as_str());
    let actions = html! {};
    Page { visit, place: Place::EventTypes, title: &title, actions, body }.answer_with(status)
}
