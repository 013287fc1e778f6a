//! `POST /v1/portal-links`: letting a tenant's people into the dashboard.

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::webhooks::unstored;
use super::wire::time;
use crate::dashboard::{LINK_SECONDS, PortalLink, portal_link};
use crate::http::auth::Manager;
use crate::http::fields::Fields;
use crate::http::json::{self, OptionalJsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::state::ServerState;

/// How long a link works unless told otherwise: as long as somebody looks into one matter.
const LINK_SECONDS_DEFAULT: i64 = 3_600;

/// Whom to let in.
#[derive(Debug, ToSchema)]
pub struct PortalLinkInput {
    /// Whether whoever opens it may only look; by default they may change webhooks and retry too.
    #[schema(required = false, default = false)]
    pub is_read_only: Option<bool>,
    /// Seconds until the link and the sessions opened by it end: a minute to a day, by default an hour.
    #[schema(required = false, minimum = 60, maximum = 86400, default = 3600)]
    pub expires_in_s: Option<u32>,
}

/// A link to the dashboard.
#[derive(Debug, Serialize, ToSchema)]
pub struct PortalLinkView {
    /// Opens the dashboard of the tenant for whoever has it. What stands behind `#` is the secret
    /// part: send it to nobody else, and log it nowhere.
    pub url: String,
    pub is_read_only: bool,
    pub expires_at: String,
}

/// Make a link to the tenant's dashboard.
///
/// Open it in a browser, or in a frame on one of the sites of the setting `dashboard_embed_origins`.
#[utoipa::path(post, path = "/v1/portal-links", tag = "portal",
    request_body(content = Option<PortalLinkInput>, content_type = "application/json"),
    responses((status = 201, description = "Made; the link is shown, once", body = PortalLinkView)))]
pub(super) async fn create(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    body: OptionalJsonText,
) -> Answer {
    let mut fields = Fields::of(body.as_str())?;
    let is_read_only = fields.flag("is_read_only").value().unwrap_or(false);
    let seconds: Option<i64> = fields.integer("expires_in_s", LINK_SECONDS).value();
    fields.finish()?;
    let expires_at = state.engine.now() + seconds.unwrap_or(LINK_SECONDS_DEFAULT) * 1_000;
    let link = PortalLink::new(tenant, is_read_only, expires_at);
    let url = portal_link(&state.engine, link).ok_or_else(|| {
        tracing::error!("a portal link could not be sealed");
        ApiError::new(Code::Internal, "a fault of the server; its log says more")
    })?;
    let view = PortalLinkView { url, is_read_only, expires_at: time(expires_at) };
    Ok(unstored(json::answer(StatusCode::CREATED, &view)))
}
