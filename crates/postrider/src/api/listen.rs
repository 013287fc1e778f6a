//! Listening: a temporary webhook whose attempts come over the connection that asked for it.
//!
//! The answer is a stream of lines, each a JSON document, that lasts as long as the client reads
//! it. When it ends, by whomever, the webhook is deleted.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use postrider_core::id::{Key, WebhookKey};
use postrider_core::webhook::DisabledReason;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use utoipa::ToSchema;

use super::input::{ListenInput, ListenerAnswerInput};
use super::webhook_input::listener;
use super::webhooks::{WebhookView, refusal, secret_of, unstored};
use super::{Answer, PathId};
use crate::engine::{ListenedAttempt, ListenerAnswer, Listening};
use crate::http::auth::Manager;
use crate::http::fields::Fields;
use crate::http::json::JsonText;
use crate::http::problem::{ApiError, Code};
use crate::http::state::ServerState;

/// How often something is said at least: well within the time after which a connection that is
/// silent is cut, here or by a proxy on the way.
const PING_EVERY: Duration = Duration::from_secs(15);
/// Headers of an answer; common servers bear no more either.
const ANSWER_HEADERS_MAX: usize = 256;
/// Why an attempt came to no answer: a sentence.
const ERROR_BYTES_MAX: usize = 1_024;

/// One line of the stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ListenLine {
    /// The first line: the webhook, with its secret.
    Ready { webhook: Box<WebhookView> },
    /// An attempt to make: POST these bytes with these headers, and say what was answered.
    Attempt {
        /// Names it in its answer.
        attempt_id: String,
        delivery_id: String,
        headers: Vec<(String, String)>,
        /// The exact bytes, in standard Base64.
        body_base64: String,
    },
    /// Nothing has happened for a while.
    Ping,
    /// The last line, where the webhook was disabled: no attempt comes any more, and it is deleted.
    Closed { reason: ClosedReason },
}

/// Why a listener's webhook was disabled.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClosedReason {
    /// An attempt was answered with 410.
    Gone,
    /// It failed for too long.
    Failing,
    /// Somebody disabled it.
    Requested,
}

/// Listen for deliveries.
///
/// Registers a webhook whose attempts come as lines of this answer, and lasts as long as the
/// connection: the webhook is deleted when it ends. It ends by itself, with a line that says why,
/// when the webhook is disabled. Nothing is forwarded to a URL.
#[utoipa::path(post, path = "/v1/listen", tag = "listen",
    request_body(content = ListenInput, content_type = "application/json"),
    responses(
        (status = 200, description = "A line for each attempt, without end",
            body = ListenLine, content_type = "application/x-ndjson"),
        (status = 409, description = "The tenant has as many webhooks or listeners as it may",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn listen(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    body: JsonText,
) -> Answer {
    let draft = listener(body.as_str())?;
    let begun = state.engine.listen(tenant, draft).await;
    let (live, listening) = begun.map_err(|error| refusal(&error))?;
    let mut view = WebhookView::new(&state.engine, &live);
    view.secret = Some(secret_of(&state, &live)?);
    let first = line(&ListenLine::Ready { webhook: Box::new(view) })?;
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    let lines = Lines::new(first, listening).into_body();
    Ok(unstored((StatusCode::OK, [(header::CONTENT_TYPE, ndjson)], lines).into_response()))
}

/// Say what became of an attempt.
///
/// That is its result: a `status` with what was answered, or an `error` when it came to none.
#[utoipa::path(post, path = "/v1/listen/{webhook_id}/answers", tag = "listen",
    params(("webhook_id" = String, Path, description = "The id of the listener's webhook")),
    request_body(content = ListenerAnswerInput, content_type = "application/json"),
    responses((status = 204, description = "Taken")))]
