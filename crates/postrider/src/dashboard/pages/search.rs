//! One search box: an id leads to what it names, anything else is looked for in webhooks' URLs.

use axum::response::Response;
use maud::html;
use postrider_core::id::{DeliveryKey, EventKey, Key, WebhookKey};

use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Visit, see_other};
use crate::http::problem::ApiError;

/// `GET /dashboard/t/{tenant}/search?q=…`
pub(super) async fn find(visit: Visit) -> Answer {
    let mut query = visit.query();
    let text = query.text("q").unwrap_or_default();
    query.finish_page().map_err(|error| visit.refuse(&error))?;
    let text = text.trim();
    match found(&visit, text).await.map_err(|error| visit.refuse(&error))? {
        Some(path) => Ok(see_other(&visit.href(path))),
        None => Ok(nothing(&visit, text)),
    }
}

/// The page that a text names.
async fn found(visit: &Visit, text: &str) -> Result<Option<String>, ApiError> {
    let (engine, tenant) = (visit.engine(), visit.tenant_key());
    let failed = |error| ApiError::store(&error);
    if let Some(key) = DeliveryKey::parse(text)
        && let Some(standing) = engine.store().delivery(key).await.map_err(failed)?
        && engine.any_webhook(tenant, standing.delivery.webhook).is_some()
    {
        return Ok(Some(format!("/deliveries/{key}")));
    }
    if let Some(key) = WebhookKey::parse(text)
        && engine.any_webhook(tenant, key).is_some()
    {
        return Ok(Some(format!("/webhooks/{key}")));
    }
    // an event's id may be the publisher's own, so any text may be one
    if let Some(event) = engine.store().event(tenant, text).await.map_err(failed)? {
        return Ok(Some(format!("/events/{}", event.key)));
    }
    let is_id = EventKey::parse(text).is_some() || WebhookKey::parse(text).is_some();
    let is_in_url = |url: &str| contains(url, text);
    let is_some = !is_id
        && !text.is_empty()
        && !engine.webhooks(tenant, None, 1, |webhook| is_in_url(&webhook.url)).is_empty();
    let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    Ok(is_some.then(|| format!("/webhooks?q={query}")))
}

/// Whether a URL has a text in it, in whatever case.
pub(super) fn contains(url: &str, text: &str) -> bool {
    url.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
}

fn nothing(visit: &Visit, text: &str) -> Response {
    let body = html! {
        section.card.told {
            @if text.is_empty() {
                p { "Type an id (" code { "evt_…" } ", " code { "dlv_…" } ", " code { "wh_…" }
                    ", or your own event id), or a part of a webhook's URL." }
            } @else {
                p { "Nothing is called " code { (text) } "." }
                p { "Ids are looked up whole; a text is looked for in the URLs of webhooks. Events older \
                    than the server keeps them are gone." }
            }
        }
    };
    let actions = html! {};
    Page { visit, place: Place::Nowhere, title: "Search", actions, body }.answer()
}
