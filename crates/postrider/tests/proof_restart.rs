//! Proof: a server ends in order, starts again where it was, alone on its data, and lets go of
//! what is old.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::time::{Duration, Instant};

use postrider_faults::client::Api;
use postrider_faults::process::own_address;
use postrider_faults::receiver::{Receiver, Reply};
use postrider_faults::until;
use proof::process;
use proof::server::Server;
use serde_json::{Value, json};

/// What an idle process needs to end, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(20);

async fn create_webhook(api: Api, receiver: &Receiver, settings: Value) -> String {
    let mut webhook = settings;
    webhook["url"] = receiver.url().into();
    webhook["events"] = json!(["proof.*"]);
    api.create_webhook(&webhook).await
}

/// How often an event came.
fn times(receiver: &Receiver, event: &str) -> usize {
    receiver.requests().iter().filter(|request| request.id() == event).count()
}

#[tokio::test]
async fn the_first_signal_drains_what_is_in_flight_and_nothing_of_it_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let address = own_address();
    let receiver = Receiver::start(|_| Reply::Held(200)).await;
    let server = process::start_reachable(dir.path(), address, &["--drain-seconds", "20"]).await;
    let api = server.api;
    create_webhook(api, &receiver, json!({"concurrency": 4, "timeout_ms": 30_000})).await;
    let mut events = Vec::new();
    for _ in 0..10 {
        events.push(api.publish("proof.published").await);
    }
    // four are in flight, six wait their turn
    let in_flight = receiver.until(|requests| requests.len() == 4).await;
    server.terminate();
    let began = Instant::now();
    server.until_closed().await;
    receiver.release();
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(began.elapsed() < DRAIN, "it ended with the last attempt, not with the drain time");
    assert_eq!(receiver.count(), 4, "an attempt began after the signal");

    let server = process::start_reachable(dir.path(), address, &[]).await;
    for event in &events {
        let id = api.sole_delivery(event).await;
        let delivery = api.delivery_in(&id, "succeeded").await;
        assert_eq!(delivery["attempts"], 1, "{delivery}");
        assert_eq!(times(&receiver, event), 1, "sent again after an orderly end");
    }
    assert!(in_flight.iter().all(|request| events.iter().any(|event| event == request.id())));
    drop(server);
}

#[tokio::test]
async fn what_outlasts_the_drain_time_is_cut_off_and_sent_again_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let address = own_address();
    let receiver = Receiver::start(|_| Reply::Silent).await;
    let server = process::start_reachable(dir.path(), address, &["--drain-seconds", "1"]).await;
    create_webhook(server.api, &receiver, json!({"timeout_ms": 30_000})).await;
    let event = server.api.publish("proof.published").await;
    receiver.request(1).await;
    let began = Instant::now();
    server.terminate();
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1), "it did not wait for the attempt: {took:?}");
    assert!(took < Duration::from_secs(1) + AT_ONCE, "it took {took:?}");
    assert!(log.contains("cut off"), "{log}");

    receiver.behave(|_| Reply::Answer(200));
    let server = process::start_reachable(dir.path(), address, &[]).await;
    assert_eq!(receiver.request(2).await.id(), event);
    let id = server.api.sole_delivery(&event).await;
    server.api.delivery_in(&id, "succeeded").await;
}

#[tokio::test]
async fn the_second_signal_ends_the_process_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| Reply::Silent).await;
    let flags = ["--drain-seconds", "300"];
    let server = process::start_reachable(dir.path(), own_address(), &flags).await;
    create_webhook(server.api, &receiver, json!({"timeout_ms": 30_000})).await;
    server.api.publish("proof.published").await;
    receiver.request(1).await;
    server.terminate();
    server.until_closed().await;
    let began = Instant::now();
    server.terminate();
    let (status, log) = server.ended().await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(130), "{log}");
}

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = process::start_reachable(dir.path(), own_address(), &[]).await;
    let began = Instant::now();
    server.terminate();
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let first = process::start_reachable(dir.path(), own_address(), &[]).await;
    let second = process::start(dir.path(), own_address(), &[]);
    let (status, log) = second.ended().await;
    assert!(!status.success(), "{log}");
    assert!(log.contains("in use by another process"), "{log}");
    assert!(log.contains(dir.path().to_str().unwrap()), "{log}");
    // and the first one didn't notice
    first.api.publish("proof.published").await;
}

#[tokio::test]
async fn what_is_finished_goes_after_its_retention_and_what_is_pending_stays() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let api = server.api;
    let (healthy, failing) = (Receiver::answering(200).await, Receiver::answering(500).await);
    let other = json!({"url": healthy.url(), "events": ["other.*"]});
    api.create_webhook(&other).await;
    let paused = create_webhook(api, &failing, json!({"retry_schedule": [0, 3_600, 3_600]})).await;
    let finished = api.publish("other.published").await;
    let unwanted = api.call("POST", "/v1/events", r#"{"type":"nobody.asked","data":1}"#).await;
    let unwanted = unwanted.json()["id"].as_str().unwrap().to_owned();
    let pending = api.publish("proof.published").await;
    let id = api.sole_delivery(&pending).await;
    api.delivery_after(&id, 1).await;
    let finished_delivery = api.sole_delivery(&finished).await;
    api.delivery_in(&finished_delivery, "succeeded").await;
    api.patch_webhook(&paused, &json!({"state": "disabled"})).await;
    let before = api.get(&format!("/v1/events/{pending}")).await;

    server.clock.advance(Duration::from_hours(24) * 2);
    let young = api.publish("other.published").await;
    // that one is a day short of its retention, the others a day past it
    server.clock.advance(Duration::from_hours(24) * 29);
    for old in [&finished, &unwanted] {
        let path = format!("/v1/events/{old}");
        let is_gone = async || (api.call("GET", &path, "").await.status == 404).then_some(());
        until("an old event is gone", is_gone).await;
    }
    let path = format!("/v1/deliveries/{finished_delivery}");
    assert_eq!(api.call("GET", &path, "").await.status, 404);
    assert_eq!(api.get(&format!("/v1/events/{young}")).await["id"], young.as_str());
    let listed = api.all("/v1/events").await;
    let listed: Vec<_> = listed.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert!(listed.contains(&young.as_str()), "{listed:?}");
    assert!(!listed.contains(&finished.as_str()), "{listed:?}");

    let after = api.get(&format!("/v1/events/{pending}")).await;
    assert_eq!(after["data"], before["data"]);
    assert_eq!(api.delivery(&id).await["state"], "pending");
    failing.behave(|_| Reply::Answer(200));
    api.patch_webhook(&paused, &json!({"state": "enabled"})).await;
    api.delivery_in(&id, "succeeded").await;
    let requests = failing.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body, "the same body a month later");
    server.stop().await;
}
