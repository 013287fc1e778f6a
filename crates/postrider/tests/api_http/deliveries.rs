//! Deliveries: found by what they are, shown with their attempts, cancelled.

use postrider_signature::{Secret, SigningProfile, Tolerance, verify};
use serde_json::{Value, json};

use crate::routes::{HOOK, create, publish, refused, until};
use crate::support::Server;

/// Fails at the first attempt: no name resolves in these tests.
const FAILING: &str = r#"{"url":"https://example.com/a","events":["*"],"retry_schedule":[0],
    "headers":{"X-Api-Key":"hidden-value"}}"#;
/// Waits for an hour after its first attempt.
const WAITING: &str = r#"{"url":"https://example.com/a","events":["*"],"retry_schedule":[0,3600]}"#;

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

/// The ids on all pages of a list.
async fn all(server: &Server, path: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.call("GET", &format!("{path}{cursor}"), "").await;
        assert_eq!(page.status, 200, "{path} {page:?}");
        let page = page.json();
        ids.extend(page["data"].as_array().unwrap().iter().map(id));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// The value of a request's header, as an attempt shows it.
fn header<'a>(request: &'a Value, name: &str) -> Option<&'a str> {
    let headers = request["headers"].as_array().unwrap();
    headers.iter().find(|header| header["name"] == name)?["value"].as_str()
}

/// The deliveries of a new event.
async fn deliveries(server: &Server, event: &str) -> Vec<String> {
    let event = publish(server, event).await;
    all(server, &format!("/v1/events/{}/deliveries?limit=9", id(&event))).await
}

