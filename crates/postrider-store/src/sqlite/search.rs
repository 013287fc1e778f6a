//! Looking for events and deliveries: the tenant's events in order, judged one by one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;

use postrider_core::delivery::{Happening, HistoryEntry};
use postrider_core::event::Event;
use postrider_core::id::{EventKey, Key, MatchingKey, WebhookKey};

use super::entries::Entries;
use super::failure::Outcome;
use super::standings::Stood;
use super::trouble::Wanted;
use super::view::View;
use crate::search::{
    DeliveryPage, DeliverySearch, DeliveryWalk, EventPage, EventSearch, EventWalk, LastAttempt,
    Order, Target,
};

/// Events read at once: bounds what a walk over large bodies holds in memory.
const EVENTS_AT_ONCE: usize = 64;
/// Deliveries of one event whose standings are read at once.
const STANDINGS_AT_ONCE: usize = 64;

/// Matchings remembered in one walk: where filters make one for each event, they are read again.
const FANOUTS_MAX: usize = 64;

/// Who goes where, for walks over many events that share few matchings.
#[derive(Debug, Default)]
pub(super) struct Fanouts {
    matched: HashMap<MatchingKey, Vec<WebhookKey>>,
}

impl Fanouts {
    /// To whom an event goes, and since when, ascending.
    pub(super) fn of(&mut self, view: &View<'_>, event: &Event) -> Outcome<Vec<Target>> {
        if self.matched.len() >= FANOUTS_MAX {
            self.matched.clear();
        }
        let matched = match self.matched.entry(event.matching) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unread) => unread.insert(view.matching_of(event)?.matched),
        };
        view.targets(event, matched)
    }
}

/// What a walk over many deliveries reads once.
struct Walker<'a> {
    view: &'a View<'a>,
    fanouts: Fanouts,
    entries: Entries,
}

impl View<'_> {
    pub(super) fn find_events(&self, search: &EventSearch) -> Outcome<EventPage> {
        let mut walk = EventWalk::new(search);
        let mut before = walk.before();
        loop {
            let events = self.events(search.tenant, before, EVENTS_AT_ONCE)?;
            let is_over = events.iter().any(|event| walk.event(event).is_break());
            if is_over || events.len() < EVENTS_AT_ONCE {
                return Ok(walk.page());
            }
            before = events.last().map(|event| event.key);
        }
    }

    pub(super) fn find_deliveries(&self, search: &DeliverySearch) -> Outcome<DeliveryPage> {
        let mut walk = DeliveryWalk::new(search);
        let entries = Entries::read(self)?;
        let mut walker = Walker { view: self, fanouts: Fanouts::default(), entries };
        let (mut first, mut end) = walk.range();
        if let Some(wanted) = Wanted::of(search) {
            // of older events some are kept whose history has gone
            let bucket = self.kept_below.max(self.buckets.of(first));
            let kept = self.buckets.first_key::<EventKey>(bucket).max(first);
            if walker.walk_troubled(&mut walk, search, wanted, (kept, end))?.is_break() {
                return Ok(walk.page());
            }
            end = end.min(kept);
        }
        while first < end {
            let events = self.events_within(search, first, end)?;
            let keys = || events.iter().map(|event| event.key);
            if let (Some(oldest), Some(newest)) = (keys().min(), keys().max()) {
                walker.entries.turn_to(self, oldest, newest)?;
            }
            for event in &events {
                if walker.look_into(&mut walk, search, event)?.is_break() {
                    return Ok(walk.page());
                }
            }
            let Some(last) = events.last().filter(|_| events.len() == EVENTS_AT_ONCE) else {
                break;
            };
            match search.order {
                Order::NewestFirst => end = last.key,
                Order::OldestFirst => first = EventKey::from_raw(last.key.raw() + 1),
            }
        }
        Ok(walk.page())
    }

    /// The next events of a search, from `first` to before `end`.
    fn events_within(
        &self,
        search: &DeliverySearch,
        first: EventKey,
        end: EventKey,
    ) -> Outcome<Vec<Arc<Event>>> {
        if search.filter.event == Some(first) {
            let event = self.event_by_key(first)?;
            return Ok(event.filter(|event| event.tenant == search.tenant).into_iter().collect());
        }
        let mut events = match search.order {
            Order::NewestFirst => self.events(search.tenant, Some(end), EVENTS_AT_ONCE)?,
            Order::OldestFirst => self.events_from(search.tenant, first, EVENTS_AT_ONCE)?,
        };
        events.retain(|event| event.key >= first && event.key < end);
        Ok(events)
    }

    /// The attempt that came last, given the last entry of a delivery's history.
    fn last_attempt(&self, stood: &Stood) -> Outcome<Option<LastAttempt>> {
        let attempt_of = |entry: &HistoryEntry| match &entry.what {
            Happening::Attempt(attempt) => Some(LastAttempt::from(&**attempt)),
            Happening::Cancelled { .. } | Happening::RetryRequested { .. } => None,
        };
        let Some(last) = &stood.last else {
            return Ok(None);
        };
        if let Some(attempt) = attempt_of(last) {
            return Ok(Some(attempt));
        }
        if stood.standing.progress().attempts == 0 {
            return Ok(None);
        }
        let history = self.history(stood.delivery)?;
        Ok(history.iter().rev().find_map(attempt_of))
    }
}

impl Walker<'_> {
    /// Walks the events alone that an index says something of, newest first.
    fn walk_troubled(
        &mut self,
        walk: &mut DeliveryWalk<'_>,
        search: &DeliverySearch,
        wanted: Wanted,
        (first, mut end): (EventKey, EventKey),
    ) -> Outcome<ControlFlow<()>> {
        while first < end {
            let range = (first, end);
            let keys =
                self.view.troubled_events(search, wanted, &self.entries, range, EVENTS_AT_ONCE)?;
            let (Some(&newest), Some(&oldest)) = (keys.first(), keys.last()) else {
                break;
            };
            self.entries.turn_to(self.view, oldest, newest)?;
            for &key in &keys {
                let event = self.view.event_by_key(key)?;
                let looked = match event.filter(|event| event.tenant == search.tenant) {
                    Some(event) => self.look_into(walk, search, &event)?,
                    None => walk.stranger(key),
                };
                if looked.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            end = oldest;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn look_into(
        &mut self,
        walk: &mut DeliveryWalk<'_>,
        search: &DeliverySearch,
        event: &Event,
    ) -> Outcome<ControlFlow<()>> {
        if !walk.event(event) {
            return Ok(walk.event_passed(event));
        }
        let fanout = self.fanouts.of(self.view, event)?;
        let went = fanout.iter().any(|target| Some(target.webhook) == search.filter.webhook);
        for targets in walk.targets(event, fanout).chunks(STANDINGS_AT_ONCE) {
            for stood in self.view.standings(event, targets, Some(&self.entries))? {
                let last_attempt = self.view.last_attempt(&stood)?;
                let webhook = stood.delivery.webhook;
                if walk.delivery(event, webhook, stood.standing, last_attempt).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(walk.event_done(event, went))
    }
}
