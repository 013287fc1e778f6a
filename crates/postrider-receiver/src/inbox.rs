//! Each event's effect once, however often the event comes.
//!
//! An inbox remembers the ids it has seen: by *source* (which sender), *consumer* (which of your
//! handlers) and the event's id, with the SHA-256 of the body, so that an id under which something
//! else comes is noticed. Verify first; what isn't verified must never be claimed.
//!
//! Three modes, of which a handler uses one:
//!
//! - **Transactional** ([`sqlite::SqliteInbox::process`], [`postgres::PostgresInbox::process`]): the
//!   handler's own writes and the inbox's row are one transaction. The effect happens exactly once,
//!   whatever crashes when, as long as it is in that database.
//! - **Leased** ([`Inbox::handle`]): the handler runs under a lease that others may take over when
//!   its holder is gone. For effects elsewhere: pass on [`Lease::effect_key`], which is the same in
//!   every attempt, and stop when [`Lease::lost`] says so.
//! - **Queued** ([`Inbox::accept`] and [`Worker`]): the event is stored, the sender is answered at
//!   once, and a worker here or elsewhere runs the handler, with retries.
//!
//! What every outcome is, in the smallest steps, is in [`InboxStore`]; `vectors/inbox.json` in the
//! repository holds all stores, and the SDKs in other languages, to it.

mod answer;
mod lease;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod standing;
mod store;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{Event, UnixMs, now_ms};

pub use answer::Answer;
pub use lease::Lease;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use standing::ProcessError;
pub use store::{
    Accepted, BodyHash, Claim, Claimed, Failed, InboxStore, LeaseState, NewEntry, Reprocessed,
    Settled, Stats, StoreError, Taken, Token,
};
pub use worker::{Handled, Worker};

/// Longer than any sender of the built-in profiles goes on trying (three days), and than people
/// take to ask for a replay.
pub const RETENTION_DEFAULT: Duration = Duration::from_hours(30 * 24);

/// A sender retries for up to three days and a bit; what is forgotten sooner would be new again.
pub const RETENTION_MIN: Duration = Duration::from_hours(10 * 24);

/// How long a lease lasts without a sign of life.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(30);

/// How long a queued event waits after each failure, unless told otherwise: 10 attempts in 16 hours.
pub const RETRY_DELAYS_DEFAULT: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(8),
];

/// Most bytes of the name of a source or a consumer.
const NAME_BYTES_MAX: usize = 128;

/// Which rows of a store are meant: one sender's events for one of your handlers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    source: Arc<str>,
    consumer: Arc<str>,
}

/// A name that can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a source or consumer is 1 to 128 of A-Z a-z 0-9 . _ : / -")]
pub struct InvalidName;

/// A retention that forgets while the sender still tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "keep events for at least 10 days: senders retry for days, and what is forgotten is new again"
)]
pub struct RetentionTooShort;

/// How long things last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxSettings {
    pub(crate) lease: Duration,
    pub(crate) retry_delays: Vec<Duration>,
    pub(crate) retention: Duration,
}

/// One consumer's inbox on a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    store: Arc<dyn InboxStore>,
    scope: Scope,
    settings: InboxSettings,
}

impl Scope {
    pub fn new(source: &str, consumer: &str) -> Result<Self, InvalidName> {
        let is_name = |text: &str| {
            (1..=NAME_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte))
        };
        if is_name(source) && is_name(consumer) {
            Ok(Self { source: source.into(), consumer: consumer.into() })
        } else {
            Err(InvalidName)
        }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// What to pass to systems that know idempotency keys: lower-case hex, 64 digits, the same in
    /// every attempt.
    pub fn effect_key(&self, id: &str) -> String {
        let digest = Sha256::digest(format!("{}\n{}\n{id}", self.source, self.consumer));
        hex(&digest)
    }
}

impl Default for InboxSettings {
    fn default() -> Self {
        Self {
            lease: LEASE_DEFAULT,
            retry_delays: RETRY_DELAYS_DEFAULT.to_vec(),
            retention: RETENTION_DEFAULT,
        }
    }
}

