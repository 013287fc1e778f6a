//! Registering and changing webhooks.
//!
//! A change is stored, then matched against, then told to the dispatcher, and only then
//! acknowledged: no attempt that starts later uses the old value.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use postrider_core::delivery::CancelReason;
use postrider_core::dispatcher::Input;
use postrider_core::event_type::Patterns;
use postrider_core::id::{TenantKey, WebhookKey};
use postrider_core::lane::{Gate, LaneSettings};
use postrider_core::schedule::RetrySchedule;
use postrider_core::target::{Target, TargetError};
use postrider_core::webhook::{DisabledReason, Webhook, WebhookKind, WebhookState};
use postrider_signature::SecretError;
use postrider_signature::seal::SealError;
use postrider_store::{StoreError, failpoint};

use super::custom_headers::{self, HIDDEN_VALUE, HeaderError};
use super::listen::LISTENER_URL;
use super::live::{LiveWebhook, UnsealError, seal_text};
use super::secrets::{self, SigningKey};
use super::{Engine, shell};
use crate::filter::{Filter, FilterError};
use crate::profile::Profile;

/// A webhook to be registered.
#[derive(Clone, Debug)]
pub struct WebhookDraft {
    pub url: String,
    pub events: Patterns,
    /// What must be true of an event besides; see [`crate::filter`].
    pub filter: Option<String>,
    /// Without one, one is made.
    pub secret: Option<String>,
    /// What kind of secret it is to be; without it, the one given, or HMAC.
    pub signing_key: Option<SigningKey>,
    /// Without one, the secret's format decides, then the server's default.
    pub profile: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub headers: Vec<(String, String)>,
    pub timeout_ms: Option<u32>,
    pub concurrency: Option<u16>,
    pub rate_per_s: Option<u32>,
    pub schedule: Option<RetrySchedule>,
}

impl WebhookDraft {
    /// A webhook with the server's defaults.
    pub fn new(url: String, events: Patterns) -> Self {
        Self {
            url,
            events,
            filter: None,
            secret: None,
            signing_key: None,
            profile: None,
            description: None,
            metadata: BTreeMap::new(),
            headers: Vec::new(),
            timeout_ms: None,
            concurrency: None,
            rate_per_s: None,
            schedule: None,
        }
    }
}

/// What to change: `None` leaves alone, `Some(None)` goes back to the default.
#[derive(Clone, Debug, Default)]
pub struct WebhookPatch {
    pub url: Option<String>,
    pub events: Option<Patterns>,
    pub filter: Option<Option<String>>,
    pub description: Option<Option<String>>,
    /// Replaces all of it.
    pub metadata: Option<BTreeMap<String, String>>,
    pub headers: Option<Vec<(String, String)>>,
    pub timeout_ms: Option<Option<u32>>,
    pub concurrency: Option<Option<u16>>,
    pub rate_per_s: Option<Option<u32>>,
    pub schedule: Option<Option<RetrySchedule>>,
    /// A profile whose secret format the current secret doesn't have needs a new secret too.
    pub profile: Option<String>,
    /// Becomes the current secret; the one before signs too for 24 hours.
    pub secret: Option<String>,
    /// Where the current secret is of another kind and none is given, one is made.
    pub signing_key: Option<SigningKey>,
    pub state: Option<WantedState>,
}

/// Whether a webhook is to get attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedState {
    Enabled,
    Disabled { cancel_pending: bool },
}

