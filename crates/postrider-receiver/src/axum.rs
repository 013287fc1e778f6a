//! For axum: an extractor that reads the raw body and verifies it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::Router;
//! use axum::routing::post;
//! use postrider_receiver::axum::Verified;
//! use postrider_receiver::{Profile, Verifier};
//!
//! async fn handle(Verified(event): Verified) -> &'static str {
//!     println!("{} arrived", event.id);
//!     "thanks"
//! }
//!
//! let verifier = Verifier::new(Profile::standard())
//!     .with_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! let app: Router = Router::new().route("/webhooks", post(handle)).with_state(Arc::new(verifier));
//! # Ok::<(), postrider_receiver::SecretError>(())
//! ```

use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::raw_body::verified;
use crate::{Event, Verifier};

pub use crate::raw_body::Refused;

/// A request whose signature is good. Needs an `Arc<Verifier>` in the router's state. What isn't
/// good is answered with 400 or 401, and the handler is not called.
#[derive(Clone, Debug)]
pub struct Verified(pub Event);

impl<S: Send + Sync> FromRequest<S> for Verified
where
    Arc<Verifier>: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let verifier = Arc::<Verifier>::from_ref(state);
        let (parts, body) = request.into_parts();
        verified(&verifier, &parts.headers, body).await.map(Self)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::BAD_REQUEST);
        (status, self.to_string()).into_response()
    }
}

#[cfg(feature = "inbox")]
impl IntoResponse for crate::inbox::Answer {
    fn into_response(self) -> Response {
        // a handler may answer with any number; one that is no status is its fault
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match self.retry_after_seconds {
            Some(seconds) => {
                (status, [(http::header::RETRY_AFTER, seconds.to_string())]).into_response()
            }
            None => status.into_response(),
        }
    }
}
