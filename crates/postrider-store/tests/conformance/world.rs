//! What a case stands on: a store, a clock and keys, and short ways to say things.

use std::sync::Arc;

use bytes::Bytes;
use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, Happening, HistoryEntry, Mode, Outline, Progress, Standing,
    Timing, Trigger, Verdict, Waiting,
};
use postrider_core::event::{Bodies, Event};
use postrider_core::event_type::Patterns;
use postrider_core::id::{DeliveryKey, EventKey, Key, KeyMaker, TenantKey, UnixMs, WebhookKey};
use postrider_core::matching::{Matching, Unmatched};
use postrider_core::webhook::{Webhook, WebhookKind, WebhookState};
use postrider_signature::{BodyForm, NumberPolicy};
use postrider_store::{
    Accept, Accepted, Batch, Committed, DueQuery, MemoryStore, Record, Recorded, SqliteOptions,
    SqliteStore, Store,
};
use tempfile::TempDir;

/// Small, so that cases cross its edges.
pub(crate) const BUCKET_MS: i64 = 1_000;
/// Small as well: rows before list indexes are filled.
pub(crate) const INDEX_ROWS: usize = 3;
pub(crate) const START: UnixMs = 1_795_000_000_000;

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) now: UnixMs,
    maker: KeyMaker,
    /// Removed after the store.
    _folder: Option<TempDir>,
}

pub(crate) fn sqlite_options() -> SqliteOptions {
    SqliteOptions {
        bucket_ms: BUCKET_MS,
        index_rows: INDEX_ROWS,
        readers: 2,
        ..SqliteOptions::default()
    }
}

impl World {
    pub(crate) fn in_memory() -> Self {
        Self::on(Arc::new(MemoryStore::with_bucket_ms(BUCKET_MS)), None)
    }

