//! Deliveries in a list, one of them, and what is done to them.

use serde_json::{Value, json};

use crate::person::{Person, leads_to, text};
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A delivery that was tried once and failed, and will be tried again.
fn failed(server: &TestServer, receiver: &Receiver) -> (Value, String) {
    receiver.script([Answer::Status(503)]);
    let webhook = server.webhook(&receiver.url(), SECRET);
    let event = server.publish("code.generated", r#"{"it's":"<b>"}"#);
    (server.delivery(&event, 1), webhook)
}

fn id(view: &Value) -> &str {
    view["id"].as_str().unwrap()
}

#[test]
fn the_list_is_filtered_by_what_its_address_says() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let (delivery, webhook) = failed(&server, &receiver);
    server.create_webhook(&json!({ "url": "http://127.0.0.1:1/", "events": ["a.b"] }));
    let refused = server.publish("a.b", "1");
    server.deliveries(&refused, |row| row["attempts"] == 1);
    let person = Person::at(&server);
    let list = |query: &str| person.sees(format_args!("/deliveries?{query}"));
    let rows = |query: &str| list(query).matches("data-row").count();
    let page = text(&list(""));
    assert!(page.contains("503server error") && page.contains("connection refused"), "{page}");
    assert_eq!(rows(""), 3);
    assert_eq!(rows("state=&webhook_id=&event_type=&status_class=&error_class="), 3);
    assert_eq!(rows("status_class=5xx"), 1);
    assert_eq!(rows("error_class=connect_refused"), 1);
    assert_eq!(rows("status_class=none"), 1);
    assert_eq!(rows("event_type=code.*&state=pending"), 1);
    assert_eq!(rows(&format!("webhook_id={webhook}")), 2);
    assert_eq!(rows(&format!("event_id={refused}")), 2);
    assert_eq!(rows("event_id=unknown"), 0);
    assert_eq!(rows("after=2999-01-01T00%3A00"), 0);
    let chosen = list("status_class=5xx&event_type=code.%2A");
    assert!(chosen.contains(id(&delivery)) && chosen.contains("value=\"code.*\""), "{chosen}");
    assert!(chosen.contains("<option value=\"5xx\" selected>"), "{chosen}");
    for wrong in ["state=lost", "error_class=server_error", "after=now", "cursor=x", "webhook_id=1"]
    {
        assert_eq!(person.status_of(format_args!("/deliveries?{wrong}")), 422, "{wrong}");
    }
}

#[test]
fn a_delivery_shows_what_was_sent_what_came_back_and_what_would_mend_it() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let (delivery, _) = failed(&server, &receiver);
    let sent = receiver.wait_for(1).remove(0).request;
    let person = Person::at(&server);
    let html = person.sees(format_args!("/deliveries/{}", id(&delivery)));
    let page = text(&html);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature", "user-agent"] {
        assert!(page.contains(sent.header(name)), "{name}: {page}");
    }
    assert!(page.contains(sent.text()), "the exact body: {page}");
    assert!(page.contains(&receiver.url()) && page.contains(&receiver.address().to_string()));
    assert!(page.contains("503 server error") && page.contains("What would mend it"), "{page}");
    assert!(page.contains("Next attempt"), "{page}");
    let curl = html.split("data-copy=\"").find(|part| part.starts_with("curl ")).unwrap();
    let curl = text(curl.split_once('"').unwrap().0);
    assert!(curl.contains(&format!("--url '{}'", receiver.url())), "{curl}");
    assert!(curl.contains(r"it'\''s"), "quoted for a shell: {curl}");
    assert_eq!(person.status_of("/deliveries/dlv_1"), 404);
    assert_eq!(person.status_of(format_args!("/deliveries/{}?attempt=x", id(&delivery))), 422);
    assert_eq!(person.status_of(format_args!("/deliveries/{}?attempt=77", id(&delivery))), 200);
}

#[test]
fn a_delivery_is_retried_and_its_attempts_stand_side_by_side() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let (delivery, _) = failed(&server, &receiver);
    let person = Person::at(&server);
    let path = format!("/deliveries/{}", id(&delivery));
    assert!(person.sees(&path).contains("data-retry"));
    let answer = person.sends(format_args!("{path}/retry"), "");
    assert_eq!(leads_to(&answer), format!("{path}?notice=retried"));
    receiver.wait_for(2);
    let target = format!("/v1/deliveries/{}", id(&delivery));
    server.wait_for(&target, |delivery| delivery["state"] == "succeeded");
    let page = text(&person.sees(&path));
    for told in ["#1", "#2", "by hand", "Somebody asked for a retry.", "Attempt 2"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let first = text(&person.sees(format_args!("{path}?attempt=1")));
    assert!(first.contains("Attempt 1") && first.contains("What would mend it"), "{first}");
}

#[test]
fn a_delivery_is_cancelled_once() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let (delivery, _) = failed(&server, &receiver);
    let person = Person::at(&server);
    let path = format!("/deliveries/{}", id(&delivery));
    assert!(person.sees(&path).contains("data-confirm=\"Cancel this delivery?"));
    let answer = person.sends(format_args!("{path}/cancel"), "");
    assert_eq!(leads_to(&answer), format!("{path}?notice=cancelled"));
    assert_eq!(server.get(&format!("/v1{path}"))["state"], "cancelled");
    assert!(text(&person.sees(&path)).contains("Somebody asked for it."));
    assert_eq!(person.sends(format_args!("{path}/cancel"), "").status(), 409);
}