#[tokio::test]
async fn deliveries_are_listed_by_what_they_are() {
    let server = Server::start().await;
    let failing = create(&server, FAILING).await;
    let waiting = create(&server, WAITING).await;
    let first = deliveries(&server, r#"{"type":"code.generated","data":1}"#).await;
    let second = deliveries(&server, r#"{"type":"code.merged","data":1,"id":"own-id"}"#).await;
    let (failed, pending) = ([&second[0], &first[0]], [&second[1], &first[1]]);
    for delivery in failed {
        until(&server, &format!("/v1/deliveries/{delivery}"), |d| d["state"] == "failed").await;
    }
    for delivery in pending {
        until(&server, &format!("/v1/deliveries/{delivery}"), |d| d["attempts"] == 1).await;
    }
    let everything = [&second[0], &second[1], &first[0], &first[1]];
    for limit in [1, 2, 3, 4, 250] {
        let path = format!("/v1/deliveries?limit={limit}");
        assert_eq!(all(&server, &path).await.iter().collect::<Vec<_>>(), everything, "{limit}");
    }
    let found = async |query: &str| all(&server, &format!("/v1/deliveries?limit=1&{query}")).await;
    assert_eq!(found(&format!("webhook_id={}", id(&failing))).await, failed.map(String::clone));
    assert_eq!(found(&format!("webhook_id={}", id(&waiting))).await, pending.map(String::clone));
    assert_eq!(found("event_id=own-id").await, second);
    assert_eq!(found("event_id=unknown").await, [""; 0]);
    assert_eq!(found("state=failed").await, failed.map(String::clone));
    assert_eq!(found("state=pending").await, pending.map(String::clone));
    assert_eq!(found("state=cancelled").await, [""; 0]);
    assert_eq!(found("event_type=code.merged").await, second);
    assert_eq!(found("event_type=code.*&status_class=none").await.len(), 4);
    assert_eq!(found("status_class=2xx").await, [""; 0]);
    assert_eq!(found("error_class=dns_failure").await.len(), 4);
    assert_eq!(found("error_class=timeout").await, [""; 0]);
    assert_eq!(found("before=2020-01-01T00:00:00Z").await, [""; 0]);
    assert_eq!(found("after=2020-01-01T00:00:00Z").await.len(), 4);

    let page = server.call("GET", "/v1/deliveries?limit=1&state=failed", "").await.json();
    let delivery = &page["data"][0];
    assert_eq!(delivery["event_type"], "code.merged");
    assert_eq!(delivery["last_error"], "dns_failure");
    assert_eq!(delivery["last_status"], Value::Null);
    assert!(delivery["last_attempt_at"].is_string(), "{delivery}");
    let cursor = page["next_cursor"].as_str().unwrap();
    let elsewhere = server.call("GET", &format!("/v1/deliveries?cursor={cursor}"), "").await;
    refused(&elsewhere, 422, "bad_cursor", &[]);
}

#[tokio::test]
async fn everything_wrong_with_a_filter_is_told_at_once() {
    let server = Server::start().await;
    let path = "/v1/deliveries?webhook_id=x&state=lost&event_type=a.*.b&status_class=6xx\
                &error_class=server_error&after=now";
    let reply = server.call("GET", path, "").await;
    assert_eq!((reply.status, reply.code().as_str()), (422, "validation"));
    let told = reply.json();
    let parameters: Vec<_> =
        told["errors"].as_array().unwrap().iter().map(|error| error["parameter"].clone()).collect();
    let expected = ["webhook_id", "state", "event_type", "status_class", "error_class", "after"];
    assert_eq!(parameters, expected);
    let text = String::from_utf8_lossy(&reply.body);
    assert!(!text.contains("lost"), "input is not echoed: {text}");
}

#[tokio::test]
async fn events_are_listed_by_type_and_id() {
    let server = Server::start().await;
    for (event_type, id) in [("code.generated", "order-1"), ("a.b", "order-2"), ("a.c", "x")] {
        publish(&server, &format!(r#"{{"type":"{event_type}","id":"{id}","data":1}}"#)).await;
    }
    let found = async |query: &str| all(&server, &format!("/v1/events?limit=1&{query}")).await;
    assert_eq!(found("type=a.*").await, ["x", "order-2"]);
    assert_eq!(found("type=code.generated").await, ["order-1"]);
    assert_eq!(found("id_prefix=order-").await, ["order-2", "order-1"]);
    assert_eq!(found("id_prefix=order-&type=a.*").await, ["order-2"]);
    let bad = server.call("GET", "/v1/events?type=*.b", "").await;
    refused(&bad, 422, "validation", &[]);
}

#[tokio::test]
async fn attempts_tell_what_was_sent_and_what_came_of_it() {
    let server = Server::start().await;
    create(&server, FAILING).await;
    let delivery = deliveries(&server, r#"{"type":"a.b","data":{"n":1.50},"id":"e-1"}"#).await;
    let path = format!("/v1/deliveries/{}", delivery[0]);
    until(&server, &path, |found| found["state"] == "failed").await;
    server.call("POST", &format!("{path}/retry"), "").await;
    until(&server, &path, |found| found["attempts"] == 2).await;

    let page = server.call("GET", &format!("{path}/attempts?limit=1"), "").await;
    assert!(!String::from_utf8_lossy(&page.body).contains("hidden-value"));
    let page = page.json();
    let attempt = &page["data"][0];
    assert_eq!((&attempt["number"], &attempt["is_manual"]), (&json!(1), &json!(false)));
    assert_eq!((&attempt["status"], &attempt["answer"]), (&Value::Null, &Value::Null));
    assert_eq!(attempt["error"]["class"], "dns_failure");
    assert!(attempt["error"]["mend"].as_str().unwrap().contains("DNS"), "{attempt}");
    assert!(attempt["timing"]["total_ms"].is_number(), "{attempt}");
    let request = &attempt["request"];
    assert_eq!(
        (&request["method"], &request["url"]),
        (&json!("POST"), &json!("https://example.com/a"))
    );
    assert_eq!(request["is_known"], true);
    let body = request["body"].as_str().unwrap();
    assert!(body.starts_with(r#"{"id":"e-1","type":"a.b","#), "{body}");
    assert!(body.ends_with(r#""data":{"n":1.50}}"#), "as published: {body}");
    assert_eq!(header(request, "content-type"), Some("application/json"));
    assert_eq!(header(request, "webhook-id"), Some("e-1"));
    assert_eq!(header(request, "x-api-key"), Some("***"));

    let next = page["next_cursor"].as_str().unwrap();
    let page = server.call("GET", &format!("{path}/attempts?limit=1&cursor={next}"), "").await;
    let page = page.json();
    assert_eq!((&page["data"][0]["number"], &page["next_cursor"]), (&json!(2), &Value::Null));
    assert_eq!(page["data"][0]["is_manual"], true);
    let bad = server.call("GET", &format!("{path}/attempts?order=up"), "").await;
    refused(&bad, 422, "validation", &[]);
}

#[tokio::test]
async fn an_attempt_before_a_change_of_its_webhook_still_shows_what_was_sent() {
    let server = Server::start().await;
    let webhook = json!({
        "url": "https://example.com/old", "events": ["*"], "retry_schedule": [0],
        "profile": "autonoma", "secret": "old-secret", "headers": {"X-Old": "hidden-value"},
    });
    let webhook = create(&server, &webhook.to_string()).await;
    let delivery = deliveries(&server, r#"{"type":"a.b","data":{"n":1.50}}"#).await;
    let path = format!("/v1/deliveries/{}", delivery[0]);
    until(&server, &path, |found| found["state"] == "failed").await;
    let change = json!({
        "url": "https://example.com/new", "profile": "standard",
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "headers": {"X-New": "hidden-value"},
    });
    let webhook = format!("/v1/webhooks/{}", id(&webhook));
    let changed = server.call("PATCH", &webhook, &change.to_string()).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    server.call("POST", &format!("{path}/retry"), "").await;
    until(&server, &path, |found| found["attempts"] == 2).await;

    let page = server.call("GET", &format!("{path}/attempts"), "").await.json();
    let [old, new] = [0, 1].map(|number: usize| &page["data"][number]["request"]);
    let of_both = |name: &str| [&old[name], &new[name]];
    assert_eq!(of_both("url"), ["https://example.com/old", "https://example.com/new"]);
    assert_eq!(["x-old", "x-new"].map(|name| header(old, name)), [Some("***"), None]);
    assert_eq!(["x-old", "x-new"].map(|name| header(new, name)), [None, Some("***")]);
    let [body, body_now] = of_both("body").map(|body| body.as_str().unwrap());
    assert!(body.ends_with(r#""data":{"n":1.5}}"#), "as JSON.stringify writes it: {body}");
    assert!(body_now.ends_with(r#""data":{"n":1.50}}"#), "as published: {body_now}");
    let profile = SigningProfile::autonoma();
    let secret = Secret::parse("old-secret", &profile.secret_format).unwrap();
    let shown = |name: &str| header(old, name);
    let now = server.engine.now();
    verify(&profile, &[(&secret).into()], shown, body.as_bytes(), now, Tolerance::default())
        .unwrap();
}

#[tokio::test]
async fn a_pending_delivery_is_cancelled_once() {
    let server = Server::start().await;
    create(&server, WAITING).await;
    let delivery = deliveries(&server, r#"{"type":"a.b","data":1}"#).await;
    let path = format!("/v1/deliveries/{}", delivery[0]);
    until(&server, &path, |found| found["attempts"] == 1).await;
    let cancelled = server.call("POST", &format!("{path}/cancel"), "").await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let cancelled = cancelled.json();
    assert_eq!(
        (&cancelled["state"], &cancelled["next_attempt_at"]),
        (&json!("cancelled"), &Value::Null)
    );
    assert_eq!(cancelled["last_error"], "dns_failure");
    let again = server.call("POST", &format!("{path}/cancel"), "").await;
    refused(&again, 409, "conflict", &[]);
    assert!(String::from_utf8_lossy(&again.body).contains("cancelled already"), "{again:?}");
    let shown = server.call("GET", &path, "").await.json();
    let last = shown["history"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &last["reason"]), (&json!("cancelled"), &json!("requested")));
    let retried = server.call("POST", &format!("{path}/retry"), "").await;
    assert_eq!(retried.status, 202, "a retry brings it back: {retried:?}");
}

#[tokio::test]
async fn a_test_event_gets_one_attempt_that_says_nothing_of_its_webhook() {
    let server = Server::start().await;
    let every = create(&server, r#"{"url":"https://example.com","events":["*"]}"#).await;
    let path = format!("/v1/webhooks/{}", id(&every));
    let sent = server.call("POST", &format!("{path}/test"), "").await.json();
    let delivery = format!("/v1/deliveries/{}", sent["delivery_id"].as_str().unwrap());
    let failed = until(&server, &delivery, |delivery| delivery["attempts"] == 1).await;
    assert_eq!((&failed["state"], &failed["next_attempt_at"]), (&json!("failed"), &Value::Null));
    let health = server.call("GET", &format!("{path}/health"), "").await.json();
    assert_eq!(health["failures_in_a_row"], 0);
    let events = server.call("GET", "/v1/events", "").await.json();
    assert_eq!(events["data"].as_array().unwrap().len(), 1, "nothing is told of it: {events}");
}

#[tokio::test]
async fn a_test_event_goes_to_one_webhook_whatever_it_wants() {
    let server = Server::start().await;
    let other = r#"{"url":"https://example.com/b","events":["deployment.*"]}"#;
    let wants = create(&server, other).await;
    create(&server, HOOK).await;
    let path = format!("/v1/webhooks/{}/test", id(&wants));
    let sent = server.call("POST", &path, "").await;
    assert_eq!(sent.status, 202, "{sent:?}");
    let sent = sent.json();
    assert_eq!(sent["event"]["type"], "deployment.started", "the first that it wants");
    assert_eq!(sent["event"]["matched"], 1);
    let event = sent["event"]["id"].as_str().unwrap();
    assert!(event.starts_with("test_"), "{event}");
    let shown = server.call("GET", &format!("/v1/events/{event}"), "").await.json();
    assert_eq!(shown["is_test"], true);
    assert_eq!(shown["deliveries"]["data"][0]["id"], sent["delivery_id"]);
    let explanation = &shown["explanation"];
    assert_eq!(explanation["summary"], "1 webhook gets deployment.started, as a test.");
    let text = &explanation["matched_webhooks"][0]["text"];
    assert_eq!(text, "it was sent to it as a test");

    let own = r#"{"type":"not.wanted","data":{"a":1.50}}"#;
    let sent = server.call("POST", &path, own).await.json();
    let event = sent["event"]["id"].as_str().unwrap();
    let shown = server.call("GET", &format!("/v1/events/{event}"), "").await;
    assert!(String::from_utf8_lossy(&shown.body).contains(r#""data":{"a":1.50}"#), "{shown:?}");
    assert_eq!(shown.json()["type"], "not.wanted");

    let bad = server.call("POST", &path, r#"{"type":"a..b","colour":1}"#).await;
    assert_eq!((bad.status, bad.pointers()), (422, vec!["/type".to_owned(), "/colour".to_owned()]));
    let large = r#"{"data":9007199254740993}"#;
    let autonoma = r#"{"url":"https://example.com","events":["*"],"profile":"autonoma"}"#;
    let autonoma = create(&server, autonoma).await;
    let path = format!("/v1/webhooks/{}", id(&autonoma));
    let refusal = server.call("POST", &format!("{path}/test"), large).await;
    refused(&refusal, 422, "validation", &["/data"]);
    server.call("PATCH", &path, r#"{"state":"disabled"}"#).await;
    refused(&server.call("POST", &format!("{path}/test"), "").await, 409, "conflict", &[]);
    // a publisher's own id is no test, whatever it begins with
    let event = publish(&server, r#"{"type":"a.b","data":1,"id":"test_1"}"#).await;
    let shown = server.call("GET", &format!("/v1/events/{}", id(&event)), "").await.json();
    assert_eq!(shown["is_test"], false);
}
