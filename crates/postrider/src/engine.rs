//! The engine: what a Postrider server does, without HTTP in.
//!
//! It joins the store, the registry of webhooks, the group commit, the dispatcher and the
//! sender. The API, the command line's dev mode and tests call it; it knows none of them.
//!
//! Everything here but the commits runs on one runtime thread. Locks are held for moments and
//! never across an await.

mod access;
mod candidates;
mod changes;
mod commit;
mod custom_headers;
mod deliver;
mod event_types;
mod filtering;
mod health;
mod listen;
mod live;
mod maintain;
mod metrics;
mod operational;
mod outcome;
mod publish;
mod registry;
mod replays;
mod resealing;
mod retry;
mod runners;
mod secrets;
mod series;
mod shell;
mod statistics;
mod test_event;
mod tokens;
mod webhooks;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_core::health::HealthPolicy;
use postrider_core::id::{Key, KeyMaker, TenantKey, UnixMs, WebhookKey};
use postrider_core::target::TargetPolicy;
use postrider_core::webhook::{Webhook, WebhookState};
use postrider_signature::seal::SealingKeys;
use postrider_store::{Store, StoreError, Tenant};

use crate::clock::Clock;
use crate::profile::Profiles;
use crate::send::Sender;

pub(crate) use access::KEY_TEXT_BYTES_MAX;
pub use access::{Access, KeyIdentity, TenantError};
pub use candidates::{Candidate, SignatureForm};
pub use changes::Watching;
pub use custom_headers::{HIDDEN_VALUE, HeaderError, HeaderErrorKind, check as check_headers};
pub use deliver::{FIXED_HEADERS, sent_body};
pub use event_types::{
    EventTypeDraft, EventTypeError, EventTypePatch, KnownType, UnknownEventTypes,
};
pub use filtering::subject_of;
pub use listen::{ListenedAttempt, ListenerAnswer, Listening};
pub use live::{LiveWebhook, UnsealError};
pub use operational::{DELIVERY_FAILED, WEBHOOK_DISABLED, WEBHOOK_FAILING, WEBHOOK_RECOVERED};
pub use publish::{NewEvent, PublishError, Published};
pub use replays::{Counted, EndReplayError, ReplayError, ReplayRequest};
pub use retry::{CancelError, RetryError};
pub use secrets::{OVERLAP_MS_DEFAULT, Rotated, Rotation, SigningKey};
pub use series::{Series, WebhookSummary};
pub use statistics::{TenantStatistics, WebhookHealth, Window};
pub use test_event::{TestError, TestEvent};
pub use webhooks::{WantedState, WebhookDraft, WebhookError, WebhookPatch};

/// The tenant that requests belong to which name none.
pub const DEFAULT_TENANT: &str = "default";

/// What an engine is made of.
pub struct EngineParts {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub profiles: Profiles,
    pub sealing: SealingKeys,
    pub sender: Sender,
    pub policy: TargetPolicy,
    /// Text of an admin key beside those in the store.
    pub admin_key: Option<String>,
    /// What `x-automa-server-host` says.
    pub public_url: String,
    /// The deadline of an attempt whose webhook names none.
    pub attempt_timeout: Duration,
    pub webhooks_per_tenant_max: usize,
    pub unknown_event_types: UnknownEventTypes,
    /// Events and history older than this are dropped.
    pub retention: Duration,
    /// When a run of failures has consequences.
    pub health: HealthPolicy,
}

impl fmt::Debug for EngineParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineParts").finish_non_exhaustive()
    }
}

/// See the module's text. Clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

struct Inner {
    parts: EngineParts,
    keys: Mutex<KeyMaker>,
    registry: registry::Registry,
    access: access::AccessTable,
    catalogues: event_types::Catalogues,
    commits: commit::Commits,
    shell: shell::Shell,
    runners: runners::Runners,
    health: health::HealthBook,
    statistics: statistics::StatisticsBook,
    metrics: metrics::Metrics,
    changes: changes::Changes,
    listeners: listen::Listeners,
    /// One change of webhooks, tenants or event types at a time: read, decide, store, tell.
    changing: tokio::sync::Mutex<()>,
    /// One page of one replay at a time, so that many replays take no more of the writer than one.
    replaying: tokio::sync::Mutex<()>,
    /// One past event at a time is shown to a filter.
    looking_back: tokio::sync::Mutex<()>,
    /// One replay begins at a time: its tenant's are counted before.
    beginning_replay: tokio::sync::Mutex<()>,
}

