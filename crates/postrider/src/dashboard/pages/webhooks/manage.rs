//! What can be done with a webhook: a test, enabling and disabling it, deleting it.

use axum::extract::Path;
use maud::{Markup, html};
use postrider_core::id::WebhookKey;
use postrider_core::webhook::{Webhook, WebhookKind, WebhookState};
use serde_json::{Map, Value};

use super::find;
use super::webhook::path;
use crate::api::{test_event, webhooks};
use crate::dashboard::elements;
use crate::dashboard::layout::Notice;
use crate::dashboard::visit::{Answer, Deed, Stop, Visit};
use crate::engine::{LiveWebhook, WantedState, WebhookPatch};

pub(super) use elements::button as deed;

/// `POST /dashboard/t/{tenant}/webhooks/{id}/test`
pub(super) async fn test(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let webhook = find(&visit, &id)?.webhook.key;
    let mut wanted = Map::new();
    if let Some(name) = form.text("type") {
        wanted.insert("type".to_owned(), name.into());
    }
    let test = test_event::read(&Value::Object(wanted).to_string());
    let test = test.map_err(|error| visit.refuse(&error))?;
    let sent = visit.engine().test_webhook(visit.tenant_key(), webhook, test).await;
    let (_, delivery) = sent.map_err(|error| visit.refuse(&test_event::refusal(&error)))?;
    Ok(visit.go_to(format_args!("/deliveries/{delivery}"), Notice::TestSent))
}

/// `POST /dashboard/t/{tenant}/webhooks/{id}/enable`
///
/// Whoever enabled one that was disabled is asked next whether what it missed is to be sent.
pub(super) async fn enable(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let visit = deed.visit;
    let before = find(&visit, &id)?;
    let key = before.webhook.key;
    put(&visit, key, WantedState::Enabled).await?;
    Ok(match before.webhook.disabled_at {
        Some(since) => visit.go_to(super::replay::missed_since(key, since), Notice::Enabled),
        None => visit.go_to(format_args!("/webhooks/{key}"), Notice::Enabled),
    })
}

/// `POST /dashboard/t/{tenant}/webhooks/{id}/disable`
pub(super) async fn disable(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let key = find(&visit, &id)?.webhook.key;
    let cancel_pending = form.is_ticked("cancel_pending");
    put(&visit, key, WantedState::Disabled { cancel_pending }).await?;
    Ok(visit.go_to(format_args!("/webhooks/{key}"), Notice::Disabled))
}

/// `POST /dashboard/t/{tenant}/webhooks/{id}/delete`
pub(super) async fn delete(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let visit = deed.visit;
    let key = find(&visit, &id)?.webhook.key;
    let deleted = visit.engine().delete_webhook(visit.tenant_key(), key).await;
    deleted.map_err(|error| visit.refuse(&webhooks::refusal(&error)))?;
    Ok(visit.go_to("/webhooks", Notice::Deleted))
}

async fn put(visit: &Visit, key: WebhookKey, state: WantedState) -> Result<(), Stop> {
    let patch = WebhookPatch { state: Some(state), ..WebhookPatch::default() };
    let changed = visit.engine().patch_webhook(visit.tenant_key(), key, patch).await;
    changed.map(|_| ()).map_err(|error| visit.refuse(&webhooks::refusal(&error)))
}

/// All of it on the webhook's page; nothing for whoever may only look.
pub(super) fn card(visit: &Visit, live: &LiveWebhook) -> Markup {
    if !visit.rights.may_manage {
        return html! {};
    }
    let webhook = &live.webhook;
    let is_enabled = webhook.state == WebhookState::Enabled;
    html! {
        div.stack {
            @if is_enabled {
                (test_card(visit, webhook))
                (disable_card(visit, webhook))
            }
            section.card.stack {
                h2 { "Delete" }
                p { "No attempt for it starts any more, and what is pending is cancelled. Its past deliveries \
                    stay as long as events are kept." }
                div { (deed(&path(visit, webhook, "/delete"), "Delete webhook", "danger",
                    Some("Delete this webhook? What is pending for it is cancelled. This can't be undone."))) }
            }
        }
    }
}

fn test_card(visit: &Visit, webhook: &Webhook) -> Markup {
    let types = visit.engine().event_types(visit.tenant_key());
    let types: Vec<_> = types.iter().filter(|known| known.archived_at().is_none()).collect();
    let first_wanted = types.iter().position(|known| webhook.patterns.matches(&known.name));
    html! {
        section.card.stack {
            h2 { "Send a test" }
            p { "An example, to this webhook alone. Its id begins with " code { "test_" }
                ", so that the receiver can tell." }
            form.row method="post" action=(path(visit, webhook, "/test")) {
                label.hidden for="type" { "Event type" }
                select id="type" name="type" {
                    @for (at, known) in types.iter().enumerate() {
                        option value=(known.name.as_str()) selected[Some(at) == first_wanted] {
                            (known.name.as_str())
                        }
                    }
                }
                button type="submit" { "Send test" }
            }
        }
    }
}

fn disable_card(visit: &Visit, webhook: &Webhook) -> Markup {
    let asks = match webhook.kind {
        WebhookKind::Url => "Disable this webhook? It gets nothing until it is enabled again.",
        WebhookKind::Listener => "End this listener? It is disconnected.",
    };
    html! {
        section.card.stack {
            h2 { "Disable" }
            p { "It gets nothing until it is enabled again; then what it missed can be sent." }
            form.stack method="post" action=(path(visit, webhook, "/disable")) data-confirm=(asks) {
                label.check {
                    input type="checkbox" name="cancel_pending" value="yes";
                    span { "Cancel what is pending"
                        span.hint { "Otherwise it waits, and goes out once the webhook is enabled." } }
                }
                div { button type="submit" { "Disable" } }
            }
        }
    }
}
