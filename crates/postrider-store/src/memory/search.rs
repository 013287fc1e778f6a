//! Looking for events and deliveries.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use postrider_core::delivery::Happening;
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, EventKey, TenantKey, WebhookKey};

use super::state::State;
use crate::search::{
    DeliveryPage, DeliverySearch, DeliveryWalk, EventPage, EventSearch, EventWalk, LastAttempt,
    Order, Target,
};

impl State {
    pub(super) fn find_events(&self, search: &EventSearch) -> EventPage {
        let mut walk = EventWalk::new(search);
        let before = walk.before();
        for (_, event) in self.events.iter().rev() {
            let is_in_range = before.is_none_or(|before| event.key < before);
            if event.tenant == search.tenant && is_in_range && walk.event(event).is_break() {
                break;
            }
        }
        walk.page()
    }

    pub(super) fn find_deliveries(&self, search: &DeliverySearch) -> DeliveryPage {
        let mut walk = DeliveryWalk::new(search);
        for event in self.events_within(search.tenant, walk.range(), search.order) {
            if self.look_into(&mut walk, search, &event).is_break() {
                break;
            }
        }
        walk.page()
    }

    fn events_within(
        &self,
        tenant: TenantKey,
        (first, end): (EventKey, EventKey),
        order: Order,
    ) -> Vec<Arc<Event>> {
        let own = self.events.values().filter(|event| event.tenant == tenant);
        let mut within: Vec<_> =
            own.filter(|event| event.key >= first && event.key < end).cloned().collect();
        if order == Order::NewestFirst {
            within.reverse();
        }
        within
    }

    fn look_into(
        &self,
        walk: &mut DeliveryWalk<'_>,
        search: &DeliverySearch,
        event: &Event,
    ) -> ControlFlow<()> {
        if !walk.event(event) {
            return walk.event_passed(event);
        }
        let fanout = self.fanout(event);
        let went = fanout.iter().any(|target| Some(target.webhook) == search.filter.webhook);
        for target in walk.targets(event, fanout) {
            let delivery = DeliveryKey { event: event.key, webhook: target.webhook };
            let standing = self.standings[&delivery];
            walk.delivery(event, target.webhook, standing, self.last_attempt(delivery))?;
        }
        walk.event_done(event, went)
    }

    /// To whom an event goes, and since when, ascending.
    fn fanout(&self, event: &Event) -> Vec<Target> {
        let own: BTreeMap<WebhookKey, _> = (self.standings.keys())
            .filter(|delivery| delivery.event == event.key)
            .map(|delivery| {
                let since = self.added.get(delivery).copied();
                (delivery.webhook, since.unwrap_or(event.accepted_at()))
            })
            .collect();
        own.into_iter().map(|(webhook, since)| Target { webhook, since }).collect()
    }

    fn last_attempt(&self, delivery: DeliveryKey) -> Option<LastAttempt> {
        let mut newest_first = self.history.values().rev().filter(|e| e.delivery == delivery);
        newest_first.find_map(|entry| match &entry.what {
            Happening::Attempt(attempt) => Some(LastAttempt::from(&**attempt)),
            Happening::Cancelled { .. } | Happening::RetryRequested { .. } => None,
        })
    }
}
