//! Proof: counting what webhooks with costly filters missed holds up neither publishing nor
//! deliveries to others, and takes no memory that grows with the events.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::time::{Duration, Instant};

use postrider_faults::client::Api;
use postrider_faults::process::own_address;
use postrider_faults::receiver::Receiver;
use proof::process;
use serde_json::{Value, json};

/// Goes over the whole list and says no, within what a filter may cost.
const COSTLY_NO: &str = "data.l.exists(x, x == 1)";
const ITEMS: usize = 8_000;
/// Of an event, beside its list.
const TEXT_BYTES: usize = 184_000;
const EVENTS: usize = 400;
const COUNTS_AT_ONCE: usize = 3;
const IDLE_ROUNDS: usize = 40;
/// How much longer than on an idle server a round may take: it has to share two cores with the
/// counting and the test.
const TIMES_IDLE: u32 = 10;
/// On top of that, for a machine that is busy otherwise.
const LATE: Duration = Duration::from_millis(300);
/// The caches of the store's three readers fill, and each count has an event in hand, read and
/// parsed. All events together have 80 MB, and each of the four counts reads all of them.
const GROWTH_KIB_MAX: u64 = 96 << 10;

/// How long the rounds took, in ascending order.
struct Rounds(Vec<Duration>);

impl Rounds {
    fn new(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }

    /// Nine of ten took no longer.
    fn most(&self) -> Duration {
        self.0[self.0.len() * 9 / 10]
    }
}

/// A look at the health, and an event that is published and arrives at its receiver.
async fn round(api: Api, receiver: &Receiver) -> Duration {
    let began = Instant::now();
    assert_eq!(api.call("GET", "/healthz", "").await.status, 200);
    let arrived = receiver.count();
    api.publish("small.published").await;
    receiver.request(arrived + 1).await;
    began.elapsed()
}

async fn webhook(api: Api, draft: Value) -> String {
    let id = api.create_webhook(&draft).await;
    format!("/v1/webhooks/{id}")
}

async fn publish_large(api: Api) {
    let data = json!({"l": vec![0; ITEMS], "s": "x".repeat(TEXT_BYTES)});
    let event = json!({"type": "large.published", "data": data}).to_string();
    for _ in 0..EVENTS {
        let answer = api.call("POST", "/v1/events", &event).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
}

/// Counts what a webhook missed: the status of the answer, and what it counted.
async fn count(api: Api, webhook: &str) -> (u16, Value) {
    let body = r#"{"since":"2020-01-01T00:00:00Z","states":["missed"],"dry_run":true}"#;
    let answer = api.call("POST", &format!("{webhook}/replay"), body).await;
    (answer.status, answer.json()["count"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_by_costly_filters_holds_up_nobody_and_keeps_no_event() {
    let dir = tempfile::tempdir().unwrap();
    let server = process::start_reachable(dir.path(), own_address(), &[]).await;
    let api = server.api;
    let receiver = Receiver::answering(204).await;
    api.create_webhook(&json!({"url": receiver.url(), "events": ["small.*"]})).await;
    let costly = json!({"url": receiver.url(), "events": ["large.*"], "filter": COSTLY_NO});
    let (counted, enabled) = (webhook(api, costly.clone()).await, webhook(api, costly).await);
    for path in [&counted, &enabled] {
        assert_eq!(api.call("POST", &format!("{path}/disable"), "").await.status, 200);
    }
    publish_large(api).await;
    let change = r#"{"state":"enabled"}"#;
    assert_eq!(api.call("PATCH", &counted, change).await.status, 200);

    let mut idle = Vec::new();
    for _ in 0..IDLE_ROUNDS {
        idle.push(round(api, &receiver).await);
    }
    let before_kib = server.memory_kib("VmHWM");
    let mut counts = tokio::task::JoinSet::new();
    for _ in 0..COUNTS_AT_ONCE {
        let path = counted.clone();
        counts.spawn(async move { count(api, &path).await });
    }
    counts.spawn(async move {
        let answer = api.call("POST", &format!("{enabled}/enable"), "").await;
        (answer.status, answer.json()["missed"]["events"].clone())
    });
    let mut busy = Vec::new();
    while !counts.is_empty() {
        busy.push(round(api, &receiver).await);
        while let Some(counted) = counts.try_join_next() {
            assert_eq!(counted.unwrap(), (200, json!(0)), "each filter says no");
        }
    }
    let growth_kib = server.memory_kib("VmHWM") - before_kib;

    let (idle, busy) = (Rounds::new(idle), Rounds::new(busy));
    let told = format!(
        "{} rounds while counting, most within {:?} (idle: {:?}), the longest {:?}; {growth_kib} KiB",
        busy.0.len(),
        busy.most(),
        idle.most(),
        busy.0.last().unwrap(),
    );
    println!("{told}");
    assert!(busy.most() <= idle.most() * TIMES_IDLE + LATE, "{told}");
    assert!(growth_kib <= GROWTH_KIB_MAX, "{told}");
    server.terminate();
    assert!(server.ended().await.0.success());
}
