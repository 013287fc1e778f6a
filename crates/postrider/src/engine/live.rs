//! A webhook in memory, with what an attempt needs of it worked out once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use postrider_core::delivery::{CancelReason, Outline};
use postrider_core::id::{Key, UnixMs, WebhookKey};
use postrider_core::lane::{Gate, LaneSettings};
use postrider_core::limits;
use postrider_core::target::{Target, TargetPolicy};
use postrider_core::webhook::{DisabledReason, StoredSecret, Webhook, WebhookKind, WebhookState};
use postrider_signature::Secret;
use postrider_signature::seal::{SealError, SealingKeys};
use zeroize::Zeroizing;

use crate::filter::{Filter, FilterError};
use crate::profile::Profile;

/// A registered receiver as the server holds it.
#[derive(Debug)]
pub struct LiveWebhook {
    pub webhook: Webhook,
    pub(super) profile: Arc<Profile>,
    pub(super) lane: Arc<LaneSettings>,
    pub(super) destination: Destination,
    outline: OnceLock<Arc<Outline>>,
    material: OnceLock<Result<Material, UnsealError>>,
    filter: OnceLock<Result<Filter, FilterError>>,
}

/// Where a webhook's attempts go.
#[derive(Debug)]
pub(super) enum Destination {
    Url(Arc<Target>),
    /// The policy no longer allows the URL: the reason, for the attempt's record.
    NotAllowed(String),
    Listener,
}

/// The opened secrets and header values of a webhook.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) secrets: Vec<(Secret, Option<UnixMs>)>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A sealed value of a webhook can't be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[error("what is sealed of {webhook} can't be opened: {source}")]
pub struct UnsealError {
    pub(super) webhook: WebhookKey,
    pub(super) source: SealError,
}

impl LiveWebhook {
    /// `profile` is the one that the webhook names.
    pub(super) fn new(webhook: Webhook, profile: Arc<Profile>, policy: &TargetPolicy) -> Self {
        let destination = match webhook.kind {
            WebhookKind::Url => match Target::parse(&webhook.url, policy) {
                Ok(target) => Destination::Url(Arc::new(target)),
                Err(error) => Destination::NotAllowed(error.to_string()),
            },
            WebhookKind::Listener => Destination::Listener,
        };
        let lane = Arc::new(LaneSettings {
            webhook: webhook.key,
            gate: gate(webhook.state),
            concurrency: webhook.concurrency.unwrap_or(limits::LANE_CONCURRENCY_DEFAULT),
            rate_per_s: webhook.rate_per_s,
            schedule: webhook.schedule.clone().unwrap_or_else(|| profile.schedule.clone()),
        });
        let (outline, material, filter) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { webhook, profile, lane, destination, outline, material, filter }
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Its filter, read once. An error only where a later version reads filters more strictly.
    pub(super) fn filter(&self) -> Option<&Result<Filter, FilterError>> {
        let text = self.webhook.filter.as_deref()?;
        Some(self.filter.get_or_init(|| Filter::compile(text)))
    }

    /// Names of the custom headers; their values are sealed.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.webhook.headers.iter().map(|(name, _)| name.as_str())
    }

    /// What its attempts keep of it, made once.
    pub(super) fn outline(&self) -> Arc<Outline> {
        let outline = self.outline.get_or_init(|| {
            Arc::new(Outline {
                url: self.webhook.url.as_str().into(),
                header_names: self.header_names().map(Into::into).collect(),
                body_form: self.profile.signing.body_form,
            })
        });
        outline.clone()
    }

    /// The deadline of one attempt.
    pub(super) fn timeout(&self, default: Duration) -> Duration {
        self.webhook.timeout_ms.map_or(default, |ms| Duration::from_millis(ms.into()))
    }

    /// Opens what is sealed, once.
    pub(super) fn material(&self, keys: &SealingKeys) -> Result<&Material, UnsealError> {
        self.material.get_or_init(|| self.open(keys)).as_ref().map_err(Clone::clone)
    }

    fn open(&self, keys: &SealingKeys) -> Result<Material, UnsealError> {
        let webhook = self.webhook.key;
        let broken = |source| UnsealError { webhook, source };
        let format = &self.profile.signing.secret_format;
        let mut secrets = Vec::with_capacity(self.webhook.secrets.len());
        for StoredSecret { sealed, live_until } in &self.webhook.secrets {
            let text = open_text(keys, webhook, sealed).map_err(broken)?;
            let secret = Secret::parse(&text, format).map_err(|_| broken(SealError::NotSealed))?;
            secrets.push((secret, *live_until));
        }
        let mut headers = Vec::with_capacity(self.webhook.headers.len());
        for (name, sealed) in &self.webhook.headers {
            let value = open_text(keys, webhook, sealed).map_err(broken)?;
            let name =
                HeaderName::try_from(name.as_str()).map_err(|_| broken(SealError::NotSealed))?;
            let mut value =
                HeaderValue::try_from(value.as_str()).map_err(|_| broken(SealError::NotSealed))?;
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(Material { secrets, headers })
    }
}

/// Seals a text so that only its webhook's record can be opened with it.
pub(super) fn seal_text(
    keys: &SealingKeys,
    webhook: WebhookKey,
    text: &str,
) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; postrider_signature::seal::NONCE_BYTES];
    fill_random(&mut nonce);
    keys.seal(text.as_bytes(), &webhook.raw().to_be_bytes(), &nonce)
}

/// Opens what [`seal_text`] made for the same webhook.
pub(super) fn open_text(
    keys: &SealingKeys,
    webhook: WebhookKey,
    sealed: &[u8],
) -> Result<Zeroizing<String>, SealError> {
    let bytes = keys.open(sealed, &webhook.raw().to_be_bytes())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| SealError::NotSealed)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Fills `bytes` from the operating system. Without randomness no secret can be made, so a
/// failure ends the process rather than making a guessable one.
pub(super) fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has randomness");
}

fn gate(state: WebhookState) -> Gate {
    match state {
        WebhookState::Enabled => Gate::Open,
        WebhookState::Disabled(DisabledReason::Requested | DisabledReason::Failing) => Gate::Paused,
        WebhookState::Disabled(DisabledReason::Gone) => Gate::Closed(CancelReason::WebhookGone),
        WebhookState::Deleted => Gate::Closed(CancelReason::WebhookDeleted),
    }
}
