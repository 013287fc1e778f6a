//! Who is asking, and whether they may.
//!
//! A handler names what it needs by the extractor it takes: [`Reader`], [`Publisher`],
//! [`Manager`], [`Admin`] or [`Scraper`]. The first three know the tenant that the request is about. Keys
//! come in the `Authorization` header only: cookies would let browsers be abused, and a query
//! string ends up in logs.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use postrider_core::id::TenantKey;
use postrider_store::Scope;

use super::Peer;
use super::limits::{AUTHORIZATION_BYTES_MAX, WRONG_KEYS_WINDOW};
use super::problem::{ApiError, Code};
use super::state::ServerState;
use crate::engine::{Access, DEFAULT_TENANT};

/// Names the tenant that a request with an admin key is about.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("postrider-tenant");

/// May read webhooks, events and deliveries of this tenant.
#[derive(Clone, Copy, Debug)]
pub struct Reader(pub TenantKey);
/// May publish events to this tenant.
#[derive(Clone, Copy, Debug)]
pub struct Publisher(pub TenantKey);
/// May change webhooks and deliveries of this tenant.
#[derive(Clone, Copy, Debug)]
pub struct Manager(pub TenantKey);
/// May do everything.
#[derive(Clone, Copy, Debug)]
pub struct Admin;
/// May read metrics: whoever may do everything, or anybody where the configuration says so.
#[derive(Clone, Copy, Debug)]
pub struct Scraper;

impl FromRequestParts<ServerState> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        scoped(parts, state, Scope::Read).map(Self)
    }
}

impl FromRequestParts<ServerState> for Publisher {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        scoped(parts, state, Scope::Publish).map(Self)
    }
}

impl FromRequestParts<ServerState> for Manager {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        scoped(parts, state, Scope::Manage).map(Self)
    }
}

impl FromRequestParts<ServerState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        let access = authenticate(parts, state)?;
        permit(access.scope, Scope::Admin)?;
        Ok(Self)
    }
}

impl FromRequestParts<ServerState> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        if !state.is_metrics_open() {
            Admin::from_request_parts(parts, state).await?;
        }
        Ok(Self)
    }
}

fn scoped(parts: &Parts, state: &ServerState, needed: Scope) -> Result<TenantKey, ApiError> {
    let access = authenticate(parts, state)?;
    permit(access.scope, needed)?;
    tenant_of(&parts.headers, access, state)
}

fn authenticate(parts: &Parts, state: &ServerState) -> Result<Access, ApiError> {
    let key = bearer(&parts.headers)?;
    if let Some(access) = key.and_then(|key| state.engine.authenticate(key)) {
        return Ok(access);
    }
    if let Some(error) = state.note_wrong_key(parts) {
        return Err(error);
    }
    Err(ApiError::new(Code::Unauthenticated, "the API key is unknown, expired or revoked"))
}

impl ServerState {
    /// Counts a wrong key; the error when its address sent too many. A right key is never slowed
    /// down, so an attacker can't lock out whoever shares its address.
    pub(crate) fn note_wrong_key(&self, parts: &Parts) -> Option<ApiError> {
        let from = parts
            .extensions
            .get::<Peer>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        if !self.wrong_keys().is_one_too_many(from, self.engine.now()) {
            return None;
        }
        let window_s = u32::try_from(WRONG_KEYS_WINDOW.as_secs()).unwrap_or(u32::MAX);
        let error = ApiError::new(Code::RateLimited, "too many wrong API keys from your address");
        Some(error.retry_after(window_s))
    }
}

/// The key text. `None` where there is one that can't be right.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return Err(ApiError::new(
            Code::Unauthenticated,
            "send an API key in the header Authorization: Bearer KEY",
        ));
    };
    if given.next().is_some() {
        return Err(ApiError::new(Code::BadRequest, "send one Authorization header"));
    }
    if value.len() > AUTHORIZATION_BYTES_MAX {
        return Ok(None);
    }
    let key = value.to_str().ok().and_then(|text| text.split_once(' '));
    Ok(key
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim_ascii()))
}

fn permit(has: Scope, needed: Scope) -> Result<(), ApiError> {
    if includes(has, needed) {
        return Ok(());
    }
    let wanted = match needed {
        Scope::Admin => "admin",
        Scope::Manage => "manage",
        Scope::Publish => "publish",
        Scope::Read => "read",
    };
    Err(ApiError::new(
        Code::Forbidden,
        format!("this API key may not do that; it takes one with the scope {wanted}"),
    ))
}

fn includes(has: Scope, needed: Scope) -> bool {
    match has {
        Scope::Admin => true,
        Scope::Manage => needed != Scope::Admin,
        Scope::Publish => needed == Scope::Publish,
        Scope::Read => needed == Scope::Read,
    }
}

/// Another tenant's name gets the answer of an unknown one: a key learns nothing about others.
fn tenant_of(
    headers: &HeaderMap,
    access: Access,
    state: &ServerState,
) -> Result<TenantKey, ApiError> {
    let mut given = headers.get_all(TENANT_HEADER).iter();
    let named = given.next();
    if given.next().is_some() {
        return Err(ApiError::new(Code::BadRequest, "send one Postrider-Tenant header"));
    }
    let name = match (access.tenant, named) {
        (Some(own), None) => return Ok(own),
        (None, None) => Some(DEFAULT_TENANT),
        (_, Some(value)) => value.to_str().ok(),
    };
    name.and_then(|name| state.engine.tenant(name))
        .map(|tenant| tenant.key)
        .filter(|key| access.tenant.is_none_or(|own| own == *key))
        .ok_or_else(|| {
            ApiError::new(
                Code::TenantNotFound,
                "the header Postrider-Tenant names no tenant of yours",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn scopes_include_what_they_should() {
        use Scope::{Admin, Manage, Publish, Read};
        let check = |has, may: [bool; 4]| {
            let is = [Admin, Manage, Publish, Read].map(|needed| includes(has, needed));
            assert_eq!(is, may, "{has:?}");
        };
        check(Admin, [true, true, true, true]);
        check(Manage, [false, true, true, true]);
        check(Publish, [false, false, true, false]);
        check(Read, [false, false, false, true]);
    }

    #[test]
    fn keys_are_read_from_one_bearer_header_only() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            let key = bearer(&headers).map(|key| key.map(str::to_owned));
            key.map_err(|error| error.code())
        };
        assert_eq!(read(&["Bearer abc"]), Ok(Some("abc".into())));
        assert_eq!(read(&["bearer  abc "]), Ok(Some("abc".into())));
        assert_eq!(read(&["Basic abc"]), Ok(None));
        assert_eq!(read(&["abc"]), Ok(None));
        assert_eq!(read(&[&format!("Bearer {}", "a".repeat(600))]), Ok(None));
        assert_eq!(read(&[]), Err(Code::Unauthenticated));
        assert_eq!(read(&["Bearer a", "Bearer b"]), Err(Code::BadRequest));
    }
}
