//! Proof: a URL or a secret that was changed is not used by any attempt that starts after the change
//! was acknowledged, however much is going on.
//!
//! With the disablings and deletions of `proof_outcomes_stopped`, 2,000 toggles under load.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::collections::HashMap;

use postrider_core::delivery::Attempt;
use postrider_faults::client::Line;
use postrider_faults::receiver::Receiver;
use postrider_signature::{Secret, SigningProfile, Tolerance, verify};
use proof::load::{Load, attempts};
use proof::server::Server;
use serde_json::json;

const URL_CHANGES: usize = 600;
const ROTATIONS: usize = 600;
/// Few enough for a queue to build up, so that there is always an attempt to be made.
const CONCURRENCY: usize = 4;

/// Time on the server's clock in which one value and no other may be used: from an acknowledgement
/// to the next request for a change. The moments themselves, to the millisecond, are free.
struct Reign<T> {
    value: T,
    from_ms: i64,
    until_ms: i64,
}

/// Attempts that started in each reign, with its value.
fn under<'a, T>(
    reigns: &'a [Reign<T>],
    attempts: &'a [&'a Attempt],
) -> impl Iterator<Item = (&'a T, &'a Attempt)> {
    reigns.iter().flat_map(move |reign| {
        let is_in = |at: i64| reign.from_ms < at && at < reign.until_ms;
        let own = attempts.iter().filter(move |attempt| is_in(attempt.started_at));
        own.map(|attempt| (&reign.value, *attempt))
    })
}

/// Starts what each proof has: a server under load with a webhook.
async fn begin(receiver: &Receiver, data: &std::path::Path) -> (Server, String, Load) {
    let server = Server::start(data).await;
    let draft = json!({
        "url": receiver.url(), "events": ["proof.*"], "concurrency": CONCURRENCY, "secret": secret(0)
    });
    let id = server.api.create_webhook(&draft).await;
    let load = Load::start(&server);
    (server, id, load)
}

fn secret(number: usize) -> String {
    // 24 bytes: four characters of Base64 stand for three of them
    format!("whsec_{number:032}")
}

#[tokio::test]
async fn a_url_is_not_used_by_an_attempt_that_starts_after_it_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let receivers = [Receiver::answering(200).await, Receiver::answering(200).await];
    let (server, id, load) = begin(&receivers[0], dir.path()).await;
    let mut line = Line::open(server.api.address).await.unwrap();
    let mut reigns = Vec::new();
    for change in 1..=URL_CHANGES {
        let receiver = &receivers[change % 2];
        let seen = receiver.count();
        let patch = json!({ "url": receiver.url() }).to_string();
        let changed = line.call("PATCH", &format!("/v1/webhooks/{id}"), &patch).await.unwrap();
        let from_ms = server.now();
        assert_eq!(changed.status, 200, "{}", changed.text);
        receiver.request(seen + CONCURRENCY + 1).await;
        reigns.push(Reign { value: receiver.address, from_ms, until_ms: server.now() });
    }
    let published = load.stop().await;
    server.until_pending(0).await;

    let history = server.history(&id).await;
    let attempts = attempts(&history);
    let in_reigns = under(&reigns, &attempts).count();
    println!(
        "{URL_CHANGES} changes of URL while {published} events were published; {in_reigns} of {} \
         attempts began between an acknowledgement and the next change",
        attempts.len()
    );
    for (address, attempt) in under(&reigns, &attempts) {
        assert_eq!(attempt.address, Some(*address), "the receiver of before");
    }
    assert!(in_reigns > URL_CHANGES, "something happened");
    let came: usize = receivers.iter().map(Receiver::count).sum();
    assert_eq!(attempts.len(), came, "each delivery took one attempt");
    server.stop().await;
}

#[tokio::test]
async fn a_secret_is_not_used_by_an_attempt_that_starts_after_it_was_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::answering(200).await;
    let (server, id, load) = begin(&receiver, dir.path()).await;
    let mut line = Line::open(server.api.address).await.unwrap();
    let rotate = format!("/v1/webhooks/{id}/secret/rotate");
    let mut reigns = Vec::new();
    for number in 1..=ROTATIONS {
        let body = json!({ "secret": secret(number), "overlap_s": 0 }).to_string();
        let rotated = line.call("POST", &rotate, &body).await.unwrap();
        let (from_ms, seen) = (server.now(), receiver.count());
        assert_eq!(rotated.status, 200, "{}", rotated.text);
        receiver.request(seen + CONCURRENCY + 1).await;
        reigns.push(Reign { value: secret(number), from_ms, until_ms: server.now() });
    }
    let published = load.stop().await;
    server.until_pending(0).await;

    let history = server.history(&id).await;
    let attempts = attempts(&history);
    let requests = receiver.requests();
    let bodies: HashMap<_, _> =
        requests.iter().map(|request| (request.id(), &request.body)).collect();
    let in_reigns = under(&reigns, &attempts).count();
    println!(
        "{ROTATIONS} rotations while {published} events were published; {in_reigns} of {} attempts \
         began between an acknowledgement and the next rotation",
        attempts.len()
    );
    let profile = SigningProfile::standard();
    for (secret, attempt) in under(&reigns, &attempts) {
        let secret = Secret::parse(secret, &profile.secret_format).unwrap();
        let sent = |name: &str| {
            let found = attempt.signed_headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let body = bodies[sent("webhook-id").unwrap()];
        assert_eq!(sent("webhook-signature").unwrap().split(' ').count(), 1, "no overlap");
        let (keys, at) = ([(&secret).into()], attempt.started_at);
        verify(&profile, &keys, sent, body, at, Tolerance::default()).expect("the new secret's");
    }
    assert!(in_reigns > ROTATIONS, "something happened");
    assert_eq!(attempts.len(), receiver.count(), "each delivery took one attempt");
    server.stop().await;
}
