//! Event types: the tenant's catalogue.

use axum::extract::State;
use http::StatusCode;
use postrider_core::catalogue::Validation;
use postrider_core::event_type::EventType;
use postrider_core::id::{Key, TenantKey};
use postrider_signature::NumberPolicy;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::input::{EventTypeChange, EventTypeInput};
use super::wire::{Page, Paging, time};
use super::{Answer, PathId};
use crate::engine::{EventTypeDraft, EventTypeError, EventTypePatch, KnownType};
use crate::http::auth::{Manager, Reader};
use crate::http::cursor::List;
use crate::http::fields::{Fields, Given};
use crate::http::json::{self, JsonText};
use crate::http::problem::{ApiError, Code};
use crate::http::query::Query;
use crate::http::state::ServerState;

/// A paragraph or two.
const DESCRIPTION_BYTES_MAX: usize = 4_096;
/// An example is for people and for trying out; receivers bear it whatever their limits.
const EXAMPLE_BYTES_MAX: usize = 64 << 10;

/// An event type of the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventTypeView {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of `data`.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Box<RawValue>>,
    /// An example of `data`.
    #[schema(value_type = Option<serde_json::Value>)]
    pub example: Option<Box<RawValue>>,
    pub validation: ValidationView,
    pub large_integers: LargeIntegersView,
    /// Whether every tenant has it from the start.
    pub is_builtin: bool,
    /// Since when nothing of this type may be published.
    pub archived_at: Option<String>,
    /// Null for a built-in one.
    pub created_at: Option<String>,
    /// Null for a built-in one that was not changed.
    pub updated_at: Option<String>,
}

/// What is done with `data` that the schema does not allow: nothing is checked; the event is
/// accepted with `warnings`; or it is refused.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValidationView {
    Off,
    Warn,
    Reject,
}

/// What becomes of integers that JavaScript can't hold exactly, where a webhook's profile has a
/// body form for it: the event is refused; they become strings; or the nearest that it can hold.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LargeIntegersView {
    Refuse,
    Stringify,
    Round,
}

/// List event types, by name.
#[utoipa::path(get, path = "/v1/event-types", tag = "event types",
    params(
        ("include_archived" = Option<bool>, Query, description = "Archived ones too"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page of event types", body = Page<EventTypeView>)))]
pub(super) async fn list(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    mut query: Query,
) -> Answer {
    let with_archived = match query.text("include_archived").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            query.fault("include_archived", "include_archived must be true or false");
            false
        }
    };
    let filter = if with_archived { "with archived" } else { "" };
    let paging = Paging::read(query, List::new(tenant, "event-types", &[filter]))?;
    let all = state.engine.event_types(tenant);
    let start = match paging.after {
        None => 0,
        Some(after) => all
            .iter()
            .position(|known| Place::of(&known.name) == after)
            .map_or(all.len(), |index| index + 1),
    };
    let wanted =
        all.into_iter().skip(start).filter(|known| with_archived || known.archived_at().is_none());
    let fetched = wanted.take(paging.fetch()).collect();
    let page = paging.page(fetched, |known| Place::of(&known.name), |known| view(&known));
    Ok(json::answer(StatusCode::OK, &page))
}

/// Create an event type.
#[utoipa::path(post, path = "/v1/event-types", tag = "event types",
    request_body(content = EventTypeInput, content_type = "application/json"),
    responses(
        (status = 201, description = "Created", body = EventTypeView),
        (status = 409, description = "There is one of this name, or as many as there may be",
            body = crate::http::problem::Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn create(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    body: JsonText,
) -> Answer {
    let draft = draft(body.as_str())?;
    let created = state.engine.create_event_type(tenant, draft).await;
    let known = created.map_err(|error| refusal(&error))?;
    Ok(json::answer(StatusCode::CREATED, &view(&known)))
}

/// Read an event type.
#[utoipa::path(get, path = "/v1/event-types/{name}", tag = "event types",
    params(("name" = String, Path, description = "The event type's name")),
    responses((status = 200, description = "The event type", body = EventTypeView)))]
