//! Proof: a webhook that was disabled or deleted gets no attempt that starts after the change was
//! acknowledged, however much is going on.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::collections::HashSet;
use std::time::Instant;

use postrider_core::delivery::{Attempt, AttemptResult, ErrorClass};
use postrider_faults::client::Line;
use postrider_faults::receiver::Receiver;
use proof::load::{Load, attempts};
use proof::server::Server;
use serde_json::{Value, json};

/// With what `proof_toggles` changes, 2,000 toggles.
const DISABLINGS: usize = 600;
const DELETIONS: usize = 200;
/// Few enough for a queue to build up, so that there is always an attempt to be made.
const CONCURRENCY: usize = 4;

/// Time, on the server's clock and on the receiver's, during which no attempt may start.
struct Forbidden {
    from_ms: i64,
    from: Instant,
    until_ms: i64,
    until: Instant,
}

fn webhook(receiver: &Receiver) -> Value {
    json!({"url": receiver.url(), "events": ["proof.*"], "concurrency": CONCURRENCY})
}

/// Attempts that started in forbidden time; the moments themselves, to the millisecond, are free.
fn trespassing(attempts: &[&Attempt], forbidden: &[Forbidden]) -> usize {
    let is_in = |at: i64| forbidden.iter().any(|time| (time.from_ms < at) && (at < time.until_ms));
    attempts.iter().filter(|attempt| is_in(attempt.started_at)).count()
}

/// The most requests that came in one forbidden time: attempts that were under way when it began.
fn stragglers_max(receiver: &Receiver, forbidden: &[Forbidden]) -> usize {
    let requests = receiver.requests();
    let came_in = |time: &Forbidden| {
        let is_in = |at: Instant| time.from < at && at < time.until;
        requests.iter().filter(|request| is_in(request.at)).count()
    };
    forbidden.iter().map(came_in).max().unwrap_or(0)
}

/// The ids of events that came more than once.
fn made_again(receiver: &Receiver) -> Vec<String> {
    let mut seen = HashSet::new();
    let requests = receiver.requests();
    let again = requests.iter().filter(|request| !seen.insert(request.id()));
    again.map(|request| request.id().to_owned()).collect()
}

fn faults(attempts: &[&Attempt]) -> usize {
    let is_fault = |attempt: &&&Attempt| {
        matches!(attempt.result, AttemptResult::Broke { class: ErrorClass::Internal, .. })
    };
    attempts.iter().filter(is_fault).count()
}

#[tokio::test]
async fn a_disabled_webhook_gets_no_attempt_that_starts_after_the_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let receiver = Receiver::answering(200).await;
    let id = server.api.create_webhook(&webhook(&receiver)).await;
    let path = format!("/v1/webhooks/{id}");
    let load = Load::start(&server);
    let mut line = Line::open(server.api.address).await.unwrap();
    let mut forbidden = Vec::new();
    for _ in 0..DISABLINGS {
        let seen = receiver.count();
        receiver.request(seen + 1).await;
        let disabled = line.call("PATCH", &path, r#"{"state":"disabled"}"#).await.unwrap();
        let (from_ms, from) = (server.now(), Instant::now());
        assert_eq!(disabled.status, 200, "{}", disabled.text);
        // what is published meanwhile passes by
        let event = r#"{"type":"proof.published","data":0}"#;
        let published = line.call("POST", "/v1/events", event).await.unwrap();
        assert_eq!(published.json()["matched"], 0);
        let (until_ms, until) = (server.now(), Instant::now());
        forbidden.push(Forbidden { from_ms, from, until_ms, until });
        let enabled = line.call("PATCH", &path, r#"{"state":"enabled"}"#).await.unwrap();
        assert_eq!(enabled.status, 200, "{}", enabled.text);
    }
    let published = load.stop().await;
    server.until_pending(0).await;

    let history = server.history(&id).await;
    let attempts = attempts(&history);
    let stragglers = stragglers_max(&receiver, &forbidden);
    println!(
        "{DISABLINGS} disablings while {published} events were published and {} delivered; at \
         most {stragglers} requests came after an acknowledgement",
        attempts.len()
    );
    assert_eq!(trespassing(&attempts, &forbidden), 0, "attempts of a disabled webhook");
    assert!(stragglers <= CONCURRENCY, "more than can have been under way");
    assert_eq!(faults(&attempts), 0);
    assert_eq!(made_again(&receiver), Vec::<String>::new(), "deliveries that were made twice");
    assert_eq!(attempts.len(), receiver.count(), "each delivery took one attempt");
    assert!(attempts.len() > DISABLINGS, "something happened");
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_webhook_gets_no_attempt_that_starts_after_the_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let receiver = Receiver::answering(200).await;
    let mut line = Line::open(server.api.address).await.unwrap();
    let load = Load::start(&server);
    let mut rounds = Vec::new();
    for _ in 0..DELETIONS {
        let seen = receiver.count();
        let id = server.api.create_webhook(&webhook(&receiver)).await;
        receiver.request(seen + 10).await;
        let deleted = line.call("DELETE", &format!("/v1/webhooks/{id}"), "").await.unwrap();
        let (from_ms, from) = (server.now(), Instant::now());
        assert_eq!(deleted.status, 204, "{}", deleted.text);
        let again = line.call("GET", &format!("/v1/webhooks/{id}"), "").await.unwrap();
        assert_eq!(again.status, 404);
        let until = Instant::now();
        rounds.push((id, Forbidden { from_ms, from, until_ms: i64::MAX, until }));
    }
    let published = load.stop().await;
    // what was pending for them is cancelled
    server.until_pending(0).await;

    let (mut made, mut stragglers) = (0, 0);
    for (id, forbidden) in rounds {
        let history = server.history(&id).await;
        let attempts = attempts(&history);
        made += attempts.len();
        let forbidden = [forbidden];
        stragglers = stragglers.max(stragglers_max(&receiver, &forbidden));
        assert_eq!(trespassing(&attempts, &forbidden), 0, "attempts of a deleted webhook");
        assert_eq!(faults(&attempts), 0, "an attempt met a webhook that was half gone");
    }
    println!(
        "{DELETIONS} deletions while {published} events were published and {made} delivered; at \
         most {stragglers} requests came after an acknowledgement"
    );
    assert!(stragglers <= CONCURRENCY, "more than can have been under way");
    assert_eq!(made, receiver.count(), "each delivery took one attempt");
    server.stop().await;
}
