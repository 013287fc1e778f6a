//! Reading events: the list, one with its deliveries and explanation, its deliveries.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, EventKey, MatchingKey, TenantKey, WebhookKey};
use postrider_core::matching::Matching;
use postrider_store::{DeliveryFilter, DeliverySearch, EventPage, EventSearch, Order};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::deliveries::DeliveryView;
use super::explanation::Explanation;
use super::wire::{Page, Paging, time};
use super::{Answer, PathId, delivery_list};
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
    /// Sent to test one webhook.
    pub is_test: bool,
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
///
/// A request looks at a bounded number of events: a page may be shorter than its limit, or empty,
/// while there is a `next_cursor`.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("after" = Option<String>, Query, description = "Accepted at this time or later (RFC 3339)"),
        ("before" = Option<String>, Query, description = "Accepted before this time (RFC 3339)"),
        ("type" = Option<String>, Query,
            description = "Of this event type; a pattern such as code.* names several"),
        ("id_prefix" = Option<String>, Query, description = "Whose id begins with this"),
    ),
    responses((status = 200, description = "A page of events", body = Page<EventView>)))]
pub(super) async fn list(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    mut query: Query,
) -> Answer {
    let (after, before) = query.after_and_before();
    let types = delivery_list::pattern(&mut query, "type");
    let id_prefix = query.text("id_prefix").unwrap_or_default();
    let told = format!("{after:?} {before:?} {types:?} {id_prefix}");
    let paging: Paging<EventKey> = Paging::read(query, List::new(tenant, "events", &[&told]))?;
    let (beyond, limit) = (paging.after, paging.fetch());
    let search = EventSearch { tenant, types, id_prefix, after, before, beyond, limit };
    let found = state.engine.store().find_events(search).await;
    let EventPage { events, next } = found.map_err(|error| ApiError::store(&error))?;
    let matched = matched_counts(&state, &events).await?;
    let view = |event: Arc<Event>| event_view(&event, matched.get(&event.matching).copied());
    let page = paging.page_of_search(events, next, |event| event.key, view);
    Ok(json::answer(StatusCode::OK, &page))
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

pub(crate) async fn find(
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
    let (tenant, limit) = (event.tenant, paging.fetch());
    let beyond = paging.after.map(|webhook| DeliveryKey { event: event.key, webhook });
    let filter = DeliveryFilter { event: Some(event.key), ..DeliveryFilter::all() };
    let (with_missed, order) = (false, Order::NewestFirst);
    let search = DeliverySearch { tenant, filter, with_missed, order, beyond, limit };
    let found = state.engine.store().find_deliveries(search).await;
    let found = found.map_err(|error| ApiError::store(&error))?.deliveries;
    Ok(paging.page(found, |found| found.delivery.webhook, |found| DeliveryView::new(&found)))
}

/// `None` when retention took the event and its matching while it was being read.
pub(crate) async fn matching_of(
    state: &ServerState,
    key: MatchingKey,
) -> Result<Option<Arc<Matching>>, ApiError> {
    state.engine.store().matching(key).await.map_err(|error| ApiError::store(&error))
}

/// Events of a page share their matchings, so each is read once.
pub(crate) async fn matched_counts(
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
        is_test: event.is_test(),
    }
}

/// The member `data` of the body that was made when the event was accepted.
pub(crate) fn data_of(event: &Event) -> Result<Box<RawValue>, ApiError> {
    let broken = || {
        let key = event.key;
        ApiError::store(&postrider_store::StoreError::Corrupt(format!("the body of {key}")))
    };
    let body = std::str::from_utf8(&event.bodies.verbatim).map_err(|_| broken())?;
    let data = Fields::of(body)?.take("data").map(str::to_owned).ok_or_else(broken)?;
    RawValue::from_string(data).map_err(|_| broken())
}
