//! What the document says about the bodies that routes read and answer with by hand.
//!
//! Reading is strict and finds more than a schema can say ([`crate::http::fields`]), so nothing is
//! deserialised into these. A test holds them to what the routes read.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::event_types::{LargeIntegersView, ValidationView};
use super::keys::ScopeView;
use super::publish::{BatchView, PublishedView};
use super::webhooks::SigningKeyView;

/// What happened.
#[derive(Debug, ToSchema)]
pub struct EventInput {
    /// The event type: dotted, such as `code.generated`.
    #[schema(max_length = 128, example = "code.generated")]
    pub r#type: String,
    /// Any JSON value. Delivered as given, in the form that each webhook's profile wants.
    pub data: serde_json::Value,
    /// Your own id, also the idempotency key: the same id with the same content is accepted once.
    #[schema(required = false, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_-]+$")]
    pub id: Option<String>,
    /// When it happened (RFC 3339); without it, when it is accepted.
    #[schema(required = false, format = DateTime)]
    pub timestamp: Option<String>,
}

/// One event or up to 1,000.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum PublishInput {
    One(EventInput),
    Batch(Vec<EventInput>),
}

/// What a publisher is answered.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum PublishAnswer {
    One(PublishedView),
    Batch(BatchView),
}

/// A webhook to register.
#[derive(Debug, ToSchema)]
pub struct WebhookInput {
    /// Where events go.
    #[schema(max_length = 2048, example = "https://example.com/webhooks")]
    pub url: String,
    /// Patterns: `code.generated`, `code.*` or `*`.
    #[schema(min_items = 1, max_items = 1000)]
    pub events: Vec<String>,
    /// A CEL expression over `type`, `timestamp` and `data` that must be true besides.
    #[schema(required = false, max_length = 2048, example = "data.severity == 'high'")]
    pub filter: Option<String>,
    /// Made and answered when left out.
    #[schema(required = false, min_length = 1, max_length = 1024)]
    pub secret: Option<String>,
    /// `standard`, `automa`, `autonoma` or one of the server's own. Without it, the one whose
    /// format the secret has; without a secret, the server's default.
    #[schema(required = false)]
    pub profile: Option<String>,
    #[schema(required = false, max_length = 1024)]
    pub description: Option<String>,
    /// Notes of your own: up to 50 entries, keys of 1 to 64 bytes, values of up to 512.
    #[schema(required = false)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// What kind of secret it signs with: the kind of the one given, or `hmac`. `ed25519` is for
    /// profiles that have `whsec_` secrets.
    #[schema(required = false)]
    pub signing_key: Option<SigningKeyView>,
    /// Headers to send along. Those that sign or frame a request can't be set.
    #[schema(required = false)]
    pub headers: Option<BTreeMap<String, String>>,
    /// The deadline of an attempt; null for the server's default.
    #[schema(required = false, minimum = 1000, maximum = 30000)]
    pub timeout_ms: Option<u32>,
    /// Attempts under way at once; null for the server's default.
    #[schema(required = false, minimum = 1, maximum = 256)]
    pub concurrency: Option<u16>,
    /// Attempts started a second; null for no limit.
    #[schema(required = false, minimum = 1, maximum = 10000)]
    pub rate_limit: Option<u32>,
    /// Seconds before each attempt, the first included (usually 0); null for the profile's.
    #[schema(required = false, min_items = 1, max_items = 100)]
    pub retry_schedule: Option<Vec<u32>>,
}

/// What to change of a webhook. What is left out stays; null means back to the default.
#[derive(Debug, ToSchema)]
pub struct WebhookChange {
    #[schema(required = false, nullable = false, max_length = 2048)]
    pub url: Option<String>,
    #[schema(required = false, nullable = false, min_items = 1, max_items = 1000)]
    pub events: Option<Vec<String>>,
    #[schema(required = false, max_length = 2048, example = "data.severity == 'high'")]
    pub filter: Option<String>,
    /// Replaces the current secret, which goes on signing for a while.
    #[schema(required = false, nullable = false, min_length = 1, max_length = 1024)]
    pub secret: Option<String>,
    #[schema(required = false, nullable = false)]
    pub profile: Option<String>,
    #[schema(required = false, max_length = 1024)]
    pub description: Option<String>,
    /// Replaces all metadata.
    #[schema(required = false)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Where the current secret is of the other kind and none is given, one is made, and the
    /// current one signs too for a while.
    #[schema(required = false)]
    pub signing_key: Option<SigningKeyView>,
    /// Replaces all headers. One whose value is `***`, as it is shown, keeps the value that it has.
    #[schema(required = false)]
    pub headers: Option<BTreeMap<String, String>>,
    #[schema(required = false, minimum = 1000, maximum = 30000)]
    pub timeout_ms: Option<u32>,
    #[schema(required = false, minimum = 1, maximum = 256)]
    pub concurrency: Option<u16>,
    #[schema(required = false, minimum = 1, maximum = 10000)]
    pub rate_limit: Option<u32>,
    #[schema(required = false, min_items = 1, max_items = 100)]
    pub retry_schedule: Option<Vec<u32>>,
    #[schema(required = false, nullable = false)]
    pub state: Option<WantedStateInput>,
    /// With `"state": "disabled"`: cancel what is pending too.
    #[schema(required = false, nullable = false)]
    pub cancel_pending: Option<bool>,
}

