//! Reading one delivery with its history, asking for another attempt of it, and cancelling it.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use postrider_core::delivery::{DeliveryState, Standing};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, TenantKey};
use postrider_store::{DeliveryFilter, DeliverySearch, FoundDelivery, LastAttempt, Order};
use serde::Serialize;
use utoipa::ToSchema;

use super::attempt::HistoryView;
use super::wire::time;
use super::{Answer, PathId};
use crate::engine::{CancelError, RetryError};
use crate::http::auth::{Manager, Reader};
use crate::http::json;
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;
use crate::http::state::ServerState;
use crate::meaning::{self, Meaning};

/// One event on its way to one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    pub id: String,
    pub event_id: String,
    pub webhook_id: String,
    pub state: StateView,
    /// The number of attempts made.
    pub attempts: u32,
    /// No attempt starts before this; null when none is to come.
    pub next_attempt_at: Option<String>,
    pub event_type: String,
    /// When the last attempt started; null before the first, and once its record has gone.
    pub last_attempt_at: Option<String>,
    /// The status that it was answered with; null when no answer came.
    pub last_status: Option<u16>,
    /// Why it failed: the class of the error as in its record; null after a success.
    pub last_error: Option<&'static str>,
}

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateView {
    Pending,
    Succeeded,
    Failed,
    Cancelled,
}

/// A delivery with everything that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// Where its webhook points now; null when that is no longer known.
    pub webhook_url: Option<String>,
    /// Oldest first.
    pub history: Vec<HistoryView>,
}

impl DeliveryView {
    pub(super) fn new(found: &FoundDelivery) -> Self {
        let standing = found.standing.as_ref();
        let last = found.last_attempt.as_ref();
        Self {
            id: found.delivery.to_string(),
            event_id: found.event_id.to_string(),
            webhook_id: found.delivery.webhook.to_string(),
            state: standing.map_or(DeliveryState::Pending, Standing::state).into(),
            attempts: standing.map_or(0, |standing| standing.progress().attempts),
            next_attempt_at: standing.and_then(Standing::due).map(time),
            event_type: found.event_type.as_str().to_owned(),
            last_attempt_at: last.map(|last| time(last.started_at)),
            last_status: last.and_then(|last| last.status),
            last_error: last.and_then(failure).map(|meaning| meaning.class),
        }
    }
}

/// What the last attempt's failure means; `None` after a success.
pub(crate) fn failure(last: &LastAttempt) -> Option<Meaning> {
    let broke = last.broke.map(meaning::by_class);
    broke.or_else(|| last.status.and_then(meaning::of_status))
}

impl From<DeliveryState> for StateView {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => Self::Pending,
            DeliveryState::Succeeded => Self::Succeeded,
            DeliveryState::Failed => Self::Failed,
            DeliveryState::Cancelled => Self::Cancelled,
        }
    }
}

/// Read a delivery, with everything that happened to it.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 200, description = "The delivery", body = DeliveryDetail)))]
pub(super) async fn show(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let (key, _) = find(&state, tenant, &id).await?;
    let store = state.engine.store();
    let found = found(&state, tenant, key).await?;
    let history = store.history(key).await.map_err(|error| ApiError::store(&error))?;
    let webhook = state.engine.any_webhook(tenant, key.webhook);
    let detail = DeliveryDetail {
        delivery: DeliveryView::new(&found),
        webhook_url: webhook.map(|live| live.webhook.url.clone()),
        history: history.iter().map(HistoryView::new).collect(),
    };
    Ok(json::answer(StatusCode::OK, &detail))
}

/// Make one attempt now.
///
/// Whatever its state. When the attempt fails, an unfinished retry schedule goes on where it was.
#[utoipa::path(post, path = "/v1/deliveries/{id}/retry", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery's id")),
    responses(
        (status = 202, description = "An attempt is due now", body = DeliveryView),
        (status = 409, description = "An attempt is under way, or its webhook takes none",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn retry(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let (key, _) = find(&state, tenant, &id).await?;
    state.engine.retry(tenant, key).await.map_err(retry_refusal)?;
    let view = DeliveryView::new(&found(&state, tenant, key).await?);
    Ok(json::answer(StatusCode::ACCEPTED, &view))
}

/// Cancel a delivery.
///
/// No attempt of it starts after the answer. Asking for a retry brings it back.
#[utoipa::path(post, path = "/v1/deliveries/{id}/cancel", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery's id")),
    responses(
        (status = 200, description = "The delivery as it is now", body = DeliveryView),
        (status = 409, description = "An attempt is under way, or it is final already",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn cancel(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let (key, _) = find(&state, tenant, &id).await?;
    state.engine.cancel_delivery(tenant, key).await.map_err(cancel_refusal)?;
    let view = DeliveryView::new(&found(&state, tenant, key).await?);
    Ok(json::answer(StatusCode::OK, &view))
}

pub(crate) fn retry_refusal(error: RetryError) -> ApiError {
    match error {
        RetryError::NotFound => ApiError::not_found(),
        RetryError::Store(error) => ApiError::store(&error),
        RetryError::InFlight | RetryError::WebhookDisabled | RetryError::WebhookDeleted => {
            ApiError::new(Code::Conflict, error.to_string())
        }
    }
}

pub(crate) fn cancel_refusal(error: CancelError) -> ApiError {
    match error {
        CancelError::NotFound => ApiError::not_found(),
        CancelError::Store(error) => ApiError::store(&error),
        CancelError::Underway | CancelError::AlreadyFinal(_) => {
            ApiError::new(Code::Conflict, error.to_string())
        }
    }
}

/// How a delivery stands now.
pub(crate) async fn found(
    state: &ServerState,
    tenant: TenantKey,
    key: DeliveryKey,
) -> Result<FoundDelivery, ApiError> {
    let (webhook, event) = (Some(key.webhook), Some(key.event));
    let search = DeliverySearch {
        tenant,
        filter: DeliveryFilter { webhook, event, ..DeliveryFilter::all() },
        with_missed: false,
        order: Order::NewestFirst,
        beyond: None,
        limit: 1,
    };
    let page = state.engine.store().find_deliveries(search).await;
    let page = page.map_err(|error| ApiError::store(&error))?;
    page.deliveries.into_iter().next().ok_or_else(ApiError::not_found)
}

/// A delivery belongs to the tenant of its event.
pub(crate) async fn find(
    state: &ServerState,
    tenant: TenantKey,
    id: &str,
) -> Result<(DeliveryKey, Arc<Event>), ApiError> {
    let key = DeliveryKey::parse(id).ok_or_else(ApiError::not_found)?;
    let event = state.engine.store().event_by_key(key.event).await;
    let event = event.map_err(|error| ApiError::store(&error))?;
    let event = event.filter(|event| event.tenant == tenant).ok_or_else(ApiError::not_found)?;
    Ok((key, event))
}
