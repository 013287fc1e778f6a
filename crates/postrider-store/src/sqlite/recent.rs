//! Events that due work was read with a moment ago.
//!
//! An event that goes to many webhooks is read back once for each of their lanes, within moments
//! where they fall behind together; its bytes need to be found and copied only the first time. An
//! event never changes, so what is kept here is never out of date.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use postrider_core::event::Event;
use postrider_core::id::EventKey;

use super::failure::Outcome;

/// Bytes of bodies that are kept: some thousand events, as far as lanes that share them drift
/// apart.
const BYTES_MAX: usize = 8 << 20;

/// See the module's text. The oldest go first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: HashMap<EventKey, Arc<Event>>,
    order: VecDeque<EventKey>,
    bytes: usize,
}

impl Recent {
    /// The event, read by `read` unless it was a moment ago.
    pub(super) fn get_or_read(
        &self,
        key: EventKey,
        read: impl FnOnce() -> Outcome<Arc<Event>>,
    ) -> Outcome<Arc<Event>> {
        let known = self.with(|kept| kept.events.get(&key).cloned());
        if let Some(event) = known {
            return Ok(event);
        }
        let event = read()?;
        self.with(|kept| kept.put(&event));
        Ok(event)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        // what a panic leaves behind is at worst an event too few
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn put(&mut self, event: &Arc<Event>) {
        let bytes = event.bodies.size_bytes();
        if bytes > BYTES_MAX || self.events.insert(event.key, Arc::clone(event)).is_some() {
            return;
        }
        self.order.push_back(event.key);
        self.bytes += bytes;
        while self.bytes > BYTES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.events.remove(&oldest);
            self.bytes -= gone.map_or(0, |event| event.bodies.size_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use postrider_core::event::Bodies;
    use postrider_core::id::{Key, MatchingKey, TenantKey};
    use postrider_signature::NumberPolicy;

    fn event(number: u64, bytes: usize) -> Arc<Event> {
        let verbatim = Bytes::from(vec![b'x'; bytes]);
        Arc::new(Event {
            key: EventKey::from_raw(number),
            tenant: TenantKey::from_raw(1),
            given_id: None,
            event_type: "code.generated".parse().unwrap(),
            occurred_at: 0,
            bodies: Bodies { verbatim, ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: MatchingKey::from_raw(1),
        })
    }

    /// Asks for an event; whether it had to be read.
    fn is_read(recent: &Recent, number: u64, bytes: usize) -> bool {
        let mut is_read = false;
        let read = || {
            is_read = true;
            Ok(event(number, bytes))
        };
        let found = recent.get_or_read(EventKey::from_raw(number), read).unwrap();
        assert_eq!(found.key.raw(), number);
        is_read
    }

    #[test]
    fn an_event_is_read_once_as_long_as_it_is_kept() {
        let recent = Recent::default();
        let third = BYTES_MAX / 3;
        let asked = [1, 2, 1, 3, 2, 1].map(|number| is_read(&recent, number, third));
        assert_eq!(asked, [true, true, false, true, false, false]);
        assert!(is_read(&recent, 4, third));
        assert!(is_read(&recent, 1, third), "the oldest made room");
        assert!(!is_read(&recent, 3, third));
    }

    #[test]
    fn one_that_is_too_large_is_not_kept_and_drives_nothing_out() {
        let recent = Recent::default();
        assert!(is_read(&recent, 1, 10));
        assert!(is_read(&recent, 2, BYTES_MAX + 1));
        assert!(is_read(&recent, 2, BYTES_MAX + 1));
        assert!(!is_read(&recent, 1, 10));
    }
}
