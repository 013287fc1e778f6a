//! Proof: retries keep to their profile's schedule, seen over HTTP from both sides of a whole
//! server, with days passing on an injected clock.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::time::Duration;

use postrider_faults::client::{attempts, ended_ms, time_ms};
use postrider_faults::receiver::{Receiver, Reply};
use proof::server::Server;
use serde_json::{Value, json};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY: Duration = Duration::from_hours(24);
/// What may lie between the end of an attempt and the moment that its end is read off the clock.
const READING_MS: i64 = 2_000;
/// Real time that passes meanwhile must not make an attempt due.
const BEFORE_MS: i64 = 40_000;

/// How much of a delay may be added to it.
#[derive(Clone, Copy)]
enum Spread {
    None,
    TenPercent,
}

/// Everything published to `other` until now was delivered: what the server has to do by now, it
/// has done or begun.
async fn barrier(server: &Server, other: &Receiver) {
    let seen = other.count();
    server.api.publish("barrier.passed").await;
    other.request(seen + 1).await;
}

/// Follows a delivery to a receiver that always fails through the schedule of `profile`: one
/// attempt at once, one after each of `delays_ms`, then never again.
async fn follow(profile: &str, delays_ms: &[i64], spread: Spread) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let failing = Receiver::start(|_| Reply::Answer(500)).await;
    let other = Receiver::answering(200).await;
    let webhook = json!({"url": failing.url(), "events": ["proof.*"], "profile": profile});
    server.api.create_webhook(&webhook).await;
    let webhook = json!({"url": other.url(), "events": ["barrier.*"]});
    server.api.create_webhook(&webhook).await;

    let event = server.api.publish("proof.published").await;
    let id = server.api.sole_delivery(&event).await;
    let mut delivery = server.api.delivery_after(&id, 1).await;
    for (index, &delay_ms) in delays_ms.iter().enumerate() {
        let made = index + 1;
        assert_eq!(delivery["state"], "pending", "after attempt {made}");
        let due = check_delay(&delivery, made, delay_ms, spread);

        if delay_ms > 2 * BEFORE_MS {
            server.advance_to(due - BEFORE_MS);
            barrier(&server, &other).await;
            assert_eq!(failing.count(), made, "attempt {} came early", made + 1);
        }
        server.advance_to(due);
        failing.request(made + 1).await;
        delivery = server.api.delivery_after(&id, made as u64 + 1).await;
        let attempt = attempts(&delivery)[made].clone();
        let started = time_ms(&attempt["started_at"]).unwrap();
        assert!(started >= due, "attempt {} began {} ms early", made + 1, due - started);
        assert!(started <= due + BEFORE_MS, "attempt {} was late", made + 1);
    }

    assert_eq!(delivery["state"], "failed");
    assert_eq!(delivery["next_attempt_at"], Value::Null);
    for _ in 0..5 {
        server.clock.advance(DAY);
        barrier(&server, &other).await;
    }
    assert_eq!(failing.count(), delays_ms.len() + 1, "attempts after the schedule's end");
    let delivery = server.api.delivery(&id).await;
    assert_eq!(delivery["attempts"], delays_ms.len() + 1);
    let requests = failing.requests();
    assert!(requests.iter().all(|request| request.id() == event), "one id in every attempt");
    assert!(requests.iter().all(|request| request.body == requests[0].body), "one body too");
    server.stop().await;
}

/// Checks that the next attempt is due `delay_ms` after the end of the last one, as far as it may
/// be spread, and returns when.
fn check_delay(delivery: &Value, made: usize, delay_ms: i64, spread: Spread) -> i64 {
    let due = time_ms(&delivery["next_attempt_at"]).unwrap();
    let attempts = attempts(delivery);
    assert_eq!(attempts.len(), made, "{delivery}");
    let last = &attempts[made - 1];
    assert_eq!(last["number"], made);
    assert_eq!(last["status"], 500);
    let waits = due - ended_ms(last);
    let longest = match spread {
        Spread::None => delay_ms,
        Spread::TenPercent => delay_ms + delay_ms / 10,
    };
    assert!(
        (delay_ms..=longest + READING_MS).contains(&waits),
        "attempt {} is due {waits} ms after the last one, not {delay_ms} to {longest}",
        made + 1
    );
    due
}

#[tokio::test]
async fn automa_attempts_at_0_10_30_70_and_150_minutes_and_never_again() {
    follow("automa", &[10, 20, 40, 80].map(|minutes| minutes * MINUTE_MS), Spread::None).await;
}

#[tokio::test]
async fn standard_attempts_ten_times_within_its_jitter_and_never_again() {
    let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * HOUR_MS);
    let mut delays_ms = vec![5_000, 5 * MINUTE_MS, 30 * MINUTE_MS];
    delays_ms.extend(hours);
    follow("standard", &delays_ms, Spread::TenPercent).await;
}

#[tokio::test]
async fn the_schedule_of_autonoma_is_that_of_standard() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut schedules = Vec::new();
    for profile in ["standard", "autonoma"] {
        let webhook = json!({"url": "http://127.0.0.1:1/", "events": ["*"], "profile": profile});
        let id = server.api.create_webhook(&webhook).await;
        let webhook = server.api.get(&format!("/v1/webhooks/{id}")).await;
        schedules.push(webhook["retry_schedule"].clone());
    }
    assert!(schedules[0].is_array(), "{}", schedules[0]);
    assert_eq!(schedules[0], schedules[1]);
    server.stop().await;
}
