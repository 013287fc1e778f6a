//! Listing deliveries, by what they are.

use std::fmt::Write as _;

use axum::extract::State;
use http::StatusCode;
use postrider_core::delivery::DeliveryState;
use postrider_core::event_type::Patterns;
use postrider_core::id::{EventKey, Key, TenantKey, WebhookKey};
use postrider_store::{DeliveryFilter, DeliveryPage, DeliverySearch, Order, StatusClass};

use super::Answer;
use super::deliveries::DeliveryView;
use super::wire::Page;
use crate::http::auth::Reader;
use crate::http::cursor::List;
use crate::http::json;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::http::state::ServerState;
use crate::meaning;

/// Said of a name that is no [`ErrorClass`](postrider_core::delivery::ErrorClass)'s.
pub(super) const NOT_A_CLASS: &str =
    "not a class of errors such as timeout or connect_refused; answers are named by status_class";

/// List deliveries, those of the newest event first.
///
/// A request looks at a bounded number of events: a page may be shorter than its limit, or empty,
/// while there is a `next_cursor`.
#[utoipa::path(get, path = "/v1/deliveries", tag = "deliveries",
    params(
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("webhook_id" = Option<String>, Query, description = "To this webhook"),
        ("event_id" = Option<String>, Query, description = "Of this event"),
        ("state" = Option<String>, Query,
            description = "pending, succeeded, failed or cancelled"),
        ("event_type" = Option<String>, Query,
            description = "Of events of this type; a pattern such as code.* names several"),
        ("status_class" = Option<String>, Query,
            description = "1xx to 5xx: how the last attempt was answered; none: not at all"),
        ("error_class" = Option<String>, Query,
            description = "Why the last attempt got no answer that counts, such as timeout or \
                connect_refused: the class of its error"),
        ("after" = Option<String>, Query,
            description = "Of events accepted at this time or later (RFC 3339)"),
        ("before" = Option<String>, Query,
            description = "Of events accepted before this time (RFC 3339)"),
    ),
    responses((status = 200, description = "A page of deliveries", body = Page<DeliveryView>)))]
pub(super) async fn list(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    mut query: Query,
) -> Answer {
    let (filter, event_id) = read_filter(&mut query);
    let (limit, cursor) = (query.limit(), query.text("cursor"));
    query.finish()?;
    let mut told = format!("{filter:?}");
    let _ = write!(told, "{event_id:?}");
    let list = List::new(tenant, "deliveries", &[&told]);
    let beyond = cursor.map(|cursor| list.delivery_position(&cursor)).transpose()?;
    let Some(filter) = with_event(&state, tenant, filter, event_id).await? else {
        return Ok(json::answer(StatusCode::OK, &Page::<DeliveryView>::empty()));
    };
    let (with_missed, order) = (false, Order::NewestFirst);
    let search = DeliverySearch { tenant, filter, with_missed, order, beyond, limit: limit + 1 };
    let found = state.engine.store().find_deliveries(search).await;
    let found = found.map_err(|error| ApiError::store(&error))?;
    Ok(json::answer(StatusCode::OK, &page(list, found, limit)))
}

/// The page of a search for one more than it has room for.
fn page(list: List, mut found: DeliveryPage, limit: usize) -> Page<DeliveryView> {
    let next = if found.deliveries.len() > limit {
        found.deliveries.truncate(limit);
        found.deliveries.last().map(|last| last.delivery)
    } else {
        found.next
    };
    Page {
        data: found.deliveries.iter().map(DeliveryView::new).collect(),
        next_cursor: next.map(|next| list.delivery_cursor(next)),
    }
}

pub(crate) fn read_filter(query: &mut Query) -> (DeliveryFilter, Option<String>) {
    let mut filter = DeliveryFilter::all();
    filter.webhook = query.parsed("webhook_id", "not the id of a webhook", WebhookKey::parse);
    let state = query.parsed(
        "state",
        "must be one of pending, succeeded, failed and cancelled",
        DeliveryState::named,
    );
    if let Some(state) = state {
        filter.states = vec![state];
    }
    filter.types = pattern(query, "event_type");
    filter.status = query.parsed(
        "status_class",
        "must be one of 1xx, 2xx, 3xx, 4xx, 5xx and none",
        status_class,
    );
    filter.error = query.parsed("error_class", NOT_A_CLASS, meaning::class_named);
    (filter.after, filter.before) = query.after_and_before();
    (filter, query.text("event_id"))
}

/// `None` when there is no such event, and so no delivery.
pub(crate) async fn with_event(
    state: &ServerState,
    tenant: TenantKey,
    filter: DeliveryFilter,
    event_id: Option<String>,
) -> Result<Option<DeliveryFilter>, ApiError> {
    let Some(id) = event_id else { return Ok(Some(filter)) };
    let event = state.engine.store().event(tenant, &id).await;
    let event: Option<EventKey> =
        event.map_err(|error| ApiError::store(&error))?.map(|event| event.key);
    Ok(event.map(|event| DeliveryFilter { event: Some(event), ..filter }))
}

/// One pattern of event types.
pub(crate) fn pattern(query: &mut Query, name: &'static str) -> Option<Patterns> {
    let message = "not an event type, nor a pattern such as code.* or *";
    query.parsed(name, message, |text| Patterns::parse(&[text]).ok())
}

pub(crate) fn status_class(name: &str) -> Option<StatusClass> {
    match name {
        "1xx" => Some(StatusClass::Hundreds(1)),
        "2xx" => Some(StatusClass::Hundreds(2)),
        "3xx" => Some(StatusClass::Hundreds(3)),
        "4xx" => Some(StatusClass::Hundreds(4)),
        "5xx" => Some(StatusClass::Hundreds(5)),
        "none" => Some(StatusClass::NoAnswer),
        _ => None,
    }
}
