//! How webhooks fare, over the API of a whole server: health, statistics, disabling what fails,
//! operational events, and metrics.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use postrider::clock::Clock;
use serde_json::{Value, json};
use support::receiver::{Answer, Delivery, Receiver};
use support::server::TestServer;

const TWO_DAYS_S: u64 = 2 * 86_400;

/// A receiver that answers 500 so often, and then 204.
fn failing(times: usize) -> Receiver {
    let receiver = Receiver::start();
    receiver.script(vec![Answer::Status(500); times]);
    receiver
}

/// A webhook for events of the test alone; its id.
fn webhook(server: &TestServer, receiver: &Receiver, schedule: &[u64]) -> String {
    let draft = json!({ "url": receiver.url(), "events": ["test.*"], "retry_schedule": schedule });
    server.create_webhook(&draft)["id"].as_str().unwrap().to_owned()
}

/// Registers a receiver for all operational events.
fn watch(server: &TestServer, receiver: &Receiver, schedule: &[u64]) {
    let draft =
        json!({ "url": receiver.url(), "events": ["postrider.*"], "retry_schedule": schedule });
    server.create_webhook(&draft);
}

/// Puts the clock forward to the next attempt of an event's one delivery, which is number `number`,
/// and waits until it is on record.
fn attempt(server: &TestServer, event: &str, number: u64) -> Value {
    let before = server.delivery(event, number - 1);
    server.advance_to_next_attempt(&before);
    server.delivery(event, number)
}

/// The operational events among what arrived: type and data.
fn told(deliveries: &[Delivery]) -> Vec<(String, Value)> {
    let bodies = deliveries.iter().map(|delivery| delivery.request.json());
    bodies.map(|body| (body["type"].as_str().unwrap().to_owned(), body["data"].clone())).collect()
}

