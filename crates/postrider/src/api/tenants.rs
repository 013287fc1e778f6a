//! Tenants: make one, list them, delete one.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use postrider_core::id::{Key, TenantKey};
use postrider_store::Tenant;
use serde::Serialize;
use utoipa::ToSchema;

use super::input::TenantInput;
use super::wire::{Page, Paging, time};
use super::{Answer, PathId};
use crate::engine::TenantError;
use crate::http::auth::Admin;
use crate::http::cursor::List;
use crate::http::fields::Fields;
use crate::http::json::{self, JsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;
use crate::http::state::ServerState;

/// Who owns webhooks and events.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantView {
    pub id: String,
    pub name: String,
    pub created_at: String,
}

/// Make a tenant.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants",
    request_body(content = TenantInput, content_type = "application/json"),
    responses(
        (status = 201, description = "Made", body = TenantView),
        (status = 409, description = "The name is taken",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn create(State(state): State<ServerState>, _: Admin, body: JsonText) -> Answer {
    let mut fields = Fields::of(body.as_str())?;
    let name = fields.required_text("name");
    fields.finish()?;
    let created = state.engine.create_tenant(&name.unwrap_or_default()).await;
    let tenant = created.map_err(|error| refusal(&error))?;
    Ok(json::answer(StatusCode::CREATED, &view(tenant)))
}

/// List tenants, oldest first.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants",
    params(
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page of tenants", body = Page<TenantView>)))]
pub(super) async fn list(State(state): State<ServerState>, _: Admin, query: Query) -> Answer {
    let paging = Paging::read(query, List::new(TenantKey::from_raw(0), "tenants", &[]))?;
    let mut tenants = state.engine.tenants();
    tenants.sort_unstable_by_key(|tenant| tenant.key);
    tenants.retain(|tenant| paging.after.is_none_or(|after| tenant.key > after));
    let page = paging.page(tenants, |tenant| tenant.key, view);
    Ok(json::answer(StatusCode::OK, &page))
}

/// Delete a tenant.
///
/// Its keys are revoked, and no attempt for its webhooks starts after the answer. What is pending is
/// cancelled; its events end with retention, and nobody reads them meanwhile. Its name is free for
/// a new tenant.
#[utoipa::path(delete, path = "/v1/tenants/{name}", tag = "tenants",
    params(("name" = String, Path, description = "The tenant's name")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "The tenant `default` can't be deleted",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(state): State<ServerState>,
    _: Admin,
    PathId(name): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    state.engine.delete_tenant(&name).await.map_err(|error| refusal(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) fn refusal(error: &TenantError) -> ApiError {
    match error {
        TenantError::Taken => ApiError::at(Code::Conflict, "/name", "this name is taken"),
        TenantError::InvalidName => ApiError::at(
            Code::Validation,
            "/name",
            "a name has 1 to 64 of the characters a-z, 0-9, _ and -",
        ),
        TenantError::NotFound => ApiError::not_found(),
        TenantError::IsDefault => ApiError::new(Code::Conflict, error.to_string()),
        TenantError::Store(error) => ApiError::store(error),
    }
}

fn view(tenant: Tenant) -> TenantView {
    TenantView {
        id: tenant.key.to_string(),
        name: tenant.name,
        created_at: time(tenant.created_at),
    }
}
