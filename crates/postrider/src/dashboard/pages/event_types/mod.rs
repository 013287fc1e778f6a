//! Event types: the catalogue, and one of its types.

mod edit;
mod send;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use maud::{Markup, html};
use postrider_core::catalogue::Validation;
use postrider_core::event_type::EventType;
use postrider_core::id::WebhookKey;
use postrider_signature::NumberPolicy;

use super::webhooks::address;
use crate::api::event_types;
use crate::dashboard::Dashboard;
use crate::dashboard::elements::{
    badge, button, copy, count, empty, exactly, facts, several, with_parameter,
};
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::pretty;
use crate::dashboard::visit::{Answer, Deed, Stop, Visit};
use crate::engine::{EventTypePatch, KnownType, LiveWebhook};

/// Webhooks that a type's page names; all of them are in the list of webhooks.
const NAMED_WEBHOOKS: usize = 20;

/// Everything below `/dashboard/t/{tenant}/event-types`.
pub(super) fn router() -> Router<Dashboard> {
    let at = |path: &str| format!("/dashboard/t/{{tenant}}/event-types{path}");
    Router::new()
        .route(&at(""), get(list))
        .route(&at("/new"), get(edit::new).post(edit::create))
        .route(&at("/{name}"), get(show))
        .route(&at("/{name}/edit"), get(edit::show).post(edit::save))
        .route(&at("/{name}/archive"), post(archive))
        .route(&at("/{name}/unarchive"), post(unarchive))
        .route(&at("/{name}/send"), get(send::show).post(send::publish))
}

/// The event type that a page's address names.
fn find(visit: &Visit, name: &str) -> Result<Arc<KnownType>, Stop> {
    let name = name.parse::<EventType>().map_err(|_| visit.not_found())?;
    visit.engine().event_type(visit.tenant_key(), &name).ok_or_else(|| visit.not_found())
}

/// Webhooks that want events of a type, by their patterns alone.
fn wanting(visit: &Visit, name: &EventType) -> Vec<Arc<LiveWebhook>> {
    let wants = |webhook: &postrider_core::webhook::Webhook| webhook.patterns.matches(name);
    visit.engine().webhooks(visit.tenant_key(), None::<WebhookKey>, usize::MAX, wants)
}

/// `GET /dashboard/t/{tenant}/event-types`
async fn list(visit: Visit) -> Answer {
    let mut query = visit.query();
    let text = query.text("q").unwrap_or_default().trim().to_lowercase();
    let with_archived = query.text("archived").is_some();
    query.finish_page().map_err(|error| visit.refuse(&error))?;
    let mut types = visit.engine().event_types(visit.tenant_key());
    let archived = types.iter().filter(|known| known.archived_at().is_some()).count() as u64;
    types.retain(|known| {
        let description = known.description().unwrap_or_default().to_lowercase();
        (with_archived || known.archived_at().is_none())
            && (known.name.as_str().to_lowercase().contains(&text) || description.contains(&text))
    });
    let all = visit.engine().webhooks(visit.tenant_key(), None, usize::MAX, |_| true);
    let wanted = |known: &KnownType| {
        all.iter().filter(|live| live.webhook.patterns.matches(&known.name)).count() as u64
    };
    let toggle = with_parameter(&visit.uri, "archived", (!with_archived).then_some("yes"));
    let body = html! {
        form.filters action=(visit.href("/event-types")) {
            label { "Name or description"
                input type="search" name="q" value=(text) maxlength="200" spellcheck="false"; }
            @if with_archived { input type="hidden" name="archived" value="yes"; }
            button type="submit" { "Filter" }
            @if archived > 0 {
                a.button href=(toggle) {
                    @if with_archived { "Hide archived" } @else { "Show " (count(archived)) " archived" }
                }
            }
        }
        section.card.flush {
            @if types.is_empty() {
                (empty("No event type is like this", &html! { "Search for another part of its name." }))
            } @else {
                (table(&visit, &types, &wanted))
            }
        }
    };
    let actions = html! {
        @if visit.rights.may_manage {
            a.button.primary href=(visit.href("/event-types/new")) { "New event type" }
        }
    };
    let title = "Event types";
    Ok(Page { visit: &visit, place: Place::EventTypes, title, actions, body }.answer())
}

fn table(visit: &Visit, types: &[Arc<KnownType>], wanted: &impl Fn(&KnownType) -> u64) -> Markup {
    html! {
        div.table {
            table aria-label="Event types" {
                thead {
                    tr {
                        th scope="col" { "Name" }
                        th scope="col" { "Description" }
                        th scope="col" { "State" }
                        th.number scope="col" { "Wanted by" }
                    }
                }
                tbody {
                    @for known in types {
                        tr data-row id=(format!("type-{}", known.name.as_str())) {
                            td { a.cover href=(path(visit, known, "")) { code { (known.name.as_str()) } } }
                            td.prose { @match known.description() {
                                Some(text) => (text),
                                None => span.none { "none" },
                            } }
                            td { (state(known)) }
                            td.number { (several(wanted(known), "webhook")) }
                        }
                    }
                }
            }
        }
    }
}

fn path(visit: &Visit, known: &KnownType, rest: &str) -> String {
    visit.href(format_args!("/event-types/{}{rest}", known.name.as_str()))
}

fn state(known: &KnownType) -> Markup {
    html! {
        span.row {
            @if known.archived_at().is_some() { (badge("warn", "archived")) }
            span.muted.nowrap {
                @if !known.is_builtin() { "your own" }
                @else { "built in" @if known.updated_at().is_some() { ", changed" } }
            }
        }
    }
}

