//! What lies in the store before the server starts: webhooks beside those that are measured, and
//! deliveries that wait.
//!
//! Put there through the store itself, without waiting for the disk: the API would take hours. It
//! is made once, and each round gets a copy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use postrider_core::delivery::{
    Attempt, AttemptResult, ErrorClass, Happening, HistoryEntry, Mode, Progress, Standing, Timing,
    Waiting,
};
use postrider_core::event::{Bodies, Event, Fingerprint};
use postrider_core::event_type::{EventType, Patterns};
use postrider_core::id::{
    DeliveryKey, EventKey, HistoryKey, KeyMaker, TenantKey, UnixMs, WebhookKey,
};
use postrider_core::matching::{Matching, Unmatched};
use postrider_core::webhook::{StoredSecret, Webhook, WebhookKind, WebhookState};
use postrider_signature::{BodyForm, NumberPolicy, envelope};
use postrider_store::{
    Accept, AccessStore, Batch, EventStore, MaintenanceStore, Record, SqliteOptions, SqliteStore,
    Tenant, WebhookStore,
};

use super::event;
use super::process::fresh_dir;
use super::webhooks::Webhooks;
use crate::clock::Clock;
use crate::engine::DEFAULT_TENANT;
use crate::serve::DATABASE_FILE;

/// Webhooks of one tenant that the backlog is spread over.
const BACKLOG_WEBHOOKS: usize = 1_000;
/// Webhooks that each event of the backlog goes to.
const BACKLOG_FAN_OUT: usize = 10;
/// When the backlog is due again: no measurement lasts so long.
const BACKLOG_WAIT_MS: UnixMs = 6 * 3_600_000;
/// Events of the backlog in one transaction.
const EVENTS_AT_ONCE: usize = 400;
/// Bytes of a sealed secret: what names its key, a nonce, 50 characters, a tag.
const SEALED_BYTES: usize = 99;

/// How much of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stock {
    /// Webhooks that want none of the events that are published.
    pub(super) registered: usize,
    /// Deliveries that failed once and are due again after the measurement.
    pub(super) backlog: usize,
    pub(super) payload_bytes: usize,
}

/// A folder with the database, gone when this is dropped.
pub(super) struct Stocked {
    dir: PathBuf,
    pub(super) has_backlog: bool,
}

impl Stock {
    /// `None` where there is to be nothing.
    pub(super) fn make(self) -> anyhow::Result<Option<Stocked>> {
        if self.registered + self.backlog == 0 {
            return Ok(None);
        }
        let stocked = Stocked { dir: fresh_dir()?, has_backlog: self.backlog > 0 };
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let mut filling = Filling::open(&stocked.dir).await?;
            filling.register(self.registered, "bench.unwanted").await?;
            if self.backlog > 0 {
                let webhooks = filling.register(BACKLOG_WEBHOOKS, "bench.waiting").await?;
                filling.wait(&webhooks, self).await?;
            }
            anyhow::Ok(())
        })?;
        Ok(Some(stocked))
    }
}

impl Stocked {
    /// Puts a copy into a data directory, and has the disk done with it.
    pub(super) fn copy_to(&self, dir: &Path) -> anyhow::Result<()> {
        let copy = dir.join(DATABASE_FILE);
        fs::copy(self.dir.join(DATABASE_FILE), &copy).context("copying the database")?;
        File::open(&copy)?.sync_all().context("waiting for the disk")
    }
}

impl Drop for Stocked {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Leaves the first event of a measurement to be delivered by the server that is started next in
/// `dir`, whose webhooks are registered.
pub(super) fn leave_first_event(
    dir: &Path,
    webhooks: Webhooks,
    payload_bytes: usize,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut filling = Filling::open(dir).await?;
        let first: EventType = event::event_type(0).parse()?;
        let wants = |webhook: &Webhook| webhook.patterns.matches(&first);
        let matched: Vec<WebhookKey> = filling
            .webhooks()
            .await?
            .iter()
            .filter(|webhook| wants(webhook))
            .map(|w| w.key)
            .collect();
        ensure!(matched.len() == webhooks.fan_out, "the measured webhooks are not there");
        let matching = filling.matching(matched);
        let accept = filling.accept(&first, matching, 0, payload_bytes)?;
        filling.store.commit(&Batch { accepts: vec![accept], records: Vec::new() }).await?;
        Ok(())
    })
}

/// A database that is being filled.
struct Filling {
    store: SqliteStore,
    tenant: TenantKey,
    keys: KeyMaker,
    clock: Clock,
}

impl Filling {
    /// Opens the database of a data directory, or makes it with its first tenant.
    async fn open(dir: &Path) -> anyhow::Result<Self> {
        let options = SqliteOptions { danger_skip_sync: true, ..SqliteOptions::default() };
        let store = SqliteStore::open(dir.join(DATABASE_FILE), options)?;
        let clock = Clock::system();
        let mut keys = KeyMaker::new(0, store.newest_key_ms().await?);
        let tenants = store.tenants().await?;
        let known = tenants.into_iter().find(|tenant| tenant.name == DEFAULT_TENANT);
        let tenant = if let Some(tenant) = known {
            tenant.key
        } else {
            let (key, created_at) = (keys.next(clock.now()), clock.now());
            let name = DEFAULT_TENANT.to_owned();
            store.insert_tenant(Tenant { key, name, created_at }).await?;
            key
        };
        Ok(Self { store, tenant, keys, clock })
    }

