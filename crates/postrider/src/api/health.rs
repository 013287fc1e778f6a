//! Whether the server is there, and whether it takes work.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::http::json;
use crate::http::problem::{ApiError, Code};
use crate::http::state::ServerState;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: &'static str,
}

/// The process runs and answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "The process runs", body = Health)))]
pub(super) async fn live() -> Response {
    json::answer(StatusCode::OK, &Health { status: "ok" })
}

/// The server takes work. One that is stopping does not.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses(
        (status = 200, description = "The server takes work", body = Health),
        (status = 503, description = "The server is stopping", body = crate::http::problem::Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn ready(State(state): State<ServerState>) -> Answer {
    if state.is_ready() {
        return Ok(json::answer(StatusCode::OK, &Health { status: "ok" }));
    }
    Err(ApiError::new(Code::Unavailable, "the server is stopping"))
}
