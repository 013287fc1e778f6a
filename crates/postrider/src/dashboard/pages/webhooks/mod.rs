//! Webhooks: the list of them with how each fares, and below it the pages of one.

mod edit;
mod filter_trial;
mod form;
mod manage;
mod new;
mod picker;
mod recent;
mod replay;
mod secret;
mod settings;
mod webhook;

use axum::Router;
use axum::routing::{get, post};
use maud::{Markup, html};
use postrider_core::health::Health;
use postrider_core::id::{Key, UnixMs, WebhookKey};
use postrider_core::statistics::Tally;
use postrider_core::webhook::{DisabledReason, Webhook, WebhookKind, WebhookState};

use super::overview::day_bars;
use super::search::contains;
use crate::dashboard::Dashboard;
use crate::dashboard::elements::{
    ago, ago_or, badge, count, duration_us, empty, further, percent, with_parameter,
};
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Stop, Visit};
use crate::engine::{LiveWebhook, Series, WebhookSummary};
use crate::http::cursor::List;
use crate::http::problem::ApiError;

/// Rows on a page: what a person looks through.
const ROWS: usize = 50;
/// Event types that are named in a row.
const NAMED_PATTERNS: usize = 2;

/// Everything below `/dashboard/t/{tenant}/webhooks`.
pub(super) fn router() -> Router<Dashboard> {
    let at = |path: &str| format!("/dashboard/t/{{tenant}}/webhooks{path}");
    Router::new()
        .route(&at(""), get(list))
        .route(&at("/new"), get(new::show).post(new::create))
        .route(&at("/{id}/edit"), get(edit::show).post(edit::save))
        .route(&at("/{id}"), get(webhook::show))
        .route(&at("/{id}/secret"), post(secret::show))
        .route(&at("/{id}/rotate"), get(secret::rotation).post(secret::rotate))
        .route(&at("/{id}/test"), post(manage::test))
        .route(&at("/{id}/enable"), post(manage::enable))
        .route(&at("/{id}/disable"), post(manage::disable))
        .route(&at("/{id}/delete"), post(manage::delete))
        .route(&at("/{id}/replay"), get(replay::show).post(replay::start))
}

/// The webhook that a page's address names.
fn find(visit: &Visit, id: &str) -> Result<std::sync::Arc<LiveWebhook>, Stop> {
    WebhookKey::parse(id)
        .and_then(|key| visit.engine().webhook(visit.tenant_key(), key))
        .ok_or_else(|| visit.not_found())
}

/// What the list shows.
#[derive(Debug, Default)]
struct Shown {
    /// Part of a URL or a description.
    text: String,
    state: Option<ShownState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShownState {
    Enabled,
    Failing,
    Disabled,
}

impl ShownState {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Enabled, "enabled"), (Self::Failing, "failing"), (Self::Disabled, "disabled")];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(state, _)| state)
    }
}

impl Shown {
    fn is_everything(&self) -> bool {
        self.text.is_empty() && self.state.is_none()
    }

    fn picks(&self, webhook: &Webhook, is_failing: impl Fn(WebhookKey) -> bool) -> bool {
        let is_enabled = webhook.state == WebhookState::Enabled;
        let is_shown = match self.state {
            None => true,
            Some(ShownState::Enabled) => is_enabled,
            Some(ShownState::Failing) => {
                let by_a_person = WebhookState::Disabled(DisabledReason::Requested);
                webhook.state != by_a_person && is_failing(webhook.key)
            }
            Some(ShownState::Disabled) => !is_enabled,
        };
        let description = webhook.description.as_deref().unwrap_or_default();
        is_shown && (contains(&webhook.url, &self.text) || contains(description, &self.text))
    }
}

/// `GET /dashboard/t/{tenant}/webhooks`
async fn list(visit: Visit) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = visit.query();
    let text = query.text("q").unwrap_or_default();
    let shown = Shown {
        state: query.parsed("state", "must be enabled, failing or disabled", ShownState::named),
        text: text.trim().to_owned(),
    };
    let cursor = query.text("cursor");
    query.finish_page().map_err(refuse)?;
    let cursors = List::new(
        visit.tenant_key(),
        "page of webhooks",
        &[&shown.text, &format!("{:?}", shown.state)],
    );
    let after = cursor.map(|cursor| cursors.position::<WebhookKey>(&cursor)).transpose();
    let after = after.map_err(refuse)?;

    let engine = visit.engine();
    let failing = engine.failing_webhooks();
    let is_wanted = |webhook: &Webhook| shown.picks(webhook, |key| failing.contains(&key));
    let mut found = engine.webhooks(visit.tenant_key(), after, ROWS + 1, is_wanted);
    let has_more = found.len() > ROWS;
    found.truncate(ROWS);
    let next = found.last().filter(|_| has_more).map(|last| cursors.cursor(last.webhook.key));
    let keys = found.iter().map(|live| live.webhook.key).collect();
    let summaries = engine.webhook_summaries(keys).await;
    let summaries = summaries.map_err(|error| refuse(ApiError::store(&error)))?;

    let next = next.map(|next| with_parameter(&visit.uri, "cursor", Some(&next)));
    let rows: Vec<_> = found
        .iter()
        .filter_map(|live| Some(row(&visit, live, summaries.get(&live.webhook.key)?)))
        .collect();
    let body = html! {
        (filters(&visit, &shown))
        section.card.flush id="webhooks" data-live {
            @if rows.is_empty() {
                (nothing(&visit, &shown))
            } @else {
                (table(&rows))
            }
            (further(next.as_deref(), "More"))
        }
    };
    let actions = html! {
        span.live data-live-state data-state="off" { "Not live" }
        @if visit.rights.may_manage {
            a.button.primary href=(visit.href("/webhooks/new")) { "New webhook" }
        }
    };
    Ok(Page { visit: &visit, place: Place::Webhooks, title: "Webhooks", actions, body }.answer())
}

