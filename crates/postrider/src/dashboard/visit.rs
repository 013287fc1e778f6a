//! A visit: who looks at which tenant. Every page and every deed of a person begins with one.
//!
//! Whoever is not signed in gets the sign-in page whatever they asked for, and whoever asks for a
//! tenant that is not theirs gets the answer of one that isn't there.

use std::collections::HashMap;
use std::fmt;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use http::header::{HOST, LOCATION, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use postrider_core::id::TenantKey;
use postrider_store::Tenant;

use super::form::Form;
use super::layout::{self, Notice};
use super::session::{Rights, Session, cookie};
use super::{Dashboard, sign_in};
use crate::engine::Engine;
use crate::http::body;
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;

/// Keeps what a person chose; no more than a word, so scripts may write it.
const THEME_COOKIE: &str = "postrider_theme";

/// See the module's text.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) dashboard: Dashboard,
    pub(super) tenant: Tenant,
    pub(super) rights: Rights,
    pub(super) theme: Option<Theme>,
    /// What was done just before, to be said once.
    pub(super) notice: Option<Notice>,
    /// Path and query as they were asked for.
    pub(super) uri: String,
    query: String,
}

/// Somebody does something: a form that came from one of our own pages, and who may send it.
#[derive(Debug)]
pub(super) struct Deed {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

/// A form of one of our own pages, sent by somebody who need not be signed in.
#[derive(Debug)]
pub(super) struct GuestForm {
    pub(super) parts: Parts,
    pub(super) form: Form,
}

/// An operator: whoever may see all tenants.
#[derive(Debug)]
pub(super) struct Operator(pub(super) Visit);

/// The answer that ends a request early. One pointer wide, so that results stay small.
pub(super) struct Stop(Box<Response>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Light,
    Dark,
}

pub(super) type Answer = Result<Response, Stop>;

impl Visit {
    pub(super) fn engine(&self) -> &Engine {
        self.dashboard.engine()
    }

    pub(super) fn tenant_key(&self) -> TenantKey {
        self.tenant.key
    }

    /// The address of a page of this tenant; `path` begins with a slash.
    pub(super) fn href(&self, path: impl fmt::Display) -> String {
        format!("/dashboard/t/{}{path}", self.tenant.name)
    }

    /// The parameters in the page's address. What a form left empty is not there.
    pub(super) fn query(&self) -> Query {
        Query::of_page(&self.query)
    }

    /// The page of a request that can't be done.
    pub(super) fn refuse(&self, error: &ApiError) -> Stop {
        Stop::new(layout::refusal(self, error))
    }

    pub(super) fn not_found(&self) -> Stop {
        self.refuse(&ApiError::not_found())
    }

    /// Goes on at another page, which says what was done.
    pub(super) fn go_to(&self, path: impl fmt::Display, notice: Notice) -> Response {
        let path = self.href(path);
        let join = if path.contains('?') { '&' } else { '?' };
        see_other(&format!("{path}{join}notice={}", notice.code()))
    }

    fn read(parts: &Parts, dashboard: &Dashboard, name: Option<&str>) -> Result<Self, Stop> {
        let Guest { rights, theme } = Guest::read(parts, dashboard);
        let rights = rights.ok_or_else(|| Stop::new(sign_in::wall(dashboard, parts)))?;
        let engine = dashboard.engine();
        let tenant = match name {
            Some(name) => engine.tenant(name).filter(|tenant| rights.may_see(tenant.key)),
            None => sign_in::first_tenant(engine, rights),
        };
        let query = parts.uri.query().unwrap_or_default();
        let uri = parts.uri.path_and_query().map_or("/dashboard", |uri| uri.as_str());
        let tenant = tenant.ok_or_else(|| {
            Stop::new(layout::bare_refusal(dashboard, theme, &ApiError::not_found()))
        })?;
        let notice = Notice::of_query(query);
        Ok(Self {
            dashboard: dashboard.clone(),
            tenant,
            rights,
            theme,
            notice,
            uri: uri.to_owned(),
            query: query.to_owned(),
        })
    }
}

/// Whoever makes a request, signed in or not.
pub(super) struct Guest {
    pub(super) rights: Option<Rights>,
    pub(super) theme: Option<Theme>,
}

impl Guest {
    pub(super) fn read(parts: &Parts, dashboard: &Dashboard) -> Self {
        let session = Session::of(dashboard.engine(), &parts.headers);
        let rights = session.and_then(|session| session.rights(dashboard));
        Self { rights, theme: Theme::of(&parts.headers) }
    }
}

impl Theme {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        match cookie(headers, THEME_COOKIE)? {
            "light" => Some(Self::Light),
            "dark" => Some(Self::Dark),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl FromRequestParts<Dashboard> for Visit {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Dashboard) -> Result<Self, Stop> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, dashboard).await;
        let name = path.ok().and_then(|Path(mut path)| path.remove("tenant"));
        Self::read(parts, dashboard, name.as_deref())
    }
}

