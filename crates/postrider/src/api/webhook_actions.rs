//! What is done to a webhook beside changing its settings: enabling, disabling, its secret.

use axum::extract::State;
use http::StatusCode;
use postrider_core::id::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::input::{DisablingInput, RotationInput};
use super::webhook_input::{disabling, rotation};
use super::webhooks::{WebhookView, find, internal, refusal, secret_of, unstored};
use super::wire::time;
use super::{Answer, PathId};
use crate::engine::{LiveWebhook, WantedState, WebhookPatch};
use crate::http::auth::Manager;
use crate::http::json::{self, OptionalJsonText};
use crate::http::query::Query;
use crate::http::state::ServerState;

/// A webhook's current secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecretView {
    pub secret: String,
    /// What receivers verify with when the secret is an ed25519 key.
    pub public_key: Option<String>,
}

/// A secret that has replaced another.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotationView {
    /// The current one.
    pub secret: String,
    /// What receivers verify with when the secret is an ed25519 key.
    pub public_key: Option<String>,
    /// Until when the one before it signs too; null when it doesn't.
    pub old_live_until: Option<String>,
    /// How many sign now; at most 5, of which the oldest makes room for a new one.
    pub live_secrets: usize,
}

/// A webhook that is enabled now.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnabledView {
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// What a replay would send of the time while it was disabled; null when it wasn't, or when it
    /// could not be counted.
    pub missed: Option<MissedView>,
}

/// Events that a webhook did not get while it was disabled, though it wants them.
#[derive(Debug, Serialize, ToSchema)]
pub struct MissedView {
    pub since: String,
    pub until: String,
    pub events: u64,
    /// There are more: counting ended before all was looked at.
    pub is_more: bool,
}

/// Enable a webhook.
///
/// It gets what is pending and what is published from now on, and is told how much it missed.
#[utoipa::path(post, path = "/v1/webhooks/{id}/enable", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook as it is now", body = EnabledView)))]
pub(super) async fn enable(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let before = find(&state, tenant, &id)?;
    let patch = WebhookPatch { state: Some(WantedState::Enabled), ..WebhookPatch::default() };
    let changed = state.engine.patch_webhook(tenant, before.webhook.key, patch).await;
    let live = changed.map_err(|error| refusal(&error))?;
    let missed = match before.webhook.disabled_at {
        Some(since) => missed(&state, &live, since).await,
        None => None,
    };
    let webhook = WebhookView::new(&state.engine, &live);
    Ok(json::answer(StatusCode::OK, &EnabledView { webhook, missed }))
}

/// The webhook is enabled whatever becomes of this.
async fn missed(state: &ServerState, live: &LiveWebhook, since: UnixMs) -> Option<MissedView> {
    let until = state.engine.now();
    let counted = state.engine.count_missed(live, since, until).await;
    let webhook = live.webhook.key;
    let log = |error| tracing::error!(%webhook, %error, "what it missed could not be counted");
    let counted = counted.map_err(log).ok()?;
    let (events, is_more) = (counted.count, counted.is_more);
    Some(MissedView { since: time(since), until: time(until), events, is_more })
}

/// Disable a webhook.
///
/// No attempt for it starts after the answer. What is pending waits, unless its cancelling is
/// asked for.
#[utoipa::path(post, path = "/v1/webhooks/{id}/disable", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = Option<DisablingInput>, content_type = "application/json"),
    responses((status = 200, description = "The webhook as it is now", body = WebhookView)))]
pub(super) async fn disable(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    body: OptionalJsonText,
) -> Answer {
    let key = find(&state, tenant, &id)?.webhook.key;
    let wanted = disabling(body.as_str())?;
    let patch = WebhookPatch { state: Some(wanted), ..WebhookPatch::default() };
    let changed = state.engine.patch_webhook(tenant, key, patch).await;
    let live = changed.map_err(|error| refusal(&error))?;
    Ok(json::answer(StatusCode::OK, &WebhookView::new(&state.engine, &live)))
}

/// Read a webhook's current secret.
#[utoipa::path(get, path = "/v1/webhooks/{id}/secret", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The secret", body = SecretView)))]
pub(super) async fn secret(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let live = find(&state, tenant, &id)?;
    let public_key = state.engine.public_key(&live).map_err(|error| internal(&error))?;
    let view = SecretView { secret: secret_of(&state, &live)?, public_key };
    Ok(unstored(json::answer(StatusCode::OK, &view)))
}

/// Replace a webhook's secret.
///
/// The new one signs from the next attempt on, and the present one beside it until its overlap
/// ends. Give one, or have one made.
#[utoipa::path(post, path = "/v1/webhooks/{id}/secret/rotate", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = Option<RotationInput>, content_type = "application/json"),
    responses((status = 200, description = "Replaced; the new secret is shown", body = RotationView)))]
pub(super) async fn rotate(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    body: OptionalJsonText,
) -> Answer {
    let key = find(&state, tenant, &id)?.webhook.key;
    let rotation = rotation(body.as_str())?;
    let rotated = state.engine.rotate_secret(tenant, key, rotation).await;
    let rotated = rotated.map_err(|error| refusal(&error))?;
    let view = RotationView {
        secret: rotated.secret.to_string(),
        public_key: rotated.public_key,
        old_live_until: rotated.old_live_until.map(time),
        live_secrets: rotated.live_secrets,
    };
    Ok(unstored(json::answer(StatusCode::OK, &view)))
}