pub(super) async fn answer(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    body: JsonText,
) -> Answer {
    let webhook = WebhookKey::parse(&id).ok_or_else(ApiError::not_found)?;
    state.engine.webhook(tenant, webhook).ok_or_else(ApiError::not_found)?;
    let (attempt, answer) = read_answer(body.as_str())?;
    if attempt.is_some_and(|n| state.engine.answer_attempt(tenant, webhook, n, answer)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Err(ApiError::new(Code::NotFound, "nobody waits for this answer, or no longer"))
}

/// What a stream is made of.
struct Lines {
    first: Option<Bytes>,
    listening: Listening,
    pings: Interval,
    /// The last line was said.
    is_closed: bool,
}

impl Lines {
    fn new(first: Bytes, listening: Listening) -> Self {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { first: Some(first), listening, pings, is_closed: false }
    }

    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut lines| async {
            let next = lines.next().await?;
            Some((Ok::<_, Infallible>(next), lines))
        }))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let next = tokio::select! {
            attempt = self.listening.next() => match attempt {
                Some(attempt) => ListenLine::new(&attempt),
                None => self.closing()?,
            },
            _ = self.pings.tick() => ListenLine::Ping,
        };
        line(&next).ok()
    }

    /// What is said last, once.
    fn closing(&mut self) -> Option<ListenLine> {
        if std::mem::replace(&mut self.is_closed, true) {
            return None;
        }
        let reason = match self.listening.disabled_reason()? {
            DisabledReason::Gone => ClosedReason::Gone,
            DisabledReason::Failing => ClosedReason::Failing,
            DisabledReason::Requested => ClosedReason::Requested,
        };
        Some(ListenLine::Closed { reason })
    }
}

impl ListenLine {
    fn new(attempt: &ListenedAttempt) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = attempt.headers.iter();
        Self::Attempt {
            attempt_id: attempt.number.to_string(),
            delivery_id: attempt.delivery.to_string(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            body_base64: STANDARD.encode(&attempt.body),
        }
    }
}

fn line(line: &ListenLine) -> Result<Bytes, ApiError> {
    let mut text = serde_json::to_vec(line).map_err(|error| {
        tracing::error!(%error, "a line for a listener could not be written as JSON");
        ApiError::new(Code::Internal, "a fault of the server; its log says more")
    })?;
    text.push(b'\n');
    Ok(text.into())
}

/// An attempt's number, `None` where it can't be one, and what became of it.
fn read_answer(text: &str) -> Result<(Option<u64>, ListenerAnswer), ApiError> {
    let mut fields = Fields::of(text)?;
    let attempt = fields.required_text("attempt_id");
    let status: Option<u16> = fields.integer("status", 200..=599).value();
    let headers = headers(&mut fields);
    let body = fields.text("body_base64").value();
    let body = body.map(|text| STANDARD.decode(text.as_bytes()));
    if matches!(body, Some(Err(_))) {
        fields.fault("body_base64", "body_base64 must be standard Base64 with padding");
    }
    let error = fields.text("error").value();
    if error.as_ref().is_some_and(|text| text.len() > ERROR_BYTES_MAX) {
        fields.fault("error", format!("error may have at most {ERROR_BYTES_MAX} bytes"));
    }
    if fields.faults.is_empty() && status.is_some() == error.is_some() {
        fields.fault("status", "give either a status or an error");
    }
    fields.finish()?;
    let number = attempt.and_then(|text| text.parse().ok());
    let answer = match (status, error) {
        (Some(status), _) => {
            let body = body.and_then(Result::ok).unwrap_or_default().into();
            ListenerAnswer::Answered { status, headers, body }
        }
        (None, error) => ListenerAnswer::Failed(error.unwrap_or_default().into_owned()),
    };
    Ok((number, answer))
}

fn headers(fields: &mut Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(raw) = fields.take("headers").filter(|raw| *raw != "null") else {
        return headers;
    };
    let Ok(pairs) = serde_json::from_str::<Vec<(String, String)>>(raw) else {
        fields.fault("headers", "headers must be a list of pairs of strings: name and value");
        return headers;
    };
    if pairs.len() > ANSWER_HEADERS_MAX {
        fields.fault("headers", format!("headers may be {ANSWER_HEADERS_MAX} at most"));
        return headers;
    }
    for (index, (name, value)) in pairs.iter().enumerate() {
        let name = HeaderName::try_from(name.as_str());
        let value = HeaderValue::try_from(value.as_str());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        } else {
            let place = format!("/headers/{index}");
            fields.faults.push(Code::InvalidHeader, place, "no name and value of a header");
        }
    }
    headers
}
