//! Reading a request's body, bounded in bytes; its time is bounded by the connection's sweep.

use std::error::Error as _;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::connection::BodyError;
use super::limits::{BODY_DISCARD_MAX, BODY_SMALL_BYTES};
use super::problem::{ApiError, Code};
use super::state::ServerState;

/// Reads all of a body of at most [`ServerState::body_bytes_max`]. A small one that came in one piece is not
/// copied.
pub(crate) async fn read(
    state: &ServerState,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Bytes, ApiError> {
    let bytes_max = state.body_bytes_max();
    let length = body.size_hint().exact();
    if length.is_some_and(|length| length > bytes_max as u64) {
        return Err(refuse_too_large(headers, body, 0, bytes_max).await);
    }
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= bytes_max {
        return Ok(first);
    }
    // a chunked one may turn out to be as long as any
    if first.len() > bytes_max {
        let read = first.len();
        return Err(refuse_too_large(headers, body, read, bytes_max).await);
    }
    let expected = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(bytes_max);
    let _room = match expected {
        ..=BODY_SMALL_BYTES => None,
        large => Some(state.reserve_body(large).ok_or_else(|| {
            ApiError::new(Code::Unavailable, "too many large bodies at once; try again")
                .retry_after(1)
        })?),
    };
    let mut all = BytesMut::with_capacity(length.map_or(first.len() * 2, |_| expected));
    all.extend_from_slice(&first);
    while let Some(more) = next(&mut body).await? {
        if all.len() + more.len() > bytes_max {
            return Err(refuse_too_large(headers, body, all.len() + more.len(), bytes_max).await);
        }
        all.extend_from_slice(&more);
    }
    Ok(all.freeze())
}

/// The next piece of data; trailers are of no interest.
async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| refusal(&error))?.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => return Ok(Some(data)),
            Err(_trailers) => {}
        }
    }
    Ok(None)
}

fn refusal(error: &axum::Error) -> ApiError {
    match error.source().and_then(|source| source.downcast_ref()) {
        Some(BodyError::TimedOut) => {
            ApiError::new(Code::RequestTimeout, "the body did not arrive in time")
        }
        Some(BodyError::Broken(_)) | None => {
            ApiError::new(Code::BadRequest, "the body ended early or is framed wrongly")
        }
    }
}

/// Reads what a client that doesn't wait for an answer has sent already, within reason.
async fn refuse_too_large(
    headers: &HeaderMap,
    mut body: Body,
    read: usize,
    bytes_max: usize,
) -> ApiError {
    let rest = body.size_hint().lower();
    // reading would make hyper send `100 Continue`
    let waits = read == 0 && headers.contains_key(header::EXPECT);
    if !waits && rest <= BODY_DISCARD_MAX as u64 {
        let mut discarded = read;
        while let Ok(Some(more)) = next(&mut body).await {
            discarded += more.len();
            if discarded > BODY_DISCARD_MAX {
                break;
            }
        }
    }
    ApiError::new(
        Code::BodyTooLarge,
        format!("the body is longer than {bytes_max} bytes; send less at once"),
    )
}
