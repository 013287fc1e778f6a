//! The API: what each route reads, asks of the engine, and answers.
//!
//! One file for each group of actions; [`router`] is the one table of routes, and the document
//! that describes them is made from the same table. Reading is strict and by hand ([`crate::http::fields`]);
//! the input types that derive a schema exist for the document only, and a test holds both
//! together.

pub mod attempt;
pub mod attempts;
pub mod deliveries;
pub mod delivery_list;
mod direct;
mod docs;
mod document;
pub mod event_types;
pub mod events;
pub mod explanation;
pub mod filters;
pub mod health;
pub mod input;
pub mod keys;
pub mod listen;
mod metrics;
pub mod portal_links;
pub mod publish;
pub mod replay_input;
pub mod replays;
pub mod statistics;
pub mod tenants;
pub mod test_event;
pub mod webhook_actions;
pub mod webhook_input;
pub mod webhooks;
pub mod wire;

use std::sync::OnceLock;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::problem::{ApiError, Code};
use crate::http::state::ServerState;

pub use self::direct::Routes;

/// All routes of the API and those of `more`, which must have no fallback of its own.
pub fn router(state: ServerState, more: Router) -> Router {
    // a megabyte of structures that few servers are ever asked for: made again when one is
    let (routes, _) = table().split_for_parts();
    routes
        .route("/openapi.json", get(|| async { told_document() }))
        .route("/metrics", get(metrics::scrape))
        .with_state(state)
        .merge(docs::router())
        .merge(more)
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async {
            let detail = "this address does not take that method; see the header Allow";
            ApiError::new(Code::MethodNotAllowed, detail)
        })
}

/// The `OpenAPI` document of [`router`].
pub fn document() -> OpenApi {
    document::complete(table().split_for_parts().1)
}

fn told_document() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| serde_json::to_vec(&document()).unwrap_or_default().into());
    let json = HeaderValue::from_static("application/json");
    (StatusCode::OK, [(header::CONTENT_TYPE, json)], text.clone()).into_response()
}

/// The routes. Every one of them is in the document by being here.
fn table() -> OpenApiRouter<ServerState> {
    OpenApiRouter::with_openapi(document::head())
        .routes(routes!(publish::publish, events::list))
        .routes(routes!(events::show))
        .routes(routes!(events::deliveries))
        .routes(routes!(events::explanation))
        .routes(routes!(event_types::create, event_types::list))
        .routes(routes!(event_types::show, event_types::change))
        .routes(routes!(event_types::archive))
        .routes(routes!(event_types::unarchive))
        .routes(routes!(filters::test))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::show, webhooks::change, webhooks::delete))
        .routes(routes!(webhook_actions::enable))
        .routes(routes!(webhook_actions::disable))
        .routes(routes!(webhook_actions::secret))
        .routes(routes!(webhook_actions::rotate))
        .routes(routes!(webhooks::attempts))
        .routes(routes!(statistics::health))
        .routes(routes!(statistics::stats))
        .routes(routes!(test_event::send))
        .routes(routes!(delivery_list::list))
        .routes(routes!(deliveries::show))
        .routes(routes!(deliveries::retry))
        .routes(routes!(listen::listen))
        .routes(routes!(listen::answer))
        .routes(routes!(deliveries::cancel))
        .routes(routes!(attempts::list))
        .routes(routes!(replays::start))
        .routes(routes!(replays::retry_many))
        .routes(routes!(replays::list))
        .routes(routes!(replays::show))
        .routes(routes!(replays::cancel))
        .routes(routes!(tenants::create, tenants::list))
        .routes(routes!(tenants::delete))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(portal_links::create))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// The id in a request's path. Whatever can't be one gets the answer of one that isn't known.
#[derive(Debug)]
struct PathId(String);

impl FromRequestParts<ServerState> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| ApiError::not_found())
    }
}

type Answer = Result<Response, ApiError>;
