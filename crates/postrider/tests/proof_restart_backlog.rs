//! Proof: a restart finds its pending work without scanning history, in bounded memory.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use postrider::serve::DATABASE_FILE;
use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, DeliveryState, Happening, HistoryEntry, Progress, Standing,
    Timing,
};
use postrider_core::event::{Bodies, Event};
use postrider_core::id::{DeliveryKey, EventKey, KeyMaker, TenantKey, UnixMs, WebhookKey};
use postrider_core::limits::LANE_CONCURRENCY_DEFAULT;
use postrider_core::matching::{Matching, Unmatched};
use postrider_faults::process::own_address;
use postrider_faults::receiver::{Receiver, Reply};
use postrider_signature::NumberPolicy;
use postrider_signature::timestamp;
use postrider_store::{
    Accept, Batch, EventStore as _, MaintenanceStore as _, Record, SqliteOptions, SqliteStore,
    WebhookStore as _,
};
use proof::process;
use serde_json::json;

const WEBHOOKS: usize = 10;
const CONCURRENCY: usize = LANE_CONCURRENCY_DEFAULT as usize;
const PENDING: usize = 100_000;
const SHORT_HISTORY: usize = 10_000;
const LONG_HISTORY: usize = 10 * SHORT_HISTORY;
/// The history lies in the days before: in as many buckets as a server keeps.
const HISTORY_DAYS: i64 = 29;
const DAY_MS: i64 = 86_400_000;
/// Events in one commit.
const COMMIT: usize = 2_000;
const STARTS: usize = 5;
const RESIDENT_KIB_MAX: u64 = 200 << 10;
/// What a busy machine may add to a start of some tens of milliseconds.
const NOISE: Duration = Duration::from_millis(250);

/// Writes events and what became of them past the server, in big commits.
struct Builder {
    store: SqliteStore,
    tenant: TenantKey,
    webhooks: Vec<WebhookKey>,
    keys: KeyMaker,
    all: Arc<Matching>,
    first: Arc<Matching>,
}

impl Builder {
    async fn open(data_dir: &Path) -> Self {
        let store = SqliteStore::open(data_dir.join(DATABASE_FILE), SqliteOptions::default());
        let store = store.unwrap();
        let stored = store.webhooks(None, WEBHOOKS).await.unwrap();
        let webhooks: Vec<_> = stored.iter().map(|webhook| webhook.key).collect();
        let mut keys = KeyMaker::new(0, 0);
        let from = now_ms() - HISTORY_DAYS * DAY_MS;
        let mut matching = |matched: &[WebhookKey]| {
            let (key, matched) = (keys.next(from), matched.to_vec());
            Arc::new(Matching { key, matched, unmatched: Unmatched::Named(Vec::new()) })
        };
        let (all, first) = (matching(&webhooks), matching(&webhooks[..1]));
        Self { store, tenant: stored[0].tenant, webhooks, keys, all, first }
    }

