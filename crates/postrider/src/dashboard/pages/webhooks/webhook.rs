//! One webhook: how it fares, what it got lately, how it is set, and what can be done with it.

use axum::extract::Path;
use maud::{Markup, html};
use postrider_core::id::UnixMs;
use postrider_core::statistics::Tally;
use postrider_core::webhook::{DisabledReason, Webhook, WebhookState};
use postrider_store::{DeliveryFilter, DeliveryPage, DeliverySearch, Order, Replay};

use super::{address, find, manage, recent, settings, webhook_badge};
use crate::dashboard::chart::CountedCharts;
use crate::dashboard::elements::{
    ago, ago_or, button, count, duration_us, empty, exactly, percent,
};
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::pages::replays;
use crate::dashboard::range::{Ranged, within};
use crate::dashboard::visit::{Answer, Visit};
use crate::engine::{LiveWebhook, Series, WebhookHealth};
use crate::http::problem::ApiError;

/// Deliveries that the page shows; all of them have a page of their own.
const DELIVERIES: usize = 10;
/// The same of replays.
const REPLAYS: usize = 5;

/// What the page shows of a webhook.
struct Found {
    health: WebhookHealth,
    series: Series,
    recent: DeliveryPage,
    replays: Vec<Replay>,
}

/// `GET /dashboard/t/{tenant}/webhooks/{id}`
pub(super) async fn show(visit: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    let live = find(&visit, &id)?;
    let now = visit.engine().now();
    let mut query = visit.query();
    let ranged = Ranged::read(&mut query, now);
    query.finish_page().map_err(|error| visit.refuse(&error))?;
    let found = look(&visit, &live, &ranged).await.map_err(|error| visit.refuse(&error))?;
    let webhook = &live.webhook;
    let body = html! {
        div.stack {
            div.stack id="state" data-live {
                (trouble(&visit, webhook, &found.health))
                (figures(&found, &ranged, now))
            }
            div.ranges { (ranged.picker(&visit)) }
            div.grid.three id="charts" data-live { (charts(&visit, &live, &found.series, &ranged, now)) }
            (deliveries(&visit, webhook, &found.recent, now))
            (past_replays(&visit, webhook, &found.replays, now))
            div.grid {
                (settings::card(&visit, &live))
                (manage::card(&visit, &live))
            }
        }
    };
    let actions = html! {
        (webhook_badge(webhook, &found.health.health))
        span.live data-live-state data-state="off" { "Not live" }
        @if visit.rights.may_manage {
            a.button href=(path(&visit, webhook, "/edit")) { "Edit" }
        }
    };
    let title = address(webhook);
    Ok(Page { visit: &visit, place: Place::Webhooks, title, actions, body }.answer())
}

/// The address of a page of this webhook.
pub(super) fn path(visit: &Visit, webhook: &Webhook, rest: &str) -> String {
    visit.href(format_args!("/webhooks/{}{rest}", webhook.key))
}

async fn look(visit: &Visit, live: &LiveWebhook, ranged: &Ranged) -> Result<Found, ApiError> {
    let (engine, tenant, key) = (visit.engine(), visit.tenant_key(), live.webhook.key);
    let failed = |error| ApiError::store(&error);
    let search = DeliverySearch {
        tenant,
        filter: DeliveryFilter { webhook: Some(key), ..DeliveryFilter::all() },
        with_missed: false,
        order: Order::NewestFirst,
        beyond: None,
        limit: DELIVERIES,
    };
    Ok(Found {
        health: engine.webhook_health(key).await.map_err(failed)?,
        series: engine.webhook_series(key, ranged.range.clone()).await.map_err(failed)?,
        recent: engine.store().find_deliveries(search).await.map_err(failed)?,
        replays: engine.store().replays(tenant, Some(key), None, REPLAYS).await.map_err(failed)?,
    })
}

/// Why it gets nothing, or may soon get nothing.
fn trouble(visit: &Visit, webhook: &Webhook, found: &WebhookHealth) -> Markup {
    let now = visit.engine().now();
    let health = &found.health;
    let reason = match webhook.state {
        WebhookState::Disabled(reason) => reason,
        _ if health.failures_in_a_row == 0 => return html! {},
        _ => {
            return html! {
                div.caution {
                    p { strong { (count(health.failures_in_a_row.into())) } " attempts have failed in a row"
                        @if let Some(since) = health.failing_since { ", since " (exactly(since)) }
                        "."
                        @if let Some(at) = visit.engine().disabling_of(health) {
                            " If nothing succeeds, it is disabled " (ago(at, now)) "."
                        }
                    }
                    p { a href=(visit.href(format_args!("/deliveries?webhook_id={}&state=failed", webhook.key))) {
                        "See what failed" } }
                }
            };
        }
    };
    let why = match reason {
        DisabledReason::Requested => "somebody disabled it",
        DisabledReason::Gone => "its receiver answered 410 Gone: it wants nothing any more",
        DisabledReason::Failing => "it failed for longer than this server bears",
    };
    html! {
        div.alarm {
            p { strong { "Disabled" }
                @if let Some(since) = webhook.disabled_at { " since " (exactly(since)) " (" (ago(since, now)) ")" }
                ": " (why) "." }
            @if let Some(since) = health.failing_since {
                p { (count(health.failures_in_a_row.into())) " attempts had failed in a row, the first of them "
                    (ago(since, now)) "." }
            }
            p { "It gets nothing meanwhile. "
                @if visit.rights.may_manage {
                    "Once it is enabled, you are told what it missed and can have that sent."
                } }
            @if visit.rights.may_manage {
                (button(&path(visit, webhook, "/enable"), "Enable", "primary", None))
            }
        }
    }
}

