//! Replays: starting them for one webhook or for deliveries by what they are, watching them, and
//! ending them.

use axum::extract::State;
use http::StatusCode;
use postrider_core::id::{Key, ReplayKey, TenantKey, WebhookKey};
use postrider_store::{Replay, ReplayState};
use serde::Serialize;
use utoipa::ToSchema;

use super::replay_input::{self, BulkRetryInput, ReplayInput, Wanted};
use super::wire::{Page, Paging, time};
use super::{Answer, PathId};
use crate::engine::{EndReplayError, ReplayError};
use crate::http::auth::{Manager, Reader};
use crate::http::cursor::List;
use crate::http::json::{self, JsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;
use crate::http::state::ServerState;

/// Past events on their way to webhooks once more.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    pub id: String,
    /// Null when it is over the deliveries of all webhooks.
    pub webhook_id: Option<String>,
    pub state: ReplayStateView,
    /// Of events accepted at this time or later; null: from the first that is kept.
    pub since: Option<String>,
    /// Of events accepted before this time.
    pub until: Option<String>,
    /// Patterns of event types; null: every type.
    pub types: Option<Vec<String>>,
    /// What is made once more: deliveries in these final states, and events that were missed.
    pub states: Vec<&'static str>,
    /// Events looked at so far.
    pub considered: u64,
    /// Deliveries that were made once more so far.
    pub replayed: u64,
    pub created_at: String,
    pub finished_at: Option<String>,
}

/// Where a replay is in its life.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayStateView {
    /// Goes on by itself, also after a restart.
    Running,
    Done,
    /// Somebody ended it, or its webhook was deleted or disabled.
    Cancelled,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct CountView {
    pub count: u64,
    /// There are more: counting ended before all was looked at.
    pub is_more: bool,
}

/// Send past events to a webhook once more.
///
/// Goes on by itself until it is done, also over a restart. A delivery that is made once more has
/// one attempt, as with a manual retry; an event that the webhook missed gets its whole schedule.
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", tag = "replays",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = ReplayInput, content_type = "application/json"),
    responses(
        (status = 200, description = "With `dry_run`: how many there are", body = CountView),
        (status = 202, description = "The replay, running", body = ReplayView),
        (status = 409, description = "The webhook is disabled, or too many replays are running",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn start(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    body: JsonText,
) -> Answer {
    let webhook = WebhookKey::parse(&id).ok_or_else(ApiError::not_found)?;
    state.engine.webhook(tenant, webhook).ok_or_else(ApiError::not_found)?;
    let wanted = replay_input::of_webhook(webhook, body.as_str())?;
    count_or_start(&state, tenant, wanted).await
}

/// Retry many deliveries.
///
/// A replay of deliveries by what they are. Those of webhooks that are disabled are left alone.
#[utoipa::path(post, path = "/v1/deliveries/retry", tag = "replays",
    request_body(content = BulkRetryInput, content_type = "application/json"),
    responses(
        (status = 200, description = "With `dry_run`: how many there are", body = CountView),
        (status = 202, description = "The replay, running", body = ReplayView),
        (status = 409, description = "The webhook is disabled, or too many replays are running",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn retry_many(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    body: JsonText,
) -> Answer {
    let wanted = replay_input::of_deliveries(body.as_str())?;
    count_or_start(&state, tenant, wanted).await
}

async fn count_or_start(state: &ServerState, tenant: TenantKey, wanted: Wanted) -> Answer {
    let Wanted { request, is_dry_run } = wanted;
    if is_dry_run {
        let counted = state.engine.count_replay(tenant, &request).await;
        let counted = counted.map_err(|error| refusal(&error))?;
        let view = CountView { count: counted.count, is_more: counted.is_more };
        return Ok(json::answer(StatusCode::OK, &view));
    }
    let replay = state.engine.start_replay(tenant, request).await;
    let replay = replay.map_err(|error| refusal(&error))?;
    Ok(json::answer(StatusCode::ACCEPTED, &ReplayView::new(&replay)))
}

/// List replays, newest first.
#[utoipa::path(get, path = "/v1/replays", tag = "replays",
    params(
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("webhook_id" = Option<String>, Query, description = "Of this webhook"),
    ),
    responses((status = 200, description = "A page of replays", body = Page<ReplayView>)))]
pub(super) async fn list(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    mut query: Query,
) -> Answer {
    let webhook = query.parsed("webhook_id", "not the id of a webhook", WebhookKey::parse);
    let list = List::new(tenant, "replays", &[&format!("{webhook:?}")]);
    let paging: Paging<ReplayKey> = Paging::read(query, list)?;
    let store = state.engine.store();
    let fetched = store.replays(tenant, webhook, paging.after, paging.fetch()).await;
    let fetched = fetched.map_err(|error| ApiError::store(&error))?;
    let page = paging.page(fetched, |replay| replay.key, |replay| ReplayView::new(&replay));
    Ok(json::answer(StatusCode::OK, &page))
}

/// Read a replay, and how far it has come.
#[utoipa::path(get, path = "/v1/replays/{id}", tag = "replays",
    params(("id" = String, Path, description = "The replay's id")),
    responses((status = 200, description = "The replay", body = ReplayView)))]