pub(super) async fn show(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(name): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let known = state.engine.event_type(tenant, &named(&name)?).ok_or_else(ApiError::not_found)?;
    Ok(json::answer(StatusCode::OK, &view(&known)))
}

/// Change an event type.
///
/// For events published after the answer. What is left out stays as it is; null clears, or goes
/// back to what is built in.
#[utoipa::path(patch, path = "/v1/event-types/{name}", tag = "event types",
    params(("name" = String, Path, description = "The event type's name")),
    request_body(content = EventTypeChange, content_type = "application/json"),
    responses((status = 200, description = "The event type as it is now", body = EventTypeView)))]
pub(super) async fn change(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(name): PathId,
    body: JsonText,
) -> Answer {
    let name = named(&name)?;
    state.engine.event_type(tenant, &name).ok_or_else(ApiError::not_found)?;
    put(&state, tenant, name, patch(body.as_str())?).await
}

/// Archive an event type: nothing of it can be published until it is brought back.
#[utoipa::path(post, path = "/v1/event-types/{name}/archive", tag = "event types",
    params(("name" = String, Path, description = "The event type's name")),
    responses((status = 200, description = "The event type as it is now", body = EventTypeView)))]
pub(super) async fn archive(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(name): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let patch = EventTypePatch { is_archived: Some(true), ..EventTypePatch::default() };
    put(&state, tenant, named(&name)?, patch).await
}

/// Bring an archived event type back.
#[utoipa::path(post, path = "/v1/event-types/{name}/unarchive", tag = "event types",
    params(("name" = String, Path, description = "The event type's name")),
    responses((status = 200, description = "The event type as it is now", body = EventTypeView)))]
pub(super) async fn unarchive(
    State(state): State<ServerState>,
    Manager(tenant): Manager,
    PathId(name): PathId,
    query: Query,
) -> Answer {
    query.finish()?;
    let patch = EventTypePatch { is_archived: Some(false), ..EventTypePatch::default() };
    put(&state, tenant, named(&name)?, patch).await
}

async fn put(
    state: &ServerState,
    tenant: TenantKey,
    name: EventType,
    patch: EventTypePatch,
) -> Answer {
    let changed = state.engine.patch_event_type(tenant, name, patch).await;
    let known = changed.map_err(|error| refusal(&error))?;
    Ok(json::answer(StatusCode::OK, &view(&known)))
}

pub(crate) fn draft(text: &str) -> Result<EventTypeDraft, ApiError> {
    let mut fields = Fields::of(text)?;
    let name = fields.required_text("name").and_then(|text| match text.parse::<EventType>() {
        Ok(name) if name.is_reserved() => {
            fields.fault("name", "event types below `postrider` are the server's own");
            None
        }
        Ok(name) => Some(name),
        Err(error) => {
            fields.fault("name", error.to_string());
            None
        }
    });
    let settings = Settings::read(&mut fields);
    fields.finish()?;
    let name = name.ok_or_else(|| ApiError::new(Code::Validation, "name is required"))?;
    Ok(EventTypeDraft {
        name,
        description: settings.description.value(),
        schema: settings.schema.value(),
        example: settings.example.value(),
        validation: settings.validation.value().unwrap_or_default(),
        large_integers: settings.large_integers.value().unwrap_or_default(),
    })
}

pub(crate) fn patch(text: &str) -> Result<EventTypePatch, ApiError> {
    let mut fields = Fields::of(text)?;
    let settings = Settings::read(&mut fields);
    fields.finish()?;
    Ok(EventTypePatch {
        description: settings.description.change(),
        schema: settings.schema.change(),
        example: settings.example.change(),
        validation: settings.validation.change().map(Option::unwrap_or_default),
        large_integers: settings.large_integers.change().map(Option::unwrap_or_default),
        is_archived: None,
    })
}

/// What creating and changing have in common; null is allowed for each.
struct Settings {
    description: Given<String>,
    schema: Given<String>,
    example: Given<String>,
    validation: Given<Validation>,
    large_integers: Given<NumberPolicy>,
}

