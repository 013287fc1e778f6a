//! Reading what a replay is to be of.

use postrider_core::delivery::DeliveryState;
use postrider_core::event_type::{Patterns, PatternsError};
use postrider_core::id::{Key, UnixMs, WebhookKey};
use postrider_signature::timestamp;
use utoipa::ToSchema;

use super::delivery_list::{NOT_A_CLASS, status_class};
use crate::engine::ReplayRequest;
use crate::http::fields::{Fields, Given};
use crate::http::problem::{ApiError, Code};
use crate::meaning;

/// What a list of states calls events that did not go to the webhook.
pub(super) const MISSED: &str = "missed";

/// What to send to a webhook once more.
#[derive(Debug, ToSchema)]
pub struct ReplayInput {
    /// Events accepted at this time or later (RFC 3339).
    #[schema(format = DateTime)]
    pub since: String,
    /// Events accepted before this time (RFC 3339); without it, until now.
    #[schema(required = false, format = DateTime)]
    pub until: Option<String>,
    /// Patterns of event types; without them, every type.
    #[schema(required = false, min_items = 1, max_items = 1000)]
    pub types: Option<Vec<String>>,
    /// By default failed, cancelled and missed: events that were accepted while the webhook was
    /// there and did not go to it though it wants them now.
    #[schema(required = false, min_items = 1)]
    pub states: Option<Vec<ReplayedState>>,
    /// Only counts.
    #[schema(required = false)]
    pub dry_run: Option<bool>,
}

/// What is made once more.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ReplayedState {
    Succeeded,
    Failed,
    Cancelled,
    Missed,
}

/// Which deliveries to retry.
#[derive(Debug, ToSchema)]
pub struct BulkRetryInput {
    /// Without it, those of every webhook.
    #[schema(required = false, example = "wh_0000000000001")]
    pub webhook_id: Option<String>,
    /// An event type or a pattern of several.
    #[schema(required = false, max_length = 128, example = "code.generated")]
    pub event_type: Option<String>,
    /// By default failed.
    #[schema(required = false, min_items = 1)]
    pub states: Option<Vec<RetriedState>>,
    /// How the last attempt was answered.
    #[schema(required = false)]
    pub status_class: Option<StatusClassName>,
    /// Why the last attempt got no answer that counts.
    #[schema(required = false, example = "timeout")]
    pub error_class: Option<String>,
    /// Of events accepted at this time or later (RFC 3339).
    #[schema(required = false, format = DateTime)]
    pub after: Option<String>,
    /// Of events accepted before this time (RFC 3339).
    #[schema(required = false, format = DateTime)]
    pub before: Option<String>,
    /// Only counts.
    #[schema(required = false)]
    pub dry_run: Option<bool>,
}

/// A final state.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum RetriedState {
    Succeeded,
    Failed,
    Cancelled,
}

/// What a status begins with; `none` when no answer came.
#[derive(Clone, Copy, Debug, ToSchema)]
pub enum StatusClassName {
    #[schema(rename = "1xx")]
    Informational,
    #[schema(rename = "2xx")]
    Successful,
    #[schema(rename = "3xx")]
    Redirecting,
    #[schema(rename = "4xx")]
    ClientError,
    #[schema(rename = "5xx")]
    ServerError,
    #[schema(rename = "none")]
    NoAnswer,
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) request: ReplayRequest,
    pub(super) is_dry_run: bool,
}

pub(super) fn of_webhook(webhook: WebhookKey, text: &str) -> Result<Wanted, ApiError> {
    let mut fields = Fields::of(text)?;
    let since = fields.required_text("since");
    let since = since.and_then(|text| time_of(&mut fields, "since", &text));
    let until = time(&mut fields, "until");
    if since.is_some() && until.is_some() && since >= until {
        fields.fault("until", "until must be after since");
    }
    let types = fields.texts("types").value().and_then(|texts| {
        let parsed = Patterns::parse(&texts);
        parsed.map_err(|error| fault(&mut fields, "types", &error)).ok()
    });
    let default = (vec![DeliveryState::Failed, DeliveryState::Cancelled], true);
    let (states, missed) = states(&mut fields, true).unwrap_or(default);
    let is_dry_run = fields.flag("dry_run").value().unwrap_or_default();
    fields.finish()?;
    let (webhook, class, error) = (Some(webhook), None, None);
    let request =
        ReplayRequest { webhook, since, until, types, states, missed, status: class, error };
    Ok(Wanted { request, is_dry_run })
}

pub(super) fn of_deliveries(text: &str) -> Result<Wanted, ApiError> {
    let mut fields = Fields::of(text)?;
    let webhook = parsed(&mut fields, "webhook_id", "not the id of a webhook", WebhookKey::parse);
    let pattern = "not an event type, nor a pattern such as code.* or *";
    let types = parsed(&mut fields, "event_type", pattern, |text| Patterns::parse(&[text]).ok());
    let (states, missed) =
        states(&mut fields, false).unwrap_or((vec![DeliveryState::Failed], false));
    let class = "must be one of 1xx, 2xx, 3xx, 4xx, 5xx and none";
    let class = parsed(&mut fields, "status_class", class, status_class);
    let error = parsed(&mut fields, "error_class", NOT_A_CLASS, meaning::class_named);
    let since = time(&mut fields, "after");
    let until = time(&mut fields, "before");
    if since.zip(until).is_some_and(|(since, until)| since > until) {
        fields.fault("before", "before must not be earlier than after");
    }
    let is_dry_run = fields.flag("dry_run").value().unwrap_or_default();
    fields.finish()?;
    let request =
        ReplayRequest { webhook, since, until, types, states, missed, status: class, error };
    Ok(Wanted { request, is_dry_run })
}

/// Final states, and whether missed events are named among them.
fn states(fields: &mut Fields<'_>, may_miss: bool) -> Option<(Vec<DeliveryState>, bool)> {
    let Given::Value(names) = fields.texts("states") else { return None };
    if names.is_empty() {
        fields.fault("states", "name at least one state");
    }
    let (mut states, mut missed) = (Vec::new(), false);
    for (index, name) in names.iter().enumerate() {
        match DeliveryState::named(name) {
            Some(state) if state.is_final() && !states.contains(&state) => states.push(state),
            Some(state) if state.is_final() => {}
            None if may_miss && name == MISSED => missed = true,
            _ => {
                let known = "must be one of succeeded, failed and cancelled";
                let and_missed = "must be one of succeeded, failed, cancelled and missed";
                let message = if may_miss { and_missed } else { known };
                fields.faults.push(Code::Validation, format!("/states/{index}"), message);
            }
        }
    }
    Some((states, missed))
}

fn time(fields: &mut Fields<'_>, name: &str) -> Option<UnixMs> {
    let text = fields.text(name).value()?;
    time_of(fields, name, &text)
}

fn time_of(fields: &mut Fields<'_>, name: &str, text: &str) -> Option<UnixMs> {
    let parsed = timestamp::parse(text);
    parsed.map_err(|error| fields.fault(name, error.to_string())).ok()
}

fn parsed<T>(
    fields: &mut Fields<'_>,
    name: &str,
    message: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = fields.text(name).value()?;
    let parsed = parse(&text);
    if parsed.is_none() {
        fields.fault(name, message);
    }
    parsed
}

fn fault(fields: &mut Fields<'_>, name: &str, error: &PatternsError) {
    let place = match error {
        PatternsError::Pattern { index, .. } => format!("/{name}/{index}"),
        PatternsError::Empty | PatternsError::TooMany => format!("/{name}"),
    };
    fields.faults.push(Code::Validation, place, error.to_string());
}
