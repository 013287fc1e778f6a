//! `POST /v1/webhooks/{id}/test`: an event for one webhook alone.

use axum::extract::State;
use http::StatusCode;
use postrider_core::event_type::EventType;
use postrider_core::id::{Key, WebhookKey};
use serde::Serialize;
use utoipa::ToSchema;

use super::publish::{self, PublishedView, published_view};
use super::{Answer, PathId};
use crate::engine::{TestError, TestEvent};
use crate::http::auth::Manager;
use crate::http::fields::Fields;
use crate::http::json::{self, OptionalJsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::state::ServerState;

/// What to send.
#[derive(Debug, ToSchema)]
pub struct TestInput {
    /// Without it, the first built-in event type that the webhook wants, else `code.generated`.
    #[schema(required = false, max_length = 128, example = "code.generated")]
    pub r#type: Option<String>,
    /// Any JSON value; without it, an example of the event type.
    #[schema(required = false)]
    pub data: Option<serde_json::Value>,
}

/// A test event on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestView {
    /// Its id begins with `test_`, so that the receiver knows it for a test.
    pub event: PublishedView,
    pub delivery_id: String,
}

/// Send a test event to a webhook.
///
/// To this webhook alone, also when it does not want events of the type.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = Option<TestInput>, content_type = "application/json"),
    responses(
        (status = 202, description = "Accepted and safe", body = TestView),
        (status = 409, description = "The webhook is disabled",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn send(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(id): PathId,
    body: OptionalJsonText,
) -> Answer {
    let webhook = WebhookKey::parse(&id).ok_or_else(ApiError::not_found)?;
    state.engine.webhook(tenant, webhook).ok_or_else(ApiError::not_found)?;
    let test = read(body.as_str())?;
    let sent = state.engine.test_webhook(tenant, webhook, test).await;
    let (published, delivery) = sent.map_err(|error| refusal(&error))?;
    let view = TestView { event: published_view(&published), delivery_id: delivery.to_string() };
    Ok(json::answer(StatusCode::ACCEPTED, &view))
}

pub(crate) fn refusal(error: &TestError) -> ApiError {
    match error {
        TestError::NotFound => ApiError::not_found(),
        TestError::Disabled => ApiError::new(Code::Conflict, error.to_string()),
        TestError::Publish(error) => publish::refusal(error),
    }
}

pub(crate) fn read(text: &str) -> Result<TestEvent, ApiError> {
    let mut fields = Fields::of(text)?;
    let event_type = fields.text("type").value().and_then(|text| {
        let parsed = text.parse::<EventType>();
        parsed.map_err(|error| fields.fault("type", error.to_string())).ok()
    });
    let data = fields.take("data").map(|data| data.as_bytes().to_vec());
    fields.finish()?;
    Ok(TestEvent { event_type, data })
}
