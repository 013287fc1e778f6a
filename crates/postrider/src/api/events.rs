//! Reading events: the list, one with its deliveries and explanation, its deliveries.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use postrider_core::event::Event;
use postrider_core::id::{EventKey, Key, MatchingKey, TenantKey, WebhookKey};
use postrider_core::matching::Matching;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::deliveries::DeliveryView;
use super::explanation::Explanation;
use super::wire::{Page, Paging, time};
use super::{Answer, PathId};
use crate::http::auth::Reader;
use crate::http::cursor::List;
use crate::http::fields::Fields;
use crate::http::json;
use crate::http::limits::PAGE_ITEMS_DEFAULT;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::http::state::ServerState;

/// Longest id of an event, given or made.
const EVENT_ID_BYTES_MAX: usize = 128;

/// An event, in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    pub id: String,
    pub r#type: String,
    /// When it happened.
    pub timestamp: String,
    pub accepted_at: String,
    /// The number of webhooks that it goes to.
    pub matched: usize,
}

/// An event with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventDetail {
    #[serde(flatten)]
    pub event: EventView,
    /// As it was published, without white space.
    #[schema(value_type = serde_json::Value)]
    pub data: Box<RawValue>,
    pub body_bytes: BodySizes,
    /// The first page of its deliveries.
    pub deliveries: Page<DeliveryView>,
    pub explanation: Explanation,
}

/// How long the body is in each form that was made of it.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct BodySizes {
    pub verbatim: usize,
    pub ecma: Option<usize>,
    pub jcs: Option<usize>,
}

/// List events, newest first.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("after" = Option<String>, Query, description = "Accepted at this time or later (RFC 3339)"),
        ("before" = Option<String>, Query, description = "Accepted before this time (RFC 3339)"),
    ),
    responses((status = 200, description = "A page of events", body = Page<EventView>)))]
pub(super) async fn list(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    mut query: Query,
) -> Answer {
    let after = query.time("after");
    let before = query.time("before");
    let filter = [after, before].map(|bound| bound.map_or_else(String::new, time));
    let list = List::new(tenant, "events", &[&filter[0], &filter[1]]);
    let paging: Paging<EventKey> = Paging::read(query, list)?;
    let older_than = [paging.after, before.map(EventKey::first_at)].into_iter().flatten().min();
    let store = state.engine.store();
    let fetched = store.events(tenant, older_than, paging.fetch()).await;
    let mut events = fetched.map_err(|error| ApiError::store(&error))?;
    if let Some(after) = after {
        events.retain(|event| event.accepted_at() >= after);
    }
    let matched = matched_counts(&state, &events).await?;
    let view = |event: Arc<Event>| event_view(&event, matched.get(&event.matching).copied());
    Ok(json::answer(StatusCode::OK, &paging.page(events, |event| event.key, view)))
}

/// Read an event, with its deliveries and why it goes where it goes.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "events",
    params(("id" = String, Path, description = "The event's id")),
    responses((status = 200, description = "The event", body = EventDetail)))]
pub(super) async fn show(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let event = find(&state, tenant, &id).await?;
    let paging = Paging::first(deliveries_list(tenant, event.key), PAGE_ITEMS_DEFAULT);
    let deliveries = deliveries_page(&state, &event, &paging).await?;
    let matching = matching_of(&state, event.matching).await?.ok_or_else(ApiError::not_found)?;
    let explanation = Explanation::new(&state.engine, &event, &matching);
    let detail = EventDetail {
        event: event_view(&event, Some(matching.matched.len())),
        data: data_of(&event)?,
        body_bytes: BodySizes {
            verbatim: event.bodies.verbatim.len(),
            ecma: event.bodies.ecma.as_ref().map(bytes::Bytes::len),
            jcs: event.bodies.jcs.as_ref().map(bytes::Bytes::len),
        },
        deliveries,
        explanation,
    };
    Ok(json::answer(StatusCode::OK, &detail))
}