impl Settings {
    fn read(fields: &mut Fields<'_>) -> Self {
        let description = fields.text("description").map(std::borrow::Cow::into_owned);
        if let Given::Value(text) = &description
            && text.len() > DESCRIPTION_BYTES_MAX
        {
            let text = format!("description may have at most {DESCRIPTION_BYTES_MAX} bytes");
            fields.fault("description", text);
        }
        let example = json_text(fields, "example");
        if let Given::Value(text) = &example
            && text.len() > EXAMPLE_BYTES_MAX
        {
            fields.fault("example", format!("example may have at most {EXAMPLE_BYTES_MAX} bytes"));
        }
        Self {
            description,
            schema: json_text(fields, "schema"),
            example,
            validation: choice(fields, "validation", |text| match text {
                "off" => Some(Validation::Off),
                "warn" => Some(Validation::Warn),
                "reject" => Some(Validation::Reject),
                _ => None,
            }),
            large_integers: choice(fields, "large_integers", |text| match text {
                "refuse" => Some(NumberPolicy::Refuse),
                "stringify" => Some(NumberPolicy::Stringify),
                "round" => Some(NumberPolicy::Round),
                _ => None,
            }),
        }
    }
}

fn json_text(fields: &mut Fields<'_>, name: &str) -> Given<String> {
    match fields.take(name) {
        None => Given::Absent,
        Some("null") => Given::Null,
        Some(text) => Given::Value(text.to_owned()),
    }
}

fn choice<T>(
    fields: &mut Fields<'_>,
    name: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Given<T> {
    let text = match fields.text(name) {
        Given::Value(text) => text,
        Given::Null => return Given::Null,
        Given::Absent => return Given::Absent,
    };
    if let Some(value) = read(&text) {
        return Given::Value(value);
    }
    fields.fault(name, format!("there is no such choice for {name}"));
    Given::Absent
}

/// A name in a path. Whatever can't be one gets the answer of one that isn't known.
fn named(text: &str) -> Result<EventType, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

fn view(known: &KnownType) -> EventTypeView {
    // what the store holds was JSON when it came
    let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
    EventTypeView {
        name: known.name.to_string(),
        description: known.description().map(str::to_owned),
        schema: known.schema().and_then(raw),
        example: known.example().and_then(raw),
        validation: match known.validation() {
            Validation::Off => ValidationView::Off,
            Validation::Warn => ValidationView::Warn,
            Validation::Reject => ValidationView::Reject,
        },
        large_integers: match known.large_integers() {
            NumberPolicy::Refuse => LargeIntegersView::Refuse,
            NumberPolicy::Stringify => LargeIntegersView::Stringify,
            NumberPolicy::Round => LargeIntegersView::Round,
        },
        is_builtin: known.is_builtin(),
        archived_at: known.archived_at().map(time),
        created_at: known.created_at().map(time),
        updated_at: known.updated_at().map(time),
    }
}

pub(crate) fn refusal(error: &EventTypeError) -> ApiError {
    match error {
        EventTypeError::Taken => ApiError::at(Code::Conflict, "/name", error.to_string()),
        EventTypeError::NotFound => ApiError::not_found(),
        EventTypeError::Quota(_) => ApiError::new(Code::Quota, error.to_string()),
        EventTypeError::Schema(fault) => {
            let pointer = format!("/schema{}", fault.pointer);
            ApiError::at(Code::Validation, pointer, fault.message.clone())
        }
        EventTypeError::Example(_) => ApiError::at(Code::Validation, "/example", error.to_string()),
        EventTypeError::Store(error) => ApiError::store(error),
    }
}

/// Where an event type stands in the list, for its cursor: a hash of its name, which never goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

impl Place {
    fn of(name: &EventType) -> Self {
        // FNV-1a, 64 bits, less the sign that keys don't have
        let hash = name.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash >> 1)
    }
}

impl Key for Place {
    const PREFIX: &'static str = "";

    fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    fn raw(self) -> u64 {
        self.0
    }
}
