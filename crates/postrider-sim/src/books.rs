//! What is written down while a world plays: the checker's ledger, and what it is made of.

use std::collections::BTreeMap;

use postrider_core::delivery::{DeliveryState, Happening};
use postrider_core::id::{DeliveryKey, EventKey, UnixMs, WebhookKey};
use postrider_store::{
    Accepted, Batch, Committed, DeliveryStore as _, MemoryStore, WebhookStore as _,
};

use crate::checker::{Delivery, Ledger, ListedAttempt, State};
use crate::random::Random;
use crate::store_calls::at_once;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) ledger: Ledger,
    /// Every delivery that was ever committed, by its event's public id.
    ids: BTreeMap<EventKey, String>,
    deliveries: Vec<DeliveryKey>,
    /// What is known of each attempt beside its record; of several by one number, the last.
    known: BTreeMap<(DeliveryKey, u32), Known>,
}

/// What a record of an attempt doesn't say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The latest that the server's clock had shown when it started.
    pub(crate) started_at: UnixMs,
    pub(crate) ended_at: UnixMs,
    /// What its receiver asked for.
    pub(crate) retry_after_ms: u64,
}

impl Books {
    /// Something took effect, whatever the process hears of it.
    pub(crate) fn committed(&mut self, batch: &Batch, committed: &Committed) {
        for (accept, accepted) in batch.accepts.iter().zip(&committed.accepts) {
            if *accepted != Accepted::New {
                continue;
            }
            let event = accept.event.key;
            self.ids.insert(event, accept.event.id().into_owned());
            let matched = accept.matching.matched.iter();
            self.deliveries.extend(matched.map(|&webhook| DeliveryKey { event, webhook }));
        }
    }

    pub(crate) fn ended(&mut self, delivery: DeliveryKey, number: u32, known: Known) {
        self.known.insert((delivery, number), known);
    }

    /// How many deliveries were ever made.
    pub(crate) fn created(&self) -> usize {
        self.deliveries.len()
    }

    pub(crate) fn any_delivery(&self, random: &mut Random) -> Option<DeliveryKey> {
        let recent = self.deliveries.len().saturating_sub(30);
        let from = if random.percent(70) { recent } else { 0 };
        let chosen = from + random.below(self.deliveries.len() - from);
        self.deliveries.get(chosen).copied()
    }

    pub(crate) fn id_of(&self, event: EventKey) -> String {
        self.ids.get(&event).cloned().unwrap_or_default()
    }

    /// The secret that a webhook was made with.
    pub(crate) fn first_secret(&self, webhook: WebhookKey) -> String {
        let webhook = webhook.to_string();
        let first = self.ledger.changes.iter().find(|change| change.webhook == webhook);
        first.map(|change| change.setting.secret.clone()).unwrap_or_default()
    }

    /// The ledger, with how everything stands in the store.
    pub(crate) fn close(mut self, store: &MemoryStore) -> Ledger {
        let webhooks = at_once(store.webhooks(None, usize::MAX)).unwrap_or_default();
        let webhooks: BTreeMap<WebhookKey, _> =
            webhooks.into_iter().map(|webhook| (webhook.key, webhook)).collect();
        let mut attempts: BTreeMap<DeliveryKey, Vec<ListedAttempt>> = BTreeMap::new();
        for &webhook in webhooks.keys() {
            let history = at_once(store.history_of_webhook(webhook, None, usize::MAX));
            for entry in history.unwrap_or_default().into_iter().rev() {
                if let Happening::Attempt(attempt) = entry.what {
                    let known = self.known.get(&(entry.delivery, attempt.number));
                    let Some(known) = known.copied() else { continue };
                    let listed = ListedAttempt {
                        number: attempt.number,
                        is_manual: attempt.is_manual,
                        started_at: known.started_at,
                        ended_at: known.ended_at,
                        status: attempt.result.status(),
                        retry_after_ms: known.retry_after_ms,
                    };
                    attempts.entry(entry.delivery).or_default().push(listed);
                }
            }
        }
        for (&event, id) in &self.ids {
            let standings = at_once(store.deliveries_of_event(event, None, usize::MAX));
            for stands in standings.unwrap_or_default() {
                let delivery = stands.delivery;
                let Some(webhook) = webhooks.get(&delivery.webhook) else { continue };
                let tenant = at_once(postrider_store::EventStore::event_by_key(store, event));
                let tenant = tenant.ok().flatten().map(|event| event.tenant.to_string());
                let schedule = webhook.schedule.as_ref();
                self.ledger.deliveries.push(Delivery {
                    tenant: tenant.unwrap_or_default(),
                    event: id.clone(),
                    webhook: delivery.webhook.to_string(),
                    state: state(stands.standing.state()),
                    delays_ms: schedule.map(|it| it.delays_ms().to_vec()).unwrap_or_default(),
                    attempts: attempts.remove(&delivery).unwrap_or_default(),
                });
            }
        }
        self.ledger
    }
}

fn state(state: DeliveryState) -> State {
    match state {
        DeliveryState::Pending => State::Pending,
        DeliveryState::Succeeded => State::Succeeded,
        DeliveryState::Failed => State::Failed,
        DeliveryState::Cancelled => State::Cancelled,
    }
}
