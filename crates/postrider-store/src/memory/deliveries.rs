//! Moving deliveries on, and finding those that are due.

use std::sync::Arc;

use postrider_core::delivery::{
    AlreadyFinal, CancelReason, DeliveryState, Happening, HistoryEntry, Standing, Trigger,
};
use postrider_core::id::{DeliveryKey, HistoryKey, WebhookKey};
use postrider_core::mutated;

use super::state::State;
use crate::error::StoreError;
use crate::records::{
    CancelRequest, Cancelled, Cancelling, DeliveryStanding, DueDelivery, DuePage, DueQuery,
    LaneStart, Record, Recorded, RetryRequest,
};

impl State {
    /// Sets how a delivery stands, and keeps the pending ones exactly the unfinished ones.
    pub(super) fn stand(&mut self, delivery: DeliveryKey, standing: Standing) {
        let DeliveryKey { event, webhook } = delivery;
        let before = self.standings.insert(delivery, standing);
        if let Some(Standing::Pending(waiting)) = before {
            self.pending.remove(&(webhook, waiting.due, event));
        }
        if let Standing::Pending(waiting) = standing {
            self.pending.insert((webhook, waiting.due, event), waiting);
        }
        let was_final = before.is_some_and(|before| before.state().is_final());
        match (was_final, standing.state().is_final()) {
            (false, true)
                if mutated!("cancelled ones are not counted")
                    && standing.state() == DeliveryState::Cancelled => {}
            (false, true) => self.counts.deliveries_finished += 1,
            (true, false) => self.counts.deliveries_finished -= 1,
            _ => {}
        }
    }

    fn happen(&mut self, entry: HistoryEntry) {
        self.stand(entry.delivery, entry.standing);
        self.history.insert(entry.key, entry);
    }

    pub(super) fn record(&mut self, record: Record) -> Recorded {
        let DeliveryKey { event, webhook } = record.entry.delivery;
        let stands = self.pending.get(&(webhook, record.was.due, event));
        if stands != Some(&record.was) {
            let is_repeat = self.history.contains_key(&record.entry.key)
                && !mutated!("a repeated outcome is refused");
            return if is_repeat { Recorded::Done } else { Recorded::NotPending };
        }
        self.happen(record.entry);
        Recorded::Done
    }

    pub(super) fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        let mut page = DuePage::default();
        let mut bytes = 0_usize;
        for (&(webhook, due, key), &waiting) in &self.pending {
            let is_excepted =
                query.except.contains(&key) && !mutated!("the list of exceptions is ignored");
            if webhook != query.webhook || is_excepted {
                continue;
            }
            if due > query.until || page.deliveries.len() == query.limit {
                page.next_due = Some(due);
                break;
            }
            let event = self.events.get(&key).map(Arc::clone).ok_or_else(|| {
                StoreError::Corrupt(format!("the event of pending {key} is missing"))
            })?;
            bytes = bytes.saturating_add(event.bodies.size_bytes());
            if bytes > query.bytes_max && !page.deliveries.is_empty() {
                page.next_due = Some(due);
                break;
            }
            page.deliveries.push(DueDelivery { event, waiting });
        }
        Ok(page)
    }

    pub(super) fn lanes(&self, after: Option<WebhookKey>, limit: usize) -> Vec<LaneStart> {
        let mut lanes: Vec<LaneStart> = Vec::new();
        for &(webhook, first_due, _) in self.pending.keys() {
            let is_new = lanes.last().is_none_or(|last| last.webhook != webhook);
            if Some(webhook) > after && is_new {
                lanes.push(LaneStart { webhook, first_due });
            }
        }
        lanes.truncate(limit);
        lanes
    }

    pub(super) fn request_retry(
        &mut self,
        request: RetryRequest,
    ) -> Result<Option<DeliveryStanding>, StoreError> {
        let RetryRequest { delivery, at, key } = request;
        let Some(&before) = self.standings.get(&delivery) else {
            return Ok(None);
        };
        if self.history.contains_key(&key) {
            let standing = before;
            return Ok(Some(DeliveryStanding { delivery, standing }));
        }
        let standing = before
            .after(Trigger::RetryRequested { at })
            .map_err(|AlreadyFinal(_)| StoreError::Conflict("the delivery can't be retried"))?;
        self.happen(HistoryEntry {
            key,
            delivery,
            what: Happening::RetryRequested { at },
            standing,
        });
        Ok(Some(DeliveryStanding { delivery, standing }))
    }

    pub(super) fn request_cancel(&mut self, request: CancelRequest) -> Option<Cancelled> {
        let CancelRequest { delivery, at, key } = request;
        let standing = *self.standings.get(&delivery)?;
        if self.history.contains_key(&key) {
            return Some(Cancelled::Now(DeliveryStanding { delivery, standing }));
        }
        Some(match standing.after(Trigger::Cancelled) {
            Err(AlreadyFinal(state)) => Cancelled::AlreadyFinal(state),
            Ok(standing) => {
                let what = Happening::Cancelled { at, reason: CancelReason::Requested };
                self.happen(HistoryEntry { key, delivery, what, standing });
                Cancelled::Now(DeliveryStanding { delivery, standing })
            }
        })
    }

    pub(super) fn cancel_pending(&mut self, cancelling: &Cancelling) -> Result<usize, StoreError> {
        // a key in the history already is this verb done before: its delivery counts
        let (repeated, fresh): (Vec<HistoryKey>, Vec<_>) =
            (cancelling.keys.iter()).partition(|&key| self.history.contains_key(key));
        let chosen: Vec<(DeliveryKey, Standing)> = (self.pending.iter())
            .map(|(&(webhook, _, event), &waiting)| {
                let delivery = DeliveryKey { event, webhook };
                (delivery, Standing::Pending(waiting))
            })
            .filter(|(delivery, _)| delivery.webhook == cancelling.webhook)
            .filter(|(delivery, _)| !cancelling.except.contains(&delivery.event))
            .take(fresh.len())
            .collect();
        let count = repeated.len() + chosen.len();
        for (key, (delivery, before)) in fresh.into_iter().zip(chosen) {
            let standing = before
                .after(Trigger::Cancelled)
                .map_err(|AlreadyFinal(_)| StoreError::Corrupt(format!("{delivery} is final")))?;
            self.happen(HistoryEntry {
                key,
                delivery,
                what: Happening::Cancelled { at: cancelling.at, reason: cancelling.reason },
                standing,
            });
        }
        Ok(count)
    }
}
