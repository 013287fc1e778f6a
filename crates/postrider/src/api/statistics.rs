//! How webhooks fare and what was counted.

use axum::extract::State;
use http::StatusCode;
use postrider_core::histogram::Histogram;
use postrider_core::id::UnixMs;
use postrider_core::statistics::Tally;
use postrider_store::Backlog;
use serde::Serialize;
use utoipa::ToSchema;

use super::webhooks::find;
use super::wire::time;
use super::{Answer, PathId};
use crate::engine::{WebhookHealth, Window};
use crate::http::auth::Reader;
use crate::http::json;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::http::state::ServerState;

/// How a webhook fares.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    pub webhook_id: String,
    /// Failed attempts since the last success, or since it was last enabled.
    pub failures_in_a_row: u32,
    /// When the first of them ended; null when the last attempt succeeded.
    pub failing_since: Option<String>,
    pub last_success_at: Option<String>,
    pub last_failure_at: Option<String>,
    pub pending: PendingView,
    pub windows: WindowsView,
}

/// What waits to be delivered.
#[derive(Debug, Serialize, ToSchema)]
pub struct PendingView {
    /// Counted up to 10,000.
    pub count: usize,
    /// There are more than were counted.
    pub is_more: bool,
    /// When the oldest event among those counted was accepted.
    pub oldest_at: Option<String>,
}

/// The same of three spans of time up to now, each to within five minutes.
#[derive(Debug, Serialize, ToSchema)]
pub struct WindowsView {
    #[serde(rename = "1h")]
    pub hour: TallyView,
    #[serde(rename = "24h")]
    pub day: TallyView,
    #[serde(rename = "7d")]
    pub week: TallyView,
}

/// Attempts that ended in a span of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct TallyView {
    pub attempts: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// Of the failed ones, those that another attempt was to follow; the others ended their
    /// delivery.
    pub retrying: u64,
    pub answers: AnswersView,
    /// From 0 to 1; null without attempts.
    pub success_rate: Option<f64>,
    /// Of the attempts that were answered; null when none was.
    pub response_ms: Option<PercentilesView>,
}

/// Attempts by the class of the status that was answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswersView {
    #[serde(rename = "2xx")]
    pub status_2xx: u64,
    #[serde(rename = "3xx")]
    pub status_3xx: u64,
    #[serde(rename = "4xx")]
    pub status_4xx: u64,
    /// 1xx too, which no receiver should answer in the end.
    #[serde(rename = "5xx")]
    pub status_5xx: u64,
    /// No answer, or not to its end.
    pub none: u64,
}

/// Response times in milliseconds, each within 6.25 % of the exact one.
#[derive(Debug, Serialize, ToSchema)]
pub struct PercentilesView {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

/// What was counted of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatsView {
    /// `1h`, `24h` or `7d`.
    pub window: &'static str,
    /// Oldest first, without gaps: of 1 minute each for `1h`, of 15 minutes for `24h`, of 2 hours
    /// for `7d`.
    pub slots: Vec<SlotView>,
    pub totals: TallyView,
    /// Over all webhooks of the tenant.
    pub pending: PendingView,
    /// Accepted in the window.
    pub events: u64,
}

/// What was counted in one slot of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlotView {
    /// When it begins.
    pub at: String,
    /// Accepted in it.
    pub events: u64,
    pub attempts: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// Of the failed ones, those that another attempt was to follow.
    pub retrying: u64,
    pub answers: AnswersView,
    pub response_ms: Option<PercentilesView>,
}

/// See how a webhook fares.
///
/// What was counted in the last seconds before a crash of the server may be missing from the
/// windows; failures in a row are exact.
#[utoipa::path(get, path = "/v1/webhooks/{id}/health", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "How it fares", body = HealthView)))]
pub(super) async fn health(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let webhook = find(&state, tenant, &id)?.webhook.key;
    let found = state.engine.webhook_health(webhook).await;
    let WebhookHealth { health, backlog, windows } =
        found.map_err(|error| ApiError::store(&error))?;
    let [hour, day, week] = windows.map(|(_, tally)| TallyView::new(&tally));
    let view = HealthView {
        webhook_id: webhook.to_string(),
        failures_in_a_row: health.failures_in_a_row,
        failing_since: health.failing_since.map(time),
        last_success_at: health.last_success_at.map(time),
        last_failure_at: health.last_failure_at.map(time),
        pending: PendingView::new(&backlog),
        windows: WindowsView { hour, day, week },
    };
    Ok(json::answer(StatusCode::OK, &view))
}