impl Engine {
    /// Reads what the store holds, starts the writer thread, and begins to deliver.
    ///
    /// Must be called on the runtime that will drive the engine; `stop` ends it.
    pub async fn start(parts: EngineParts) -> Result<Self, StoreError> {
        let store = parts.store.clone();
        let newest = store.newest_key_ms().await?;
        let registry = registry::Registry::load(&*store, &parts.profiles, &parts.policy).await?;
        let access = access::AccessTable::load(&*store, parts.admin_key.as_deref()).await?;
        let health = health::HealthBook::load(&*store).await?;
        let catalogues = event_types::Catalogues::load(&*store).await?;
        let inner = Arc::new(Inner {
            keys: Mutex::new(KeyMaker::new(0, newest)),
            registry,
            access,
            catalogues,
            commits: commit::Commits::start(store),
            shell: shell::Shell::new(),
            runners: runners::Runners::default(),
            health,
            statistics: statistics::StatisticsBook::default(),
            metrics: metrics::Metrics::new(),
            changes: changes::Changes::default(),
            listeners: listen::Listeners::default(),
            changing: tokio::sync::Mutex::new(()),
            replaying: tokio::sync::Mutex::new(()),
            looking_back: tokio::sync::Mutex::new(()),
            beginning_replay: tokio::sync::Mutex::new(()),
            parts,
        });
        let engine = Self { inner };
        if engine.tenant(DEFAULT_TENANT).is_none() {
            // of the other errors none can be: the name is right and nobody else takes it
            if let Err(TenantError::Store(error)) = engine.create_tenant(DEFAULT_TENANT).await {
                return Err(error);
            }
        }
        engine.delete_left_listeners().await?;
        engine.start_shell().await?;
        engine.spawn(engine.clone().seal_anew());
        Ok(engine)
    }

    /// Starts no more attempts, waits up to `drain` for those under way and for their outcomes
    /// to be durable, and ends the writer. Returns how many attempts were cut off.
    pub async fn stop(&self, drain: Duration) -> usize {
        let cut_off = self.drain(drain).await;
        self.flush_statistics().await;
        self.inner.commits.stop().await;
        cut_off
    }

    pub fn now(&self) -> UnixMs {
        self.inner.parts.clock.now()
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.parts.clock
    }

    /// For reading. Writes go through the engine.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.parts.store
    }

    /// Where the server is reached from outside, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.inner.parts.public_url
    }

    pub fn profiles(&self) -> &Profiles {
        &self.inner.parts.profiles
    }

    /// A webhook that was not deleted, of this tenant.
    pub fn webhook(&self, tenant: TenantKey, key: WebhookKey) -> Option<Arc<LiveWebhook>> {
        self.any_webhook(tenant, key).filter(|live| live.webhook.state != WebhookState::Deleted)
    }

    /// A webhook of this tenant, deleted ones too: for explanations and old deliveries.
    pub fn any_webhook(&self, tenant: TenantKey, key: WebhookKey) -> Option<Arc<LiveWebhook>> {
        self.inner.registry.get(key).filter(|live| live.webhook.tenant == tenant)
    }

    /// Webhooks of a tenant that `is_wanted` picks, after `after`, ascending by key; deleted ones
    /// are left out.
    pub fn webhooks(
        &self,
        tenant: TenantKey,
        after: Option<WebhookKey>,
        limit: usize,
        is_wanted: impl Fn(&Webhook) -> bool,
    ) -> Vec<Arc<LiveWebhook>> {
        self.inner.registry.page(tenant, after, limit, is_wanted)
    }

    /// All webhooks of all tenants that have this URL and were not deleted.
    pub fn webhooks_at(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Arc<LiveWebhook>> {
        self.inner.registry.filtered(|webhook| is_wanted(&webhook.url))
    }

    pub fn tenant(&self, name: &str) -> Option<Tenant> {
        self.inner.access.tenant(name)
    }

    fn next_key<K: Key>(&self, now: UnixMs) -> K {
        lock(&self.inner.keys).next(now)
    }
}

/// A lock that a panicking holder can't poison: what it guards is consistent at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
