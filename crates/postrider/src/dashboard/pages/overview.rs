//! The overview: whether everything is well, and if not, where to look.

use std::sync::Arc;

use maud::{Markup, html};
use postrider_core::id::UnixMs;
use postrider_core::statistics::Tally;
use postrider_core::webhook::WebhookState;

use crate::dashboard::chart::{CountedCharts, Sparkline, Tone};
use crate::dashboard::elements::{self, ago, ago_or, count, duration_us, percent, several};
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::range::{Ranged, within};
use crate::dashboard::visit::{Answer, Stop, Visit};
use crate::engine::{LiveWebhook, Series, WebhookSummary};
use crate::http::problem::ApiError;

/// Rows of the table of webhooks in trouble; the list of webhooks has them all.
const TROUBLED_MAX: usize = 10;
/// Points of a sparkline: as many as can be told apart beside a figure.
const SPARK_POINTS: usize = 40;

/// `GET /dashboard/t/{tenant}/`
pub(super) async fn show(visit: Visit) -> Answer {
    let now = visit.engine().now();
    let mut query = visit.query();
    let ranged = Ranged::read(&mut query, now);
    query.finish_page().map_err(|error| visit.refuse(&error))?;
    let counted = Counted::read(&visit, &ranged).await?;
    let troubled = Troubled::read(&visit).await?;
    let body = html! {
        div.stack id="overview" data-live {
            (figures(&counted, &ranged, now))
            (charts(&visit, &counted.series, &ranged, now))
            (troubled.card(&visit, now))
            @if counted.series.total == Tally::default() && !counted.has_webhooks {
                (first_steps(&visit))
            }
        }
    };
    let actions = html! {
        span.live data-live-state data-state="off" { "Not live" }
        (ranged.picker(&visit))
    };
    Ok(Page { visit: &visit, place: Place::Overview, title: "Overview", actions, body }.answer())
}

/// What the figures and charts show.
struct Counted {
    series: Series,
    before: Tally,
    backlog: postrider_store::Backlog,
    has_webhooks: bool,
}

impl Counted {
    async fn read(visit: &Visit, ranged: &Ranged) -> Result<Self, Stop> {
        let (engine, tenant) = (visit.engine(), visit.tenant_key());
        let failed = |error| visit.refuse(&ApiError::store(&error));
        let series = engine.tenant_series(tenant, ranged.range.clone()).await.map_err(failed)?;
        let before = engine.tenant_series(tenant, ranged.before()).await.map_err(failed)?;
        let backlog = engine.tenant_backlog(tenant).await.map_err(failed)?;
        let has_webhooks = !engine.webhooks(tenant, None, 1, |_| true).is_empty();
        Ok(Self { series, before: before.total, backlog, has_webhooks })
    }
}

fn figures(counted: &Counted, ranged: &Ranged, now: UnixMs) -> Markup {
    let Counted { series, before, backlog, .. } = counted;
    let total = &series.total;
    let rate = percent(total.succeeded, total.attempts());
    let rate_before = percent(before.succeeded, before.attempts());
    let p95 = |tally: &Tally| tally.response.percentile_us(95).map(u64::from);
    let pending = backlog.count as u64;
    html! {
        section.grid.small aria-label={ "Figures of " (ranged.words()) } {
            (figure("Events accepted", &count(total.events), &html! {
                (count(before.events)) " in the range before"
            }, &spark(series, "Events over time", Tone::Accent, |tally| tally.events)))
            (figure("Attempts that succeeded", rate.as_deref().unwrap_or("–"), &html! {
                @if let Some(rate) = rate_before { (rate) " in the range before" }
                @else { (several(total.attempts(), "attempt")) }
            }, &spark(series, "Failed attempts over time", Tone::Bad, |tally| tally.failed)))
            (figure("Response time, p95", &p95(total).map_or("–".to_owned(), duration_us), &html! {
                @if let Some(us) = p95(before) { (duration_us(us)) " in the range before" }
                @else { "of attempts that were answered" }
            }, &spark(series, "Response time over time", Tone::Warn, |tally| p95(tally).unwrap_or(0))))
            (figure("Pending deliveries", &format!("{}{}", count(pending), if backlog.is_more { "+" } else { "" }), &html! {
                @match backlog.oldest_at {
                    Some(at) => { "the oldest since " (ago(at, now)) }
                    None => { "nothing waits" }
                }
            }, &html! {}))
        }
    }
}

fn figure(name: &str, figure: &str, beside: &Markup, spark: &Markup) -> Markup {
    html! {
        div.card.stat {
            h2.name { (name) }
            p.figure { (figure) }
            (spark)
            p.beside { (beside) }
        }
    }
}