    fn accept(&mut self, at: UnixMs, matching: &Arc<Matching>) -> Accept {
        let key: EventKey = self.keys.next(at);
        let body = json!({
            "id": key.to_string(), "type": "proof.published",
            "timestamp": timestamp::format_ms(at), "data": {"text": "x".repeat(200)},
        });
        let event = Event {
            key,
            tenant: self.tenant,
            given_id: None,
            event_type: "proof.published".parse().unwrap(),
            occurred_at: at,
            bodies: Bodies { verbatim: Bytes::from(body.to_string()), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: matching.key,
        };
        let (event, matching) = (Arc::new(event), matching.clone());
        Accept { event, matching, fingerprint: [0; 16] }
    }

    /// Events that went to the first webhook at the first attempt, spread over the days.
    async fn finished(&mut self, events: usize) {
        let from = now_ms() - HISTORY_DAYS * DAY_MS;
        let step = (HISTORY_DAYS - 1) * DAY_MS / i64::try_from(events).unwrap();
        let matching = self.first.clone();
        let webhook = self.webhooks[0];
        let times: Vec<_> = (0..).map(|number| from + number * step).take(events).collect();
        for times in times.chunks(COMMIT) {
            let accepts: Vec<_> = times.iter().map(|&at| self.accept(at, &matching)).collect();
            let records = accepts.iter().map(|accept| {
                let at = accept.event.accepted_at();
                let delivery = DeliveryKey { event: accept.event.key, webhook };
                success(delivery, at, &mut self.keys)
            });
            let records = records.collect();
            self.store.commit(&Batch { accepts, records: Vec::new() }).await.unwrap();
            self.store.commit(&Batch { accepts: Vec::new(), records }).await.unwrap();
        }
    }

    /// Deliveries that are due, the same number for each webhook.
    async fn pending(&mut self, deliveries: usize) {
        let matching = self.all.clone();
        for _ in 0..deliveries / WEBHOOKS / COMMIT {
            let at = now_ms();
            let accepts = (0..COMMIT).map(|_| self.accept(at, &matching)).collect();
            self.store.commit(&Batch { accepts, records: Vec::new() }).await.unwrap();
        }
    }
}

fn success(delivery: DeliveryKey, at: UnixMs, keys: &mut KeyMaker) -> Record {
    let Standing::Pending(was) = Standing::accepted(at) else { unreachable!() };
    let result = AttemptResult::Answered(Answer {
        status: 200,
        headers: vec![("server".to_owned(), b"proof".to_vec())],
        body: Bytes::new(),
        is_body_cut: false,
    });
    let attempt = Attempt {
        number: 1,
        is_manual: false,
        started_at: at,
        timing: Timing::default(),
        address: None,
        outline: None,
        signed_headers: Vec::new(),
        result,
    };
    let progress = Progress { attempts: 1, scheduled: 1 };
    let entry = HistoryEntry {
        key: keys.next(at),
        delivery,
        what: Happening::Attempt(Box::new(attempt)),
        standing: Standing::Final { state: DeliveryState::Succeeded, progress },
    };
    Record { was, entry, health: None }
}

fn now_ms() -> UnixMs {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A data directory with so much history and [`PENDING`] deliveries to `receiver`.
async fn data_dir(receiver: &Receiver, finished: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let server = process::start_reachable(dir.path(), own_address(), &[]).await;
    for number in 0..WEBHOOKS {
        let url = format!("http://{}/{number}", receiver.address);
        server.api.create_webhook(&json!({"url": url, "events": ["proof.*"]})).await;
    }
    server.terminate();
    assert!(server.ended().await.0.success());

    let mut builder = Builder::open(dir.path()).await;
    builder.finished(finished).await;
    builder.pending(PENDING).await;
    let counts = builder.store.counts().await.unwrap();
    assert_eq!(counts.deliveries_pending, PENDING as u64);
    assert_eq!(counts.deliveries_finished, finished as u64);
    dir
}

/// Starts the server, measures how long it takes to its first attempt and what memory that took,
/// and kills it. The receiver never answers, so that the next start finds the same.
async fn first_attempt(data_dir: &Path, receiver: &Receiver) -> (Duration, u64) {
    let before = receiver.count();
    let began = Instant::now();
    let server = process::start(data_dir, own_address(), &[]);
    let first = receiver.request(before + 1).await;
    // each lane is at work
    receiver.until(|requests| requests.len() >= before + WEBHOOKS * CONCURRENCY).await;
    let resident_kib = server.memory_kib("VmHWM");
    server.kill();
    (first.at - began, resident_kib)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn a_restart_takes_up_its_backlog_at_once_however_long_the_history() {
    let receiver = Receiver::start(|_| Reply::Silent).await;
    let began = Instant::now();
    let short = data_dir(&receiver, SHORT_HISTORY).await;
    let long = data_dir(&receiver, LONG_HISTORY).await;
    println!("two stores built in {:?}", began.elapsed());

    let (mut with_short, mut with_long, mut resident_kib) = (Vec::new(), Vec::new(), 0);
    for _ in 0..STARTS {
        // in turn, so that whatever else the machine does meets both
        for (dir, times) in [(&short, &mut with_short), (&long, &mut with_long)] {
            let (time, resident) = first_attempt(dir.path(), &receiver).await;
            times.push(time);
            resident_kib = resident_kib.max(resident);
        }
    }
    println!(
        "{PENDING} pending deliveries, from process start to first attempt: \
         {SHORT_HISTORY} finished {with_short:?}, {LONG_HISTORY} finished {with_long:?}; \
         at most {} MiB resident",
        resident_kib >> 10
    );
    let (with_short, with_long) = (median(with_short), median(with_long));
    assert!(
        with_long <= with_short * 2 + NOISE,
        "{with_long:?} with ten times the history of {with_short:?}"
    );
    assert!(resident_kib < RESIDENT_KIB_MAX, "{resident_kib} KiB resident");
}
