//! A registered receiver, as it is stored.

use std::collections::BTreeMap;

use crate::event_type::Patterns;
use crate::id::{TenantKey, UnixMs, WebhookKey};
use crate::schedule::RetrySchedule;

/// A webhook: URL, the event types it wants, secrets, profile, settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    pub key: WebhookKey,
    pub tenant: TenantKey,
    /// Raised by every change; an update names the version it was made from.
    pub version: u64,
    pub kind: WebhookKind,
    /// As it was accepted; judged again at every attempt.
    pub url: String,
    pub patterns: Patterns,
    /// An expression over an event's content that must say yes besides. `None`: no filter.
    pub filter: Option<String>,
    /// Names a profile of the server: body form, signatures, headers, schedule.
    pub profile: String,
    pub description: Option<String>,
    /// The platform's own notes; nothing here depends on them.
    pub metadata: BTreeMap<String, String>,
    /// Custom headers: name in lower case, value sealed.
    pub headers: Vec<(String, Sealed)>,
    /// The deadline of one attempt. `None`: the server's default.
    pub timeout_ms: Option<u32>,
    /// Attempts in flight at once. `None`: the default.
    pub concurrency: Option<u16>,
    /// Attempts started a second. `None`: no limit.
    pub rate_per_s: Option<u32>,
    /// `None`: the profile's.
    pub schedule: Option<RetrySchedule>,
    /// Current first, then those in their overlap.
    pub secrets: Vec<StoredSecret>,
    pub state: WebhookState,
    /// Since when it is disabled. `None` in other states, and where an older version disabled it.
    pub disabled_at: Option<UnixMs>,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

/// Where a webhook's attempts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookKind {
    /// To its URL.
    Url,
    /// To whoever listens on a connection to this server. It lives as long as that connection.
    Listener,
}

/// Bytes that only the holder of the sealing key can read.
pub type Sealed = Vec<u8>;

/// A secret at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    pub sealed: Sealed,
    /// When its overlap ends. `None` for the current one.
    pub live_until: Option<UnixMs>,
}

/// Whether a webhook gets attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookState {
    Enabled,
    /// Wants nothing for now. What is pending stays, unless its cancelling was asked for.
    Disabled(DisabledReason),
    /// Kept as a tombstone, so that old explanations can still name it.
    Deleted,
}

/// Why a webhook is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledReason {
    /// Somebody said so.
    Requested,
    /// Its receiver answered 410 Gone.
    Gone,
    /// It has failed every delivery for as long as the server is set to bear.
    Failing,
}
