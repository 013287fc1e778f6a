//! `POST /v1/filters/test`: what a filter says of an event, without any webhook.

use axum::extract::State;
use http::StatusCode;
use postrider_core::event_type::EventType;
use postrider_core::id::TenantKey;
use postrider_core::matching::Verdict;
use postrider_signature::timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::input::FilterTestInput;
use super::{Answer, events};
use crate::engine::subject_of;
use crate::filter::{Filter, FilterError, Subject};
use crate::http::auth::Reader;
use crate::http::fields::Fields;
use crate::http::json::{self, JsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::state::ServerState;

/// What a filter says of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilterTestView {
    /// Whether a webhook with this filter would get the event, as far as the filter goes.
    pub matches: bool,
    /// Why the filter came to no answer, which counts as no.
    pub error: Option<String>,
}

/// Try a filter.
///
/// On a past event by its id, or on one that is given here; nothing is stored or sent.
#[utoipa::path(post, path = "/v1/filters/test", tag = "webhooks",
    request_body(content = FilterTestInput, content_type = "application/json"),
    responses((status = 200, description = "What it says", body = FilterTestView)))]
pub(super) async fn test(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    body: JsonText,
) -> Answer {
    let mut fields = Fields::of(body.as_str())?;
    let text = fields.required_text("filter");
    let event_id = fields.text("event_id").value();
    let event = fields.take("event").filter(|event| *event != "null");
    if event_id.is_some() == event.is_some() {
        fields.fault("event", "give either event_id or event");
    }
    fields.finish()?;
    let filter = Filter::compile(&text.unwrap_or_default()).map_err(|error| refusal(&error))?;
    let mut subject = match (event_id, event) {
        (Some(id), _) => past(&state, tenant, &id).await?,
        (None, event) => {
            given(&state, event.unwrap_or_default()).map_err(|error| error.below("/event"))?
        }
    };
    let (matches, error) = match subject.verdict(&filter) {
        Verdict::Yes => (true, None),
        Verdict::No => (false, None),
        Verdict::Failed(error) => (false, Some(error.to_string())),
    };
    Ok(json::answer(StatusCode::OK, &FilterTestView { matches, error }))
}

/// What is wrong with a filter, for the member that it stands in.
pub(crate) fn refusal(error: &FilterError) -> ApiError {
    ApiError::at(Code::Validation, "/filter", error.to_string())
}

async fn past(state: &ServerState, tenant: TenantKey, id: &str) -> Result<Subject, ApiError> {
    let event = events::find(state, tenant, id).await.map_err(|error| match error.code() {
        Code::NotFound => {
            ApiError::at(Code::Validation, "/event_id", "there is no event of this id")
        }
        _ => error,
    })?;
    Ok(subject_of(&event))
}

fn given(state: &ServerState, text: &str) -> Result<Subject, ApiError> {
    let mut fields = Fields::of(text)?;
    let event_type = fields.required_text("type").and_then(|text| {
        let parsed = text.parse::<EventType>();
        parsed.map_err(|error| fields.fault("type", error.to_string())).ok()
    });
    let data = fields.required("data");
    let occurred_at = fields.text("timestamp").value().and_then(|text| {
        let parsed = timestamp::parse(&text);
        parsed.map_err(|error| fields.fault("timestamp", error.to_string())).ok()
    });
    fields.finish()?;
    let (Some(event_type), Some(data)) = (event_type, data) else {
        return Err(ApiError::new(Code::Validation, "type and data are required"));
    };
    let occurred_at = occurred_at.unwrap_or_else(|| state.engine.now());
    Ok(Subject::new(&event_type, occurred_at, data.as_bytes()))
}