impl InboxSettings {
    /// How long a handler may give no sign of life; the SDK gives one at every third of it.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How long a queued event waits after each failure; the attempt after the last is the last.
    #[must_use]
    pub fn with_retry_delays(self, delays: impl Into<Vec<Duration>>) -> Self {
        Self { retry_delays: delays.into(), ..self }
    }

    /// How long settled events are remembered, at least [`RETENTION_MIN`].
    pub fn with_retention(self, retention: Duration) -> Result<Self, RetentionTooShort> {
        if retention < RETENTION_MIN {
            return Err(RetentionTooShort);
        }
        Ok(Self { retention, ..self })
    }
}

impl Inbox {
    pub fn new(store: impl InboxStore, scope: Scope) -> Self {
        Self { store: Arc::new(store), scope, settings: InboxSettings::default() }
    }

    #[must_use]
    pub fn with_settings(self, settings: InboxSettings) -> Self {
        Self { settings, ..self }
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Leased mode: claims the event, runs `handler`, and records how it ended. The handler answers
    /// with the status (200–299) to answer with, now and to repeats.
    ///
    /// A failure is an answer too: 500, and the sender comes again. `Err` when the store fails; then
    /// nothing is known, and answering 500 is right as well.
    pub async fn handle<E: std::fmt::Display>(
        &self,
        event: &Event,
        handler: impl AsyncFnOnce(&Event, &Lease) -> Result<u16, E>,
    ) -> Result<Answer, StoreError> {
        let entry = NewEntry::of(event, None);
        let claimed = self.store.claim(&self.scope, &entry, self.settings.lease, now_ms()).await?;
        let claim = match claimed {
            Claimed::Claimed(claim) => claim,
            other => return Ok(Answer::of_claimed(&other)),
        };
        let lease = Lease::new(&claim, self.scope.effect_key(&event.id));
        let working = lease::keep(&*self.store, &claim.token, self.settings.lease, &lease, || {
            handler(event, &lease)
        });
        let failed = match working.await {
            Ok(status) => {
                let settled = self.store.finish(&claim.token, status, now_ms()).await?;
                return Ok(Answer::of_finished(settled, status));
            }
            Err(error) => self.store.fail(&claim.token, &error.to_string(), None, now_ms()).await?,
        };
        Ok(Answer::of_failed(failed))
    }

    /// Queued mode: stores the event for a [`Worker`], and answers at once. Events with the same
    /// `order_key` are handled one after the other, in the order in which they were accepted.
    pub async fn accept(
        &self,
        event: &Event,
        order_key: Option<&str>,
    ) -> Result<Answer, StoreError> {
        let entry = NewEntry::of(event, order_key);
        let accepted = self.store.accept(&self.scope, &entry, now_ms()).await?;
        Ok(Answer::of_accepted(accepted))
    }

    /// How many events stand how.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats(&self.scope).await
    }

    /// Lets an event be handled once more: the next delivery of it, or the worker where its body is
    /// stored. Refused while it runs.
    pub async fn reprocess(&self, id: &str) -> Result<Reprocessed, StoreError> {
        self.store.reprocess(&self.scope, id, now_ms()).await
    }

    /// Forgets an event, which is new when it comes again; `false` when it is not known.
    pub async fn forget(&self, id: &str) -> Result<bool, StoreError> {
        self.store.forget(&self.scope, id).await
    }

    /// Removes what was settled a retention ago, of every source and consumer. To be called once a
    /// day or so. Returns how many rows went.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let retention = i64::try_from(self.settings.retention.as_millis()).unwrap_or(i64::MAX);
        self.store.purge(now_ms().saturating_sub(retention)).await
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

pub(crate) fn millis(duration: Duration) -> UnixMs {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Whole seconds until `time`, at least 1: what `Retry-After` says.
pub(crate) fn retry_after_seconds(now: UnixMs, time: UnixMs) -> u64 {
    let ms = u64::try_from(time.saturating_sub(now)).unwrap_or(0);
    ms.div_ceil(1_000).max(1)
}