/// How to disable a webhook.
#[derive(Debug, ToSchema)]
pub struct DisablingInput {
    /// Cancel what is pending too; by default it waits until the webhook is enabled.
    #[schema(required = false)]
    pub cancel_pending: Option<bool>,
}

/// How to replace a secret.
#[derive(Debug, ToSchema)]
pub struct RotationInput {
    /// Made when left out.
    #[schema(required = false, min_length = 1, max_length = 1024)]
    pub secret: Option<String>,
    /// How long the present secret signs too, in seconds: by default a day. With 0, neither it
    /// nor any older one does.
    #[schema(required = false, minimum = 0, maximum = 604_800)]
    pub overlap_s: Option<u32>,
    /// Without it, the kind of the secret given, or of the present one.
    #[schema(required = false)]
    pub signing_key: Option<SigningKeyView>,
}

/// What to listen for.
#[derive(Debug, ToSchema)]
pub struct ListenInput {
    /// Patterns: `code.generated`, `code.*` or `*`.
    #[schema(min_items = 1, max_items = 1000)]
    pub events: Vec<String>,
    /// As for a webhook.
    #[schema(required = false, max_length = 2048, example = "data.severity == 'high'")]
    pub filter: Option<String>,
    /// As for a webhook; by default the one whose format the secret has, or the server's.
    #[schema(required = false)]
    pub profile: Option<String>,
    /// Keep it and give it again, so that it stays the same from one run to the next; made when
    /// left out.
    #[schema(required = false, min_length = 1, max_length = 1024)]
    pub secret: Option<String>,
}

/// What became of an attempt: a status, or an error when it came to no answer.
#[derive(Debug, ToSchema)]
pub struct ListenerAnswerInput {
    pub attempt_id: String,
    #[schema(required = false, minimum = 200, maximum = 599)]
    pub status: Option<u16>,
    /// Pairs of name and value.
    #[schema(required = false, max_items = 256)]
    pub headers: Option<Vec<(String, String)>>,
    /// Standard Base64. As much of it is kept as of any answer.
    #[schema(required = false)]
    pub body_base64: Option<String>,
    /// Why there is no answer, in words.
    #[schema(required = false, max_length = 1024)]
    pub error: Option<String>,
}

/// Whether a webhook is to get attempts.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum WantedStateInput {
    Enabled,
    Disabled,
}

/// An event type to create.
#[derive(Debug, ToSchema)]
pub struct EventTypeInput {
    /// Dotted, such as `invoice.paid`.
    #[schema(max_length = 128, example = "invoice.paid")]
    pub name: String,
    #[schema(required = false, max_length = 4096)]
    pub description: Option<String>,
    /// JSON Schema of `data`, within itself: references lead nowhere else and not in circles.
    #[schema(required = false, value_type = Option<Object>)]
    pub schema: Option<serde_json::Value>,
    /// An example of `data`.
    #[schema(required = false)]
    pub example: Option<serde_json::Value>,
    /// By default `off`.
    #[schema(required = false)]
    pub validation: Option<ValidationView>,
    /// By default `refuse`.
    #[schema(required = false)]
    pub large_integers: Option<LargeIntegersView>,
}

/// What to change of an event type. What is left out stays; null clears, or goes back to the
/// default or to what is built in.
#[derive(Debug, ToSchema)]
pub struct EventTypeChange {
    #[schema(required = false, max_length = 4096)]
    pub description: Option<String>,
    #[schema(required = false, value_type = Option<Object>)]
    pub schema: Option<serde_json::Value>,
    #[schema(required = false)]
    pub example: Option<serde_json::Value>,
    #[schema(required = false)]
    pub validation: Option<ValidationView>,
    #[schema(required = false)]
    pub large_integers: Option<LargeIntegersView>,
}

/// A filter to try, and an event to try it on: one of both.
#[derive(Debug, ToSchema)]
pub struct FilterTestInput {
    /// A CEL expression over `type`, `timestamp` and `data`.
    #[schema(max_length = 2048, example = "data.severity == 'high'")]
    pub filter: String,
    /// The id of a past event.
    #[schema(required = false)]
    pub event_id: Option<String>,
    #[schema(required = false)]
    pub event: Option<FilteredEventInput>,
}

/// An event that a filter is tried on.
#[derive(Debug, ToSchema)]
pub struct FilteredEventInput {
    #[schema(max_length = 128, example = "code.generated")]
    pub r#type: String,
    pub data: serde_json::Value,
    /// When it happened (RFC 3339); without it, now.
    #[schema(required = false, format = DateTime)]
    pub timestamp: Option<String>,
}

/// A tenant to make.
#[derive(Debug, ToSchema)]
pub struct TenantInput {
    /// What the header `Postrider-Tenant` calls it.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9_-]+$")]
    pub name: String,
}

/// An API key to make.
#[derive(Debug, ToSchema)]
pub struct KeyInput {
    pub scope: ScopeView,
    /// The name of its tenant, by default `default`. An admin key has none.
    #[schema(required = false)]
    pub tenant: Option<String>,
    #[schema(required = false, max_length = 256)]
    pub description: Option<String>,
    /// When it ends (RFC 3339); without it, never.
    #[schema(required = false, format = DateTime)]
    pub expires_at: Option<String>,
}
