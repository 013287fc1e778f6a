//! One thing that is asked of a store, so that two of them can be asked the same.

use postrider_core::catalogue::CatalogueEntry;
use postrider_core::health::Health;
use postrider_core::id::{ApiKeyKey, ReplayKey, UnixMs, WebhookKey};
use postrider_core::webhook::Webhook;
use postrider_store::{
    ApiKey, Batch, CancelRequest, Cancelling, Replay, ReplayState, ReplayStep, RetryRequest,
    Statistics, Store, StoreError, Tenant, TenantEnding,
};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Commit(Batch),
    InsertTenant(Tenant),
    DeleteTenant(TenantEnding),
    InsertApiKey(ApiKey),
    RevokeApiKey { key: ApiKeyKey, at: UnixMs },
    InsertWebhook(Webhook),
    UpdateWebhook(Webhook),
    Retry(RetryRequest),
    CancelOne(CancelRequest),
    CancelPending(Cancelling),
    InsertReplay(Replay),
    MoveReplay(ReplayStep),
    EndReplay { key: ReplayKey, at: UnixMs },
    KeepHealth { webhook: WebhookKey, health: Health },
    AddStatistics(Statistics),
    PutEventType(CatalogueEntry),
    Sweep { keep_from: UnixMs },
}

impl Step {
    /// Does it. What the store answers, as text that can be compared; what a sweep does at a time
    /// differs between stores and is left out.
    pub(crate) async fn apply(&self, store: &dyn Store) -> Result<String, StoreError> {
        macro_rules! text {
            ($answer:expr) => {
                $answer.await.map(|answer| format!("{answer:?}"))
            };
        }
        match self.clone() {
            Self::Commit(batch) => text!(store.commit(&batch)),
            Self::InsertTenant(tenant) => text!(store.insert_tenant(tenant)),
            Self::DeleteTenant(ending) => text!(store.delete_tenant(ending)),
            Self::InsertApiKey(key) => text!(store.insert_api_key(key)),
            Self::RevokeApiKey { key, at } => text!(store.revoke_api_key(key, at)),
            Self::InsertWebhook(webhook) => text!(store.insert_webhook(webhook)),
            Self::UpdateWebhook(webhook) => text!(store.update_webhook(webhook)),
            Self::Retry(request) => text!(store.request_retry(request)),
            Self::CancelOne(request) => text!(store.request_cancel(request)),
            Self::CancelPending(cancelling) => text!(store.cancel_pending(cancelling)),
            Self::InsertReplay(replay) => text!(store.insert_replay(replay)),
            Self::MoveReplay(step) => text!(store.step_replay(step)),
            Self::EndReplay { key, at } => {
                text!(store.end_replay(key, ReplayState::Cancelled, at))
            }
            Self::KeepHealth { webhook, health } => text!(store.keep_health(webhook, health)),
            Self::AddStatistics(statistics) => text!(store.add_statistics(statistics)),
            Self::PutEventType(entry) => text!(store.put_event_type(entry)),
            Self::Sweep { keep_from } => sweep(store, keep_from).await,
        }
    }

    /// Made of several transactions: after a cut it may be done in part, and is done again.
    pub(crate) fn is_in_parts(&self) -> bool {
        matches!(self, Self::Sweep { .. })
    }
}

async fn sweep(store: &dyn Store, keep_from: UnixMs) -> Result<String, StoreError> {
    loop {
        let swept = store.sweep(keep_from).await?;
        if swept.indexed == 0 && swept.dropped_buckets == 0 {
            return Ok(String::new());
        }
    }
}
