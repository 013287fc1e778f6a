//! Proof: a replay of 50,000 events survives a kill -9 in the middle and ends with each made
//! exactly once more; one that is cancelled stops, and sends no more than it had moved on.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use postrider::serve::DATABASE_FILE;
use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, DeliveryState, Happening, HistoryEntry, Standing, Timing,
    Trigger, Verdict,
};
use postrider_core::event::{Bodies, Event};
use postrider_core::id::{DeliveryKey, EventKey, KeyMaker, TenantKey, UnixMs, WebhookKey};
use postrider_core::limits::LANE_READY_MAX;
use postrider_core::matching::{Matching, Unmatched};
use postrider_faults::client::Api;
use postrider_faults::process::own_address;
use postrider_faults::receiver::{Receiver, Reply, Request};
use postrider_faults::until;
use postrider_signature::NumberPolicy;
use postrider_store::{
    Accept, Batch, DeliveryFilter, DeliverySearch, DeliveryStore as _, EventStore as _,
    FoundDelivery, MaintenanceStore as _, Order, Record, ReplayStore as _, SqliteOptions,
    SqliteStore, WebhookStore as _,
};
use proof::process;
use proof::server::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Half of them arrived before, half of them were missed.
const EVENTS: usize = 50_000;
/// Events in one commit.
const COMMIT: usize = 2_500;
/// The server is killed once so many were replayed.
const KILLED_AT: u64 = 20_000;
/// What had come to the receiver by then may have been without a durable outcome: commits wait for
/// the disk on a busy machine.
const WINDOW: Duration = Duration::from_secs(2);
/// For 50,000 attempts by a server that isn't optimised, on a busy machine.
const REPLAY_PATIENCE: Duration = Duration::from_mins(3);
/// Events of the replay that is cancelled: some pages.
const CANCELLED_EVENTS: usize = 2_000;
/// Events that one request publishes.
const BATCH: usize = 1_000;

/// Writes events and what became of them past the server, in big commits.
struct Builder {
    store: SqliteStore,
    tenant: TenantKey,
    webhook: WebhookKey,
    keys: KeyMaker,
}

impl Builder {
    async fn open(data_dir: &Path) -> Self {
        let store = open(data_dir);
        let stored = store.webhooks(None, 1).await.unwrap();
        let (tenant, webhook) = (stored[0].tenant, stored[0].key);
        let newest = store.newest_key_ms().await.unwrap();
        Self { store, tenant, webhook, keys: KeyMaker::new(0, newest) }
    }

    /// Events that the webhook missed, then as many that arrived there.
    async fn build(&mut self) {
        let now = now_ms();
        let mut matching = |matched: &[WebhookKey]| {
            let (key, matched) = (self.keys.next(now), matched.to_vec());
            Arc::new(Matching { key, matched, unmatched: Unmatched::Named(Vec::new()) })
        };
        let (nobody, webhook) = (matching(&[]), matching(&[self.webhook]));
        for matching in [nobody, webhook] {
            for _ in 0..EVENTS / 2 / COMMIT {
                let accepts: Vec<_> = (0..COMMIT).map(|_| self.accept(now, &matching)).collect();
                let arrived = accepts.iter().filter(|_| !matching.matched.is_empty());
                let records = arrived.map(|accept| self.arrived(accept.event.key, now)).collect();
                self.store.commit(&Batch { accepts, records }).await.unwrap();
            }
        }
    }