fn filters(visit: &Visit, shown: &Shown) -> Markup {
    html! {
        form.filters action=(visit.href("/webhooks")) {
            label { "URL or description"
                input type="search" name="q" value=(shown.text) maxlength="200" spellcheck="false"; }
            label { "State"
                select name="state" data-submits {
                    option value="" { "All" }
                    @for (state, name) in ShownState::ALL {
                        option value=(name) selected[shown.state == Some(state)] { (name) }
                    }
                }
            }
            button type="submit" { "Filter" }
            @if !shown.is_everything() { a.button href=(visit.href("/webhooks")) { "Clear" } }
        }
    }
}

fn nothing(visit: &Visit, shown: &Shown) -> Markup {
    if !shown.is_everything() {
        let hint = html! { "Search for another part of a URL, or "
        a href=(visit.href("/webhooks")) { "show all webhooks" } "." };
        return empty("No webhook is like this", &hint);
    }
    let hint = html! {
        @if visit.rights.may_manage {
            a href=(visit.href("/webhooks/new")) { "Register the first one" }
            ": a URL, and the event types that it wants."
        } @else {
            "Whoever manages this tenant can register one."
        }
    };
    empty("No webhooks yet", &hint)
}

fn table(rows: &[Markup]) -> Markup {
    html! {
        div.table {
            table.dense aria-label="Webhooks" {
                thead {
                    tr {
                        th scope="col" { "Webhook" }
                        th scope="col" { "State" }
                        th scope="col" { "Event types" }
                        th scope="col" { "Success, 24 h" }
                        th.number scope="col" { "p95" }
                        th scope="col" { "Last success" }
                        th.number scope="col" { "Pending" }
                    }
                }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

fn row(visit: &Visit, live: &LiveWebhook, summary: &WebhookSummary) -> Markup {
    let webhook = &live.webhook;
    let now = visit.engine().now();
    let (health, total) = (&summary.health, &summary.day.total);
    let failures = health.failures_in_a_row;
    html! {
        tr data-row id=(webhook.key) {
            td.url {
                a.cover href=(visit.href(format_args!("/webhooks/{}", webhook.key))) {
                    (address(webhook))
                }
                @if let Some(description) = &webhook.description { span.under { (description) } }
            }
            td {
                (webhook_badge(webhook, health))
                @if failures > 0 { span.under.nowrap { (count(failures.into())) " failed in a row" } }
            }
            td.tags { (patterns(webhook)) }
            td.rate { (success(&summary.day)) }
            td.number { (percentile(total, 95)) }
            td { (ago_or(health.last_success_at, now, "never")) }
            td.number { (pending(summary, now)) }
        }
    }
}

/// Where a webhook's attempts go, for a heading or a link: text, never an address to follow.
pub(super) fn address(webhook: &Webhook) -> &str {
    match webhook.kind {
        WebhookKind::Url => &webhook.url,
        WebhookKind::Listener => "A listener on this server",
    }
}

/// How a webhook is, in a word.
pub(super) fn webhook_badge(webhook: &Webhook, health: &Health) -> Markup {
    match webhook.state {
        WebhookState::Enabled if health.failures_in_a_row > 0 => badge("warn", "failing"),
        WebhookState::Enabled => badge("ok", "enabled"),
        WebhookState::Disabled(DisabledReason::Requested) => badge("idle", "disabled"),
        WebhookState::Disabled(DisabledReason::Gone) => badge("bad", "disabled: gone"),
        WebhookState::Disabled(DisabledReason::Failing) => badge("bad", "disabled: failing"),
        WebhookState::Deleted => badge("idle", "deleted"),
    }
}

fn patterns(webhook: &Webhook) -> Markup {
    let patterns = webhook.patterns.as_slice();
    let more = patterns.len().saturating_sub(NAMED_PATTERNS) as u64;
    html! {
        @for pattern in patterns.iter().take(NAMED_PATTERNS) { span.tag { (pattern) } " " }
        @if more > 0 || webhook.filter.is_some() {
            span.under.nowrap {
                @if more > 0 { "and " (count(more)) " more" }
                @if more > 0 && webhook.filter.is_some() { ", " }
                @if webhook.filter.is_some() { "filtered" }
            }
        }
    }
}

fn success(day: &Series) -> Markup {
    let total = &day.total;
    html! {
        @match percent(total.succeeded, total.attempts()) {
            None => span.none { "no attempts" },
            Some(rate) => {
                span.bad[total.failed > total.succeeded] { (rate) }
                span.muted { " of " (count(total.attempts())) }
                (day_bars(day))
            }
        }
    }
}

fn percentile(tally: &Tally, percent: u8) -> Markup {
    html! {
        @match tally.response.percentile_us(percent) {
            Some(us) => { (duration_us(us.into())) }
            None => { span.none { "–" } }
        }
    }
}

fn pending(summary: &WebhookSummary, now: UnixMs) -> Markup {
    let backlog = &summary.backlog;
    html! {
        (count(backlog.count as u64))
        @if backlog.is_more { "+" }
        @if let Some(oldest) = backlog.oldest_at {
            span.under { "oldest " (ago(oldest, now)) }
        }
    }
}
