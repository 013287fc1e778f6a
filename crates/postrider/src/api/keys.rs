//! API keys: make one, list them, revoke one.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderValue, StatusCode, header};
use postrider_core::id::{ApiKeyKey, Key, TenantKey, UnixMs};
use postrider_signature::timestamp;
use postrider_store::{ApiKey, Scope, Tenant};
use serde::Serialize;
use utoipa::ToSchema;

use super::input::KeyInput;
use super::wire::{Page, Paging, time};
use super::{Answer, PathId};
use crate::engine::{DEFAULT_TENANT, Engine};
use crate::http::auth::Admin;
use crate::http::cursor::List;
use crate::http::fields::Fields;
use crate::http::json::{self, JsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;
use crate::http::state::ServerState;

/// A key's description may be this long: a line.
const DESCRIPTION_BYTES_MAX: usize = 256;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeView {
    /// Everything, in every tenant.
    Admin,
    /// Webhooks, events and deliveries of its tenant.
    Manage,
    /// Publishing events.
    Publish,
    /// Reading.
    Read,
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    pub id: String,
    pub scope: ScopeView,
    /// The name of its tenant; null for an admin key.
    pub tenant: Option<String>,
    pub description: Option<String>,
    pub created_at: String,
    pub expires_at: Option<String>,
    /// The key itself, shown only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Make an API key.
#[utoipa::path(post, path = "/v1/keys", tag = "keys",
    request_body(content = KeyInput, content_type = "application/json"),
    responses((status = 201, description = "Made; the key is shown, once", body = KeyView)))]
pub(super) async fn create(State(state): State<ServerState>, _: Admin, body: JsonText) -> Answer {
    let made = make(&state.engine, body.as_str()).await?;
    let mut view = view(made.key, made.tenant.map(|tenant| tenant.name));
    view.key = Some(made.text);
    let mut response = json::answer(StatusCode::CREATED, &view);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// List API keys, oldest first.
#[utoipa::path(get, path = "/v1/keys", tag = "keys",
    params(
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page of keys", body = Page<KeyView>)))]
pub(super) async fn list(State(state): State<ServerState>, _: Admin, query: Query) -> Answer {
    let paging = Paging::read(query, List::new(TenantKey::from_raw(0), "keys", &[]))?;
    let tenants = state.engine.tenants().into_iter();
    let names: HashMap<_, _> = tenants.map(|tenant| (tenant.key, tenant.name)).collect();
    let mut keys = state.engine.api_keys();
    keys.sort_unstable_by_key(|key| key.key);
    keys.retain(|key| paging.after.is_none_or(|after| key.key > after));
    let page = paging.page(
        keys,
        |key| key.key,
        |key| {
            let tenant = key.tenant.and_then(|tenant| names.get(&tenant).cloned());
            view(key, tenant)
        },
    );
    Ok(json::answer(StatusCode::OK, &page))
}

/// Revoke an API key.
///
/// No request with it is accepted after the answer.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204, description = "Revoked")))]
pub(super) async fn revoke(
    State(state): State<ServerState>,
    _: Admin,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let key = ApiKeyKey::parse(&id).ok_or_else(ApiError::not_found)?;
    let revoked = state.engine.revoke_api_key(key).await;
    if revoked.map_err(|error| ApiError::store(&error))? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Err(ApiError::not_found())
}

/// A key that was just made.
pub(crate) struct MadeKey {
    pub(crate) key: ApiKey,
    /// `None` for an admin key.
    pub(crate) tenant: Option<Tenant>,
    /// Known only now.
    pub(crate) text: String,
}

/// Makes the key that a checked JSON text asks for.
pub(crate) async fn make(engine: &Engine, text: &str) -> Result<MadeKey, ApiError> {
    let new = read(text, engine.now())?;
    let tenant = match (new.scope, new.tenant) {
        (Scope::Admin, None) => None,
        (Scope::Admin, Some(_)) => {
            return Err(ApiError::at(Code::Validation, "/tenant", "an admin key has no tenant"));
        }
        (_, name) => {
            let found = engine.tenant(name.as_deref().unwrap_or(DEFAULT_TENANT));
            let missing = "there is no tenant of this name";
            let missing = || ApiError::at(Code::TenantNotFound, "/tenant", missing);
            Some(found.ok_or_else(missing)?)
        }
    };
    let owner = tenant.as_ref().map(|tenant| tenant.key);
    let made = engine.create_api_key(owner, new.scope, new.description, new.expires_at).await;
    let (key, text) = made.map_err(|error| ApiError::store(&error))?;
    Ok(MadeKey { key, tenant, text })
}

struct NewKey {
    scope: Scope,
    tenant: Option<String>,
    description: Option<String>,
    expires_at: Option<i64>,
}

fn read(text: &str, now: UnixMs) -> Result<NewKey, ApiError> {
    let mut fields = Fields::of(text)?;
    let scope = fields.required_text("scope").and_then(|text| {
        let scope = match &*text {
            "admin" => Some(Scope::Admin),
            "manage" => Some(Scope::Manage),
            "publish" => Some(Scope::Publish),
            "read" => Some(Scope::Read),
            _ => None,
        };
        if scope.is_none() {
            fields.fault("scope", "scope must be admin, manage, publish or read");
        }
        scope
    });
    let tenant = fields.text("tenant").value();
    let description = fields.text("description").value();
    if description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        let message = format!("description may have at most {DESCRIPTION_BYTES_MAX} bytes");
        fields.fault("description", message);
    }
    let expires_at = fields.text("expires_at").value().and_then(|text| {
        let parsed = timestamp::parse(&text);
        parsed.map_err(|error| fields.fault("expires_at", error.to_string())).ok()
    });
    if expires_at.is_some_and(|at| at <= now) {
        fields.fault("expires_at", "expires_at must be in the future");
    }
    fields.finish()?;
    Ok(NewKey {
        scope: scope.ok_or_else(|| ApiError::new(Code::Validation, "scope is required"))?,
        tenant: tenant.map(std::borrow::Cow::into_owned),
        description: description.map(std::borrow::Cow::into_owned),
        expires_at,
    })
}

fn view(key: ApiKey, tenant: Option<String>) -> KeyView {
    KeyView {
        id: key.key.to_string(),
        scope: match key.scope {
            Scope::Admin => ScopeView::Admin,
            Scope::Manage => ScopeView::Manage,
            Scope::Publish => ScopeView::Publish,
            Scope::Read => ScopeView::Read,
        },
        tenant,
        description: key.description,
        created_at: time(key.created_at),
        expires_at: key.expires_at.map(time),
        key: None,
    }
}