/// Read why an event goes where it goes.
///
/// Every webhook of the tenant at that time, and why it did or didn't match.
#[utoipa::path(get, path = "/v1/events/{id}/explanation", tag = "events",
    params(("id" = String, Path, description = "The event's id")),
    responses((status = 200, description = "The explanation", body = Explanation)))]
pub(super) async fn explanation(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let event = find(&state, tenant, &id).await?;
    let matching = matching_of(&state, event.matching).await?.ok_or_else(ApiError::not_found)?;
    let explanation = Explanation::new(&state.engine, &event, &matching);
    Ok(json::answer(StatusCode::OK, &explanation))
}

/// List the deliveries of an event.
#[utoipa::path(get, path = "/v1/events/{id}/deliveries", tag = "events",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page of deliveries", body = Page<DeliveryView>)))]
pub(super) async fn deliveries(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    let event = find(&state, tenant, &id).await?;
    let paging = Paging::read(query, deliveries_list(tenant, event.key))?;
    let page = deliveries_page(&state, &event, &paging).await?;
    Ok(json::answer(StatusCode::OK, &page))
}

pub(super) async fn find(
    state: &ServerState,
    tenant: TenantKey,
    id: &str,
) -> Result<Arc<Event>, ApiError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.len() > EVENT_ID_BYTES_MAX || !id.bytes().all(is_allowed) {
        return Err(ApiError::not_found());
    }
    let found = state.engine.store().event(tenant, id).await;
    found.map_err(|error| ApiError::store(&error))?.ok_or_else(ApiError::not_found)
}

fn deliveries_list(tenant: TenantKey, event: EventKey) -> List {
    List::new(tenant, "events/deliveries", &[&event.to_string()])
}

async fn deliveries_page(
    state: &ServerState,
    event: &Event,
    paging: &Paging<WebhookKey>,
) -> Result<Page<DeliveryView>, ApiError> {
    let store = state.engine.store();
    let fetched = store.deliveries_of_event(event.key, paging.after, paging.fetch()).await;
    let fetched = fetched.map_err(|error| ApiError::store(&error))?;
    let id = event.id();
    Ok(paging.page(fetched, |found| found.delivery.webhook, |found| DeliveryView::new(&found, &id)))
}

/// `None` when retention took the event and its matching while it was being read.
async fn matching_of(
    state: &ServerState,
    key: MatchingKey,
) -> Result<Option<Arc<Matching>>, ApiError> {
    state.engine.store().matching(key).await.map_err(|error| ApiError::store(&error))
}

/// Events of a page share their matchings, so each is read once.
async fn matched_counts(
    state: &ServerState,
    events: &[Arc<Event>],
) -> Result<HashMap<MatchingKey, usize>, ApiError> {
    let mut counts = HashMap::new();
    for event in events {
        if let Entry::Vacant(unread) = counts.entry(event.matching)
            && let Some(matching) = matching_of(state, event.matching).await?
        {
            unread.insert(matching.matched.len());
        }
    }
    Ok(counts)
}

fn event_view(event: &Event, matched: Option<usize>) -> EventView {
    EventView {
        id: event.id().into_owned(),
        r#type: event.event_type.as_str().to_owned(),
        timestamp: time(event.occurred_at),
        accepted_at: time(event.accepted_at()),
        matched: matched.unwrap_or_default(),
    }
}

/// The member `data` of the body that was made when the event was accepted.
fn data_of(event: &Event) -> Result<Box<RawValue>, ApiError> {
    let broken = || {
        let key = event.key;
        ApiError::store(&postrider_store::StoreError::Corrupt(format!("the body of {key}")))
    };
    let body = std::str::from_utf8(&event.bodies.verbatim).map_err(|_| broken())?;
    let data = Fields::of(body)?.take("data").map(str::to_owned).ok_or_else(broken)?;
    RawValue::from_string(data).map_err(|_| broken())
}
