//! What people do to deliveries: ask for a retry, cancel.

use postrider_core::delivery::{
    AlreadyFinal, CancelReason, Happening, HistoryEntry, Standing, Trigger,
};
use postrider_core::id::{DeliveryKey, HistoryKey};

use super::commit::Work;
use super::failure::{Failure, Outcome};
use super::pending;
use crate::error::StoreError;
use crate::records::{CancelRequest, Cancelled, Cancelling, DeliveryStanding, RetryRequest};

impl Work<'_> {
    pub(super) fn request_retry(
        &mut self,
        request: RetryRequest,
    ) -> Outcome<Option<DeliveryStanding>> {
        let RetryRequest { delivery, at, key } = request;
        let view = self.ledger.view(self.connection);
        let Some(stands) = view.delivery(delivery)? else {
            return Ok(None);
        };
        let before = stands.standing;
        if view.has_entry(key)? {
            // the same request before, whose answer was lost
            return Ok(Some(stands));
        }
        let standing = before
            .after(Trigger::RetryRequested { at })
            .map_err(|AlreadyFinal(_)| StoreError::Conflict("the delivery can't be retried"))?;
        if let Standing::Pending(waiting) = &before
            && !pending::delete(&mut self.statements, delivery, waiting)?
        {
            return Err(Failure::missing("pending", delivery));
        }
        let entry =
            HistoryEntry { key, delivery, what: Happening::RetryRequested { at }, standing };
        self.move_on(before, &entry)?;
        Ok(Some(DeliveryStanding { delivery, standing }))
    }

    pub(super) fn request_cancel(&mut self, request: CancelRequest) -> Outcome<Option<Cancelled>> {
        let CancelRequest { delivery, at, key } = request;
        let view = self.ledger.view(self.connection);
        let Some(stands) = view.delivery(delivery)? else {
            return Ok(None);
        };
        if view.has_entry(key)? {
            // the same request before, whose answer was lost
            return Ok(Some(Cancelled::Now(stands)));
        }
        let before = stands.standing;
        let standing = match before.after(Trigger::Cancelled) {
            Ok(standing) => standing,
            Err(AlreadyFinal(state)) => return Ok(Some(Cancelled::AlreadyFinal(state))),
        };
        if let Standing::Pending(waiting) = &before
            && !pending::delete(&mut self.statements, delivery, waiting)?
        {
            return Err(Failure::missing("pending", delivery));
        }
        let what = Happening::Cancelled { at, reason: CancelReason::Requested };
        self.move_on(before, &HistoryEntry { key, delivery, what, standing })?;
        Ok(Some(Cancelled::Now(DeliveryStanding { delivery, standing })))
    }

    pub(super) fn cancel_pending(&mut self, cancelling: &Cancelling) -> Outcome<usize> {
        let view = self.ledger.view(self.connection);
        // a key in the history already is this verb done before: its delivery counts
        let mut fresh: Vec<HistoryKey> = Vec::with_capacity(cancelling.keys.len());
        for &key in &cancelling.keys {
            if !view.has_entry(key)? {
                fresh.push(key);
            }
        }
        let repeated = cancelling.keys.len() - fresh.len();
        let chosen = view.first_pending(cancelling.webhook, &cancelling.except, fresh.len())?;
        let count = repeated + chosen.len();
        for (key, (event, waiting)) in fresh.into_iter().zip(chosen) {
            let delivery = DeliveryKey { event, webhook: cancelling.webhook };
            let before = Standing::Pending(waiting);
            let standing = before
                .after(Trigger::Cancelled)
                .map_err(|AlreadyFinal(_)| StoreError::Corrupt(format!("{delivery} is final")))?;
            pending::delete(&mut self.statements, delivery, &waiting)?;
            let entry = HistoryEntry {
                key,
                delivery,
                what: Happening::Cancelled { at: cancelling.at, reason: cancelling.reason },
                standing,
            };
            self.move_on(before, &entry)?;
        }
        Ok(count)
    }
}
