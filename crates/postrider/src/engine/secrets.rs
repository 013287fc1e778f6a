//! The secrets of a webhook: made or given, replaced, and how long a replaced one signs too
//! (contract §3, "Rotation").

use postrider_core::id::{TenantKey, UnixMs, WebhookKey};
use postrider_core::webhook::StoredSecret;
use postrider_signature::seal::SealError;
use postrider_signature::{KeyDerivation, LIVE_SECRETS_MAX, Secret, SecretFormat};
use zeroize::Zeroizing;

use super::Engine;
use super::live::{LiveWebhook, UnsealError, fill_random, seal_text};
use super::webhooks::WebhookError;
use crate::profile::Profile;

/// How long a replaced secret goes on signing, unless its replacing says otherwise.
pub const OVERLAP_MS_DEFAULT: UnixMs = 24 * 3_600_000;

/// What kind of secret a webhook signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// Shared with the receiver.
    Hmac,
    /// The receiver knows the public half only.
    Ed25519,
}

/// How a webhook's secret is to be replaced.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Without one, one is made.
    pub secret: Option<String>,
    /// Without it, the kind of the one given, or of the present one.
    pub signing_key: Option<SigningKey>,
    /// How long the present secret signs too; with 0, neither it nor any older one does.
    pub overlap_ms: UnixMs,
}

/// What came of a [`Rotation`].
#[derive(Debug)]
pub struct Rotated {
    /// The current one.
    pub secret: Zeroizing<String>,
    /// Its public half, where it has one.
    pub public_key: Option<String>,
    /// Until when the one before it signs too; `None` when it doesn't.
    pub old_live_until: Option<UnixMs>,
    /// How many sign now.
    pub live_secrets: usize,
}

impl SigningKey {
    fn of(secret: &Secret) -> Self {
        if secret.public_text().is_some() { Self::Ed25519 } else { Self::Hmac }
    }
}

/// The secret that a client gave, or a new one. `wanted` is the kind that it asked for.
pub(super) fn given_or_made(
    given: Option<&str>,
    wanted: Option<SigningKey>,
    format: &SecretFormat,
) -> Result<Secret, WebhookError> {
    if wanted == Some(SigningKey::Ed25519) && format.key != KeyDerivation::Base64 {
        return Err(WebhookError::NoEd25519);
    }
    let Some(text) = given else {
        return Ok(match wanted {
            Some(SigningKey::Ed25519) => Secret::generate_ed25519(&mut fill_random),
            Some(SigningKey::Hmac) | None => Secret::generate(format, &mut fill_random),
        });
    };
    let secret = Secret::parse(text, format)?;
    match wanted {
        Some(wanted) if wanted != SigningKey::of(&secret) => Err(WebhookError::OtherSigningKey),
        _ => Ok(secret),
    }
}

impl Engine {
    /// Replaces a webhook's secret. The new one signs from the next attempt on.
    pub async fn rotate_secret(
        &self,
        tenant: TenantKey,
        key: WebhookKey,
        rotation: Rotation,
    ) -> Result<Rotated, WebhookError> {
        let engine = self.clone();
        self.to_the_end(async move { engine.replace_secret(tenant, key, rotation).await }).await
    }

    async fn replace_secret(
        &self,
        tenant: TenantKey,
        key: WebhookKey,
        rotation: Rotation,
    ) -> Result<Rotated, WebhookError> {
        let _changing = self.inner.changing.lock().await;
        let before = self.webhook(tenant, key).ok_or(WebhookError::NotFound)?;
        let wanted = match (rotation.signing_key, &rotation.secret) {
            (None, None) => Some(self.signing_key(&before)?),
            (wanted, _) => wanted,
        };
        let format = &before.profile.signing.secret_format;
        let new = given_or_made(rotation.secret.as_deref(), wanted, format)?;
        let mut webhook = before.webhook.clone();
        webhook.secrets = self.replaced(&before, &before.profile, &new, rotation.overlap_ms)?;
        let live = self.store_change(webhook, before.profile.clone()).await?;
        let now = self.now();
        let old = live.webhook.secrets.iter().filter_map(|secret| secret.live_until);
        let old: Vec<_> = old.filter(|until| *until > now).collect();
        Ok(Rotated {
            secret: self.secret_text(&live)?,
            public_key: self.public_key(&live)?,
            old_live_until: old.first().copied(),
            live_secrets: 1 + old.len(),
        })
    }

    /// The current secret's text, as it was given or made.
    pub fn secret_text(&self, live: &LiveWebhook) -> Result<Zeroizing<String>, UnsealError> {
        let text = self.current(live)?.map_or("", Secret::expose);
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The public half of the current secret, where it has one.
    pub fn public_key(&self, live: &LiveWebhook) -> Result<Option<String>, UnsealError> {
        Ok(self.current(live)?.and_then(Secret::public_text))
    }

    /// Of which kind the current secret is.
    pub fn signing_key(&self, live: &LiveWebhook) -> Result<SigningKey, UnsealError> {
        Ok(self.current(live)?.map_or(SigningKey::Hmac, SigningKey::of))
    }

    /// A webhook's secrets once it has another profile, secret or kind of secret.
    pub(super) fn patched_secrets(
        &self,
        before: &LiveWebhook,
        profile: &Profile,
        given: Option<&str>,
        wanted: Option<SigningKey>,
    ) -> Result<Vec<StoredSecret>, WebhookError> {
        let format = &profile.signing.secret_format;
        let is_same_kind =
            wanted.is_none_or(|kind| self.signing_key(before).is_ok_and(|now| now == kind));
        if given.is_none() && is_same_kind {
            for (secret, _) in &before.material(&self.inner.parts.sealing)?.secrets {
                Secret::parse(secret.expose(), format)?;
            }
            return Ok(before.webhook.secrets.clone());
        }
        let new = given_or_made(given, wanted, format)?;
        self.replaced(before, profile, &new, OVERLAP_MS_DEFAULT)
    }

    /// The secrets with `new` as the current one, and those before it in their overlap.
    fn replaced(
        &self,
        before: &LiveWebhook,
        profile: &Profile,
        new: &Secret,
        overlap_ms: UnixMs,
    ) -> Result<Vec<StoredSecret>, WebhookError> {
        let present = &before.material(&self.inner.parts.sealing)?.secrets;
        let mut secrets = self.sole_secret(before.webhook.key, new.expose())?;
        if overlap_ms == 0 {
            return Ok(secrets);
        }
        if present.first().is_some_and(|(current, _)| current == new) {
            return Ok(before.webhook.secrets.clone());
        }
        let now = self.now();
        for ((secret, live_until), stored) in present.iter().zip(&before.webhook.secrets) {
            let live_until = live_until.unwrap_or(now + overlap_ms);
            let suits = Secret::parse(secret.expose(), &profile.signing.secret_format).is_ok();
            if live_until > now && secret != new && suits && secrets.len() < LIVE_SECRETS_MAX {
                secrets.push(StoredSecret { live_until: Some(live_until), ..stored.clone() });
            }
        }
        Ok(secrets)
    }

    pub(super) fn sole_secret(
        &self,
        key: WebhookKey,
        text: &str,
    ) -> Result<Vec<StoredSecret>, SealError> {
        let sealed = seal_text(&self.inner.parts.sealing, key, text)?;
        Ok(vec![StoredSecret { sealed, live_until: None }])
    }

    fn current<'a>(&self, live: &'a LiveWebhook) -> Result<Option<&'a Secret>, UnsealError> {
        let material = live.material(&self.inner.parts.sealing)?;
        Ok(material.secrets.first().map(|(secret, _)| secret))
    }
}
