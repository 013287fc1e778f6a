//! What people do to one delivery: ask for an attempt at once, or cancel it.

use std::sync::Arc;

use postrider_core::delivery::DeliveryState;
use postrider_core::id::{DeliveryKey, TenantKey};
use postrider_core::webhook::WebhookState;
use postrider_store::{
    CancelRequest, Cancelled, DeliveryStanding, RetryRequest, StoreError, failpoint,
};

use super::Engine;
use super::live::LiveWebhook;

/// Why a manual retry is refused.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error("there is no such delivery")]
    NotFound,
    #[error("an attempt of this delivery is due or under way already; wait for its outcome")]
    InFlight,
    #[error("its webhook is disabled; enable it first")]
    WebhookDisabled,
    #[error("its webhook was deleted")]
    WebhookDeleted,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a delivery is not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    #[error("there is no such delivery")]
    NotFound,
    #[error("an attempt of this delivery is under way; wait for its outcome")]
    Underway,
    #[error("the delivery is {} already", _0.name())]
    AlreadyFinal(DeliveryState),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Makes one attempt of a delivery at once, whatever its state.
    pub async fn retry(
        &self,
        tenant: TenantKey,
        delivery: DeliveryKey,
    ) -> Result<DeliveryStanding, RetryError> {
        let engine = self.clone();
        self.to_the_end(async move { engine.retry_now(tenant, delivery).await }).await
    }

    async fn retry_now(
        &self,
        tenant: TenantKey,
        delivery: DeliveryKey,
    ) -> Result<DeliveryStanding, RetryError> {
        let live = self.retriable(tenant, delivery)?;
        if !self.claim(&live, delivery).await {
            return Err(RetryError::InFlight);
        }
        let at = self.now();
        // Claiming may have waited, and the webhook may have been changed meanwhile.
        let moved = match self.retriable(tenant, delivery) {
            Ok(_) => {
                let request = RetryRequest { delivery, at, key: self.next_key(at) };
                self.store().request_retry(request).await.map_err(RetryError::Store)
            }
            Err(refused) => Err(refused),
        };
        failpoint!(RetryStored);
        // While it was claimed it was left out of what the lane knows to be pending; looking once
        // too often costs nothing.
        self.settled(delivery, Some(at));
        moved?.ok_or(RetryError::NotFound)
    }

    fn retriable(
        &self,
        tenant: TenantKey,
        delivery: DeliveryKey,
    ) -> Result<Arc<LiveWebhook>, RetryError> {
        let live = self.any_webhook(tenant, delivery.webhook).ok_or(RetryError::NotFound)?;
        match live.webhook.state {
            WebhookState::Enabled => Ok(live),
            WebhookState::Disabled(_) => Err(RetryError::WebhookDisabled),
            WebhookState::Deleted => Err(RetryError::WebhookDeleted),
        }
    }

    /// Cancels a delivery that no attempt is under way for.
    pub async fn cancel_delivery(
        &self,
        tenant: TenantKey,
        delivery: DeliveryKey,
    ) -> Result<DeliveryStanding, CancelError> {
        let engine = self.clone();
        self.to_the_end(async move { engine.cancel_now(tenant, delivery).await }).await
    }

    async fn cancel_now(
        &self,
        tenant: TenantKey,
        delivery: DeliveryKey,
    ) -> Result<DeliveryStanding, CancelError> {
        let live = self.any_webhook(tenant, delivery.webhook).ok_or(CancelError::NotFound)?;
        if !self.claim_unstarted(&live, delivery).await {
            return Err(CancelError::Underway);
        }
        let at = self.now();
        let request = CancelRequest { delivery, at, key: self.next_key(at) };
        let answer = self.store().request_cancel(request).await;
        // After a failure it may be pending still: looking once too often costs nothing.
        self.settled(delivery, answer.is_err().then_some(at));
        match answer? {
            Some(Cancelled::Now(standing)) => Ok(standing),
            Some(Cancelled::AlreadyFinal(state)) => Err(CancelError::AlreadyFinal(state)),
            None => Err(CancelError::NotFound),
        }
    }
}
