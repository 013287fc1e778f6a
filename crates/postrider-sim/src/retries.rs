//! Manual retries, as `Engine::retry` makes them: claimed, stored, settled.

use postrider_core::dispatcher::{Claim, Input};
use postrider_core::id::DeliveryKey;
use postrider_core::webhook::WebhookState;
use postrider_store::{DeliveryStore as _, RetryRequest};

use crate::checker::Retry;
use crate::process::Work;
use crate::rare::Rare;
use crate::store_calls::{Fault, at_once};
use crate::world::World;

/// Somebody waits for a retry to be taken.
#[derive(Debug)]
pub(crate) struct RetryAsked(DeliveryKey);

impl World {
    /// Somebody asks for an attempt of some delivery.
    pub(crate) fn ask_retry(&mut self) {
        let Some(delivery) = self.books.any_delivery(&mut self.random) else { return };
        let Some(process) = &mut self.process else { return };
        process.claims.push(RetryAsked(delivery));
        self.claim_waiting();
    }

    /// Takes in hand what somebody wants to be retried, as soon as what became of it is durable.
    pub(crate) fn claim_waiting(&mut self) {
        let Some(process) = &mut self.process else { return };
        for RetryAsked(delivery) in std::mem::take(&mut process.claims) {
            self.claim(delivery);
        }
    }

    fn claim(&mut self, delivery: DeliveryKey) {
        let Some(live) = self.live(delivery.webhook) else { return };
        if live.webhook.state != WebhookState::Enabled {
            return;
        }
        let Some(process) = &mut self.process else { return };
        let claim = process.dispatcher.claim(&live.lane, delivery);
        match claim {
            Claim::Settling => {
                process.claims.push(RetryAsked(delivery));
                self.meet(Rare::RetryWhileSettling);
            }
            Claim::Underway => self.meet(Rare::RetryUnderway),
            Claim::Taken => {
                self.note(format_args!("claimed {delivery}"));
                let at = self.wall();
                let request = RetryRequest { delivery, at, key: self.next_key() };
                let after = self.store_delay();
                self.plan_work(after, Work::StoreRetry(request));
            }
        }
    }

    pub(crate) fn store_retry(&mut self, request: RetryRequest) {
        if self.dies() {
            return;
        }
        let RetryRequest { delivery, .. } = request;
        let asked = self.books.ledger.retries.len();
        let event = self.books.id_of(delivery.event);
        let webhook = delivery.webhook.to_string();
        self.books.ledger.retries.push(Retry { event, webhook, acknowledged_at: None });
        if let Ok(Some(before)) = at_once(self.store.delivery(delivery)) {
            let is_final = before.standing.state().is_final();
            self.meet(if is_final { Rare::RetryOfFinal } else { Rare::RetryOfWaiting });
        }
        let fault = self.fault();
        let stored = match fault {
            Fault::Fails => None,
            Fault::Unknown | Fault::None => at_once(self.store.request_retry(request)).ok(),
        };
        self.note(format_args!("retry {delivery} {fault:?} {stored:?}"));
        if fault != Fault::None {
            self.meet(Rare::RetryFailed);
        }
        if self.dies() {
            return;
        }
        let is_stored = fault == Fault::None && stored.flatten().is_some();
        self.plan_answer(Work::RetryStored { request, is_stored, asked });
    }

    pub(crate) fn retry_stored(&mut self, request: RetryRequest, is_stored: bool, asked: usize) {
        let RetryRequest { delivery, at, .. } = request;
        if is_stored {
            self.books.ledger.retries[asked].acknowledged_at = Some(at);
        }
        self.tell(Input::Settled { delivery, due: Some(at) });
    }
}