fn spark(series: &Series, label: &str, tone: Tone, of: impl Fn(&Tally) -> u64) -> Markup {
    let each = series.slots.len().div_ceil(SPARK_POINTS).max(1);
    let merged = series.slots.chunks(each).map(|slots| {
        let mut sum = Tally::default();
        for (_, tally) in slots {
            sum.merge(tally);
        }
        of(&sum)
    });
    let values: Vec<u64> = merged.collect();
    html! {
        @if values.iter().any(|value| *value > 0) { (Sparkline::Line { label, tone, values }) }
    }
}

fn charts(visit: &Visit, series: &Series, ranged: &Ranged, now: UnixMs) -> Markup {
    let href = |slot: std::ops::Range<UnixMs>| {
        Some(visit.href(format_args!("/deliveries?{}", within(&slot))))
    };
    let empty = format!("No attempt in {}.", ranged.words());
    let charts = CountedCharts { series, now, empty: &empty, href: &href };
    html! {
        div.grid {
            section.card aria-label="Attempts over time" { (charts.outcomes()) }
            section.card aria-label="Response time over time" { (charts.response_times()) }
        }
    }
}

/// Webhooks that fail, or were disabled for it.
struct Troubled {
    webhooks: Vec<(Arc<LiveWebhook>, Option<WebhookSummary>)>,
    count: usize,
}

impl Troubled {
    async fn read(visit: &Visit) -> Result<Self, Stop> {
        let engine = visit.engine();
        let (webhooks, count) = engine.troubled_webhooks(visit.tenant_key(), TROUBLED_MAX);
        let keys = webhooks.iter().map(|live| live.webhook.key).collect();
        let summaries = engine.webhook_summaries(keys).await;
        let mut summaries = summaries.map_err(|error| visit.refuse(&ApiError::store(&error)))?;
        let webhooks = webhooks.into_iter().map(|live| {
            let summary = summaries.remove(&live.webhook.key);
            (live, summary)
        });
        Ok(Self { webhooks: webhooks.collect(), count })
    }

    fn card(&self, visit: &Visit, now: UnixMs) -> Markup {
        html! {
            section.card.flush {
                header {
                    h2 { "Webhooks that fail" }
                    @if self.count > self.webhooks.len() {
                        a href=(visit.href("/webhooks?state=failing")) { "All " (count(self.count as u64)) }
                    }
                }
                @if self.webhooks.is_empty() {
                    (elements::empty("Every webhook is well.", &html! {
                        "One whose last attempt failed stands here, the worst first."
                    }))
                } @else {
                    div.table {
                        table {
                            caption.hidden { "Webhooks whose last attempt failed" }
                            thead {
                                tr {
                                    th scope="col" { "Webhook" }
                                    th scope="col" { "State" }
                                    th.number scope="col" { "Failures in a row" }
                                    th scope="col" { "Failing since" }
                                    th.number scope="col" { "Succeeded, 24 h" }
                                    th scope="col" { "Last 24 hours" }
                                    th.number scope="col" { "Pending" }
                                }
                            }
                            tbody {
                                @for (live, summary) in &self.webhooks {
                                    (row(visit, live, summary.as_ref(), now))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(visit: &Visit, live: &LiveWebhook, summary: Option<&WebhookSummary>, now: UnixMs) -> Markup {
    let webhook = &live.webhook;
    let path = format!("/webhooks/{}", webhook.key);
    html! {
        tr data-row id=(webhook.key) {
            td.url {
                a.cover href=(visit.href(path)) { (webhook.url) }
                @if let Some(description) = &webhook.description { span.under { (description) } }
            }
            td {
                @match webhook.state {
                    WebhookState::Enabled => (elements::badge("warn", "failing")),
                    _ => (elements::badge("bad", "disabled")),
                }
            }
            @if let Some(WebhookSummary { health, backlog, day }) = summary {
                td.number { (count(health.failures_in_a_row.into())) }
                td { (ago_or(health.failing_since, now, "–")) }
                td.number { (percent(day.total.succeeded, day.total.attempts()).unwrap_or("–".into())) }
                td { (day_bars(day)) }
                td.number {
                    (count(backlog.count as u64)) @if backlog.is_more { "+" }
                }
            }
        }
    }
}

/// How a webhook's attempts of a day went, as small as a word.
pub(super) fn day_bars(day: &Series) -> Markup {
    let slots = day.slots.iter().map(|(_, tally)| (tally.succeeded, tally.failed)).collect();
    html! { (Sparkline::Bars { label: "Attempts of the last 24 hours, succeeded and failed", slots }) }
}

/// What somebody does whose tenant is empty.
fn first_steps(visit: &Visit) -> Markup {
    html! {
        section.card {
            (elements::empty("Nothing has happened yet.", &html! {
                @if visit.rights.may_manage {
                    a href=(visit.href("/webhooks/new")) { "Register a webhook" }
                    ", then publish an event: " code { "POST /v1/events" } " or " code { "postrider event send" } "."
                } @else {
                    "Figures appear with the first event."
                }
            }))
        }
    }
}
