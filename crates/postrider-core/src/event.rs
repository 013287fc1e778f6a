//! What happened: an event as it was accepted, immutable from then on.

use std::borrow::Cow;

use bytes::Bytes;
use postrider_signature::{BodyForm, NumberPolicy};

use crate::event_type::EventType;
use crate::id::{EventKey, Key, MatchingKey, TenantKey, UnixMs};

/// What the ids of test events begin with.
pub const TEST_PREFIX: &str = "test_";

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

    /// Whether it was made to test one webhook. Then its id is what its key makes of
    /// [`test_id`], which no publisher can know before.
    pub fn is_test(&self) -> bool {
        self.given_id.as_deref().is_some_and(|given| given == test_id(self.key))
    }

    /// When it was accepted, to the millisecond: the time in its key.
    pub fn accepted_at(&self) -> UnixMs {
        self.key.made_at()
    }
}

/// The id of a test event: its receiver sees by it, signed, that it is one.
pub fn test_id(event: EventKey) -> String {
    let made = event.to_string();
    format!("{TEST_PREFIX}{}", made.trim_start_matches(EventKey::PREFIX))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(given_id: Option<String>) -> Event {
        Event {
            key: EventKey::from_raw(77),
            tenant: TenantKey::from_raw(1),
            given_id: given_id.map(Box::from),
            event_type: "code.generated".parse().unwrap(),
            occurred_at: 0,
            bodies: Bodies { verbatim: Bytes::new(), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: MatchingKey::from_raw(1),
        }
    }

    #[test]
    fn only_an_id_that_its_own_key_makes_is_that_of_a_test() {
        let id = test_id(EventKey::from_raw(77));
        assert!(id.starts_with(TEST_PREFIX) && id.len() == TEST_PREFIX.len() + 13, "{id}");
        assert!(event(Some(id)).is_test());
        for no in [None, Some(test_id(EventKey::from_raw(78))), Some("test_1".to_owned())] {
            assert!(!event(no).is_test());
        }
    }
}
