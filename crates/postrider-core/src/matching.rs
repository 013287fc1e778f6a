//! Which webhooks get an event, and why the others don't.
//!
//! The answer depends on the event's type and on the tenant's webhooks, not on the event, so it
//! is worked out once per type and change of webhooks, stored once, and named by the events that
//! share it: publishing costs the same at a thousand webhooks as at a million.

use crate::event_type::EventType;
use crate::id::{MatchingKey, WebhookKey};
use crate::webhook::{Webhook, WebhookState};

/// Beyond this many webhooks that don't match, an explanation counts them by reason instead of
/// naming each: a person reads names up to about here, and the stored answer stays small.
pub const UNMATCHED_NAMED_MAX: usize = 1_000;

/// The outcome of matching one event type against a tenant's webhooks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    pub key: MatchingKey,
    /// The fan-out, in ascending order of key.
    pub matched: Vec<WebhookKey>,
    pub unmatched: Unmatched,
}

/// The webhooks that were considered and didn't match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmatched {
    Named(Vec<(WebhookKey, Reason)>),
    Counted { disabled: u64, type_not_wanted: u64, deleted: u64 },
}

/// Why a webhook did not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Disabled,
    TypeNotWanted,
    /// Deleted before the event was accepted.
    Deleted,
}

/// Whether one webhook gets events of this type, or why not.
pub fn explain(webhook: &Webhook, event_type: &EventType) -> Result<(), Reason> {
    match webhook.state {
        WebhookState::Deleted => Err(Reason::Deleted),
        _ if !webhook.patterns.matches(event_type) => Err(Reason::TypeNotWanted),
        WebhookState::Disabled(_) => Err(Reason::Disabled),
        WebhookState::Enabled => Ok(()),
    }
}

/// Matches `event_type` against `webhooks`, all of one tenant.
pub fn match_webhooks<'a>(
    key: MatchingKey,
    event_type: &EventType,
    webhooks: impl IntoIterator<Item = &'a Webhook>,
) -> Matching {
    let mut matched = Vec::new();
    let mut named = Vec::new();
    let (mut disabled, mut type_not_wanted, mut deleted) = (0, 0, 0);
    for webhook in webhooks {
        let Err(reason) = explain(webhook, event_type) else {
            matched.push(webhook.key);
            continue;
        };
        match reason {
            Reason::Disabled => disabled += 1,
            Reason::TypeNotWanted => type_not_wanted += 1,
            Reason::Deleted => deleted += 1,
        }
        if named.len() <= UNMATCHED_NAMED_MAX {
            named.push((webhook.key, reason));
        }
    }
    matched.sort_unstable();
    named.sort_unstable_by_key(|&(webhook, _)| webhook);
    let unmatched = if named.len() > UNMATCHED_NAMED_MAX {
        Unmatched::Counted { disabled, type_not_wanted, deleted }
    } else {
        Unmatched::Named(named)
    };
    Matching { key, matched, unmatched }
}