/// Types of all events of the tenant, newest first.
fn event_types(server: &TestServer) -> Vec<String> {
    let page = server.get("/v1/events?limit=250");
    let events = page["data"].as_array().unwrap().iter();
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn change(server: &TestServer, webhook: &str, patch: &Value) {
    let target = format!("/v1/webhooks/{webhook}");
    let answer = server.request("PATCH", &target, patch.to_string().as_bytes());
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[test]
fn a_webhook_that_failed_for_five_days_is_disabled_and_a_restart_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let (receiver, watcher) = (failing(9), Receiver::start());
    let server = TestServer::start_in(data.path(), clock.clone(), &[]);
    let key = webhook(&server, &receiver, &[0, TWO_DAYS_S, TWO_DAYS_S, TWO_DAYS_S, TWO_DAYS_S]);
    watch(&server, &watcher, &[0]);
    let event = server.publish("test.sent", "1");
    server.delivery(&event, 1);
    attempt(&server, &event, 2);
    server.stop();

    let server = TestServer::start_in(data.path(), clock.clone(), &[]);
    attempt(&server, &event, 3);
    let path = format!("/v1/webhooks/{key}");
    assert_eq!(server.get(&path)["state"], "enabled", "four days are borne");
    server.stop();

    let server = TestServer::start_in(data.path(), clock, &[]);
    let health = server.get(&format!("{path}/health"));
    assert_eq!(health["failures_in_a_row"], 3);
    attempt(&server, &event, 4);
    let disabled = server.wait_for(&path, |webhook| webhook["state"] == "disabled");
    assert_eq!(disabled["disabled_reason"], "failing");
    let (name, told) = told(&watcher.wait_for(1)).swap_remove(0);
    assert_eq!(name, "postrider.webhook.disabled");
    assert_eq!(told["webhook"]["id"], key.as_str());
    assert_eq!(told["webhook"]["url"], receiver.url());
    assert_eq!((&told["reason"], &told["failures_in_a_row"]), (&json!("failing"), &json!(4)));
    assert_eq!(told["failing_since"], health["failing_since"]);
    let health = server.get(&format!("{path}/health"));
    assert_eq!(health["pending"]["count"], 1, "what is pending is kept");

    change(&server, &key, &json!({"state": "enabled"}));
    let health = server.get(&format!("{path}/health"));
    assert_eq!((&health["failures_in_a_row"], &health["failing_since"]), (&json!(0), &json!(null)));
    assert_ne!(health["last_failure_at"], json!(null), "what happened is not forgotten");
    attempt(&server, &event, 5);
    let health = server.get(&format!("{path}/health"));
    assert_eq!(health["failures_in_a_row"], 1, "the count began anew");
    assert_eq!(server.get(&path)["state"], "enabled");
}

#[test]
fn a_success_within_five_days_begins_the_count_anew() {
    let receiver = failing(1);
    receiver.script([Answer::Status(200), Answer::Status(500), Answer::Status(500)]);
    let server = TestServer::start();
    let key = webhook(&server, &receiver, &[0, TWO_DAYS_S, TWO_DAYS_S]);
    let event = server.publish("test.sent", "1");
    server.delivery(&event, 1);
    attempt(&server, &event, 2);
    server.clock().advance(Duration::from_hours(4 * 24));
    let event = server.publish("test.sent", "2");
    server.delivery(&event, 1);
    attempt(&server, &event, 2);
    assert_eq!(server.get(&format!("/v1/webhooks/{key}"))["state"], "enabled");
}

#[test]
fn failing_is_borne_for_ever_where_the_setting_says_so() {
    let data = tempfile::tempdir().unwrap();
    let receiver = failing(2);
    let never = [("disable_failing_after_s", "0")];
    let server = TestServer::start_in(data.path(), Clock::system(), &never);
    let key = webhook(&server, &receiver, &[0, 30 * 86_400]);
    let event = server.publish("test.sent", "1");
    server.delivery(&event, 1);
    attempt(&server, &event, 2);
    assert_eq!(server.get(&format!("/v1/webhooks/{key}"))["state"], "enabled");
}

#[test]
fn a_run_of_failures_is_told_of_once_and_so_is_its_end() {
    let data = tempfile::tempdir().unwrap();
    let (receiver, watcher) = (failing(3), Receiver::start());
    let second = [("report_failures_in_a_row", "2")];
    let server = TestServer::start_in(data.path(), Clock::system(), &second);
    let key = webhook(&server, &receiver, &[0, 60, 60, 60]);
    watch(&server, &watcher, &[0]);
    let event = server.publish("test.sent", "1");
    server.delivery(&event, 1);
    attempt(&server, &event, 2);
    attempt(&server, &event, 3);
    assert_eq!(attempt(&server, &event, 4)["state"], "succeeded");

    let deliveries = watcher.wait_for(2);
    assert!(deliveries.iter().all(|told| told.request.header("webhook-signature").contains("v1")));
    let told = told(&deliveries);
    let (name, failing) = &told[0];
    assert_eq!(name, "postrider.webhook.failing");
    assert_eq!(
        (&failing["webhook"]["id"], &failing["failures_in_a_row"]),
        (&json!(key), &json!(2))
    );
    assert_ne!(failing["to_be_disabled_at"], json!(null));
    let last = &failing["last_attempt"];
    assert_eq!((&last["status"], &last["number"]), (&json!(500), &json!(2)));
    assert_eq!(last["event"], json!({"id": event, "type": "test.sent"}));
    let (name, recovered) = &told[1];
    assert_eq!(name, "postrider.webhook.recovered");
    assert_eq!(recovered["failures_in_a_row"], 3);
    assert_eq!(recovered["failing_since"], failing["failing_since"]);

    server.delivery(&server.publish("test.sent", "2"), 1);
    assert_eq!(event_types(&server).iter().filter(|name| name.starts_with("postrider")).count(), 2);
}

#[test]
fn a_delivery_that_ends_failed_is_told_of() {
    let (receiver, watcher) = (failing(2), Receiver::start());
    let server = TestServer::start();
    let key = webhook(&server, &receiver, &[0, 60]);
    watch(&server, &watcher, &[0]);
    let event = server.publish("test.sent", "1");
    server.delivery(&event, 1);
    let delivery = attempt(&server, &event, 2);
    assert_eq!(delivery["state"], "failed");
    let told = told(&watcher.wait_for(1));
    assert_eq!(told[0].0, "postrider.delivery.failed");
    assert_eq!(told[0].1["webhook"]["id"], key.as_str());
    assert_eq!(told[0].1["delivery"], json!({"id": delivery["id"], "attempts": 2}));
    assert_eq!(told[0].1["last_attempt"]["event"]["id"], event.as_str());
}

#[test]
fn nothing_is_told_of_the_delivery_of_what_is_told() {
    let data = tempfile::tempdir().unwrap();
    let (receiver, watcher) = (failing(1), failing(9));
    let first = [("report_failures_in_a_row", "1")];
    let server = TestServer::start_in(data.path(), Clock::system(), &first);
    webhook(&server, &receiver, &[0]);
    watch(&server, &watcher, &[0]);
    server.publish("test.sent", "1");
    watcher.wait_for(2);
    for event in server.get("/v1/events")["data"].as_array().unwrap() {
        let id = event["id"].as_str().unwrap();
        server.deliveries(id, |delivery| delivery["state"] == "failed");
    }
    let expected = ["postrider.delivery.failed", "postrider.webhook.failing", "test.sent"];
    let mut types = event_types(&server);
    types.sort_unstable();
    assert_eq!(types, expected);
}

#[test]
fn what_nobody_wants_to_be_told_is_not_stored() {
    let data = tempfile::tempdir().unwrap();
    let receiver = failing(1);
    let first = [("report_failures_in_a_row", "1")];
    let server = TestServer::start_in(data.path(), Clock::system(), &first);
    // a webhook that wants everything is not told of itself
    let draft = json!({"url": receiver.url(), "events": ["*"], "retry_schedule": [0]});
    let key = server.create_webhook(&draft)["id"].as_str().unwrap().to_owned();
    server.delivery(&server.publish("test.sent", "1"), 1);
    change(&server, &key, &json!({"state": "disabled"}));
    assert_eq!(event_types(&server), ["test.sent"]);
}

#[test]
fn being_gone_and_being_disabled_on_request_are_told_of() {
    let (receiver, watcher) = (Receiver::start(), Receiver::start());
    receiver.script([Answer::Status(410)]);
    let server = TestServer::start();
    let gone = webhook(&server, &receiver, &[0]);
    watch(&server, &watcher, &[0]);
    server.delivery(&server.publish("test.sent", "1"), 1);
    let told_of_gone = told(&watcher.wait_for(2));
    let disabled = told_of_gone.iter().find(|(name, _)| name == "postrider.webhook.disabled");
    let (_, disabled) = disabled.unwrap();
    assert_eq!((&disabled["reason"], &disabled["webhook"]["id"]), (&json!("gone"), &json!(gone)));
    let other = webhook(&server, &receiver, &[0]);
    change(&server, &other, &json!({"state": "disabled"}));
    let (name, data) = told(&watcher.wait_for(3)).swap_remove(2);
    assert_eq!(name, "postrider.webhook.disabled");
    assert_eq!((&data["reason"], &data["webhook"]["id"]), (&json!("requested"), &json!(other)));
}

#[test]
fn what_was_counted_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let receiver = failing(1);
    let server = TestServer::start_in(data.path(), clock.clone(), &[]);
    let key = webhook(&server, &receiver, &[0]);
    for number in 0..4 {
        server.delivery(&server.publish("test.sent", &number.to_string()), 1);
    }
    let path = format!("/v1/webhooks/{key}/health");
    let before = server.get(&path);
    let hour = &before["windows"]["1h"];
    assert_eq!(
        (&hour["attempts"], &hour["succeeded"], &hour["failed"]),
        (&json!(4), &json!(3), &json!(1))
    );
    assert_eq!(hour["success_rate"], 0.75);
    assert!(hour["response_ms"]["p50"].as_f64() <= hour["response_ms"]["p99"].as_f64());
    assert_eq!(before["pending"], json!({"count": 0, "is_more": false, "oldest_at": null}));
    assert_eq!((&before["failures_in_a_row"], &before["failing_since"]), (&json!(0), &json!(null)));
    assert_ne!(before["last_success_at"], json!(null));
    let stats = server.get("/v1/stats?window=1h");
    assert_eq!((&stats["events"], &stats["totals"]), (&json!(4), hour));
    server.stop();

    let server = TestServer::start_in(data.path(), clock.clone(), &[]);
    assert_eq!(server.get(&path), before);
    assert_eq!(server.get("/v1/stats?window=1h")["totals"], stats["totals"]);
    clock.advance(Duration::from_hours(2));
    let later = server.get(&path);
    assert_eq!(later["windows"]["1h"]["success_rate"], json!(null));
    assert_eq!(later["windows"]["24h"], before["windows"]["24h"]);
    clock.advance(Duration::from_hours(9 * 24));
    assert_eq!(server.get(&path)["windows"]["7d"]["attempts"], 0);
}

#[test]
fn metrics_account_for_every_delivery() {
    let data = tempfile::tempdir().unwrap();
    let receiver = failing(1);
    let open = [("metrics", "open")];
    let server = TestServer::start_in(data.path(), Clock::system(), &open);
    webhook(&server, &receiver, &[0, 3_600]);
    server.delivery(&server.publish("test.sent", "1"), 1);
    server.delivery(&server.publish("test.sent", "2"), 1);
    let answer = support::http::send(server.address(), "GET", "/metrics", &[], b"");
    assert_eq!(answer.status(), 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let metrics = answer.text();
    for line in [
        "postrider_events_accepted_total 2",
        "postrider_attempts_total{outcome=\"succeeded\"} 1",
        "postrider_attempts_total{outcome=\"failed\"} 1",
        "postrider_attempts_in_flight 0",
        "postrider_deliveries_pending 1",
        "postrider_unaccounted_deliveries 0",
        "postrider_response_time_seconds_count 2",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
    assert!(metrics.contains("postrider_commit_batch_size_bucket{le=\"1.0\"}"), "{metrics}");
    assert!(metrics.contains("process_resident_memory_bytes "), "{metrics}");
}
