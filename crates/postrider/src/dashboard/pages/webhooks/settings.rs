//! How a webhook is set, as facts.

use maud::{Markup, html};

use super::secret::{overlap, overlap_end};
use super::webhook::path;
use super::{address, manage};
use crate::dashboard::elements::{copy, duration_ms, exactly, facts, id};
use crate::dashboard::visit::Visit;
use crate::engine::{LiveWebhook, SigningKey};

pub(super) fn card(visit: &Visit, live: &LiveWebhook) -> Markup {
    let webhook = &live.webhook;
    let default = || html! { span.none { "default" } };
    let schedule = webhook.schedule.as_ref().unwrap_or(&live.profile().schedule);
    let delays = schedule.delays_ms().iter().map(|&ms| delay(ms)).collect::<Vec<_>>();
    let told = [
        ("URL", html! { span.break { (address(webhook)) } }),
        ("Id", html! { span.row { (id(webhook.key)) (copy(webhook.key, "the id")) } }),
        (
            "Description",
            html! {
                @if let Some(text) = &webhook.description { (text) }
                @else { span.none { "none" } }
            },
        ),
        (
            "Event types",
            html! { span.row {
            @for pattern in webhook.patterns.as_slice() { span.tag { (pattern) } } } },
        ),
        (
            "Filter",
            html! {
                @if let Some(filter) = &webhook.filter { code { (filter) } }
                @else { span.none { "none: every event of these types" } }
            },
        ),
        ("Profile", html! { (webhook.profile) }),
        (
            "Custom headers",
            html! {
                @for name in live.header_names() { code { (name) } " " }
                @if live.header_names().next().is_none() { span.none { "none" } }
            },
        ),
        (
            "Deadline",
            webhook.timeout_ms.map_or_else(default, |ms| html! { (duration_ms(ms.into())) }),
        ),
        ("Attempts at once", webhook.concurrency.map_or_else(default, |most| html! { (most) })),
        (
            "Attempts a second",
            webhook
                .rate_per_s
                .map_or_else(|| html! { span.none { "no limit" } }, |most| html! { (most) }),
        ),
        (
            "Retry schedule",
            html! { span.hint {
            (delays.join(", ")) @if webhook.schedule.is_none() { " (of the profile)" } } },
        ),
        ("Created", exactly(webhook.created_at)),
        ("Changed", exactly(webhook.updated_at)),
    ];
    html! {
        div.stack {
            section.card {
                header {
                    h2 { "Settings" }
                    @if visit.rights.may_manage {
                        a.button href=(path(visit, webhook, "/edit")) { "Edit" }
                    }
                }
                (facts(&told))
                @if !webhook.metadata.is_empty() {
                    h3.apart { "Metadata" }
                    dl.facts {
                        @for (name, value) in &webhook.metadata { dt { (name) } dd { (value) } }
                    }
                }
            }
            (secret(visit, live))
        }
    }
}

fn delay(ms: u64) -> String {
    if ms == 0 { "at once".to_owned() } else { duration_ms(ms) }
}

fn secret(visit: &Visit, live: &LiveWebhook) -> Markup {
    let webhook = &live.webhook;
    let kind = match visit.engine().signing_key(live) {
        Ok(SigningKey::Hmac) => "A secret that the receiver shares (HMAC).",
        Ok(SigningKey::Ed25519) => "A pair of keys (ed25519): the receiver knows the public half.",
        Err(_) => "It can't be opened: the server's sealing key was lost. Replace it.",
    };
    let now = visit.engine().now();
    html! {
        section.card.stack {
            h2 { "Secret" }
            p { (kind) }
            @if let Some(until) = overlap_end(live, now) { div { (overlap(live, until, now)) } }
            @if visit.rights.may_manage {
                div.row {
                    (manage::deed(&path(visit, webhook, "/secret"), "Show the secret", "", None))
                    a.button href=(path(visit, webhook, "/rotate")) { "Replace it" }
                }
            } @else {
                p.hint { "Only who manages this tenant may see it." }
            }
        }
    }
}
