//! The one error type of the HTTP side: a problem document (RFC 9457) with a stable code.
//!
//! Handlers turn the errors of what they call into an [`ApiError`] themselves, by cause; there
//! is no blanket conversion. Nothing here repeats what a client sent, but for the keys that a
//! JSON pointer is made of and the names of query parameters.

use std::borrow::Cow;
use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use postrider_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::limits::PROBLEMS_MAX;

/// What a client can tell errors apart by. Stable: codes are added, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    BadRequest,
    InvalidJson,
    InvalidUtf8,
    DuplicateKey,
    Unauthenticated,
    Forbidden,
    NotFound,
    TenantNotFound,
    MethodNotAllowed,
    RequestTimeout,
    IdConflict,
    /// The state of the thing does not allow it now.
    Conflict,
    Quota,
    BodyTooLarge,
    UriTooLong,
    UnsupportedMediaType,
    Validation,
    UnknownField,
    TooDeep,
    UnknownEventType,
    ArchivedEventType,
    SchemaMismatch,
    BatchTooLarge,
    BadCursor,
    ReservedHeader,
    InvalidHeader,
    TooManyHeaders,
    WeakSecret,
    UrlNotAllowed,
    RateLimited,
    Unavailable,
    Internal,
}

impl Code {
    /// The HTTP status that it goes with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::InvalidJson | Self::InvalidUtf8 | Self::DuplicateKey => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::TenantNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::IdConflict | Self::Conflict | Self::Quota => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Validation
            | Self::UnknownField
            | Self::TooDeep
            | Self::UnknownEventType
            | Self::ArchivedEventType
            | Self::SchemaMismatch
            | Self::BatchTooLarge
            | Self::BadCursor
            | Self::ReservedHeader
            | Self::InvalidHeader
            | Self::TooManyHeaders
            | Self::WeakSecret
            | Self::UrlNotAllowed => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A request that failed, as its client is told. One pointer wide, so that results stay small.
pub struct ApiError(Box<Problem>);

/// The document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    pub code: Code,
    /// What is wrong and what to do about it, for people.
    #[schema(value_type = String)]
    pub detail: Cow<'static, str>,
    /// The places at fault, where there are such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Fault>,
    #[serde(skip)]
    pub(super) retry_after_s: Option<u32>,
}

/// One place at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// A JSON pointer (RFC 6901) into the body; the empty one means all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The name of the query parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false)]
    pub parameter: Option<Cow<'static, str>>,
    #[schema(value_type = String)]
    pub message: Cow<'static, str>,
}

impl ApiError {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let status = code.status();
        Self(Box::new(Problem {
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }))
    }

    /// An error at one place of the body; its message is the detail too.
    pub fn at(
        code: Code,
        pointer: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut faults = Faults::default();
        faults.push(code, pointer, message);
        faults.into_error()
    }

    /// What a malformed, an unknown and a foreign id have in common: nobody learns which it was.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is nothing at this address")
    }

    /// Try again in `seconds`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// A failure of the store, logged here because its cause must not leave the server.
    pub fn store(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::StaleOwner => {
                tracing::warn!(%error, "the store did not answer a request");
                Self::new(Code::Unavailable, "the store is busy; try again").retry_after(1)
            }
            StoreError::Conflict(_) => Self::new(
                Code::Conflict,
                "somebody else changed this at the same time; read it again and retry",
            ),
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "the store holds something impossible");
                Self::new(Code::Internal, "a fault of the server; its log says more")
            }
        }
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// Puts `prefix` before each pointer: for an item of a batch.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        for fault in &mut self.0.errors {
            if let Some(pointer) = &mut fault.pointer {
                pointer.insert_str(0, prefix);
            }
        }
        self
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let status = problem.code.status();
        // a document of plain fields always serialises
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = problem.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if leaves_framing_in_doubt(status) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// After these, what follows on the connection may be the rest of this request: it must not be
/// read as another one.
fn leaves_framing_in_doubt(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
    )
}

/// Collects what is wrong with one request, so that it is told all at once.
#[derive(Debug, Default)]
pub struct Faults {
    codes: Vec<Code>,
    faults: Vec<Fault>,
}

impl Faults {
    pub fn push(
        &mut self,
        code: Code,
        pointer: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) {
        let pointer = Some(pointer.into());
        self.add(code, Fault { pointer, parameter: None, message: message.into() });
    }

    /// Notes that a query parameter is wrong.
    pub fn push_parameter(
        &mut self,
        code: Code,
        parameter: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) {
        let parameter = Some(parameter.into());
        self.add(code, Fault { pointer: None, parameter, message: message.into() });
    }

    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Ends collecting.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(self.into_error())
    }

    /// The error that tells them all. Its code is theirs when they agree, else `validation`.
    pub fn into_error(self) -> ApiError {
        let code = match self.codes.as_slice() {
            [first, rest @ ..] if rest.iter().all(|code| code == first) => *first,
            _ => Code::Validation,
        };
        let detail = match self.faults.as_slice() {
            [only] => only.message.clone(),
            many => format!("{} things are wrong with this request; see errors", many.len()).into(),
        };
        let mut error = ApiError::new(code, detail);
        error.0.errors = self.faults;
        error
    }

    fn add(&mut self, code: Code, fault: Fault) {
        if self.faults.len() < PROBLEMS_MAX {
            self.codes.push(code);
            self.faults.push(fault);
        }
    }
}