#[test]
fn what_the_filter_shows_is_counted_and_then_retried() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let draft = json!({ "url": receiver.url(), "events": ["*"], "retry_schedule": [0] });
    receiver.script([Answer::Status(500), Answer::Status(500)]);
    server.create_webhook(&draft);
    let of = |event: &str| server.deliveries(event, |row| row["state"] == "failed");
    let first = server.publish("code.generated", "1");
    of(&first);
    let second = server.publish("code.merged", "1");
    of(&second);
    let person = Person::at(&server);
    let list = person.sees("/deliveries?event_type=code.merged");
    assert!(list.contains("/deliveries/retry?event_type=code.*") || list.contains("Retry these"));
    let asked = person.sees("/deliveries/retry?event_type=code.merged&status_class=5xx");
    assert!(text(&asked).contains("Retry 1\u{a0}delivery"), "{asked}");
    let none = text(&person.sees("/deliveries/retry?error_class=timeout"));
    assert!(none.contains("nothing to retry"), "{none}");
    let answer = person.sends("/deliveries/retry", "event_type=code.merged&status_class=5xx");
    let replay = leads_to(&answer);
    assert!(replay.starts_with("/replays/rpl_"), "{replay}");
    let (path, _) = replay.split_once('?').unwrap();
    let ended = server.wait_for(&format!("/v1{path}"), |replay| replay["state"] == "done");
    assert_eq!(ended["replayed"], 1);
    receiver.wait_for(3);
    let pending = text(&person.sees("/deliveries/retry?state=pending"));
    assert!(pending.contains("on their way already"), "{pending}");
    assert_eq!(person.sends("/deliveries/retry", "state=pending").status(), 409);
    assert_eq!(person.sends("/deliveries/retry", "state=lost").status(), 422);
}

#[test]
fn whoever_may_only_read_sees_no_buttons_and_does_nothing() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let (delivery, _) = failed(&server, &receiver);
    let reader = Person::of_tenant(&server, "default", "read");
    let path = format!("/deliveries/{}", id(&delivery));
    let html = reader.sees(&path);
    assert!(!html.contains("/retry") && !html.contains("/cancel"), "{html}");
    assert!(!reader.sees("/deliveries").contains("/retry"));
    for deed in ["retry", "cancel"] {
        assert_eq!(reader.sends(format_args!("{path}/{deed}"), "").status(), 403);
    }
    assert_eq!(reader.status_of("/deliveries/retry"), 403);
    assert_eq!(reader.sends("/deliveries/retry", "").status(), 403);
    assert_eq!(server.get(&format!("/v1{path}"))["attempts"], 1);
}

#[test]
fn a_delivery_of_another_tenant_is_not_there() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let (delivery, webhook) = failed(&server, &receiver);
    let stranger = Person::of_tenant(&server, "other", "manage");
    let id = id(&delivery);
    for tenant in ["default", "other"] {
        let path = format!("/dashboard/t/{tenant}/deliveries/{id}");
        assert_eq!(stranger.looks_at(&path).status, 404, "{path}");
    }
    let list =
        stranger.looks_at(format_args!("/dashboard/t/other/deliveries?webhook_id={webhook}"));
    assert_eq!((list.status, list.html.contains(id)), (200, false));
    for deed in ["retry", "cancel"] {
        assert_eq!(stranger.sends(format_args!("/deliveries/{id}/{deed}"), "").status(), 404);
    }
    assert_eq!(server.get(&format!("/v1/deliveries/{id}"))["attempts"], 1);
}

#[test]
fn each_signature_that_was_sent_is_explained() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let draft = |secret: &str| json!({ "url": receiver.url(), "events": ["*"], "secret": secret });
    let secrets = ["atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef", "own-secret", SECRET];
    let person = Person::at(&server);
    for secret in secrets {
        let webhook = server.create_webhook(&draft(secret));
        let body =
            json!({ "type": "code.merged", "timestamp": "2025-07-28T04:58:00.999Z", "data": 1 });
        let event = server.request("POST", "/v1/events", body.to_string().as_bytes()).json();
        let delivery = server.delivery(id(&event), 1);
        let sent = receiver.deliveries().pop().unwrap().request;
        let path = format!("/deliveries/{}", id(&delivery));
        let html = person.sees(&path);
        let signatures = sent.header("webhook-signature").split(' ').count();
        let hex = sent.header_values("x-autonoma-signature").count();
        assert_eq!(html.matches(">matches<").count(), signatures + hex, "{secret}");
        assert!(!html.contains(secret), "the secret is never shown");
        let page = text(&html);
        let (id_header, time) = (sent.header("webhook-id"), sent.header("webhook-timestamp"));
        assert!(page.contains(&format!("{id_header}.{time}.{}", sent.text())), "{page}");

        let rotate = format!("/v1/webhooks/{}/secret/rotate", id(&webhook));
        let rotated = server.request("POST", &rotate, b"{}");
        assert_eq!(rotated.status(), 200, "{}", rotated.text());
        let new = rotated.json()["secret"].as_str().unwrap().to_owned();
        let html = person.sees(&path);
        assert_eq!(html.matches(">matches<").count(), signatures + hex, "in its overlap: {secret}");
        assert!(html.contains(">not sent<") && html.contains("older, until "), "{secret}");
        assert!(!html.contains(&new) && !html.contains(secret));
        let reader = Person::of_tenant(&server, "default", "read");
        assert!(reader.sees(&path).contains("shown to those who may manage"), "{secret}");
        let gone = server.request("DELETE", &format!("/v1/webhooks/{}", id(&webhook)), b"");
        assert_eq!(gone.status(), 204, "{}", gone.text());
    }
}
