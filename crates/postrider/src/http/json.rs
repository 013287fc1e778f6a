//! Strict reading of JSON bodies.
//!
//! One pass of [`json::minify_within`] checks the whole text and strips its white space; what it
//! lets through is then taken apart by [`super::fields`]. So the `data` of an event stays the
//! bytes that its publisher wrote.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use postrider_signature::json::{self, JsonError, JsonErrorKind};
use serde::Serialize;

use super::body;
use super::limits::NUMBER_CHARS_MAX;
use super::problem::{ApiError, Code};
use super::query::Query;
use super::state::ServerState;

/// A checked, minified JSON text from a request's body.
#[derive(Debug)]
pub struct JsonText(String);

impl JsonText {
    /// Checks a text that arrived.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        // the limit of depth is that of an event's data, which stands below an event, or below
        // an event in a batch
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let outer_levels = if first == Some(&b'[') { 2 } else { 1 };
        let minified =
            json::minify_within(bytes, outer_levels).map_err(|error| refusal(&error, bytes))?;
        String::from_utf8(minified)
            .map(Self)
            .map_err(|_| ApiError::new(Code::InvalidUtf8, "the body is not UTF-8"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromRequest<ServerState> for JsonText {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ServerState) -> Result<Self, ApiError> {
        let bytes = read(request, state).await?;
        Self::parse(&bytes)
    }
}

/// A body that may be left out, which is as good as an object without members.
#[derive(Debug)]
pub struct OptionalJsonText(JsonText);

impl OptionalJsonText {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromRequest<ServerState> for OptionalJsonText {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ServerState) -> Result<Self, ApiError> {
        let bytes = read(request, state).await?;
        let text = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        JsonText::parse(text).map(Self)
    }
}

/// The body of a request that says everything in it: no query parameter is known besides.
async fn read(request: Request, state: &ServerState) -> Result<Bytes, ApiError> {
    let (mut parts, body) = request.into_parts();
    Query::from_request_parts(&mut parts, state).await?.finish()?;
    check_type(&parts.headers)?;
    body::read(state, &parts.headers, body).await
}

/// Answers with a JSON document.
pub fn answer(status: StatusCode, document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(body) => {
            let json = HeaderValue::from_static("application/json");
            (status, [(header::CONTENT_TYPE, json)], body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            ApiError::new(Code::Internal, "a fault of the server; its log says more")
                .into_response()
        }
    }
}

/// JSON by any of the names that clients give it (contract §4). It is never form-decoded.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity) {
        return Err(ApiError::new(
            Code::UnsupportedMediaType,
            "send the body without Content-Encoding",
        ));
    }
    if headers.get_all(header::CONTENT_TYPE).iter().all(is_json) {
        return Ok(());
    }
    Err(ApiError::new(Code::UnsupportedMediaType, "send JSON, with Content-Type: application/json"))
}

fn is_json(value: &HeaderValue) -> bool {
    let essence = value.to_str().unwrap_or("?").split(';').next();
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "" | "application/json" | "application/x-www-form-urlencoded" | "text/plain"
    ) || essence.ends_with("+json")
}

fn refusal(error: &JsonError, input: &[u8]) -> ApiError {
    let code = match error.kind {
        JsonErrorKind::Syntax(_) => Code::InvalidJson,
        JsonErrorKind::InvalidUtf8 => Code::InvalidUtf8,
        JsonErrorKind::TooDeep => Code::TooDeep,
        JsonErrorKind::NumberOverflow if is_absurd_number(input, error.offset) => Code::InvalidJson,
        JsonErrorKind::NumberOverflow
        | JsonErrorKind::LoneSurrogate
        | JsonErrorKind::ForbiddenKey => Code::Validation,
    };
    ApiError::at(code, error.pointer.clone(), format!("{}, at byte {}", error.kind, error.offset))
}

/// Longer than anybody means: noise, not a large number.
fn is_absurd_number(input: &[u8], offset: usize) -> bool {
    let is_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let number = input.iter().skip(offset).take_while(is_number);
    number.take(NUMBER_CHARS_MAX + 1).count() > NUMBER_CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Code, Option<String>) {
        let error = JsonText::parse(text.as_bytes()).unwrap_err();
        let pointer = error.problem().errors[0].pointer.clone();
        (error.code(), pointer)
    }

    #[test]
    fn each_way_to_be_refused_has_its_code() {
        let at = |pointer: &str| Some(pointer.to_owned());
        assert_eq!(refused("{").0, Code::InvalidJson);
        assert_eq!(refused("{\"a\":1e400}"), (Code::Validation, at("/a")));
        assert_eq!(refused("{\"a\":\"\\ud800\"}"), (Code::Validation, at("/a")));
        assert_eq!(refused(&format!("[{}]", "9".repeat(2_000))).0, Code::InvalidJson);
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(65), "]".repeat(65));
        assert_eq!(refused(&deep).0, Code::TooDeep);
        let error = JsonText::parse(b"\"\xff\"").unwrap_err();
        assert_eq!(error.code(), Code::InvalidUtf8);
    }

    #[test]
    fn data_may_be_as_deep_in_a_batch_as_alone() {
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert!(JsonText::parse(deep.as_bytes()).is_ok());
        assert!(JsonText::parse(format!(" [{deep}]").as_bytes()).is_ok());
    }

    #[test]
    fn json_goes_by_several_names() {
        let check = |value: &'static str, expected| {
            assert_eq!(is_json(&HeaderValue::from_static(value)), expected, "{value}");
        };
        check("application/json; charset=utf-8", true);
        check("Application/CloudEvents+JSON", true);
        check("application/x-www-form-urlencoded", true);
        check("text/plain", true);
        check("", true);
        check("text/html", false);
        check("multipart/form-data; boundary=x", false);
    }
}
