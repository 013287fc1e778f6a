//! Events: what was published, to how many webhooks it goes, and how that went.

use std::collections::HashMap;

use maud::{Markup, html};
use postrider_core::delivery::DeliveryState;
use postrider_core::event::Event;
use postrider_core::id::{EventKey, MatchingKey};
use postrider_store::{DeliveryFilter, DeliverySearch, EventPage, EventSearch, Order, StoreError};

use super::deliveries::filter::{event_types, time_field};
use crate::api::delivery_list::pattern;
use crate::api::events::matched_counts;
use crate::dashboard::elements;
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Visit};
use crate::http::cursor::List;
use crate::http::limits::PAGE_ITEMS_DEFAULT;
use crate::http::problem::ApiError;

/// Deliveries that are counted for one page: of more, those of the newest events are.
const COUNTED_MAX: usize = 1_000;

/// How the deliveries of one event stand.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    succeeded: u64,
    /// Not tried yet.
    pending: u64,
    /// Tried, and to be tried again.
    retrying: u64,
    failed: u64,
    cancelled: u64,
    /// There are more, which were not counted.
    is_more: bool,
}

/// `GET /dashboard/t/{tenant}/events`
pub(super) async fn show(visit: Visit) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let tenant = visit.tenant_key();
    let mut query = visit.query();
    let (after, before) = query.after_and_before();
    let types = pattern(&mut query, "type");
    let id_prefix = query.text("id_prefix").unwrap_or_default();
    let cursor = query.text("cursor");
    query.finish_page().map_err(refuse)?;
    let told = format!("{after:?} {before:?} {types:?} {id_prefix}");
    let list = List::new(tenant, "dashboard/events", &[&told]);
    let beyond = cursor.as_deref().map(|cursor| list.position(cursor)).transpose();
    let search = EventSearch {
        tenant,
        types,
        id_prefix,
        after,
        before,
        beyond: beyond.map_err(refuse)?,
        limit: PAGE_ITEMS_DEFAULT,
    };
    let store = visit.engine().store();
    let failed = |error: StoreError| refuse(ApiError::store(&error));
    let page = store.find_events(search.clone()).await.map_err(failed)?;
    let matched = matched_counts(&visit.dashboard.server, &page.events).await.map_err(refuse)?;
    let outcomes = outcomes(&visit, &search, &page).await.map_err(failed)?;
    let next = page.next.map(|next| list.cursor(next));
    let older = next.map(|next| elements::with_parameter(&visit.uri, "cursor", Some(&next)));
    let is_first = cursor.is_none();
    let body = html! {
        (form(&visit, &search))
        section.card.flush id="events" data-live[is_first] data-live-tail[is_first] {
            @if page.events.is_empty() {
                (nothing(&visit, &search, older.is_some()))
            } @else {
                (table(&visit, &page, &matched, &outcomes))
            }
            (elements::more(older.as_deref()))
        }
    };
    let actions = html! {
        @if is_first {
            span.live data-live-state data-state="off" { "Not live" }
            button type="button" data-resume hidden { "Show new" }
        } @else {
            a.button href=(elements::with_parameter(&visit.uri, "cursor", None)) { "Newest" }
        }
    };
    Ok(Page { visit: &visit, place: Place::Events, title: "Events", actions, body }.answer())
}

/// How the deliveries of a page's events stand, by one bounded search over its range.
async fn outcomes(
    visit: &Visit,
    search: &EventSearch,
    page: &EventPage,
) -> Result<HashMap<EventKey, Outcomes>, StoreError> {
    let mut outcomes = HashMap::new();
    let (Some(newest), Some(oldest)) = (page.events.first(), page.events.last()) else {
        return Ok(outcomes);
    };
    let filter = DeliveryFilter {
        types: search.types.clone(),
        after: Some(oldest.accepted_at()),
        before: Some(newest.accepted_at() + 1),
        ..DeliveryFilter::all()
    };
    let search = DeliverySearch {
        tenant: search.tenant,
        filter,
        with_missed: false,
        order: Order::NewestFirst,
        beyond: None,
        limit: COUNTED_MAX,
    };
    let found = visit.engine().store().find_deliveries(search).await?;
    for delivery in &found.deliveries {
        let counted: &mut Outcomes = outcomes.entry(delivery.delivery.event).or_default();
        let Some(standing) = &delivery.standing else { continue };
        match standing.state() {
            DeliveryState::Succeeded => counted.succeeded += 1,
            DeliveryState::Failed => counted.failed += 1,
            DeliveryState::Cancelled => counted.cancelled += 1,
            DeliveryState::Pending if standing.progress().attempts > 0 => counted.retrying += 1,
            DeliveryState::Pending => counted.pending += 1,
        }
    }
    if let Some(last) = found.next.and_then(|next| outcomes.get_mut(&next.event)) {
        last.is_more = true;
    }
    Ok(outcomes)
}

