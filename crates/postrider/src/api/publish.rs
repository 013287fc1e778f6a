//! `POST /v1/events`: one event, or a batch with a result for each.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use futures_util::future::join_all;
use http::StatusCode;
use http::request::Parts;
use postrider_core::event::Event;
use postrider_core::event_type::EventType;
use postrider_core::id::TenantKey;
use postrider_signature::timestamp;
use postrider_store::failpoint;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Answer;
use super::input::{PublishAnswer, PublishInput};
use super::wire::time;
use crate::engine::{Engine, NewEvent, PublishError, Published};
use crate::http::auth::Publisher;
use crate::http::fields::{Fields, items};
use crate::http::json::{self, JsonText};
use crate::http::limits::BATCH_EVENTS_MAX;
use crate::http::problem::{ApiError, Code, Fault, Faults};
use crate::http::state::ServerState;

/// An event id for clients that put it into a header.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Express, which most JavaScript receivers are made with, refuses larger bodies unless told
/// otherwise (contract §2).
const LARGE_BODY_BYTES: usize = 100 << 10;

/// An event that is safe: it and all its deliveries are on disk.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublishedView {
    pub id: String,
    pub r#type: String,
    pub timestamp: String,
    /// The number of webhooks that it goes to.
    pub matched: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<String>,
}

/// The results of a batch, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchView {
    pub results: Vec<ResultView>,
}

/// What became of one event of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultView {
    /// What the event alone would have been answered with.
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<PublishedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ResultError>,
}

/// Why one event of a batch was not accepted. Pointers begin at the batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultError {
    pub code: Code,
    pub detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Fault>,
}

/// Publish an event, or a batch of up to 1,000.
///
/// Answered only when the events and all their deliveries are on disk.
#[utoipa::path(post, path = "/v1/events", tag = "events",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "An event id, for one event that has none in its body")),
    request_body(content = PublishInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The same event was accepted before; this is the first one",
            body = PublishedView),
        (status = 202, description = "Accepted and safe; a batch has a result for each event",
            body = PublishAnswer),
        (status = 409, description = "The id was used before for other content",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn publish(
    State(state): State<ServerState>,
    Publisher(tenant): Publisher,
    IdempotencyKey(given_id): IdempotencyKey,
    body: JsonText,
) -> Answer {
    failpoint!(BodyRead);
    let Some(batch) = items(body.as_str()) else {
        let (status, event) = publish_one(&state.engine, tenant, body.as_str(), given_id).await?;
        failpoint!(AnswerUnwritten);
        return Ok(json::answer(status, &event));
    };
    if given_id.is_some() {
        let detail = "an Idempotency-Key names one event; give each event of a batch its own id";
        return Err(ApiError::new(Code::Validation, detail));
    }
    check_batch(&batch)?;
    // polled in order, so the events are committed in order and share their commits
    let published = batch.iter().map(|item| publish_one(&state.engine, tenant, item.get(), None));
    let results = join_all(published).await;
    let results = results.into_iter().enumerate().map(|(index, result)| view(index, result));
    let view = BatchView { results: results.collect() };
    Ok(json::answer(StatusCode::ACCEPTED, &view))
}

fn check_batch(batch: &[&RawValue]) -> Result<(), ApiError> {
    match batch.len() {
        0 => Err(ApiError::at(Code::Validation, "", "the batch is empty; send at least one event")),
        1..=BATCH_EVENTS_MAX => Ok(()),
        _ => Err(ApiError::at(
            Code::BatchTooLarge,
            "",
            format!("a batch has at most {BATCH_EVENTS_MAX} events; send several"),
        )),
    }
}

async fn publish_one(
    engine: &Engine,
    tenant: TenantKey,
    text: &str,
    given_id: Option<String>,
) -> Result<(StatusCode, PublishedView), ApiError> {
    let new = read(text, given_id)?;
    let published = engine.publish(tenant, new).await.map_err(|error| refusal(&error))?;
    let status = if published.is_repeat { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, published_view(&published)))
}

