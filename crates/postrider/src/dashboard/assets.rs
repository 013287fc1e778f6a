//! What pages load: one style sheet, one script, an icon, and the logo.
//!
//! Their addresses hold a hash of their content, so browsers keep them for ever and a new version
//! of the server is a new address.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, LazyLock, OnceLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use super::look::Look;
use crate::http::encoding::accepts_gzip;

/// Hexadecimal digits of a hash in an address.
const HASH_DIGITS: usize = 16;
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = concat!(include_str!("assets/app.css"), include_str!("assets/chart.css"));
    Asset::new("app", "css", HeaderValue::from_static(CSS), text)
});
/// One module: what `chart.js` exports is at hand in `app.js`.
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = concat!(include_str!("assets/chart.js"), include_str!("assets/app.js"));
    Asset::new("app", "js", HeaderValue::from_static(JAVASCRIPT), text)
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", HeaderValue::from_static(SVG), include_str!("assets/icon.svg"))
});

/// The addresses of what every page loads.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) icon: &'static str,
    /// The brand's colours.
    pub(super) brand: String,
    pub(super) logo: Option<String>,
}

impl Addresses {
    pub(super) fn new(look: &Look) -> Self {
        Self {
            style: &STYLE.path,
            script: &SCRIPT.path,
            icon: &ICON.path,
            brand: brand(look).path,
            logo: logo(look).map(|logo| logo.path),
        }
    }
}

/// Something that is served as it is.
#[derive(Clone, Debug)]
struct Asset {
    path: String,
    media_type: HeaderValue,
    plain: Bytes,
    /// Made when it is first asked for; `None` for what is compressed by itself.
    compressed: Option<Arc<OnceLock<Option<Bytes>>>>,
}

pub(super) fn router(look: &Look) -> Router {
    let fixed = [&STYLE, &SCRIPT, &ICON].map(|asset| (**asset).clone());
    let own = [Some(brand(look)), logo(look)];
    let all = fixed.into_iter().chain(own.into_iter().flatten());
    all.fold(Router::new(), |router, asset| {
        let path = asset.path.clone();
        router.route(&path, get(move |headers: HeaderMap| async move { asset.answer(&headers) }))
    })
}

fn brand(look: &Look) -> Asset {
    let (light, dark) = (look.accent.on_light(), look.accent.on_dark());
    let text = format!(
        ":root{{--accent:light-dark({light},{dark});--accent-ink:light-dark({},{})}}\n",
        light.ink(),
        dark.ink()
    );
    Asset::new("brand", "css", HeaderValue::from_static(CSS), &text)
}

fn logo(look: &Look) -> Option<Asset> {
    let logo = look.logo.as_ref()?;
    Some(Asset::of_bytes("logo", "", logo.media_type.clone(), logo.bytes.clone()))
}

impl Asset {
    fn new(name: &str, extension: &str, media_type: HeaderValue, text: &str) -> Self {
        let mut asset =
            Self::of_bytes(name, extension, media_type, Bytes::copy_from_slice(text.as_bytes()));
        asset.compressed = Some(Arc::default());
        asset
    }

    fn of_bytes(name: &str, extension: &str, media_type: HeaderValue, plain: Bytes) -> Self {
        let hash = Sha256::digest(&plain).iter().fold(String::new(), |mut hash, byte| {
            let _ = write!(hash, "{byte:02x}");
            hash
        });
        let dot = if extension.is_empty() { "" } else { "." };
        let path = format!("/dashboard/assets/{name}-{}{dot}{extension}", &hash[..HASH_DIGITS]);
        Self { path, media_type, plain, compressed: None }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let packed = self.compressed.as_ref().filter(|_| accepts_gzip(headers));
        let packed = packed.and_then(|once| once.get_or_init(|| compressed(&self.plain)).as_ref());
        let body = packed.unwrap_or(&self.plain).clone();
        let mut response = (StatusCode::OK, body).into_response();
        let told = response.headers_mut();
        told.insert(header::CONTENT_TYPE, self.media_type.clone());
        told.insert(header::CACHE_CONTROL, KEPT);
        told.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        told.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.compressed.is_some() {
            told.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if packed.is_some() {
            told.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn compressed(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