    /// Webhooks that want `event_type`, as users register them.
    async fn register(
        &mut self,
        count: usize,
        event_type: &str,
    ) -> anyhow::Result<Vec<WebhookKey>> {
        let patterns = Patterns::parse(&[event_type])?;
        let mut made = Vec::with_capacity(count);
        for number in 0..count {
            let now = self.clock.now();
            let key = self.keys.next(now);
            let webhook = Webhook {
                key,
                tenant: self.tenant,
                version: 1,
                kind: WebhookKind::Url,
                url: format!("http://127.0.0.1:9/tenants/{number}/events"),
                patterns: patterns.clone(),
                filter: None,
                profile: "standard".to_owned(),
                description: None,
                metadata: std::collections::BTreeMap::new(),
                headers: Vec::new(),
                timeout_ms: None,
                concurrency: None,
                rate_per_s: None,
                schedule: None,
                secrets: vec![StoredSecret { sealed: vec![0; SEALED_BYTES], live_until: None }],
                state: WebhookState::Enabled,
                disabled_at: None,
                created_at: now,
                updated_at: now,
            };
            self.store.insert_webhook(webhook).await?;
            made.push(key);
        }
        Ok(made)
    }

    async fn webhooks(&self) -> anyhow::Result<Vec<Webhook>> {
        let mut all: Vec<Webhook> = Vec::new();
        loop {
            let after = all.last().map(|webhook| webhook.key);
            let page = self.store.webhooks(after, 1_000).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Accepts events, and has their first attempts fail.
    async fn wait(&mut self, webhooks: &[WebhookKey], stock: Stock) -> anyhow::Result<()> {
        let event_type: EventType = "bench.waiting".parse()?;
        let groups = webhooks.chunks(BACKLOG_FAN_OUT);
        let matchings: Vec<_> = groups.map(|group| self.matching(group.to_vec())).collect();
        let events = stock.backlog.div_ceil(BACKLOG_FAN_OUT);
        let mut failed = Vec::new();
        for first in (0..events).step_by(EVENTS_AT_ONCE) {
            let accepts = (first..events.min(first + EVENTS_AT_ONCE)).map(|number| {
                let matching = matchings[number % matchings.len()].clone();
                self.accept(&event_type, matching, number, stock.payload_bytes)
            });
            let accepts = accepts.collect::<anyhow::Result<Vec<_>>>()?;
            let next = accepts.iter().flat_map(|accept| self.failures(accept)).collect();
            let records = std::mem::replace(&mut failed, next);
            self.store.commit(&Batch { accepts, records }).await?;
        }
        self.store.commit(&Batch { accepts: Vec::new(), records: failed }).await?;
        Ok(())
    }

    fn matching(&mut self, mut matched: Vec<WebhookKey>) -> Arc<Matching> {
        matched.sort_unstable();
        let key = self.keys.next(self.clock.now());
        Arc::new(Matching { key, matched, unmatched: Unmatched::Named(Vec::new()) })
    }

    fn accept(
        &mut self,
        event_type: &EventType,
        matching: Arc<Matching>,
        number: usize,
        payload_bytes: usize,
    ) -> anyhow::Result<Accept> {
        let now = self.clock.now();
        let key: EventKey = self.keys.next(now);
        let (numbers, data) = (NumberPolicy::default(), event::data(payload_bytes, number));
        let body = envelope(
            &key.to_string(),
            event_type.as_str(),
            now,
            data.as_bytes(),
            BodyForm::Verbatim,
            numbers,
        )?;
        let event = Event {
            key,
            tenant: self.tenant,
            given_id: None,
            event_type: event_type.clone(),
            occurred_at: now,
            bodies: Bodies { verbatim: Bytes::from(body), ecma: None, jcs: None },
            numbers,
            matching: matching.key,
        };
        Ok(Accept { event: Arc::new(event), matching, fingerprint: Fingerprint::default() })
    }

    fn failures(&mut self, accept: &Accept) -> Vec<Record> {
        let at = accept.event.accepted_at();
        let matched = accept.matching.matched.iter();
        let failure = |&webhook| {
            let key = self.keys.next(self.clock.now());
            failed_once(key, DeliveryKey { event: accept.event.key, webhook }, at)
        };
        matched.map(failure).collect()
    }
}

/// The first attempt of a delivery met nobody.
fn failed_once(key: HistoryKey, delivery: DeliveryKey, at: UnixMs) -> Record {
    let was = Waiting { due: at, progress: Progress::default(), mode: Mode::Scheduled };
    let (due, progress) = (at + BACKLOG_WAIT_MS, was.after_attempt());
    let attempt = Attempt {
        number: 1,
        is_manual: false,
        started_at: at,
        timing: Timing::default(),
        address: None,
        outline: None,
        signed_headers: Vec::new(),
        result: AttemptResult::Broke {
            class: ErrorClass::ConnectRefused,
            detail: "the connection was refused".to_owned(),
            answer: None,
        },
    };
    let standing = Standing::Pending(Waiting { due, progress, mode: Mode::Scheduled });
    let what = Happening::Attempt(Box::new(attempt));
    Record { was, entry: HistoryEntry { key, delivery, what, standing }, health: None }
}
