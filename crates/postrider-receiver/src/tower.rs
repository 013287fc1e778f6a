//! For tower: a layer that verifies before any HTTP service sees the request.
//!
//! The service gets the request with its body whole, and the [`Event`](crate::Event) as an extension.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service};

use crate::Verifier;
use crate::raw_body::verified;

pub use crate::raw_body::Refused;

/// Puts a [`VerifyService`] before a service.
#[derive(Clone, Debug)]
pub struct VerifyLayer {
    verifier: Arc<Verifier>,
}

/// Verifies, and calls the service within only when the signature is good. What isn't good is
/// answered with 400 or 401 and a text that says why.
#[derive(Clone, Debug)]
pub struct VerifyService<S> {
    verifier: Arc<Verifier>,
    inner: S,
}

impl VerifyLayer {
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier: Arc::new(verifier) }
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = VerifyService<S>;

    fn layer(&self, inner: S) -> VerifyService<S> {
        VerifyService { verifier: Arc::clone(&self.verifier), inner }
    }
}

impl<S, B, R> Service<Request<B>> for VerifyService<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // the one that was asked whether it is ready must be the one that is called
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let verifier = Arc::clone(&self.verifier);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match verified(&verifier, &parts.headers, body).await {
                Ok(event) => {
                    let body = Full::new(Bytes::from(event.body.clone()));
                    parts.extensions.insert(event);
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(refused) => {
                    let mut response = Response::new(R::from(refused.to_string()));
                    *response.status_mut() = http::StatusCode::from_u16(refused.status())
                        .unwrap_or(http::StatusCode::BAD_REQUEST);
                    Ok(response)
                }
            }
        })
    }
}
