//! Webhooks: register, list, read, change, delete; their secret; their recent history.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use postrider_core::event_type::EventType;
use postrider_core::id::{HistoryKey, Key, TenantKey, WebhookKey};
use postrider_core::webhook::{DisabledReason, Webhook, WebhookKind, WebhookState};
use postrider_signature::SecretError;
use serde::Serialize;
use utoipa::ToSchema;

use super::attempt::HistoryView;
use super::input::{WantedStateInput, WebhookChange, WebhookInput};
use super::webhook_input::{draft, patch};
use super::wire::{Page, Paging, time};
use super::{Answer, PathId, filters};
use crate::engine::{
    Engine, HIDDEN_VALUE, HeaderError, HeaderErrorKind, LiveWebhook, SigningKey, WebhookError,
};
use crate::http::auth::{Manager, Reader};
use crate::http::cursor::List;
use crate::http::fields::pointer;
use crate::http::json::{self, JsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;
use crate::http::state::ServerState;

/// A registered receiver.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookView {
    pub id: String,
    pub kind: WebhookKindView,
    pub url: String,
    /// Patterns of the event types that it wants.
    pub events: Vec<String>,
    /// What must be true of an event besides.
    pub filter: Option<String>,
    pub profile: String,
    pub state: WebhookStateView,
    /// Why it is disabled: `requested`; `gone`, when the receiver answered 410; `failing`, when
    /// it failed for too long.
    pub disabled_reason: Option<&'static str>,
    /// Since when it is disabled.
    pub disabled_at: Option<String>,
    /// Only in the answer to its registration; later at its secret route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Of which kind its current secret is; null when the secret can't be opened because the
    /// server's sealing key was lost.
    pub signing_key: Option<SigningKeyView>,
    pub description: Option<String>,
    /// Its owner's notes.
    pub metadata: BTreeMap<String, String>,
    /// Names of the headers that are sent along; their values are not shown again.
    pub headers: BTreeMap<String, &'static str>,
    /// The deadline of an attempt; null for the server's default.
    pub timeout_ms: Option<u32>,
    /// Attempts under way at once; null for the server's default.
    pub concurrency: Option<u16>,
    /// Attempts started a second; null for no limit.
    pub rate_limit: Option<u32>,
    /// Seconds before each attempt, the first included, before any jitter.
    pub retry_schedule: Vec<f64>,
    pub created_at: String,
    pub updated_at: String,
}

/// Whether a webhook gets attempts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStateView {
    Enabled,
    Disabled,
    Deleted,
}

/// What kind of secret a webhook signs with.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyView {
    /// Shared with the receiver.
    Hmac,
    /// The receiver knows the public half only.
    Ed25519,
}

/// Where a webhook's attempts go.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookKindView {
    /// To its URL.
    Url,
    /// To whoever listens on a connection to this server.
    Listener,
}