/// Reads one event of a checked text; `given_id` is what stands beside the body. Its id is judged by
/// the engine.
pub fn read(text: &str, given_id: Option<String>) -> Result<NewEvent, ApiError> {
    let mut fields = Fields::of(text)?;
    let event_type =
        fields.required_text("type").and_then(|text| match text.parse::<EventType>() {
            Ok(name) if name.is_reserved() => {
                fields.fault("type", "event types below `postrider` are the server's own");
                None
            }
            Ok(name) => Some(name),
            Err(error) => {
                fields.fault("type", error.to_string());
                None
            }
        });
    let data = fields.required("data").map(|data| data.as_bytes().to_vec());
    let id = fields.text("id").value().map(std::borrow::Cow::into_owned);
    let has_two_ids = given_id.is_some() && id.is_some() && given_id != id;
    if has_two_ids {
        fields.fault("id", "the Idempotency-Key says otherwise; give one of them");
    }
    let occurred_at = fields.text("timestamp").value().and_then(|text| {
        let parsed = timestamp::parse(&text);
        parsed.map_err(|error| fields.fault("timestamp", error.to_string())).ok()
    });
    fields.finish()?;
    let (Some(event_type), Some(data)) = (event_type, data) else {
        return Err(ApiError::new(Code::Validation, "type and data are required"));
    };
    Ok(NewEvent { id: id.or(given_id), event_type, occurred_at, data })
}

/// The id in the header of that name, without the quotes that its draft standard wants and few clients send.
///
/// All that is kept of the headers: they lie in the buffer that the connection reads into, which it
/// can use again once nobody holds a part of it.
pub(super) struct IdempotencyKey(Option<String>);

impl FromRequestParts<ServerState> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ServerState) -> Result<Self, ApiError> {
        let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = given.next() else {
            return Ok(Self(None));
        };
        if given.next().is_some() {
            return Err(ApiError::new(Code::BadRequest, "send one Idempotency-Key header"));
        }
        let text = value.to_str().unwrap_or_default();
        let unquoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Ok(Self(Some(unquoted.unwrap_or(text).to_owned())))
    }
}

pub(crate) fn refusal(error: &PublishError) -> ApiError {
    let message = error.to_string();
    match error {
        PublishError::InvalidId => ApiError::at(Code::Validation, "/id", message),
        PublishError::IdConflict => ApiError::at(Code::IdConflict, "/id", message),
        PublishError::UnknownType => ApiError::at(
            Code::UnknownEventType,
            "/type",
            "there is no such event type; create it with POST /v1/event-types, or start the \
             server with unknown_event_types = \"accept\"",
        ),
        PublishError::ArchivedType => ApiError::at(
            Code::ArchivedEventType,
            "/type",
            "this event type is archived; bring it back with \
             POST /v1/event-types/{name}/unarchive",
        ),
        PublishError::Schema(found) => {
            let mut faults = Faults::default();
            for fault in found {
                let pointer = format!("/data{}", fault.pointer);
                faults.push(Code::SchemaMismatch, pointer, fault.message.clone());
            }
            faults.into_error()
        }
        PublishError::Form(form) => ApiError::at(
            Code::Validation,
            form.pointer.clone(),
            format!(
                "{}; a webhook that gets this event needs it, or set large_integers of its event type",
                form.kind
            ),
        ),
        PublishError::Busy => ApiError::new(Code::Unavailable, message).retry_after(1),
        PublishError::Store(error) => ApiError::store(error),
    }
}

pub(super) fn published_view(published: &Published) -> PublishedView {
    let event: &Arc<Event> = &published.event;
    let is_large = event.bodies.verbatim.len() > LARGE_BODY_BYTES;
    let large = is_large
        .then(|| "the body is over 100 KiB, more than many receivers accept by default".to_owned());
    let mismatches = published.warnings.iter().map(|fault| {
        let (pointer, message) = (&fault.pointer, &fault.message);
        format!("/data{pointer} is not as the schema of its type has it: {message}")
    });
    PublishedView {
        id: event.id().into_owned(),
        r#type: event.event_type.as_str().to_owned(),
        timestamp: time(event.occurred_at),
        matched: published.matched,
        warnings: large.into_iter().chain(mismatches).collect(),
    }
}

fn view(index: usize, result: Result<(StatusCode, PublishedView), ApiError>) -> ResultView {
    match result {
        Ok((status, event)) => {
            ResultView { status: status.as_u16(), event: Some(event), error: None }
        }
        Err(error) => {
            let error = error.below(&format!("/{index}"));
            let problem = error.problem();
            let told = ResultError {
                code: problem.code,
                detail: problem.detail.clone().into_owned(),
                errors: problem.errors.clone(),
            };
            ResultView { status: problem.status, event: None, error: Some(told) }
        }
    }
}
