//! `/docs`: the document for people, with a viewer that comes from this server alone.
//!
//! The viewer is a script of some megabytes. It is compressed once, at its first use, and a browser
//! keeps it. The page's policy lets it load and ask nothing but this server.

use std::io::Write as _;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::OnceCell;

use super::Answer;
use crate::http::encoding::accepts_gzip;
use crate::http::problem::{ApiError, Code};

const PAGE: &str = include_str!("docs/page.html");
const PAGE_SCRIPT: &str = include_str!("docs/page.js");
/// The viewer in the package that it comes from.
const VIEWER: &str = "scalar.js";

/// The viewer puts its styles into the page, so styles may stand in line; scripts may not.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
/// A day: another version of the server may bring another viewer.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=86400");

/// The page and its scripts.
pub(super) fn router() -> Router {
    let page = || async { guarded((StatusCode::OK, [(header::CONTENT_TYPE, HTML)], PAGE)) };
    let script =
        || async { guarded((StatusCode::OK, [(header::CONTENT_TYPE, JAVASCRIPT)], PAGE_SCRIPT)) };
    Router::new()
        .route("/docs", get(page))
        .route("/docs/page.js", get(script))
        .route("/docs/reference.js", get(viewer))
}

async fn viewer(headers: HeaderMap) -> Answer {
    static COMPRESSED: OnceCell<Bytes> = OnceCell::const_new();
    let is_compressed = accepts_gzip(&headers);
    let body = if is_compressed {
        COMPRESSED.get_or_try_init(|| off_the_loop(compressed)).await?.clone()
    } else {
        off_the_loop(plain).await?
    };
    let fixed = [(header::CONTENT_TYPE, JAVASCRIPT), (header::CACHE_CONTROL, KEPT)];
    let mut response = guarded((StatusCode::OK, fixed, body));
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Megabytes are copied and compressed where nobody else waits.
async fn off_the_loop(work: fn() -> Option<Bytes>) -> Result<Bytes, ApiError> {
    let done = tokio::task::spawn_blocking(work).await.ok().flatten();
    done.ok_or_else(|| {
        tracing::error!("the script of the page /docs can't be read or compressed");
        ApiError::new(Code::Internal, "a fault of the server; its log says more")
    })
}

fn plain() -> Option<Bytes> {
    scalar_api_reference::get_asset(VIEWER).map(Bytes::from)
}

fn compressed() -> Option<Bytes> {
    let plain = plain()?;
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::default());
    encoder.write_all(&plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn guarded(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