/// Register a webhook.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks",
    request_body(content = WebhookInput, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered; the secret is shown", body = WebhookView),
        (status = 409, description = "The tenant has as many webhooks as it may",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn create(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    body: JsonText,
) -> Answer {
    let draft = draft(body.as_str())?;
    let created = state.engine.create_webhook(tenant, draft).await;
    let live = created.map_err(|error| refusal(&error))?;
    let mut view = WebhookView::new(&state.engine, &live);
    view.secret = Some(secret_of(&state, &live)?);
    Ok(unstored(json::answer(StatusCode::CREATED, &view)))
}

/// List webhooks, oldest first.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks",
    params(
        ("state" = Option<WantedStateInput>, Query, description = "Only those in this state"),
        ("event_type" = Option<String>, Query, description = "Only those that want this type"),
        ("url" = Option<String>, Query, description = "Only those whose URL contains this text"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page of webhooks", body = Page<WebhookView>)))]
pub(super) async fn list(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    mut query: Query,
) -> Answer {
    let (filter, texts) = WebhookFilter::read(&mut query);
    let texts = texts.each_ref().map(String::as_str);
    let paging = Paging::read(query, List::new(tenant, "webhooks", &texts))?;
    let is_wanted = |webhook: &Webhook| filter.picks(webhook);
    let fetched = state.engine.webhooks(tenant, paging.after, paging.fetch(), is_wanted);
    let page = paging.page(
        fetched,
        |live| live.webhook.key,
        |live| WebhookView::new(&state.engine, &live),
    );
    Ok(json::answer(StatusCode::OK, &page))
}

/// Read a webhook.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook", body = WebhookView)))]
pub(super) async fn show(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let live = find(&state, tenant, &id)?;
    Ok(json::answer(StatusCode::OK, &WebhookView::new(&state.engine, &live)))
}

/// Change a webhook.
///
/// From the next attempt on. What is left out stays as it is.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = WebhookChange, content_type = "application/json"),
    responses((status = 200, description = "The webhook as it is now", body = WebhookView)))]
pub(super) async fn change(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    body: JsonText,
) -> Answer {
    let key = find(&state, tenant, &id)?.webhook.key;
    let patch = patch(body.as_str())?;
    let changed = state.engine.patch_webhook(tenant, key, patch).await;
    let live = changed.map_err(|error| refusal(&error))?;
    Ok(json::answer(StatusCode::OK, &WebhookView::new(&state.engine, &live)))
}

/// Delete a webhook.
///
/// No attempt for it starts after the answer; what is pending is cancelled.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let key = find(&state, tenant, &id)?.webhook.key;
    let deleted = state.engine.delete_webhook(tenant, key).await;
    deleted.map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// List what happened to a webhook's deliveries, newest first.
#[utoipa::path(get, path = "/v1/webhooks/{id}/attempts", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page of history", body = Page<HistoryView>)))]
pub(super) async fn attempts(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    let key = find(&state, tenant, &id)?.webhook.key;
    let list = List::new(tenant, "webhooks/attempts", &[&key.to_string()]);
    let paging: Paging<HistoryKey> = Paging::read(query, list)?;
    let store = state.engine.store();
    let fetched = store.history_of_webhook(key, paging.after, paging.fetch()).await;
    let fetched = fetched.map_err(|error| ApiError::store(&error))?;
    let page = paging.page(fetched, |entry| entry.key, |entry| HistoryView::new(&entry));
    Ok(json::answer(StatusCode::OK, &page))
}

impl WebhookView {
    pub(super) fn new(engine: &Engine, live: &LiveWebhook) -> Self {
        let webhook = &live.webhook;
        let schedule = webhook.schedule.as_ref().unwrap_or(&live.profile().schedule);
        let (state, disabled_reason) = match webhook.state {
            WebhookState::Enabled => (WebhookStateView::Enabled, None),
            WebhookState::Disabled(DisabledReason::Requested) => {
                (WebhookStateView::Disabled, Some("requested"))
            }
            WebhookState::Disabled(DisabledReason::Gone) => {
                (WebhookStateView::Disabled, Some("gone"))
            }
            WebhookState::Disabled(DisabledReason::Failing) => {
                (WebhookStateView::Disabled, Some("failing"))
            }
            WebhookState::Deleted => (WebhookStateView::Deleted, None),
        };
        Self {
            id: webhook.key.to_string(),
            kind: match webhook.kind {
                WebhookKind::Url => WebhookKindView::Url,
                WebhookKind::Listener => WebhookKindView::Listener,
            },
            url: webhook.url.clone(),
            events: webhook.patterns.as_slice().iter().map(ToString::to_string).collect(),
            filter: webhook.filter.clone(),
            profile: webhook.profile.clone(),
            state,
            disabled_reason,
            disabled_at: webhook.disabled_at.map(time),
            secret: None,
            signing_key: engine.signing_key(live).ok().map(|kind| match kind {
                SigningKey::Hmac => SigningKeyView::Hmac,
                SigningKey::Ed25519 => SigningKeyView::Ed25519,
            }),
            description: webhook.description.clone(),
            metadata: webhook.metadata.clone(),
            headers: live.header_names().map(|name| (name.to_owned(), HIDDEN_VALUE)).collect(),
            timeout_ms: webhook.timeout_ms,
            concurrency: webhook.concurrency,
            rate_limit: webhook.rate_per_s,
            retry_schedule: schedule.delays_ms().iter().map(|&delay| seconds(delay)).collect(),
            created_at: time(webhook.created_at),
            updated_at: time(webhook.updated_at),
        }
    }
}

/// Which webhooks a list shows.
struct WebhookFilter {
    is_enabled: Option<bool>,
    event_type: Option<EventType>,
    /// In lower case.
    url_text: Option<String>,
}

impl WebhookFilter {
    /// Reads a filter, and gives what was said as it is for cursors to be bound to.
    fn read(query: &mut Query) -> (Self, [String; 3]) {
        let texts = ["state", "event_type", "url"].map(|name| query.text(name));
        let [state, event_type, url] = &texts;
        let is_enabled = state.as_deref().and_then(|state| match state {
            "enabled" => Some(true),
            "disabled" => Some(false),
            _ => {
                query.fault("state", "state must be enabled or disabled");
                None
            }
        });
        let event_type = event_type.as_deref().and_then(|text| {
            let parsed = text.parse::<EventType>();
            parsed.map_err(|error| query.fault("event_type", error.to_string())).ok()
        });
        let url_text = url.as_deref().map(str::to_ascii_lowercase);
        (Self { is_enabled, event_type, url_text }, texts.map(Option::unwrap_or_default))
    }

    fn picks(&self, webhook: &Webhook) -> bool {
        let is_enabled = webhook.state == WebhookState::Enabled;
        let event_type = self.event_type.as_ref();
        let url_text = self.url_text.as_ref();
        self.is_enabled.is_none_or(|wanted| wanted == is_enabled)
            && event_type.is_none_or(|wanted| webhook.patterns.matches(wanted))
            && url_text.is_none_or(|text| webhook.url.to_ascii_lowercase().contains(text))
    }
}

/// Delays are at most 31 days, so nothing is lost.
fn seconds(delay_ms: u64) -> f64 {
    f64::from(u32::try_from(delay_ms).unwrap_or(u32::MAX)) / 1_000.0
}

pub(super) fn find(
    state: &ServerState,
    tenant: TenantKey,
    id: &str,
) -> Result<Arc<LiveWebhook>, ApiError> {
    WebhookKey::parse(id)
        .and_then(|key| state.engine.webhook(tenant, key))
        .ok_or_else(ApiError::not_found)
}

pub(super) fn secret_of(state: &ServerState, live: &LiveWebhook) -> Result<String, ApiError> {
    let secret = state.engine.secret_text(live).map_err(|error| internal(&error))?;
    Ok(secret.to_string())
}

/// Nobody on the way keeps a copy of an answer that holds a secret.
pub(super) fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn refusal(error: &WebhookError) -> ApiError {
    match error {
        WebhookError::Url(error) => ApiError::at(Code::UrlNotAllowed, "/url", error.to_string()),
        WebhookError::UnknownProfile { known, .. } => {
            let message = format!("there is no such profile; there are {}", known.join(", "));
            ApiError::at(Code::Validation, "/profile", message)
        }
        WebhookError::Secret(error) => {
            let code = match error {
                SecretError::Weak { .. } => Code::WeakSecret,
                _ => Code::Validation,
            };
            ApiError::at(code, "/secret", error.to_string())
        }
        WebhookError::NoEd25519 | WebhookError::OtherSigningKey => {
            ApiError::at(Code::Validation, "/signing_key", error.to_string())
        }
        WebhookError::Filter(error) => filters::refusal(error),
        WebhookError::Header(error) => header_refusal(error),
        WebhookError::NotFound => ApiError::not_found(),
        WebhookError::Quota(most) => ApiError::new(
            Code::Quota,
            format!("the tenant has {most} webhooks, which is the most; delete one first"),
        ),
        WebhookError::ListenerUrl => ApiError::at(Code::Validation, "/url", error.to_string()),
        WebhookError::TooManyListeners(_) => ApiError::new(Code::Quota, error.to_string()),
        WebhookError::Unseal(_) | WebhookError::Seal(_) => internal(error),
        WebhookError::Store(error) => ApiError::store(error),
    }
}

pub(crate) fn internal(error: &impl std::error::Error) -> ApiError {
    tracing::error!(%error, "what is sealed of a webhook can't be used");
    ApiError::new(Code::Internal, "a fault of the server; its log says more")
}

fn header_refusal(error: &HeaderError) -> ApiError {
    let (code, place) = match error.kind {
        HeaderErrorKind::Reserved => (Code::ReservedHeader, pointer(&error.name)),
        HeaderErrorKind::InvalidName
        | HeaderErrorKind::InvalidValue
        | HeaderErrorKind::HiddenValue => (Code::InvalidHeader, pointer(&error.name)),
        HeaderErrorKind::TooMany => (Code::TooManyHeaders, String::new()),
    };
    ApiError::at(code, format!("/headers{place}"), error.kind.to_string())
}
