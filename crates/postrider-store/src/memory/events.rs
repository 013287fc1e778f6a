//! Accepting events and finding them.

use std::sync::Arc;

use postrider_core::delivery::Standing;
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, EventKey, Key, TenantKey};
use postrider_core::mutated;

use super::state::State;
use crate::bucket::Buckets;
use crate::records::{Accept, Accepted};

impl State {
    pub(super) fn accept(&mut self, buckets: Buckets, accept: Accept) -> Accepted {
        let event = accept.event;
        if let Some(given) = &event.given_id
            && !mutated!("a given id is not known again")
        {
            let name = (event.tenant, given.clone());
            match self.given_ids.get(&name) {
                Some(&(first, fingerprint)) if fingerprint == accept.fingerprint => {
                    return self.repeat(first);
                }
                Some(_) => return Accepted::IdConflict,
                None => {}
            }
            if let Some(first) = self.event_by_made_id(event.tenant, given) {
                return if first.bodies.verbatim == event.bodies.verbatim {
                    self.repeat(first.key)
                } else {
                    Accepted::IdConflict
                };
            }
        }
        if self.events.contains_key(&event.key) {
            return self.repeat(event.key);
        }

        if let Some(given) = &event.given_id {
            let name = (event.tenant, given.clone());
            self.given_ids.insert(name, (event.key, accept.fingerprint));
        }
        for &webhook in &accept.matching.matched {
            let delivery = DeliveryKey { event: event.key, webhook };
            self.stand(delivery, Standing::accepted(event.accepted_at()));
            self.counts.deliveries_created += 1;
        }
        let bucket = buckets.of(event.key);
        self.matchings.entry((bucket, event.matching)).or_insert(accept.matching);
        self.events.insert(event.key, event);
        self.counts.events += 1;
        Accepted::New
    }

    fn repeat(&self, key: EventKey) -> Accepted {
        let first = Arc::clone(&self.events[&key]);
        let deliveries = self.standings.keys().filter(|d| d.event == key);
        let deliveries = deliveries.filter(|delivery| !self.added.contains_key(delivery));
        Accepted::Repeat { matched: deliveries.count(), first }
    }

    pub(super) fn event(&self, tenant: TenantKey, id: &str) -> Option<Arc<Event>> {
        let made = self.event_by_made_id(tenant, id);
        let given = || {
            let (key, _) = self.given_ids.get(&(tenant, id.into()))?;
            self.events.get(key)
        };
        made.or_else(given).cloned()
    }

    /// The event without a given id whose key reads like this.
    fn event_by_made_id(&self, tenant: TenantKey, id: &str) -> Option<&Arc<Event>> {
        let event = self.events.get(&EventKey::parse(id)?)?;
        (event.given_id.is_none() && event.tenant == tenant).then_some(event)
    }
}