/// `GET /dashboard/t/{tenant}/event-types/{name}`
async fn show(visit: Visit, Path((_, name)): Path<(String, String)>) -> Answer {
    let known = find(&visit, &name)?;
    let wanting = wanting(&visit, &known.name);
    let body = html! {
        div.stack {
            @if let Some(since) = known.archived_at() {
                p.caution { "Archived since " (exactly(since)) ": nothing of it can be published." }
            }
            div.grid {
                (about(&visit, &known))
                (wanted_by(&visit, &known, &wanting))
            }
            div.grid {
                (document("Schema", "JSON Schema of data", known.schema(),
                    "Without one, whatever is published is accepted."))
                (document("Example", "an example of data", known.example(),
                    "Without one, tests have a plain message."))
            }
        }
    };
    let actions = html! {
        (state(&known))
        @if visit.rights.may_manage {
            @if known.archived_at().is_none() {
                a.button.primary href=(path(&visit, &known, "/send")) { "Send to…" }
            }
            a.button href=(path(&visit, &known, "/edit")) { "Edit" }
        }
    };
    let title = known.name.as_str();
    Ok(Page { visit: &visit, place: Place::EventTypes, title, actions, body }.answer())
}

fn about(visit: &Visit, known: &KnownType) -> Markup {
    let none = || html! { span.none { "none" } };
    let told = [
        ("Description", known.description().map_or_else(none, |text| html! { (text) })),
        ("Checked", html! { (validation(known.validation())) }),
        ("Large integers", html! { (large_integers(known.large_integers())) }),
        ("Created", known.created_at().map_or_else(|| html! { span.none { "built in" } }, exactly)),
        ("Changed", known.updated_at().map_or_else(|| html! { span.none { "never" } }, exactly)),
    ];
    let events = visit.href(format_args!("/events?type={}", known.name.as_str()));
    html! {
        section.card.stack {
            h2 { "About" }
            (facts(&told))
            div.row {
                a.button href=(events) { "Events of this type" }
                @if visit.rights.may_manage { (archiving(visit, known)) }
            }
        }
    }
}

fn archiving(visit: &Visit, known: &KnownType) -> Markup {
    if known.archived_at().is_some() {
        return button(&path(visit, known, "/unarchive"), "Bring back", "", None);
    }
    let asks = format!(
        "Archive {}? Nothing of it can be published until it is brought back.",
        known.name.as_str()
    );
    button(&path(visit, known, "/archive"), "Archive", "danger", Some(&asks))
}

fn wanted_by(visit: &Visit, known: &KnownType, wanting: &[Arc<LiveWebhook>]) -> Markup {
    html! {
        section.card.flush {
            header { h2 { "Wanted by " (several(wanting.len() as u64, "webhook")) } }
            @if wanting.is_empty() {
                (empty("No webhook wants it", &html! {
                    "Events of it are kept, and go nowhere"
                    @if visit.rights.may_manage {
                        ". " a href=(visit.href("/webhooks/new")) { "Register a webhook" } } "." }))
            } @else {
                ul.lines {
                    @for live in wanting.iter().take(NAMED_WEBHOOKS) {
                        @let webhook = &live.webhook;
                        li {
                            a.break href=(visit.href(format_args!("/webhooks/{}", webhook.key))) { (address(webhook)) }
                            @if let Some(pattern) = webhook.patterns.matching(&known.name) {
                                span.muted { "by " code { (pattern) }
                                    @if webhook.filter.is_some() { ", filtered" } }
                            }
                        }
                    }
                    @if wanting.len() > NAMED_WEBHOOKS {
                        li.muted { "and " (count((wanting.len() - NAMED_WEBHOOKS) as u64)) " more" }
                    }
                }
            }
        }
    }
}

fn document(title: &str, what: &str, text: Option<&str>, hint: &str) -> Markup {
    html! {
        section.card {
            header {
                h2 { (title) }
                @if let Some(text) = text { (copy(text, what)) }
            }
            @match text {
                Some(text) => (pretty::block(text.as_bytes(), title)),
                None => (empty("None", &html! { (hint) })),
            }
        }
    }
}

fn validation(validation: Validation) -> &'static str {
    match validation {
        Validation::Off => "not at all: whatever is published is accepted",
        Validation::Warn => "accepted with a warning where it is not as the schema has it",
        Validation::Reject => "refused where it is not as the schema has it",
    }
}

fn large_integers(policy: NumberPolicy) -> &'static str {
    match policy {
        NumberPolicy::Refuse => "refused where a webhook's profile can't carry them",
        NumberPolicy::Stringify => "sent as texts where a webhook's profile can't carry them",
        NumberPolicy::Round => "rounded where a webhook's profile can't carry them",
    }
}

/// `POST /dashboard/t/{tenant}/event-types/{name}/archive`
async fn archive(Path((_, name)): Path<(String, String)>, deed: Deed) -> Answer {
    put(&deed.visit, &name, true, Notice::Archived).await
}

/// `POST /dashboard/t/{tenant}/event-types/{name}/unarchive`
async fn unarchive(Path((_, name)): Path<(String, String)>, deed: Deed) -> Answer {
    put(&deed.visit, &name, false, Notice::Unarchived).await
}

async fn put(visit: &Visit, name: &str, is_archived: bool, notice: Notice) -> Answer {
    let known = find(visit, name)?;
    let patch = EventTypePatch { is_archived: Some(is_archived), ..EventTypePatch::default() };
    let changed =
        visit.engine().patch_event_type(visit.tenant_key(), known.name.clone(), patch).await;
    changed.map_err(|error| visit.refuse(&event_types::refusal(&error)))?;
    Ok(visit.go_to(format_args!("/event-types/{}", known.name.as_str()), notice))
}
