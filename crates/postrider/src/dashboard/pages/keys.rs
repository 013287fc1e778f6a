//! API keys, for operators: what each may do, making one, revoking one.

use std::collections::HashMap;

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use postrider_core::id::{ApiKeyKey, Key, UnixMs};
use postrider_signature::timestamp;
use postrider_store::{ApiKey, Scope};
use serde_json::{Map, Value};

use crate::api::keys::{self, MadeKey};
use crate::dashboard::elements::{
    ago, badge, button, copy, empty, exactly, further, id, with_parameter,
};
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind, check, select};
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::visit::{Answer, Deed, Operator, Visit};
use crate::http::cursor::List;
use crate::http::problem::ApiError;

/// Rows on a page: what a person looks through.
const ROWS: usize = 50;
const FIELDS: [&str; 4] = ["scope", "tenant", "description", "expires_at"];
/// What a key may do, and what that is.
const SCOPES: [(&str, Scope, &str); 4] = [
    ("publish", Scope::Publish, "Publish events of its tenant. For the platform's own services."),
    ("read", Scope::Read, "Look at its tenant, also in the dashboard."),
    ("manage", Scope::Manage, "Everything in its tenant: webhooks, events, deliveries."),
    ("admin", Scope::Admin, "Everything in every tenant, keys included."),
];
const DAY_MS: UnixMs = 86_400_000;
/// After how many days a key may end, as one may choose it.
const LIVES: [(&str, &str); 5] = [
    ("", "Never"),
    ("1", "In a day"),
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
];

/// `GET /dashboard/t/{tenant}/keys`
pub(super) async fn list(operator: Operator) -> Answer {
    let Operator(visit) = operator;
    page(&visit, &Form::default(), &Faults::default())
}

/// `POST /dashboard/t/{tenant}/keys`
pub(super) async fn create(Operator(visit): Operator, deed: Deed) -> Answer {
    let form = deed.form;
    match keys::make(visit.engine(), &key_text(&visit, &form)).await {
        Ok(made) => Ok(shown(&visit, &made)),
        Err(error) if Faults::is_of_form(&error) => page(&visit, &form, &Faults::new(error)),
        Err(error) => Err(visit.refuse(&error)),
    }
}

/// `POST /dashboard/t/{tenant}/keys/{id}/revoke`
pub(super) async fn revoke(
    Operator(visit): Operator,
    Path((_, id)): Path<(String, String)>,
    _: Deed,
) -> Answer {
    let key = ApiKeyKey::parse(&id).ok_or_else(|| visit.not_found())?;
    let revoked = visit.engine().revoke_api_key(key).await;
    if revoked.map_err(|error| visit.refuse(&ApiError::store(&error)))? {
        Ok(visit.go_to("/keys", Notice::Revoked))
    } else {
        Err(visit.not_found())
    }
}

/// The JSON of a key to make.
fn key_text(visit: &Visit, form: &Form) -> String {
    let mut object = Map::new();
    let scope = form.text("scope").unwrap_or_default();
    object.insert("scope".to_owned(), scope.into());
    if scope != "admin" {
        let tenant = form.text("tenant").unwrap_or(&visit.tenant.name);
        object.insert("tenant".to_owned(), tenant.into());
    }
    if let Some(description) = form.text("description") {
        object.insert("description".to_owned(), description.into());
    }
    if let Some(days) = form.text("expires_in_days") {
        let days = days.parse().ok().filter(|days| (1..=3_650).contains(days));
        let ends = days.map(|days: UnixMs| visit.engine().now() + days * DAY_MS);
        let ends = ends.map_or_else(String::new, timestamp::format_ms);
        object.insert("expires_at".to_owned(), ends.into());
    }
    Value::Object(object).to_string()
}

/// The one page that shows a key.
fn shown(visit: &Visit, made: &MadeKey) -> Response {
    let back = visit.href("/keys");
    let body = html! {
        div.stack data-address=(back) {
            section.card.stack {
                h2 { "Copy the key now" }
                p.secret { code { (made.text) } (copy(&made.text, "the key")) }
                p { "It is not shown again: this server keeps no more than its hash. Its scope is "
                    strong { (word(made.key.scope)) }
                    @if let Some(tenant) = &made.tenant { ", its tenant " strong { (tenant.name) } }
                    @if let Some(at) = made.key.expires_at { "; it ends on " (exactly(at)) }
                    "." }
                p.hint { "Clients send it as " code { "Authorization: Bearer …" } "." }
                div { a.button.primary href=(back) { "Done" } }
            }
        }
    };
    let (title, actions) = ("Key made", html! {});
    Page { visit, place: Place::Keys, title, actions, body }.answer_with(StatusCode::CREATED)
}

