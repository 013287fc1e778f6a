//! The one hot route, before the table of routes.
//!
//! Looking a route up costs a dozen allocations, nothing beside most requests and a tenth of what is
//! ours in publishing. The table has the route too: for its document, and for whatever a request
//! line looks like otherwise.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures_util::FutureExt;
use futures_util::future::{Either, Map};
use http::{Method, Request};
use tower::Service;

use super::publish::publish;
use crate::http::state::ServerState;

const PUBLISH_PATH: &str = "/v1/events";

/// All routes, the hot one first.
#[derive(Clone, Debug)]
pub struct Routes {
    state: ServerState,
    table: Router,
}

type Published = Pin<Box<dyn Future<Output = Response> + Send>>;
type Answered = fn(Response) -> Result<Response, Infallible>;

impl Routes {
    /// `table`: what [`super::router`] made for the same state.
    pub fn new(state: ServerState, table: Router) -> Self {
        Self { state, table }
    }
}

impl Service<Request<Body>> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Map<Published, Answered>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_publishing = request.uri().path() == PUBLISH_PATH;
        if is_publishing && request.method() == Method::POST {
            let published: Published = Handler::call(publish, request, self.state.clone());
            return Either::Left(published.map(Ok));
        }
        Either::Right(self.table.call(request))
    }
}
