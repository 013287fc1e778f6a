//! Replays: counted, started, watched, ended.

use serde_json::{Value, json};

use crate::routes::{HOOK, create, publish, refused, until};
use crate::support::Server;

const FAILING: &str = r#"{"url":"https://example.com/a","events":["*"],"retry_schedule":[0]}"#;
const ALL: &str = r#"{"since":"2020-01-01T00:00:00Z"}"#;

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

/// A webhook whose deliveries of three events have failed.
async fn failed(server: &Server) -> String {
    let webhook = id(&create(server, FAILING).await);
    for n in 0..3 {
        publish(server, &format!(r#"{{"type":"code.generated","data":{n}}}"#)).await;
    }
    let path = format!("/v1/deliveries?webhook_id={webhook}&state=failed");
    until(server, &path, |page| page["data"].as_array().unwrap().len() == 3).await;
    webhook
}

async fn done(server: &Server, replay: &Value) -> Value {
    let path = format!("/v1/replays/{}", id(replay));
    until(server, &path, |replay| replay["state"] == "done").await
}

#[tokio::test]
async fn a_replay_makes_each_failed_delivery_once_more() {
    let server = Server::start().await;
    let webhook = failed(&server).await;
    let path = format!("/v1/webhooks/{webhook}/replay");
    let count = server.call("POST", &path, r#"{"since":"2020-01-01T00:00:00Z","dry_run":true}"#);
    let count = count.await;
    assert_eq!((count.status, count.json()), (200, json!({"count": 3, "is_more": false})));

    let started = server.call("POST", &path, ALL).await;
    assert_eq!(started.status, 202, "{started:?}");
    let started = started.json();
    assert_eq!(started["webhook_id"], json!(webhook));
    assert_eq!(started["since"], "2020-01-01T00:00:00.000Z");
    assert_eq!(started["states"], json!(["failed", "cancelled", "missed"]));
    assert_eq!(started["types"], Value::Null);
    let ended = done(&server, &started).await;
    assert_eq!((&ended["considered"], &ended["replayed"]), (&json!(3), &json!(3)));
    assert!(ended["finished_at"].is_string(), "{ended}");
    let attempted = |page: &Value| {
        let deliveries = page["data"].as_array().unwrap();
        deliveries.iter().all(|delivery| delivery["attempts"] == 2)
    };
    until(&server, &format!("/v1/deliveries?webhook_id={webhook}"), attempted).await;
    let list = server.call("GET", &format!("/v1/replays?webhook_id={webhook}"), "").await.json();
    assert_eq!(list["data"], json!([ended]));
}

#[tokio::test]
async fn a_replay_sends_what_a_webhook_missed_while_it_was_disabled() {
    let server = Server::start().await;
    let webhook = id(&create(&server, HOOK).await);
    let path = format!("/v1/webhooks/{webhook}");
    server.call("PATCH", &path, r#"{"state":"disabled"}"#).await;
    let missed = publish(&server, r#"{"type":"code.generated","data":1}"#).await;
    publish(&server, r#"{"type":"not.wanted","data":1}"#).await;
    let replay = format!("{path}/replay");
    let refusal = server.call("POST", &replay, ALL).await;
    refused(&refusal, 409, "conflict", &[]);
    let enabled = server.call("POST", &format!("{path}/enable"), "").await.json();
    assert_eq!((&enabled["state"], &enabled["missed"]["events"]), (&json!("enabled"), &json!(1)));
    assert!(enabled["missed"]["since"].is_string(), "{enabled}");
    let again = server.call("POST", &format!("{path}/enable"), "").await.json();
    assert_eq!(again["missed"], Value::Null);
    let count = r#"{"since":"2020-01-01T00:00:00Z","states":["missed"],"dry_run":true}"#;
    assert_eq!(server.call("POST", &replay, count).await.json()["count"], 1);

    let started = server.call("POST", &replay, ALL).await.json();
    let ended = done(&server, &started).await;
    assert_eq!((&ended["considered"], &ended["replayed"]), (&json!(2), &json!(1)));
    let deliveries = format!("/v1/events/{}/deliveries", id(&missed));
    let page = server.call("GET", &deliveries, "").await.json();
    assert_eq!(page["data"][0]["webhook_id"], json!(webhook));
    let again = server.call("POST", &replay, ALL).await.json();
    assert_eq!(done(&server, &again).await["replayed"], 0, "it is on its way");
}

#[tokio::test]
async fn deliveries_are_retried_by_what_they_are() {
    let server = Server::start().await;
    let webhook = failed(&server).await;
    let path = "/v1/deliveries/retry";
    let count = async |body: &str| server.call("POST", path, body).await.json()["count"].clone();
    assert_eq!(count(r#"{"dry_run":true}"#).await, 3);
    assert_eq!(count(r#"{"dry_run":true,"event_type":"code.*","status_class":"none"}"#).await, 3);
    assert_eq!(count(r#"{"dry_run":true,"event_type":"a.b"}"#).await, 0);
    assert_eq!(count(r#"{"dry_run":true,"status_class":"5xx"}"#).await, 0);
    assert_eq!(count(r#"{"dry_run":true,"error_class":"dns_failure"}"#).await, 3);
    assert_eq!(count(r#"{"dry_run":true,"error_class":"timeout"}"#).await, 0);
    assert_eq!(count(r#"{"dry_run":true,"states":["cancelled"]}"#).await, 0);
    assert_eq!(count(r#"{"dry_run":true,"before":"2020-01-01T00:00:00Z"}"#).await, 0);
    assert_eq!(count(&format!(r#"{{"dry_run":true,"webhook_id":"{webhook}"}}"#)).await, 3);
    let started = server.call("POST", path, "{}").await;
    assert_eq!(started.status, 202, "{started:?}");
    let started = started.json();
    assert_eq!((&started["webhook_id"], &started["states"]), (&Value::Null, &json!(["failed"])));
    assert_eq!(done(&server, &started).await["replayed"], 3);
}

#[tokio::test]
async fn deliveries_of_disabled_webhooks_are_left_alone() {
    let server = Server::start().await;
    let webhook = failed(&server).await;
    let path = format!("/v1/webhooks/{webhook}");
    server.call("PATCH", &path, r#"{"state":"disabled"}"#).await;
    let started = server.call("POST", "/v1/deliveries/retry", "{}").await.json();
    let ended = done(&server, &started).await;
    assert_eq!((&ended["considered"], &ended["replayed"]), (&json!(3), &json!(0)));
}

#[tokio::test]
async fn a_replay_of_a_slow_webhook_waits_and_can_be_ended_once() {
    let server = Server::start().await;
    let hook =
        r#"{"url":"https://example.com/a","events":["*"],"retry_schedule":[0],"rate_limit":1}"#;
    let webhook = id(&create(&server, hook).await);
    for n in 0..4 {
        publish(&server, &format!(r#"{{"type":"a.b","data":{n}}}"#)).await;
    }
    let replay = format!("/v1/webhooks/{webhook}/replay");
    let started = server.call("POST", &replay, ALL).await.json();
    let path = format!("/v1/replays/{}", id(&started));
    let ended = server.call("POST", &format!("{path}/cancel"), "").await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let ended = ended.json();
    assert_eq!((&ended["state"], &ended["replayed"]), (&json!("cancelled"), &json!(0)));
    assert!(ended["finished_at"].is_string(), "{ended}");
    let again = server.call("POST", &format!("{path}/cancel"), "").await;
    refused(&again, 409, "conflict", &[]);
    assert_eq!(server.call("GET", &path, "").await.json(), ended);
}

#[tokio::test]
async fn only_so_many_replays_of_a_tenant_run_at_once() {
    let server = Server::start().await;
    let hook =
        r#"{"url":"https://example.com/a","events":["*"],"retry_schedule":[0],"rate_limit":1}"#;
    let webhook = id(&create(&server, hook).await);
    for n in 0..4 {
        publish(&server, &format!(r#"{{"type":"a.b","data":{n}}}"#)).await;
    }
    let replay = format!("/v1/webhooks/{webhook}/replay");
    for _ in 0..8 {
        assert_eq!(server.call("POST", &replay, ALL).await.status, 202);
    }
    refused(&server.call("POST", &replay, ALL).await, 409, "quota", &[]);
}

#[tokio::test]
async fn no_more_replays_run_when_they_are_asked_for_at_once() {
    let server = Server::start().await;
    let hook =
        r#"{"url":"https://example.com/a","events":["*"],"retry_schedule":[0],"rate_limit":1}"#;
    let webhook = id(&create(&server, hook).await);
    for n in 0..4 {
        publish(&server, &format!(r#"{{"type":"a.b","data":{n}}}"#)).await;
    }
    let replay = format!("/v1/webhooks/{webhook}/replay");
    let asked = (0..24).map(|_| server.call("POST", &replay, ALL));
    let replies = futures_util::future::join_all(asked).await;
    let started = replies.iter().filter(|reply| reply.status == 202).count();
    assert_eq!(started, 8, "{replies:?}");
}

#[tokio::test]
async fn everything_wrong_with_a_replay_is_told_at_once() {
    let server = Server::start().await;
    let webhook = id(&create(&server, HOOK).await);
    let path = format!("/v1/webhooks/{webhook}/replay");
    let body = r#"{"types":["a.*.b"],"states":["failed","pending"],"until":"now","colour":1}"#;
    let reply = server.call("POST", &path, body).await;
    let pointers = ["/since", "/until", "/types/0", "/states/1", "/colour"];
    refused(&reply, 422, "validation", &pointers);
    let backwards = r#"{"since":"2020-01-02T00:00:00Z","until":"2020-01-01T00:00:00Z"}"#;
    refused(&server.call("POST", &path, backwards).await, 422, "validation", &["/until"]);
    let none = r#"{"since":"2020-01-02T00:00:00Z","states":[]}"#;
    refused(&server.call("POST", &path, none).await, 422, "validation", &["/states"]);

    let body = r#"{"webhook_id":"x","event_type":"*.a","states":["missed"],"status_class":"0xx"}"#;
    let reply = server.call("POST", "/v1/deliveries/retry", body).await;
    let pointers = ["/webhook_id", "/event_type", "/states/0", "/status_class"];
    refused(&reply, 422, "validation", &pointers);
    let backwards = r#"{"after":"2020-01-02T00:00:00Z","before":"2020-01-01T00:00:00Z"}"#;
    let reply = server.call("POST", "/v1/deliveries/retry", backwards).await;
    refused(&reply, 422, "validation", &["/before"]);
    let unknown = r#"{"webhook_id":"wh_0000000000001"}"#;
    refused(&server.call("POST", "/v1/deliveries/retry", unknown).await, 404, "not_found", &[]);
    refused(&server.call("GET", "/v1/replays?webhook_id=x", "").await, 422, "validation", &[]);
}

#[tokio::test]
async fn test_events_are_not_sent_again() {
    let server = Server::start().await;
    let webhook = id(&create(&server, FAILING).await);
    let path = format!("/v1/webhooks/{webhook}");
    let sent = server.call("POST", &format!("{path}/test"), "").await.json();
    let delivery = format!("/v1/deliveries/{}", sent["delivery_id"].as_str().unwrap());
    until(&server, &delivery, |delivery| delivery["state"] == "failed").await;
    for (route, body) in [
        ("/v1/deliveries/retry", r#"{"dry_run":true}"#),
        (&format!("{path}/replay"), r#"{"since":"2020-01-01T00:00:00Z","dry_run":true}"#),
    ] {
        assert_eq!(server.call("POST", route, body).await.json()["count"], 0, "{route}");
    }
    let started = server.call("POST", "/v1/deliveries/retry", "{}").await.json();
    assert_eq!(done(&server, &started).await["replayed"], 0);
}
