//! What a tenant's catalogue says about an event type, beside its name.

use postrider_signature::NumberPolicy;

use crate::event_type::EventType;
use crate::id::{TenantKey, UnixMs};

/// Event types that one tenant may have of its own or have changed. Several times what the largest
/// platforms publish; they are all held in memory.
pub const EVENT_TYPES_PER_TENANT_MAX: usize = 1_000;

/// What a tenant keeps about one event type: one of its own, or what it changed of a built-in one.
///
/// Where a built-in type's entry says `None`, the built-in value counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    pub tenant: TenantKey,
    /// Unique in its tenant, and never changed.
    pub name: EventType,
    /// Raised by every change; a change names the version it was made from.
    pub version: u64,
    pub description: Option<String>,
    /// JSON Schema of `data`, as a minified JSON text.
    pub schema: Option<String>,
    /// An example of `data`, as a minified JSON text.
    pub example: Option<String>,
    pub validation: Validation,
    /// What becomes of integers that a double can't hold, in the body forms that can't say them.
    pub large_integers: NumberPolicy,
    /// Since when nothing of this type may be published.
    pub archived_at: Option<UnixMs>,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

/// What is done with `data` that its type's schema does not allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// It isn't checked.
    #[default]
    Off,
    /// The event is accepted, and its publisher is told.
    Warn,
    /// The event is refused.
    Reject,
}
