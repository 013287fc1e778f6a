//! The dashboard: pages for people, drawn on the server.
//!
//! Every page is HTML made by a function over what the engine and its store answer, the same that
//! the API asks of them. One small script makes times relative, moves through tables by keyboard
//! and fetches a page's live parts anew when something changed; without it everything but the
//! live parts and portal links works.
//!
//! [`visit`] is who looks at what, and comes before every page; [`layout`] is what all pages have in
//! common; [`pages`] has a file for each; [`elements`] are the words they are made of. Whatever
//! strangers wrote (payloads, answers, descriptions) reaches a page through maud's escaping only.

mod assets;
pub(crate) mod chart;
mod color;
mod curl;
mod delivery_table;
mod elements;
mod form;
mod icon;
mod layout;
mod live;
mod look;
mod pages;
mod portal;
mod pretty;
mod range;
mod session;
mod sign_in;
mod stranger;
mod visit;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::FromRef;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::engine::Engine;
use crate::http::state::ServerState;

pub use color::Color;
pub use look::{Logo, Look, LookError};
pub use portal::{LINK_SECONDS, PortalLink, portal_link};

/// What every page shares.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard {
    server: ServerState,
    look: Arc<Look>,
    assets: Arc<assets::Addresses>,
    policies: Arc<layout::Policies>,
    signed_out: Arc<session::SignedOut>,
}

impl Dashboard {
    fn engine(&self) -> &Engine {
        &self.server.engine
    }
}

impl FromRef<Dashboard> for ServerState {
    fn from_ref(dashboard: &Dashboard) -> Self {
        dashboard.server.clone()
    }
}

/// Everything below `/dashboard`.
///
/// # Errors
///
/// When an origin of [`Look::embed_origins`] can't stand in a header.
pub fn router(server: ServerState, look: Look) -> anyhow::Result<Router> {
    let policies = layout::Policies::new(&look.embed_origins)
        .context("dashboard_embed_origins: an origin can't stand in a header")?;
    let assets = assets::router(&look);
    let dashboard = Dashboard {
        server,
        assets: Arc::new(assets::Addresses::new(&look)),
        policies: Arc::new(policies),
        look: Arc::new(look),
        signed_out: Arc::default(),
    };
    let router = Router::new()
        .route("/", get(|| async { Redirect::temporary("/dashboard") }))
        .route("/dashboard", get(sign_in::home))
        .route("/dashboard/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/dashboard/sign-out", post(sign_in::sign_out))
        .route("/dashboard/portal", get(portal::show).post(portal::enter))
        .route("/dashboard/t/{tenant}/live", get(live::stream))
        .route("/dashboard/{*path}", get(sign_in::nowhere))
        .merge(pages::router())
        .with_state(dashboard)
        .merge(assets);
    Ok(router)
}
