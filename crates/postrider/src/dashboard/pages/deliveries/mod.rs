//! Deliveries, by whatever one looks for; live, and retried together.

pub(super) mod filter;
pub(super) mod retry;

use maud::{Markup, html};
use postrider_store::{DeliveryPage, DeliverySearch, Order};

use self::filter::Wanted;
use crate::api::delivery_list::with_event;
use crate::dashboard::delivery_table::DeliveryTable;
use crate::dashboard::elements;
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Visit};
use crate::http::cursor::List;
use crate::http::limits::PAGE_ITEMS_DEFAULT;
use crate::http::problem::ApiError;

/// `GET /dashboard/t/{tenant}/deliveries`
pub(super) async fn show(visit: Visit) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = visit.query();
    let cursor = query.text("cursor");
    let wanted = Wanted::read(&mut query);
    query.finish_page().map_err(refuse)?;
    let list = List::new(visit.tenant_key(), "dashboard/deliveries", &[&wanted.told()]);
    let (server, tenant) = (&visit.dashboard.server, visit.tenant_key());
    let filter = with_event(server, tenant, wanted.filter.clone(), wanted.event_id.clone()).await;
    let page = match filter.map_err(refuse)? {
        None => DeliveryPage::default(),
        Some(filter) => {
            let beyond = cursor.as_deref().map(|cursor| list.delivery_position(cursor));
            let search = DeliverySearch {
                tenant,
                filter,
                with_missed: false,
                order: Order::NewestFirst,
                beyond: beyond.transpose().map_err(refuse)?,
                limit: PAGE_ITEMS_DEFAULT,
            };
            let found = visit.engine().store().find_deliveries(search).await;
            found.map_err(|error| refuse(ApiError::store(&error)))?
        }
    };
    let next = page.next.map(|next| list.delivery_cursor(next));
    let older = next.map(|next| elements::with_parameter(&visit.uri, "cursor", Some(&next)));
    let is_first = cursor.is_none();
    let body = html! {
        (filter::form(&visit, &wanted))
        section.card.flush id="deliveries" data-live[is_first] data-live-tail[is_first] {
            @if page.deliveries.is_empty() {
                (nothing(&visit, &wanted, older.is_some()))
            } @else {
                (DeliveryTable { visit: &visit, deliveries: &page.deliveries, caption: "Deliveries, newest first", with_event: true })
            }
            (elements::more(older.as_deref()))
        }
    };
    let actions = actions(&visit, &wanted, is_first);
    Ok(Page { visit: &visit, place: Place::Deliveries, title: "Deliveries", actions, body }
        .answer())
}

fn actions(visit: &Visit, wanted: &Wanted, is_first: bool) -> Markup {
    html! {
        @if is_first {
            span.live data-live-state data-state="off" { "Not live" }
            button type="button" data-resume hidden { "Show new" }
        } @else {
            a.button href=(elements::with_parameter(&visit.uri, "cursor", None)) { "Newest" }
        }
        @if visit.rights.may_manage && wanted.is_retriable() {
            a.button href=(visit.href(format_args!("/deliveries/retry{}", wanted.query()))) {
                "Retry these …"
            }
        }
    }
}

fn nothing(visit: &Visit, wanted: &Wanted, is_more: bool) -> Markup {
    if is_more {
        let hint = html! { "A page looks at a bounded number of events. Go on to older ones." };
        return elements::empty("None among the newest events", &hint);
    }
    if wanted.is_everything() {
        let hint = html! {
            "They appear here as soon as an event is accepted that a webhook wants. "
            a href=(visit.href("/webhooks")) { "See webhooks" }
        };
        return elements::empty("No deliveries yet", &hint);
    }
    let hint = html! { a href=(visit.href("/deliveries")) { "Show all deliveries" } };
    elements::empty("No delivery is like this", &hint)
}
