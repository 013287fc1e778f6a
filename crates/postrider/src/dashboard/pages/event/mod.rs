//! An event: what it says, to whom it goes and why, and all that happened to it since.

mod matching;
mod payload;
mod timeline;

use std::sync::Arc;

use axum::extract::Path;
use maud::{Markup, html};
use postrider_core::event::Event;
use postrider_core::id::{EventKey, Key};
use postrider_store::{DeliveryFilter, DeliverySearch, FoundDelivery, Order};

use self::payload::Form;
use crate::api::events::{find, matching_of};
use crate::api::explanation::Explanation;
use crate::dashboard::delivery_table::DeliveryTable;
use crate::dashboard::elements;
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Visit};
use crate::http::problem::{ApiError, Code};

/// Deliveries shown; the list of deliveries has the rest.
const DELIVERIES_SHOWN_MAX: usize = 25;

/// `GET /dashboard/t/{tenant}/events/{id}`
pub(super) async fn show(visit: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = visit.query();
    let form = query.parsed("body", "pretty, exact or hex", Form::named).unwrap_or_default();
    query.finish_page().map_err(refuse)?;
    let event = event_of(&visit, &id).await.map_err(refuse)?;
    let matching = matching_of(&visit.dashboard.server, event.matching).await.map_err(refuse)?;
    let matching = matching.ok_or_else(|| visit.not_found())?;
    let explanation = Explanation::new(visit.engine(), &event, &matching);
    let (deliveries, is_more) = deliveries(&visit, &event).await.map_err(refuse)?;
    let timeline = timeline::of(&visit, &event, &deliveries, is_more).await.map_err(refuse)?;
    let body = html! {
        div.stack {
            (facts(&visit, &event, &explanation))
            (delivered(&visit, &event, &deliveries, is_more))
            div.grid {
                (payload::card(&visit, &event, form).map_err(refuse)?)
                (timeline)
            }
            (matching::card(&visit, &explanation))
        }
    };
    let actions = html! { span.live data-live-state data-state="off" { "Not live" } };
    let title = event.event_type.as_str();
    Ok(Page { visit: &visit, place: Place::Events, title, actions, body }.answer())
}

/// By its public id, or by the key that is in addresses of ours.
async fn event_of(visit: &Visit, id: &str) -> Result<Arc<Event>, ApiError> {
    match find(&visit.dashboard.server, visit.tenant_key(), id).await {
        Err(error) if error.code() == Code::NotFound => {}
        found => return found,
    }
    let key = EventKey::parse(id).ok_or_else(ApiError::not_found)?;
    let event = visit.engine().store().event_by_key(key).await;
    let event = event.map_err(|error| ApiError::store(&error))?;
    event.filter(|event| event.tenant == visit.tenant_key()).ok_or_else(ApiError::not_found)
}

/// The first deliveries, and whether there are more.
async fn deliveries(visit: &Visit, event: &Event) -> Result<(Vec<FoundDelivery>, bool), ApiError> {
    let search = DeliverySearch {
        tenant: event.tenant,
        filter: DeliveryFilter { event: Some(event.key), ..DeliveryFilter::all() },
        with_missed: false,
        order: Order::NewestFirst,
        beyond: None,
        limit: DELIVERIES_SHOWN_MAX + 1,
    };
    let found = visit.engine().store().find_deliveries(search).await;
    let mut found = found.map_err(|error| ApiError::store(&error))?.deliveries;
    let is_more = found.len() > DELIVERIES_SHOWN_MAX;
    found.truncate(DELIVERIES_SHOWN_MAX);
    Ok((found, is_more))
}

fn facts(visit: &Visit, event: &Event, explanation: &Explanation) -> Markup {
    let id = event.id();
    let like = form_urlencoded::byte_serialize(event.event_type.as_str().as_bytes());
    let like = visit.href(format_args!("/events?type={}", like.collect::<String>()));
    let facts = [
        ("Id", html! { (elements::id(&id)) (elements::copy(&id, "the event's id")) }),
        ("Event type", html! { a href=(like) { (event.event_type.as_str()) } }),
        ("Occurred", elements::exactly(event.occurred_at)),
        ("Accepted", elements::exactly(event.accepted_at())),
        ("Goes to", html! { (explanation.summary) }),
    ];
    html! {
        section.card {
            @if event.is_test() { p { span.tag { "test" } " Sent to try one webhook." } }
            (elements::facts(&facts))
        }
    }
}

fn delivered(visit: &Visit, event: &Event, deliveries: &[FoundDelivery], is_more: bool) -> Markup {
    let all: String = form_urlencoded::byte_serialize(event.id().as_bytes()).collect();
    let all = visit.href(format_args!("/deliveries?event_id={all}"));
    let caption = "Deliveries of the event";
    html! {
        section.card.flush id="deliveries" data-live {
            header { h2 { "Deliveries" } @if is_more { a href=(all) { "Show all" } } }
            @if deliveries.is_empty() {
                (elements::empty("No webhook gets this event", &html! { "Why not is said below." }))
            } @else {
                (DeliveryTable { visit, deliveries, caption, with_event: false })
            }
        }
    }
}
