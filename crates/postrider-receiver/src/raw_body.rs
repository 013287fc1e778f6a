//! Reading a request's body as it came, bounded.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::{Event, Rejected, Verifier};

/// Most bytes of a body that are read: what Postrider accepts from publishers, and room for the
/// envelope and longer spellings.
pub(crate) const BODY_BYTES_MAX: usize = 2 << 20;

/// Why a request is refused before any handler sees it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("the body is longer than {BODY_BYTES_MAX} bytes")]
    TooLong,
    #[error("the body broke off")]
    Broken,
}

impl Refused {
    /// What to answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Rejected(rejected) => rejected.status(),
            Self::TooLong => 413,
            Self::Broken => 400,
        }
    }
}

pub(crate) async fn verified<B>(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: B,
) -> Result<Event, Refused>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let read = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = read.map_err(|error| {
        if error.is::<LengthLimitError>() { Refused::TooLong } else { Refused::Broken }
    })?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Ok(verifier.verify(header, &body.to_bytes())?)
}
