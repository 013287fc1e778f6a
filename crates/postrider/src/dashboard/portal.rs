//! Portal links: a platform lets its customer in, to one tenant, for a while.
//!
//! A link's token stands behind `#`, where no log and no other site gets to see it; a script on the
//! page that it opens sends it back to us and gets a session for it. The link works until it
//! expires, as often as it is opened; the sessions that it opens end with it.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use maud::html;
use postrider_core::id::{Key, TenantKey, UnixMs};
use serde::{Deserialize, Serialize};

use super::Dashboard;
use super::layout::bare;
use super::session::{Holder, Jar, Session};
use super::sign_in::signed_in;
use super::visit::{GuestForm, Theme};
use crate::engine::Engine;

/// How long a link works: a minute to a day.
pub const LINK_SECONDS: std::ops::RangeInclusive<i64> = 60..=86_400;
/// What a link is sealed for.
const PURPOSE: &str = "portal link";

/// Who is let in by a link, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalLink {
    tenant: u64,
    is_read_only: bool,
    expires_at: UnixMs,
}

impl PortalLink {
    pub fn new(tenant: TenantKey, is_read_only: bool, expires_at: UnixMs) -> Self {
        Self { tenant: tenant.raw(), is_read_only, expires_at }
    }
}

/// The address that opens the dashboard. `None` only for a fault of the seal.
pub fn portal_link(engine: &Engine, link: PortalLink) -> Option<String> {
    let content = serde_json::to_vec(&link).ok()?;
    let token = engine.seal_token(PURPOSE, &content).ok()?;
    Some(format!("{}/dashboard/portal#{token}", engine.public_url()))
}

/// The page that a link opens.
pub(super) async fn show(State(dashboard): State<Dashboard>, request: Request) -> Response {
    let theme = Theme::of(request.headers());
    let body = html! {
        form.card method="post" action="/dashboard/portal" data-portal {
            h1 { "Opening the dashboard" }
            input type="hidden" name="token";
            input type="hidden" name="framed";
            p data-portal-missing { "This takes a browser that runs scripts, and a whole link: copy it \
                again from where you got it." }
        }
    };
    bare(&dashboard, theme, "Opening the dashboard", StatusCode::OK, &body)
}

pub(super) async fn enter(
    State(dashboard): State<Dashboard>,
    GuestForm { parts, form }: GuestForm,
) -> Response {
    let engine = dashboard.engine();
    let link = form.text("token").and_then(|token| open(engine, token));
    let tenant = link.and_then(|link| engine.tenant_of_key(TenantKey::from_raw(link.tenant)));
    let Some((link, tenant)) = link.zip(tenant) else {
        return expired(&dashboard, Theme::of(&parts.headers));
    };
    let holder = Holder::Portal { tenant: link.tenant, is_read_only: link.is_read_only };
    let session = Session::new(engine.random_number(), holder, link.expires_at);
    let is_framed = form.is_ticked("framed") && !dashboard.look.embed_origins.is_empty();
    let jar = match Jar::of(engine, &parts.headers) {
        Jar::Secure if is_framed => Jar::Framed,
        jar => jar,
    };
    signed_in(&dashboard, &session, jar, &format!("/dashboard/t/{}/", tenant.name))
}

fn open(engine: &Engine, token: &str) -> Option<PortalLink> {
    let content = engine.open_token(PURPOSE, token)?;
    let link: PortalLink = serde_json::from_slice(&content).ok()?;
    (engine.now() < link.expires_at).then_some(link)
}

fn expired(dashboard: &Dashboard, theme: Option<Theme>) -> Response {
    let body = html! {
        section.card {
            h1 { "This link has expired" }
            p { "Open the dashboard again from where you got the link; it makes a new one." }
        }
    };
    bare(dashboard, theme, "This link has expired", StatusCode::UNAUTHORIZED, &body)
}