fn page(visit: &Visit, form: &Form, faults: &Faults) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = visit.query();
    let cursor = query.text("cursor");
    query.finish_page().map_err(refuse)?;
    let cursors = List::new(visit.tenant_key(), "page of keys", &[]);
    let before = cursor.map(|cursor| cursors.position::<ApiKeyKey>(&cursor)).transpose();
    let before = before.map_err(refuse)?;
    let mut keys = visit.engine().api_keys();
    keys.retain(|key| before.is_none_or(|before| key.key < before));
    let has_more = keys.len() > ROWS;
    keys.truncate(ROWS);
    let next = keys.last().filter(|_| has_more).map(|last| cursors.cursor(last.key));
    let next = next.map(|next| with_parameter(&visit.uri, "cursor", Some(&next)));
    let body = html! {
        div.stack {
            section.card.flush {
                header { h2 { "Keys" } }
                @if keys.is_empty() {
                    (empty("No keys yet", &html! {
                        "You came in by the key of the server's configuration. Make keys of their own for \
                         services and people, so that each can be revoked." }))
                } @else {
                    (table(visit, &keys))
                }
                (further(next.as_deref(), "Older"))
            }
            (making(visit, form, faults))
        }
    };
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let actions = html! { a.button.primary href="#make" { "New key" } };
    Ok(Page { visit, place: Place::Keys, title: "API keys", actions, body }.answer_with(status))
}

fn table(visit: &Visit, keys: &[ApiKey]) -> Markup {
    let now = visit.engine().now();
    let names: HashMap<_, _> =
        visit.engine().tenants().into_iter().map(|tenant| (tenant.key, tenant.name)).collect();
    html! {
        div.table {
            table aria-label="API keys" {
                thead {
                    tr {
                        th scope="col" { "Key" }
                        th scope="col" { "Scope" }
                        th scope="col" { "Tenant" }
                        th scope="col" { "Description" }
                        th scope="col" { "Made" }
                        th scope="col" { "Ends" }
                        th scope="col" { span.hidden { "Revoke" } }
                    }
                }
                tbody {
                    @for key in keys {
                        tr data-row id=(key.key) {
                            td { (id(key.key)) }
                            td { (scope_badge(key.scope)) }
                            td { @match key.tenant {
                                Some(tenant) => { @match names.get(&tenant) {
                                    Some(name) => a href=(format!("/dashboard/t/{name}/")) { (name) },
                                    None => span.none { "deleted" },
                                } }
                                None => span.none { "all" },
                            } }
                            td.prose { @match &key.description {
                                Some(text) => (text),
                                None => span.none { "none" },
                            } }
                            td { (ago(key.created_at, now)) }
                            td { @match key.expires_at {
                                None => span.none { "never" },
                                Some(at) if at <= now => (badge("idle", "ended")),
                                Some(at) => (ago(at, now)),
                            } }
                            td { (button(&visit.href(format_args!("/keys/{}/revoke", key.key)), "Revoke", "quiet",
                                Some("Revoke this key? Whoever uses it is refused from then on."))) }
                        }
                    }
                }
            }
        }
    }
}

fn word(scope: Scope) -> &'static str {
    SCOPES.into_iter().find(|(_, known, _)| *known == scope).map_or("", |(word, ..)| word)
}

fn scope_badge(scope: Scope) -> Markup {
    let kind = match scope {
        Scope::Admin => "bad",
        Scope::Manage => "warn",
        Scope::Publish => "info",
        Scope::Read => "idle",
    };
    badge(kind, word(scope))
}

fn making(visit: &Visit, form: &Form, faults: &Faults) -> Markup {
    let scope = form.text("scope").unwrap_or("publish");
    let tenant = form.text("tenant").unwrap_or(&visit.tenant.name);
    let tenants = visit.engine().tenants();
    let tenants: Vec<_> =
        tenants.iter().map(|tenant| (tenant.name.as_str(), tenant.name.as_str())).collect();
    html! {
        form.form.card method="post" action=(visit.href("/keys")) id="make" {
            h2 { "Make a key" }
            (faults.above(&FIELDS))
            fieldset {
                legend { "Scope" }
                @for (word, _, what) in SCOPES {
                    @let label = html! { strong { (word) } span.hint { (what) } };
                    (check("radio", "scope", word, word == scope, &label))
                }
                (faults.beside("scope"))
            }
            (select(("tenant", "Tenant"), &tenants, tenant, &html! { "An admin key is of all tenants." }, faults))
            (Field { name: "description", label: "Description", kind: Kind::Line,
                hint: html! { "Who uses it and for what." },
                value: form.text("description").unwrap_or_default() }.show(faults))
            (select(("expires_in_days", "Ends"), &LIVES, form.text("expires_in_days").unwrap_or_default(),
                &html! {}, faults))
            (faults.beside("expires_at"))
            div { button.primary type="submit" { "Make key" } }
        }
    }
}