    pub(crate) fn in_sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(folder.path().join("store.db"), sqlite_options()).unwrap();
        Self::on(Arc::new(store), Some(folder))
    }

    pub(crate) fn on(store: Arc<dyn Store>, folder: Option<TempDir>) -> Self {
        Self { store, now: START, maker: KeyMaker::new(0, 0), _folder: folder }
    }

    /// A key made now.
    pub(crate) fn key<K: Key>(&mut self) -> K {
        self.maker.next(self.now)
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        self.now += ms;
    }

    /// Webhook keys, ascending.
    pub(crate) fn webhook_keys<const N: usize>(&mut self) -> [WebhookKey; N] {
        [(); N].map(|()| self.key())
    }

    pub(crate) fn matching(&mut self, matched: &[WebhookKey]) -> Arc<Matching> {
        Arc::new(Matching {
            key: self.key(),
            matched: matched.to_vec(),
            unmatched: Unmatched::Named(vec![]),
        })
    }

    pub(crate) fn event(&mut self, tenant: TenantKey, matching: &Matching) -> Event {
        let key: EventKey = self.key();
        Event {
            key,
            tenant,
            given_id: None,
            event_type: "code.generated".parse().unwrap(),
            occurred_at: self.now - 5,
            bodies: Bodies {
                verbatim: Bytes::from(format!("{{\"id\":\"{key}\"}}")),
                ecma: None,
                jcs: Some(Bytes::from_static(b"{}")),
            },
            numbers: NumberPolicy::Refuse,
            matching: matching.key,
        }
    }

    /// Commits events that share a matching.
    pub(crate) async fn accept(
        &self,
        events: &[&Event],
        matching: &Arc<Matching>,
    ) -> Vec<Accepted> {
        let accepts = events.iter().map(|event| accept(event, matching, 1));
        let committed = self.commit(accepts.collect(), vec![]).await;
        committed.accepts
    }

    /// Makes and commits one event of a tenant of its own with this fan-out.
    pub(crate) async fn publish(&mut self, matched: &[WebhookKey]) -> Event {
        let tenant = self.key();
        let matching = self.matching(matched);
        self.publish_as(tenant, &matching).await
    }

    pub(crate) async fn publish_as(
        &mut self,
        tenant: TenantKey,
        matching: &Arc<Matching>,
    ) -> Event {
        let event = self.event(tenant, matching);
        let accepted = self.accept(&[&event], matching).await;
        assert_eq!(accepted, [Accepted::New]);
        event
    }

    pub(crate) async fn commit(&self, accepts: Vec<Accept>, records: Vec<Record>) -> Committed {
        let batch = Batch { accepts, records };
        self.store.commit(&batch).await.unwrap()
    }

    /// What an attempt now makes of a delivery that waits like this.
    pub(crate) fn attempt(
        &mut self,
        delivery: DeliveryKey,
        was: Waiting,
        verdict: Verdict,
    ) -> Record {
        let standing = Standing::Pending(was).after(Trigger::Attempted(verdict));
        Record {
            was,
            entry: HistoryEntry {
                key: self.key(),
                delivery,
                what: Happening::Attempt(Box::new(Attempt {
                    number: was.progress.attempts + 1,
                    is_manual: was.mode != Mode::Scheduled,
                    started_at: self.now,
                    timing: Timing::default(),
                    address: Some("192.0.2.1:443".parse().unwrap()),
                    outline: Some(Arc::new(Outline {
                        url: "https://example.com/hook".into(),
                        header_names: vec![],
                        body_form: BodyForm::Verbatim,
                    })),
                    signed_headers: vec![("webhook-id".to_owned(), "evt".to_owned())],
                    result: AttemptResult::Answered(Answer {
                        status: 200,
                        headers: vec![],
                        body: Bytes::from_static(b"ok"),
                        is_body_cut: false,
                    }),
                })),
                standing: standing.unwrap(),
            },
            health: None,
        }
    }

    /// Attempts a delivery that was never tried before, and records how it went.
    pub(crate) async fn attempt_first(
        &mut self,
        event: &Event,
        webhook: WebhookKey,
        verdict: Verdict,
    ) -> Record {
        let record = self.attempt(delivery(event, webhook), first_waiting(event), verdict);
        let done = self.commit(vec![], vec![record.clone()]).await;
        assert_eq!(done.records, [Recorded::Done]);
        record
    }

    /// A failure now, with the next attempt in `ms`.
    pub(crate) fn fails_until(&self, ms: i64) -> Verdict {
        Verdict::Failure { ended_at: self.now, retry_at: Some(self.now + ms) }
    }

    pub(crate) async fn standing(&self, event: &Event, webhook: WebhookKey) -> Standing {
        let found = self.store.delivery(delivery(event, webhook)).await.unwrap();
        found.unwrap().standing
    }

    /// The events of all that is pending for a webhook, as it is due.
    pub(crate) async fn pending(&self, webhook: WebhookKey) -> Vec<EventKey> {
        let page = self.store.due(due_query(webhook, i64::MAX, 10_000)).await;
        let due = page.unwrap().deliveries;
        due.iter().map(|due| due.event.key).collect()
    }

    /// Sweeps until there is nothing left to do.
    pub(crate) async fn sweep(&self, keep_from: UnixMs) {
        loop {
            let swept = self.store.sweep(keep_from).await.unwrap();
            if swept.indexed == 0 && swept.dropped_buckets == 0 {
                return;
            }
        }
    }

    /// Created = pending + finished.
    pub(crate) async fn check_counts(&self) {
        let counts = self.store.counts().await.unwrap();
        let accounted = counts.deliveries_pending + counts.deliveries_finished;
        assert_eq!(counts.deliveries_created, accounted, "{counts:?}");
    }

    pub(crate) fn webhook(&mut self, tenant: TenantKey) -> Webhook {
        Webhook {
            key: self.key(),
            tenant,
            version: 1,
            kind: WebhookKind::Url,
            url: "https://example.com/in".to_owned(),
            patterns: Patterns::parse(&["code.*"]).unwrap(),
            filter: None,
            profile: "standard".to_owned(),
            description: None,
            metadata: std::collections::BTreeMap::new(),
            headers: vec![],
            timeout_ms: None,
            concurrency: None,
            rate_per_s: None,
            schedule: None,
            secrets: vec![],
            state: WebhookState::Enabled,
            disabled_at: None,
            created_at: self.now,
            updated_at: self.now,
        }
    }
}

pub(crate) fn accept(event: &Event, matching: &Arc<Matching>, fingerprint: u8) -> Accept {
    Accept {
        event: Arc::new(event.clone()),
        matching: Arc::clone(matching),
        fingerprint: [fingerprint; 16],
    }
}

pub(crate) fn delivery(event: &Event, webhook: WebhookKey) -> DeliveryKey {
    DeliveryKey { event: event.key, webhook }
}

/// How a delivery waits that was never tried.
pub(crate) fn first_waiting(event: &Event) -> Waiting {
    Waiting { due: event.accepted_at(), progress: Progress::default(), mode: Mode::Scheduled }
}

pub(crate) fn due_query(webhook: WebhookKey, until: UnixMs, limit: usize) -> DueQuery {
    DueQuery { webhook, until, limit, bytes_max: usize::MAX, except: vec![] }
}

pub(crate) fn keys_of(events: &[Arc<Event>]) -> Vec<EventKey> {
    events.iter().map(|event| event.key).collect()
}