impl FromRequestParts<Dashboard> for Operator {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Dashboard) -> Result<Self, Stop> {
        let visit = Visit::from_request_parts(parts, dashboard).await?;
        if visit.rights.is_operator() { Ok(Self(visit)) } else { Err(visit.not_found()) }
    }
}

impl FromRequest<Dashboard> for Deed {
    type Rejection = Stop;

    async fn from_request(request: Request, dashboard: &Dashboard) -> Result<Self, Stop> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, dashboard).await?;
        let refuse = |error: ApiError| visit.refuse(&error);
        check_origin(&parts.headers, dashboard.engine().public_url()).map_err(refuse)?;
        if !visit.rights.may_manage {
            let detail = "you may look here, but not change anything";
            return Err(visit.refuse(&ApiError::new(Code::Forbidden, detail)));
        }
        let bytes = body::read(&dashboard.server, &parts.headers, body).await;
        let form = Form::parse(&bytes.map_err(refuse)?).map_err(refuse)?;
        Ok(Self { visit, form })
    }
}

impl FromRequest<Dashboard> for GuestForm {
    type Rejection = Stop;

    async fn from_request(request: Request, dashboard: &Dashboard) -> Result<Self, Stop> {
        let (parts, body) = request.into_parts();
        let theme = Theme::of(&parts.headers);
        let stop = |error: ApiError| Stop::new(layout::bare_refusal(dashboard, theme, &error));
        check_origin(&parts.headers, dashboard.engine().public_url()).map_err(stop)?;
        let bytes = body::read(&dashboard.server, &parts.headers, body).await.map_err(stop)?;
        Ok(Self { form: Form::parse(&bytes).map_err(stop)?, parts })
    }
}

impl Stop {
    pub(super) fn new(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        *self.0
    }
}

pub(super) fn see_other(to: &str) -> Response {
    let Ok(to) = HeaderValue::try_from(to) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

/// Whether a request comes from a page of ours: another site's page may have a browser send a
/// form here, with our cookie, but can't make it lie about where the form was.
pub(super) fn check_origin(headers: &HeaderMap, public_url: &str) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            origin == public_url || (authority.is_some() && authority == text(HOST.as_str()))
        }
        (None, None) => false,
    };
    if is_ours {
        return Ok(());
    }
    let detail =
        "this did not come from a page of this dashboard; open the dashboard and do it there";
    Err(ApiError::new(Code::Forbidden, detail))
}

/// Whether a page was opened from another site, whose navigations carry no strict cookie.
pub(super) fn came_from_elsewhere(parts: &Parts) -> bool {
    let site = parts.headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    parts.method == Method::GET && matches!(site, Some("cross-site" | "same-site"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn only_forms_of_our_own_pages_are_taken() {
        let check = |given: &[(&'static str, &'static str)], expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:8080"));
            for (name, value) in given {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let checked = check_origin(&headers, "https://hooks.example.com");
            assert_eq!(checked.is_ok(), expected, "{given:?}");
        };
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "none")], false);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "https://hooks.example.com")], false);
        check(&[("origin", "https://hooks.example.com")], true);
        check(&[("origin", "http://127.0.0.1:8080")], true);
        check(&[("origin", "https://evil.example")], false);
        check(&[("origin", "null")], false);
        check(&[], false);
    }
}