/// Why a webhook can't be registered or changed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Url(#[from] TargetError),
    #[error("there is no profile of this name; known are {}", known.join(", "))]
    UnknownProfile { given: String, known: Vec<String> },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("this profile's secrets can't be ed25519 keys; choose one that has `whsec_` secrets")]
    NoEd25519,
    #[error("the secret given is not of this kind; leave one of them out")]
    OtherSigningKey,
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("{}", .0.kind)]
    Header(HeaderError),
    #[error("there is no such webhook")]
    NotFound,
    #[error("this tenant has {0} webhooks already, the most that it may have; delete some first")]
    Quota(usize),
    #[error("a listener's webhook has no URL; register another webhook for it")]
    ListenerUrl,
    #[error("this tenant has {0} listeners already, the most that it may have; end some first")]
    TooManyListeners(usize),
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error("a value could not be sealed: {0}")]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    pub async fn create_webhook(
        &self,
        tenant: TenantKey,
        draft: WebhookDraft,
    ) -> Result<Arc<LiveWebhook>, WebhookError> {
        let engine = self.clone();
        let created = async move {
            let (webhook, profile) = engine.new_webhook(tenant, draft, WebhookKind::Url)?;
            engine.register(webhook, profile).await
        };
        self.to_the_end(created).await
    }

    /// The webhook that a draft makes.
    pub(super) fn new_webhook(
        &self,
        tenant: TenantKey,
        draft: WebhookDraft,
        kind: WebhookKind,
    ) -> Result<(Webhook, Arc<Profile>), WebhookError> {
        let url = match kind {
            WebhookKind::Url => self.accepted_url(&draft.url)?,
            WebhookKind::Listener => LISTENER_URL.to_owned(),
        };
        draft.filter.as_deref().map(Filter::compile).transpose()?;
        let profile = match &draft.profile {
            Some(name) => self.named_profile(name)?,
            None => self.profiles().for_secret(draft.secret.as_deref()).clone(),
        };
        let now = self.now();
        let key = self.next_key(now);
        let format = &profile.signing.secret_format;
        let secret = secrets::given_or_made(draft.secret.as_deref(), draft.signing_key, format)?;
        let webhook = Webhook {
            key,
            tenant,
            version: 1,
            kind,
            url,
            patterns: draft.events,
            filter: draft.filter,
            profile: profile.name().to_owned(),
            description: draft.description,
            metadata: draft.metadata,
            headers: self.sealed_headers(key, draft.headers, &[], &profile)?,
            timeout_ms: draft.timeout_ms,
            concurrency: draft.concurrency,
            rate_per_s: draft.rate_per_s,
            schedule: draft.schedule,
            secrets: self.sole_secret(key, secret.expose())?,
            state: WebhookState::Enabled,
            disabled_at: None,
            created_at: now,
            updated_at: now,
        };
        Ok((webhook, profile))
    }

    /// Stores a new webhook; from then on events match it.
    pub(super) async fn register(
        &self,
        webhook: Webhook,
        profile: Arc<Profile>,
    ) -> Result<Arc<LiveWebhook>, WebhookError> {
        let tenant = webhook.tenant;
        let _changing = self.inner.changing.lock().await;
        if !self.has_tenant(tenant) {
            return Err(WebhookError::NotFound);
        }
        let max = self.inner.parts.webhooks_per_tenant_max;
        if self.inner.registry.count(tenant) >= max {
            return Err(WebhookError::Quota(max));
        }
        self.store().insert_webhook(webhook.clone()).await?;
        failpoint!(WebhookStored);
        let live = Arc::new(LiveWebhook::new(webhook, profile, &self.inner.parts.policy));
        self.inner.registry.put(live.clone());
        Ok(live)
    }

    /// Changes a webhook. A new secret signs from the next attempt on; the old one signs too until
    /// its overlap ends.
    pub async fn patch_webhook(
        &self,
        tenant: TenantKey,
        key: WebhookKey,
        patch: WebhookPatch,
    ) -> Result<Arc<LiveWebhook>, WebhookError> {
        let engine = self.clone();
        self.to_the_end(async move { engine.change_webhook(tenant, key, patch).await }).await
    }

    async fn change_webhook(
        &self,
        tenant: TenantKey,
        key: WebhookKey,
        patch: WebhookPatch,
    ) -> Result<Arc<LiveWebhook>, WebhookError> {
        let is_enabling = patch.state == Some(WantedState::Enabled);
        let cancels = patch.state == Some(WantedState::Disabled { cancel_pending: true });
        let changing = loop {
            let changing = self.inner.changing.lock().await;
            if !(is_enabling && self.is_cancelling(key)) {
                break changing;
            }
            // Others may change their webhooks while this one's pending work is cancelled.
            drop(changing);
            self.cancelling_ended(key).await;
        };
        let before = self.webhook(tenant, key).ok_or(WebhookError::NotFound)?;
        let (webhook, profile) = self.changed(&before, patch)?;
        let live = self.store_change(webhook, profile).await?;
        drop(changing);
        if cancels {
            self.cancel_all(&live).await;
        }
        Ok(live)
    }

    /// The webhook that a patch makes of another.
    fn changed(
        &self,
        before: &LiveWebhook,
        patch: WebhookPatch,
    ) -> Result<(Webhook, Arc<Profile>), WebhookError> {
        let mut webhook = before.webhook.clone();
        let key = webhook.key;
        let profile = match &patch.profile {
            Some(name) => self.named_profile(name)?,
            None => before.profile.clone(),
        };
        profile.name().clone_into(&mut webhook.profile);
        if patch.secret.is_some() || patch.signing_key.is_some() || patch.profile.is_some() {
            let given = patch.secret.as_deref();
            webhook.secrets = self.patched_secrets(before, &profile, given, patch.signing_key)?;
        }
        if let Some(url) = &patch.url {
            if webhook.kind == WebhookKind::Listener {
                return Err(WebhookError::ListenerUrl);
            }
            webhook.url = self.accepted_url(url)?;
        }
        match patch.headers {
            Some(headers) => {
                let present = self.present_headers(before, &headers)?;
                webhook.headers = self.sealed_headers(key, headers, present, &profile)?;
            }
            // Another profile may sign with a header that was free before.
            None => custom_headers::check_names(before.header_names(), &profile.signing)
                .map_err(WebhookError::Header)?,
        }
        webhook.patterns = patch.events.unwrap_or(webhook.patterns);
        if let Some(filter) = patch.filter {
            filter.as_deref().map(Filter::compile).transpose()?;
            webhook.filter = filter;
        }
        webhook.description = patch.description.unwrap_or(webhook.description);
        webhook.metadata = patch.metadata.unwrap_or(webhook.metadata);
        webhook.timeout_ms = patch.timeout_ms.unwrap_or(webhook.timeout_ms);
        webhook.concurrency = patch.concurrency.unwrap_or(webhook.concurrency);
        webhook.rate_per_s = patch.rate_per_s.unwrap_or(webhook.rate_per_s);
        webhook.schedule = patch.schedule.unwrap_or(webhook.schedule);
        webhook.state = match (patch.state, webhook.state) {
            (None, state)
            | (Some(WantedState::Disabled { .. }), state @ WebhookState::Disabled(_)) => state,
            (Some(WantedState::Enabled), _) => WebhookState::Enabled,
            (Some(WantedState::Disabled { .. }), _) => {
                WebhookState::Disabled(DisabledReason::Requested)
            }
        };
        Ok((webhook, profile))
    }

    /// Deletes a webhook: no attempt starts after this, and what was pending is cancelled.
    pub async fn delete_webhook(
        &self,
        tenant: TenantKey,
        key: WebhookKey,
    ) -> Result<(), WebhookError> {
        let engine = self.clone();
        let deleted = async move {
            let _changing = engine.inner.changing.lock().await;
            let before = engine.webhook(tenant, key).ok_or(WebhookError::NotFound)?;
            engine.store_change(tombstone(&before.webhook), before.profile.clone()).await?;
            Ok(())
        };
        self.to_the_end(deleted).await
    }

    /// Puts an enabled webhook into another state, if that is still wanted when its turn has come.
    pub(super) async fn set_state_if_enabled(
        &self,
        key: WebhookKey,
        state: WebhookState,
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), WebhookError> {
        let _changing = self.inner.changing.lock().await;
        let before = self.inner.registry.get(key).ok_or(WebhookError::NotFound)?;
        if before.webhook.state != WebhookState::Enabled || !is_wanted() {
            return Ok(());
        }
        let webhook = Webhook { state, ..before.webhook.clone() };
        self.store_change(webhook, before.profile.clone()).await?;
        Ok(())
    }

    /// Stores a changed webhook and lets everything know. The caller holds `changing`.
    pub(super) async fn store_change(
        &self,
        mut webhook: Webhook,
        profile: Arc<Profile>,
    ) -> Result<Arc<LiveWebhook>, StoreError> {
        let before = self.state_of(webhook.key);
        self.before_change(before, &webhook).await?;
        self.stamp(&mut webhook);
        self.store().update_webhook(webhook.clone()).await?;
        failpoint!(ChangeStored);
        Ok(self.put_to_use(webhook, profile))
    }

    fn state_of(&self, key: WebhookKey) -> WebhookState {
        let known = self.inner.registry.get(key);
        known.map_or(WebhookState::Deleted, |live| live.webhook.state)
    }

    /// Makes a changed webhook the version after the present one.
    pub(super) fn stamp(&self, webhook: &mut Webhook) {
        webhook.version += 1;
        webhook.updated_at = self.now();
        webhook.disabled_at = match webhook.state {
            WebhookState::Disabled(_) => webhook.disabled_at.or(Some(webhook.updated_at)),
            WebhookState::Enabled | WebhookState::Deleted => None,
        };
    }

    /// Lets everything know of a webhook as it is stored now.
    pub(super) fn put_to_use(&self, webhook: Webhook, profile: Arc<Profile>) -> Arc<LiveWebhook> {
        let before = self.state_of(webhook.key);
        let live = Arc::new(LiveWebhook::new(webhook, profile, &self.inner.parts.policy));
        self.inner.registry.put(live.clone());
        if live.webhook.state != WebhookState::Enabled {
            self.inner.listeners.forget(live.webhook.key);
        }
        self.tell(shell::configured(&live));
        self.after_change(before, &live.webhook);
        self.inner.changes.note(live.webhook.tenant);
        live
    }

    /// Cancels what is pending for a disabled webhook, and returns when that is done. Its lane stays
    /// closed until it is enabled, so that what is in flight doesn't become pending again.
    async fn cancel_all(&self, live: &LiveWebhook) {
        let gate = Gate::Closed(CancelReason::WebhookDisabled);
        let closed = LaneSettings { gate, ..(*live.lane).clone() };
        self.tell(Input::Configured(Arc::new(closed)));
        self.cancelling_ended(live.webhook.key).await;
    }

    /// The URL in its canonical form, when the policy allows it.
    fn accepted_url(&self, text: &str) -> Result<String, TargetError> {
        Ok(Target::parse(text, &self.inner.parts.policy)?.as_str().to_owned())
    }

    fn named_profile(&self, name: &str) -> Result<Arc<Profile>, WebhookError> {
        self.profiles().get(name).cloned().ok_or_else(|| WebhookError::UnknownProfile {
            given: name.to_owned(),
            known: self.profiles().names().map(str::to_owned).collect(),
        })
    }

    /// The headers of a webhook, opened only where some of those wanted are to stay as they are.
    fn present_headers<'a>(
        &self,
        before: &'a LiveWebhook,
        wanted: &[(String, String)],
    ) -> Result<&'a [(HeaderName, HeaderValue)], UnsealError> {
        if wanted.iter().all(|(_, value)| value != HIDDEN_VALUE) {
            return Ok(&[]);
        }
        Ok(&before.material(&self.inner.parts.sealing)?.headers)
    }

    fn sealed_headers(
        &self,
        key: WebhookKey,
        headers: Vec<(String, String)>,
        present: &[(HeaderName, HeaderValue)],
        profile: &Profile,
    ) -> Result<Vec<(String, Vec<u8>)>, WebhookError> {
        let checked = custom_headers::reveal(headers, present)
            .and_then(|headers| custom_headers::check(headers, &profile.signing))
            .map_err(WebhookError::Header)?;
        let sealed = checked
            .into_iter()
            .map(|(name, value)| Ok((name, seal_text(&self.inner.parts.sealing, key, &value)?)));
        sealed.collect()
    }
}

/// What is kept of a deleted webhook. It signs nothing.
pub(super) fn tombstone(webhook: &Webhook) -> Webhook {
    let (secrets, headers) = (Vec::new(), Vec::new());
    Webhook { state: WebhookState::Deleted, secrets, headers, ..webhook.clone() }
}