fn figures(found: &Found, ranged: &Ranged, now: UnixMs) -> Markup {
    let (health, total) = (&found.health.health, &found.series.total);
    let backlog = &found.health.backlog;
    let p95 = total.response.percentile_us(95);
    let of = |percent: u8| {
        let us = total.response.percentile_us(percent);
        us.map_or_else(|| "–".to_owned(), |us| duration_us(us.into()))
    };
    let stat = |name: &str, figure: &Markup, beside: &Markup| {
        html! {
            section.card.stat.plain {
                h2.name { (name) }
                p.figure { (figure) }
                p.beside { (beside) }
            }
        }
    };
    html! {
        div.grid.small {
            (stat("Success rate", &html! { (rate(total)) },
                &html! { (count(total.succeeded)) " of " (count(total.attempts())) " attempts in " (ranged.words()) }))
            (stat("Response time, p95", &html! { @if p95.is_some() { (of(95)) } @else { "–" } },
                &html! { "p50 " (of(50)) ", p99 " (of(99)) }))
            (stat("Failures in a row", &html! { span.bad[health.failures_in_a_row > 0] { (count(health.failures_in_a_row.into())) } },
                &html! { "last failure " (ago_or(health.last_failure_at, now, "never")) }))
            (stat("Last success", &html! { (ago_or(health.last_success_at, now, "never")) }, &html! {
                @if let Some(at) = health.last_success_at { (exactly(at)) } @else { "nothing has succeeded yet" } }))
            (stat("Pending", &html! { (count(backlog.count as u64)) @if backlog.is_more { "+" } }, &html! {
                @if let Some(at) = backlog.oldest_at { "oldest " (ago(at, now)) } @else { "nothing waits" } }))
        }
    }
}

fn rate(total: &Tally) -> String {
    percent(total.succeeded, total.attempts()).unwrap_or_else(|| "–".to_owned())
}

fn charts(
    visit: &Visit,
    live: &LiveWebhook,
    series: &Series,
    ranged: &Ranged,
    now: UnixMs,
) -> Markup {
    let empty = format!("No attempts in {}.", ranged.words());
    let all = visit.href(format_args!("/deliveries?webhook_id={}", live.webhook.key));
    let href = |slot| Some(format!("{all}&{}", within(&slot)));
    let charts = CountedCharts { series, now, empty: &empty, href: &href };
    html! {
        section.card { (charts.outcomes()) }
        section.card { (charts.response_times()) }
        section.card { (charts.answers()) }
    }
}

fn deliveries(visit: &Visit, webhook: &Webhook, page: &DeliveryPage, now: UnixMs) -> Markup {
    let all = visit.href(format_args!("/deliveries?webhook_id={}", webhook.key));
    html! {
        section.card.flush id="deliveries" data-live {
            header { h2 { "Recent deliveries" } a href=(all) { "All deliveries" } }
            @if page.deliveries.is_empty() && page.next.is_some() {
                (empty("No recent deliveries", &html! {
                    "None of the newest events went here. " a href=(all) { "Search further back" } "." }))
            } @else if page.deliveries.is_empty() {
                (empty("No deliveries yet", &html! {
                    "Events of the types that it wants appear here as they are published"
                    @if visit.rights.may_manage { "; or send a test below" } "." }))
            } @else {
                (recent::table(visit, &page.deliveries, now))
            }
        }
    }
}

fn past_replays(visit: &Visit, webhook: &Webhook, found: &[Replay], now: UnixMs) -> Markup {
    html! {
        section.card.flush id="replays" data-live {
            header {
                h2 { "Replays" }
                @if visit.rights.may_manage && webhook.state == WebhookState::Enabled {
                    a.button href=(path(visit, webhook, "/replay")) { "Replay past events" }
                }
            }
            @if found.is_empty() {
                (empty("No replays", &html! { "What failed or was missed can be sent once more." }))
            } @else {
                (replays::table(visit, found, now))
            }
        }
    }
}