    fn accept(&mut self, now: UnixMs, matching: &Arc<Matching>) -> Accept {
        let key: EventKey = self.keys.next(now);
        let body = json!({"id": key.to_string(), "type": "proof.published", "data": 1});
        let event = Event {
            key,
            tenant: self.tenant,
            given_id: None,
            event_type: "proof.published".parse().unwrap(),
            occurred_at: now,
            bodies: Bodies { verbatim: Bytes::from(body.to_string()), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: matching.key,
        };
        Accept { event: Arc::new(event), matching: matching.clone(), fingerprint: [0; 16] }
    }

    fn arrived(&mut self, event: EventKey, now: UnixMs) -> Record {
        let delivery = DeliveryKey { event, webhook: self.webhook };
        let accepted = Standing::accepted(postrider_core::id::Key::made_at(event));
        let Standing::Pending(was) = accepted else { unreachable!() };
        let answer =
            Answer { status: 200, headers: Vec::new(), body: Bytes::new(), is_body_cut: false };
        let attempt = Attempt {
            number: 1,
            is_manual: false,
            started_at: now,
            timing: Timing::default(),
            address: None,
            outline: None,
            signed_headers: Vec::new(),
            result: AttemptResult::Answered(answer),
        };
        let standing = accepted.after(Trigger::Attempted(Verdict::Success)).unwrap();
        let what = Happening::Attempt(Box::new(attempt));
        let entry = HistoryEntry { key: self.keys.next(now), delivery, what, standing };
        Record { was, entry, health: None }
    }
}

fn open(data_dir: &Path) -> SqliteStore {
    SqliteStore::open(data_dir.join(DATABASE_FILE), SqliteOptions::default()).unwrap()
}

fn now_ms() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

async fn start_replay(api: Api, webhook: &str, states: &[&str]) -> String {
    let body = json!({"since": "2020-01-01T00:00:00Z", "states": states});
    let answer =
        api.call("POST", &format!("/v1/webhooks/{webhook}/replay"), &body.to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The replay, once it is as wanted.
async fn replay_once(api: Api, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let replay = api.get(&format!("/v1/replays/{id}")).await;
            if is_wanted(&replay) {
                return replay;
            }
        }
    };
    tokio::time::timeout(REPLAY_PATIENCE, looking).await.expect("the replay goes on")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_survives_a_kill_and_makes_each_event_exactly_once_more() {
    let data_dir = TempDir::new().unwrap();
    let address = own_address();
    let receiver = Receiver::answering(200).await;
    let server = process::start_reachable(data_dir.path(), address, &[]).await;
    let hook = json!({"url": receiver.url(), "events": ["*"], "concurrency": 32});
    let webhook = server.api.create_webhook(&hook).await;
    server.kill();
    Builder::open(data_dir.path()).await.build().await;

    let server = process::start_reachable(data_dir.path(), address, &[]).await;
    let replay = start_replay(server.api, &webhook, &["succeeded", "missed"]).await;
    let killed_at = |replay: &Value| replay["replayed"].as_u64().unwrap() >= KILLED_AT;
    let before = replay_once(server.api, &replay, killed_at).await;
    assert_eq!(before["state"], "running", "{before}");
    server.kill();
    // It goes on until it is dead: what came before that may have been without an outcome.
    let killed = Instant::now();

    let server = process::start_reachable(data_dir.path(), address, &[]).await;
    let after = replay_once(server.api, &replay, |replay| replay["state"] == "done").await;
    let events = EVENTS as u64;
    assert_eq!(
        (after["considered"].as_u64(), after["replayed"].as_u64()),
        (Some(events), Some(events))
    );
    until("every delivery is over", async || {
        let pending = server.api.get("/v1/deliveries?state=pending&limit=1").await;
        let is_over = pending["data"].as_array().unwrap().is_empty();
        (is_over && receiver.unanswered() == 0).then_some(())
    })
    .await;
    server.terminate();
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");

    check_records(data_dir.path()).await;
    check_requests(&receiver.requests(), killed);
}

/// What is recorded of each delivery: those that had arrived have one attempt more, those that were
/// missed have their first.
async fn check_records(data_dir: &Path) {
    let store = open(data_dir);
    let tenant = store.webhooks(None, 1).await.unwrap()[0].tenant;
    let mut search = DeliverySearch {
        tenant,
        filter: DeliveryFilter::all(),
        with_missed: false,
        order: Order::OldestFirst,
        beyond: None,
        limit: EVENTS,
    };
    let mut found: Vec<FoundDelivery> = Vec::new();
    loop {
        let page = store.find_deliveries(search.clone()).await.unwrap();
        found.extend(page.deliveries);
        search.beyond = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), EVENTS);
    for (at, found) in found.iter().enumerate() {
        let standing = found.standing.unwrap();
        assert_eq!(standing.state(), DeliveryState::Succeeded, "{found:?}");
        let expected = if at < EVENTS / 2 { 1 } else { 2 };
        assert_eq!(standing.progress().attempts, expected, "{found:?}");
    }
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.deliveries_created, counts.deliveries_pending), (EVENTS as u64, 0));
    assert_eq!(counts.deliveries_finished, EVENTS as u64);
    assert_eq!(store.running_replays(None, 9).await.unwrap(), []);
}

/// Every event came; twice only what had no durable outcome when the server was killed.
fn check_requests(requests: &[Arc<Request>], killed: Instant) {
    let mut came: HashMap<&str, Vec<Instant>> = HashMap::new();
    for request in requests {
        came.entry(request.id()).or_default().push(request.at);
    }
    assert_eq!(came.len(), EVENTS);
    for (id, times) in came {
        let again = times.len() - 1;
        let first = times[0];
        let was_open = first <= killed && killed.duration_since(first) <= WINDOW;
        assert!(
            again == 0 || (again == 1 && was_open),
            "{id} came {} times, first {:?} before the kill",
            times.len(),
            killed.checked_duration_since(first)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_replay_stops() {
    let data_dir = TempDir::new().unwrap();
    let receiver = Receiver::start(|_| Reply::Held(200)).await;
    let server = Server::start(data_dir.path()).await;
    let webhook = server.api.create_webhook(&json!({"url": receiver.url(), "events": ["*"]})).await;
    server.api.patch_webhook(&webhook, &json!({"state": "disabled"})).await;
    for _ in 0..CANCELLED_EVENTS / BATCH {
        let events = vec![json!({"type": "proof.published", "data": 1}); BATCH];
        let answer = server.api.call("POST", "/v1/events", &json!(events).to_string()).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    server.api.patch_webhook(&webhook, &json!({"state": "enabled"})).await;

    let replay = start_replay(server.api, &webhook, &["missed"]).await;
    // the first page fits into memory; the second waits for the receiver, and the third for it
    let two_pages = 2 * LANE_READY_MAX as u64;
    let waits = |replay: &Value| replay["replayed"].as_u64() == Some(two_pages);
    replay_once(server.api, &replay, waits).await;
    // what is published now does not wait for the rest of the replay
    let live = server.api.publish("proof.live").await;
    let cancel = format!("/v1/replays/{replay}/cancel");
    let cancelled = server.api.call("POST", &cancel, "").await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    assert_eq!(cancelled.json()["state"], "cancelled");
    assert_eq!(cancelled.json()["replayed"], two_pages);
    assert_eq!(server.api.call("POST", &cancel, "").await.status, 409);

    receiver.release();
    server.until_pending(0).await;
    let requests = receiver.requests();
    assert_eq!(requests.len() as u64, two_pages + 1);
    assert!(requests.iter().any(|request| request.id() == live));
    let counts = server.counts().await;
    assert_eq!(counts.deliveries_created, two_pages + 1);
    server.stop().await;
}
