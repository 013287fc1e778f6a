//! Retrying what the filter shows: first the number is told, then it is done.

use axum::response::Response;
use maud::html;
use postrider_core::delivery::DeliveryState;
use postrider_core::id::UnixMs;

use super::filter::Wanted;
use crate::api::replays::refusal;
use crate::dashboard::elements;
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::visit::{Answer, Deed, Visit};
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;

/// Of what the list may show and this leaves alone.
const NOT_TOGETHER: &str =
    "Pending deliveries are on their way already, and those of one event are retried one by one";

/// `GET /dashboard/t/{tenant}/deliveries/retry`
pub(in crate::dashboard::pages) async fn ask(visit: Visit) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = visit.query();
    let mut wanted = Wanted::read(&mut query);
    query.finish_page().map_err(refuse)?;
    check_rights(&visit).map_err(refuse)?;
    if !wanted.is_retriable() {
        return Ok(unfit(&visit, &wanted));
    }
    // what comes in while somebody reads the number is not part of it
    let now: UnixMs = visit.engine().now();
    wanted.filter.before = Some(wanted.filter.before.unwrap_or(now).min(now));
    let counted = visit.engine().count_replay(visit.tenant_key(), &wanted.request()).await;
    let counted = counted.map_err(|error| refuse(refusal(&error)))?;
    let state = wanted.state().unwrap_or(DeliveryState::Failed).name();
    let number = elements::several(counted.count, "delivery");
    let back = visit.href(format_args!("/deliveries{}", wanted.query()));
    let body = html! {
        section.card.told {
            @if counted.count == 0 && !counted.is_more {
                p { "There is nothing to retry: no " (state) " delivery is like this, or the webhooks are \
                    disabled." }
                p { a.button href=(back) { "Back" } }
            } @else {
                p.figure { @if counted.is_more { "At least " } (number) }
                p { "Each gets one attempt, as soon as its webhook has room. Those of disabled webhooks and \
                    test events are left alone." }
                (elements::facts(&facts(&wanted, state)))
                form.row method="post" action=(visit.href("/deliveries/retry")) {
                    @for (name, value) in wanted.parameters() {
                        input type="hidden" name=(name) value=(value);
                    }
                    button.primary type="submit" { "Retry " (number) }
                    a.button href=(back) { "Leave it" }
                }
            }
        }
    };
    let actions = html! {};
    let page =
        Page { visit: &visit, place: Place::Deliveries, title: "Retry deliveries", actions, body };
    Ok(page.answer())
}

/// `POST /dashboard/t/{tenant}/deliveries/retry`
pub(in crate::dashboard::pages) async fn start(Deed { visit, form }: Deed) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = Query::of_page(&form.as_query());
    let wanted = Wanted::read(&mut query);
    query.finish_page().map_err(refuse)?;
    if !wanted.is_retriable() {
        return Err(refuse(ApiError::new(Code::Conflict, NOT_TOGETHER)));
    }
    let started = visit.engine().start_replay(visit.tenant_key(), wanted.request()).await;
    let replay = started.map_err(|error| refuse(refusal(&error)))?;
    Ok(visit.go_to(format_args!("/replays/{}", replay.key), Notice::ReplayStarted))
}

/// What can't be retried together, and why.
fn unfit(visit: &Visit, wanted: &Wanted) -> Response {
    let back = visit.href(format_args!("/deliveries{}", wanted.query()));
    let body = html! {
        section.card.told {
            p { (NOT_TOGETHER) "." }
            p { a.button href=(back) { "Back" } }
        }
    };
    let (title, actions) = ("Retry deliveries", html! {});
    Page { visit, place: Place::Deliveries, title, actions, body }.answer()
}

fn check_rights(visit: &Visit) -> Result<(), ApiError> {
    let detail = "you may look here, but not change anything";
    let may_manage = visit.rights.may_manage;
    may_manage.then_some(()).ok_or_else(|| ApiError::new(Code::Forbidden, detail))
}

fn facts(wanted: &Wanted, state: &str) -> Vec<(&'static str, maud::Markup)> {
    let mut facts = vec![("State", html! { (state) })];
    for (name, value) in wanted.parameters() {
        let label = match name {
            "webhook_id" => "Webhook",
            "event_type" => "Event type",
            "status_class" => "Answer",
            "error_class" => "Error",
            "after" => "From",
            "before" => "Until",
            _ => continue,
        };
        facts.push((label, html! { code { (value) } }));
    }
    facts
}