fn table(
    visit: &Visit,
    page: &EventPage,
    matched: &HashMap<MatchingKey, usize>,
    outcomes: &HashMap<EventKey, Outcomes>,
) -> Markup {
    html! {
        div.table { table {
            caption.hidden { "Events, newest first" }
            thead { tr {
                th scope="col" { "Event type" }
                th scope="col" { "Id" }
                th.number scope="col" { "Webhooks" }
                th scope="col" { "Outcome" }
                th scope="col" { "Accepted" }
            } }
            tbody {
                @for event in &page.events {
                    (row(visit, event, matched.get(&event.matching), outcomes.get(&event.key)))
                }
            }
        } }
    }
}

fn row(
    visit: &Visit,
    event: &Event,
    matched: Option<&usize>,
    outcomes: Option<&Outcomes>,
) -> Markup {
    let href = visit.href(format_args!("/events/{}", event.key));
    let matched = matched.copied().unwrap_or_default();
    html! {
        tr data-row id=(event.key) {
            td {
                a.cover href=(href) { (event.event_type.as_str()) }
                @if event.is_test() { " " span.tag { "test" } }
            }
            td { (elements::id(event.id())) }
            td.number { (elements::count(matched as u64)) }
            td {
                @match outcomes {
                    Some(outcomes) => (summary(outcomes)),
                    None if matched == 0 => span.none { "nobody wants it" },
                    None => span.none { "not counted here" },
                }
            }
            td { (elements::ago(event.accepted_at(), visit.engine().now())) }
        }
    }
}

fn summary(outcomes: &Outcomes) -> Markup {
    let told = [
        ("ok", outcomes.succeeded, "succeeded"),
        ("info", outcomes.pending, "pending"),
        ("warn", outcomes.retrying, "retrying"),
        ("bad", outcomes.failed, "failed"),
        ("idle", outcomes.cancelled, "cancelled"),
    ];
    html! {
        span.row {
            @for (kind, number, word) in told {
                @if number > 0 { (elements::badge(kind, &format!("{} {word}", elements::count(number)))) }
            }
            @if outcomes.is_more { span.none { "and more" } }
        }
    }
}

fn form(visit: &Visit, search: &EventSearch) -> Markup {
    let types = search.types.as_ref().and_then(|types| types.as_slice().first());
    let is_any = is_everything(search);
    html! {
        form.filters method="get" action=(visit.href("/events")) role="search" aria-label="Filter events" {
            label { "Event type"
                input name="type" value=[types] placeholder="code.*" list="event-types" maxlength="128"
                    autocomplete="off" spellcheck="false";
            }
            (event_types(visit))
            label { "Id begins with"
                input name="id_prefix" value=[(!search.id_prefix.is_empty()).then_some(&search.id_prefix)]
                    maxlength="128" autocomplete="off" spellcheck="false";
            }
            (time_field("after", "From (UTC)", search.after))
            (time_field("before", "Until (UTC)", search.before))
            button type="submit" { "Filter" }
            @if !is_any { a.button href=(visit.href("/events")) { "Clear" } }
        }
    }
}

fn is_everything(search: &EventSearch) -> bool {
    let is_any_time = search.after.is_none() && search.before.is_none();
    search.types.is_none() && search.id_prefix.is_empty() && is_any_time
}

fn nothing(visit: &Visit, search: &EventSearch, is_more: bool) -> Markup {
    if is_more {
        let hint = html! { "A page looks at a bounded number of events. Go on to older ones." };
        return elements::empty("None among the newest events", &hint);
    }
    if !is_everything(search) {
        let hint = html! { a href=(visit.href("/events")) { "Show all events" } };
        return elements::empty("No event is like this", &hint);
    }
    let hint = html! {
        "Publish one with " code { "POST /v1/events" } ", or send an example from "
        a href=(visit.href("/event-types")) { "event types" } "."
    };
    elements::empty("No events yet", &hint)
}
