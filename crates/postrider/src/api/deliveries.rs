//! Reading one delivery with its history, and asking for another attempt of it.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use postrider_core::delivery::DeliveryState;
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, TenantKey};
use postrider_store::DeliveryStanding;
use serde::Serialize;
use utoipa::ToSchema;

use super::attempt::HistoryView;
use super::wire::time;
use super::{Answer, PathId};
use crate::engine::RetryError;
use crate::http::auth::{Manager, Reader};
use crate::http::json;
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;
use crate::http::state::ServerState;

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
    pub event_type: String,
    /// Where its webhook points now; null when that is no longer known.
    pub webhook_url: Option<String>,
    /// Oldest first.
    pub history: Vec<HistoryView>,
}

impl DeliveryView {
    pub(super) fn new(found: &DeliveryStanding, event_id: &str) -> Self {
        let standing = &found.standing;
        Self {
            id: found.delivery.to_string(),
            event_id: event_id.to_owned(),
            webhook_id: found.delivery.webhook.to_string(),
            state: standing.state().into(),
            attempts: standing.progress().attempts,
            next_attempt_at: standing.due().map(time),
        }
    }
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
    let (key, event) = find(&state, tenant, &id).await?;
    let store = state.engine.store();
    let found = store.delivery(key).await.map_err(|error| ApiError::store(&error))?;
    let found = found.ok_or_else(ApiError::not_found)?;
    let history = store.history(key).await.map_err(|error| ApiError::store(&error))?;
    let webhook = state.engine.any_webhook(tenant, key.webhook);
    let detail = DeliveryDetail {
        delivery: DeliveryView::new(&found, &event.id()),
        event_type: event.event_type.as_str().to_owned(),
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
    let (key, event) = find(&state, tenant, &id).await?;
    let standing = state.engine.retry(tenant, key).await.map_err(|error| match error {
        RetryError::NotFound => ApiError::not_found(),
        RetryError::Store(error) => ApiError::store(&error),
        RetryError::InFlight | RetryError::WebhookDisabled | RetryError::WebhookDeleted => {
            ApiError::new(Code::Conflict, error.to_string())
        }
    })?;
    let view = DeliveryView::new(&standing, &event.id());
    Ok(json::answer(StatusCode::ACCEPTED, &view))
}

/// A delivery belongs to the tenant of its event.
async fn find(
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