pub(super) async fn show(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let key = ReplayKey::parse(&id).ok_or_else(ApiError::not_found)?;
    let replay = state.engine.replay(tenant, key).await;
    let replay = replay.map_err(|error| ApiError::store(&error))?;
    let replay = replay.ok_or_else(ApiError::not_found)?;
    Ok(json::answer(StatusCode::OK, &ReplayView::new(&replay)))
}

/// End a replay.
///
/// What it has made pending stays so; nothing more follows.
#[utoipa::path(post, path = "/v1/replays/{id}/cancel", tag = "replays",
    params(("id" = String, Path, description = "The replay's id")),
    responses(
        (status = 200, description = "The replay as it is now", body = ReplayView),
        (status = 409, description = "It is over already",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn cancel(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let key = ReplayKey::parse(&id).ok_or_else(ApiError::not_found)?;
    let ended = state.engine.cancel_replay(tenant, key).await.map_err(|error| match error {
        EndReplayError::NotFound => ApiError::not_found(),
        EndReplayError::Over => ApiError::new(Code::Conflict, error.to_string()),
        EndReplayError::Store(error) => ApiError::store(&error),
    })?;
    Ok(json::answer(StatusCode::OK, &ReplayView::new(&ended)))
}

pub(crate) fn refusal(error: &ReplayError) -> ApiError {
    let message = error.to_string();
    match error {
        ReplayError::NotFound => ApiError::not_found(),
        ReplayError::WebhookDisabled => ApiError::new(Code::Conflict, message),
        ReplayError::TooMany(_) => ApiError::new(Code::Quota, message),
        ReplayError::Store(error) => ApiError::store(error),
    }
}

impl ReplayView {
    fn new(replay: &Replay) -> Self {
        let filter = &replay.filter;
        let types = filter.types.as_ref().map(|types| types.as_slice().iter());
        let missed = replay.with_missed.then_some(replay_input::MISSED);
        Self {
            id: replay.key.to_string(),
            webhook_id: filter.webhook.map(|webhook| webhook.to_string()),
            state: match replay.state {
                ReplayState::Running => ReplayStateView::Running,
                ReplayState::Done => ReplayStateView::Done,
                ReplayState::Cancelled => ReplayStateView::Cancelled,
            },
            since: filter.after.map(time),
            until: filter.before.map(time),
            types: types.map(|types| types.map(ToString::to_string).collect()),
            states: filter.states.iter().map(|state| state.name()).chain(missed).collect(),
            considered: replay.considered,
            replayed: replay.replayed,
            created_at: time(replay.created_at),
            finished_at: replay.finished_at.map(time),
        }
    }
}