/// See what was counted of the tenant's events and attempts.
#[utoipa::path(get, path = "/v1/stats", tag = "stats",
    params(("window" = Option<String>, Query,
        description = "1h, 24h or 7d up to now; by default 24h")),
    responses((status = 200, description = "What was counted", body = StatsView)))]
pub(super) async fn stats(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    mut query: Query,
) -> Answer {
    let window = window(&mut query);
    query.finish()?;
    let found = state.engine.tenant_statistics(tenant, window).await;
    let found = found.map_err(|error| ApiError::store(&error))?;
    let view = StatsView {
        window: window.name(),
        slots: found.series.slots.iter().map(|(at, tally)| SlotView::new(*at, tally)).collect(),
        totals: TallyView::new(&found.series.total),
        pending: PendingView::new(&found.backlog),
        events: found.series.total.events,
    };
    Ok(json::answer(StatusCode::OK, &view))
}

fn window(query: &mut Query) -> Window {
    let Some(text) = query.text("window") else {
        return Window::Day;
    };
    let known = Window::ALL.into_iter().find(|window| window.name() == text);
    known.unwrap_or_else(|| {
        query.fault("window", "window must be 1h, 24h or 7d");
        Window::Day
    })
}

impl TallyView {
    fn new(tally: &Tally) -> Self {
        Self {
            attempts: tally.attempts(),
            succeeded: tally.succeeded,
            failed: tally.failed,
            retrying: tally.retrying,
            answers: AnswersView::new(tally),
            success_rate: rate(tally.succeeded, tally.attempts()),
            response_ms: percentiles(&tally.response),
        }
    }
}

impl AnswersView {
    fn new(tally: &Tally) -> Self {
        Self {
            status_2xx: tally.succeeded,
            status_3xx: tally.status_3xx,
            status_4xx: tally.status_4xx,
            status_5xx: tally.status_5xx,
            none: tally.unanswered(),
        }
    }
}

impl SlotView {
    fn new(at: UnixMs, tally: &Tally) -> Self {
        Self {
            at: time(at),
            events: tally.events,
            attempts: tally.attempts(),
            succeeded: tally.succeeded,
            failed: tally.failed,
            retrying: tally.retrying,
            answers: AnswersView::new(tally),
            response_ms: percentiles(&tally.response),
        }
    }
}

impl PendingView {
    fn new(backlog: &Backlog) -> Self {
        Self {
            count: backlog.count,
            is_more: backlog.is_more,
            oldest_at: backlog.oldest_at.map(time),
        }
    }
}

fn percentiles(response: &Histogram) -> Option<PercentilesView> {
    let ms = |percent| Some(f64::from(response.percentile_us(percent)?) / 1_000.0);
    Some(PercentilesView { p50: ms(50)?, p95: ms(95)?, p99: ms(99)? })
}

/// To four digits, which is what people read of it.
fn rate(part: u64, whole: u64) -> Option<f64> {
    let parts = u128::from(part) * 10_000;
    let of_ten_thousand = u32::try_from(parts.checked_div(u128::from(whole))?).ok()?;
    Some(f64::from(of_ten_thousand) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_rounded_down_so_that_1_means_all() {
        assert_eq!(rate(0, 0), None);
        assert_eq!(rate(0, 3), Some(0.0));
        assert_eq!(rate(2, 3), Some(0.6666));
        assert_eq!(rate(99_999, 100_000), Some(0.9999));
        assert_eq!(rate(u64::MAX, u64::MAX), Some(1.0));
    }
}
