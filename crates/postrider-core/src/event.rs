//! What happened: an event as it was accepted, immutable from then on.

use std::borrow::Cow;

use bytes::Bytes;
use postrider_signature::{BodyForm, NumberPolicy};

use crate::event_type::EventType;
use crate::id::{EventKey, MatchingKey, TenantKey, UnixMs};

/// An accepted event. Deliveries share it; nothing in it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub key: EventKey,
    pub tenant: TenantKey,
    /// The publisher's own id, 1–128 of `[A-Za-z0-9_-]`; without one, the key's text is the id.
    pub given_id: Option<Box<str>>,
    pub event_type: EventType,
    /// When it happened, as the publisher said; else when it was accepted.
    pub occurred_at: UnixMs,
    pub bodies: Bodies,
    /// What its event type said of large integers when it was accepted. Body forms that are made
    /// later keep to it, so that the bytes are the same each time.
    pub numbers: NumberPolicy,
    pub matching: MatchingKey,
}

impl Event {
    /// The public id: what receivers see as `webhook-id`.
    pub fn id(&self) -> Cow<'_, str> {
        match &self.given_id {
            Some(given) => Cow::Borrowed(given),
            None => Cow::Owned(self.key.to_string()),
        }
    }

    /// When it was accepted, to the millisecond: the time in its key.
    pub fn accepted_at(&self) -> UnixMs {
        crate::id::Key::made_at(self.key)
    }
}

/// The bytes that go to receivers, made once at accept, a body for each form in use.
///
/// The verbatim form is always there: it is what the publisher said, and what the other forms
/// can be made from when a webhook that wants one appears later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bodies {
    pub verbatim: Bytes,
    pub ecma: Option<Bytes>,
    pub jcs: Option<Bytes>,
}

impl Bodies {
    /// The body in `form`, where it was made.
    pub fn form(&self, form: BodyForm) -> Option<&Bytes> {
        match form {
            BodyForm::Verbatim => Some(&self.verbatim),
            BodyForm::Ecma => self.ecma.as_ref(),
            BodyForm::Jcs => self.jcs.as_ref(),
        }
    }

    /// Bytes held in memory by all forms, shared ones counted once.
    pub fn size_bytes(&self) -> usize {
        let other = |form: &Option<Bytes>| match form {
            Some(bytes) if bytes.as_ptr() != self.verbatim.as_ptr() => bytes.len(),
            _ => 0,
        };
        self.verbatim.len() + other(&self.ecma) + other(&self.jcs)
    }
}

/// What a publisher's repeat of an id is compared by: 16 bytes of a SHA-256 over the event's
/// type, its timestamp where given, and its minified data.
pub type Fingerprint = [u8; 16];
