//! Sealing anew, with the current key, what an older one has sealed: then the older one can go.
//!
//! Done once after each start, beside everything else: nothing waits for it, and what it has not come
//! to opens with the older key as before.

use postrider_core::id::WebhookKey;
use postrider_core::webhook::Webhook;
use postrider_signature::seal::SealingKeys;
use postrider_store::StoreError;

use super::Engine;
use super::live::{LiveWebhook, UnsealError, open_text, seal_text};

/// Why a webhook is left as it is.
#[derive(Debug, thiserror::Error)]
enum ResealError {
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Goes through all webhooks once.
    pub(super) async fn seal_anew(self) {
        let sealing = &self.inner.parts.sealing;
        if !sealing.has_older() {
            return;
        }
        let stale = self.inner.registry.filtered(|webhook| is_stale(webhook, sealing));
        let stale: Vec<WebhookKey> = stale.into_iter().map(|live| live.webhook.key).collect();
        if stale.is_empty() {
            return;
        }
        let mut left = 0;
        for &webhook in &stale {
            if let Err(error) = self.seal_one_anew(webhook).await {
                tracing::warn!(%webhook, %error, "a webhook's secrets could not be sealed anew");
                left += 1;
            }
        }
        let webhooks = stale.len() - left;
        if left == 0 {
            tracing::info!(webhooks, "secrets were sealed anew; older sealing keys can go");
        } else {
            tracing::warn!(
                webhooks,
                left,
                "not all secrets were sealed anew; keep older sealing keys"
            );
        }
    }

    /// A new version of the webhook, in which nothing is changed for anybody.
    async fn seal_one_anew(&self, key: WebhookKey) -> Result<(), ResealError> {
        let _changing = self.inner.changing.lock().await;
        let sealing = &self.inner.parts.sealing;
        let Some(before) = self.inner.registry.get(key) else { return Ok(()) };
        if !is_stale(&before.webhook, sealing) {
            return Ok(());
        }
        let mut webhook = sealed_anew(&before.webhook, sealing)?;
        webhook.version += 1;
        self.store().update_webhook(webhook.clone()).await?;
        let policy = &self.inner.parts.policy;
        self.inner.registry.put(LiveWebhook::new(webhook, before.profile.clone(), policy).into());
        Ok(())
    }
}

/// Whether anything of a webhook is sealed with an older key.
fn is_stale(webhook: &Webhook, keys: &SealingKeys) -> bool {
    let secrets = webhook.secrets.iter().map(|secret| &secret.sealed);
    let headers = webhook.headers.iter().map(|(_, sealed)| sealed);
    secrets.chain(headers).any(|sealed| keys.is_stale(sealed))
}

fn sealed_anew(webhook: &Webhook, keys: &SealingKeys) -> Result<Webhook, UnsealError> {
    let mut anew = webhook.clone();
    let secrets = anew.secrets.iter_mut().map(|secret| &mut secret.sealed);
    let headers = anew.headers.iter_mut().map(|(_, sealed)| sealed);
    for sealed in secrets.chain(headers) {
        let resealed = open_text(keys, webhook.key, sealed)
            .and_then(|text| seal_text(keys, webhook.key, &text))
            .map_err(|source| UnsealError { webhook: webhook.key, source })?;
        *sealed = resealed;
    }
    Ok(anew)
}
