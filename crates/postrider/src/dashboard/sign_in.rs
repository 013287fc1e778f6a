//! Signing in with an API key, and out.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use maud::{Markup, html};
use postrider_store::{Scope, Tenant};

use super::Dashboard;
use super::layout::{self, bare};
use super::session::{Holder, Jar, KEY_SESSION_MS, Rights, Session};
use super::visit::{Answer, Guest, GuestForm, Stop, Theme, came_from_elsewhere, see_other};
use crate::engine::{DEFAULT_TENANT, Engine};
use crate::http::problem::ApiError;

/// Where whoever signs in wanted to go.
const NEXT: &str = "next";

/// The first page of whoever is signed in.
pub(super) async fn home(State(dashboard): State<Dashboard>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Guest { rights, theme } = Guest::read(&parts, &dashboard);
    match rights {
        Some(rights) => at_home(&dashboard, rights, theme),
        None => wall(&dashboard, &parts),
    }
}

/// An address below `/dashboard` that is no page.
pub(super) async fn nowhere(State(dashboard): State<Dashboard>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Guest { rights, theme } = Guest::read(&parts, &dashboard);
    match rights {
        Some(_) => layout::bare_refusal(&dashboard, theme, &ApiError::not_found()),
        None => wall(&dashboard, &parts),
    }
}

pub(super) async fn show(State(dashboard): State<Dashboard>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Guest { rights, theme } = Guest::read(&parts, &dashboard);
    match rights {
        Some(rights) => at_home(&dashboard, rights, theme),
        None => page(&dashboard, theme, StatusCode::OK, "/dashboard", None),
    }
}

pub(super) async fn sign_in(
    State(dashboard): State<Dashboard>,
    GuestForm { parts, form }: GuestForm,
) -> Answer {
    let theme = Theme::of(&parts.headers);
    let engine = dashboard.engine();
    let next = form.text(NEXT).filter(|path| is_ours(path)).unwrap_or("/dashboard");
    let refused = |status, why| Ok(page(&dashboard, theme, status, next, Some(why)));
    let Some((identity, access)) = form.text("key").and_then(|key| engine.identify(key)) else {
        if let Some(error) = dashboard.server.note_wrong_key(&parts) {
            return Err(Stop::new(layout::bare_refusal(&dashboard, theme, &error)));
        }
        let why = "This key is unknown, expired or revoked.";
        return refused(StatusCode::UNAUTHORIZED, why);
    };
    if access.scope == Scope::Publish {
        let why = "This key may only publish; sign in with one that may read.";
        return refused(StatusCode::FORBIDDEN, why);
    }
    let ends = engine.now() + KEY_SESSION_MS;
    let session = Session::new(engine.random_number(), Holder::Key(identity), ends);
    Ok(signed_in(&dashboard, &session, Jar::of(engine, &parts.headers), next))
}

/// Goes on at `next` with a session.
pub(super) fn signed_in(
    dashboard: &Dashboard,
    session: &Session,
    jar: Jar,
    next: &str,
) -> Response {
    layout::with_cookies(see_other(next), session.cookie(dashboard.engine(), jar))
}

pub(super) async fn sign_out(
    State(dashboard): State<Dashboard>,
    GuestForm { parts, .. }: GuestForm,
) -> Response {
    if let Some(session) = Session::of(dashboard.engine(), &parts.headers) {
        session.end(&dashboard);
    }
    layout::with_cookies(see_other("/dashboard/sign-in"), Jar::emptied())
}

/// What whoever is not signed in gets to see, whatever the address.
///
/// A link on another site brings no strict cookie along: then the page asks for itself once more,
/// which comes from us and does.
pub(super) fn wall(dashboard: &Dashboard, parts: &Parts) -> Response {
    let theme = Theme::of(&parts.headers);
    let next = parts.uri.path_and_query().map_or("/dashboard", |uri| uri.as_str());
    if came_from_elsewhere(parts) {
        let body = html! {
            meta http-equiv="refresh" content="0";
            p { a href=(next) { "Go on" } }
        };
        return bare(dashboard, theme, "One moment", StatusCode::OK, &body);
    }
    page(dashboard, theme, StatusCode::UNAUTHORIZED, next, None)
}

/// The tenant that somebody sees first; `None` when there is none they may see.
pub(super) fn first_tenant(engine: &Engine, rights: Rights) -> Option<Tenant> {
    match rights.tenant {
        Some(own) => engine.tenant_of_key(own),
        None => engine.tenant(DEFAULT_TENANT),
    }
}

fn at_home(dashboard: &Dashboard, rights: Rights, theme: Option<Theme>) -> Response {
    match first_tenant(dashboard.engine(), rights) {
        Some(tenant) => see_other(&format!("/dashboard/t/{}/", tenant.name)),
        None => layout::bare_refusal(dashboard, theme, &ApiError::not_found()),
    }
}

fn page(
    dashboard: &Dashboard,
    theme: Option<Theme>,
    status: StatusCode,
    next: &str,
    why: Option<&str>,
) -> Response {
    let next = if is_ours(next) { next } else { "/dashboard" };
    bare(dashboard, theme, "Sign in", status, &form(next, why))
}

fn form(next: &str, why: Option<&str>) -> Markup {
    html! {
        form.card.sign-in method="post" action="/dashboard/sign-in" {
            h1 { "Sign in" }
            label for="key" { "API key" }
            input id="key" name="key" type="password" autocomplete="current-password" required
                autofocus maxlength="256" spellcheck="false"
                aria-describedby="key-help" aria-invalid=[why.map(|_| "true")];
            @if let Some(why) = why { p.fault role="alert" { (why) } }
            p.hint id="key-help" {
                "One that may read or manage; an admin key shows all tenants. Whoever runs the \
                 server has it, or makes one with " code { "postrider key create" } "."
            }
            input type="hidden" name=(NEXT) value=(next);
            button.primary type="submit" { "Sign in" }
        }
    }
}

/// Whether an address is a page of the dashboard: nobody is sent elsewhere after signing in.
fn is_ours(path: &str) -> bool {
    let is_below = path == "/dashboard" || path.starts_with("/dashboard/");
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_below && is_plain && !path.starts_with("/dashboard/sign-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        assert!(is_ours("/dashboard"));
        assert!(is_ours("/dashboard/t/acme/deliveries?state=failed"));
        for path in [
            "//evil.example/dashboard/",
            "https://evil.example/dashboard/",
            "/dashboard\\@evil.example",
            "/dashboard/\r\nset-cookie: a=b",
            "/dashboard/sign-out",
            "/dashboards",
            "/v1/events",
            "",
        ] {
            assert!(!is_ours(path), "{path}");
        }
    }
}
