//! Metrics for whoever watches the server: about all tenants, so an admin key is asked for unless
//! the configuration says otherwise.

use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderValue, header};

use super::Answer;
use crate::http::auth::Scraper;
use crate::http::problem::ApiError;
use crate::http::state::ServerState;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// `GET /metrics`.
pub(super) async fn scrape(State(state): State<ServerState>, _: Scraper) -> Answer {
    let text = state.engine.metrics().await.map_err(|error| ApiError::store(&error))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
