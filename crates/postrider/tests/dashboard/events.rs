//! Events in a list, and one of them.

use serde_json::json;

use crate::person::{Person, text};
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn the_list_says_how_the_deliveries_of_each_event_stand() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    receiver.script([Answer::Status(204), Answer::Status(500)]);
    server.webhook(&receiver.url(), SECRET);
    let done = server.publish("code.generated", "1");
    server.delivery(&done, 1);
    let retried = server.publish("code.merged", "1");
    server.delivery(&retried, 1);
    let person = Person::at(&server);
    let page = text(&person.sees("/events"));
    assert!(page.contains("1 succeeded") && page.contains("1 retrying"), "{page}");
    assert!(page.find(&retried) < page.find(&done), "newest first");
    assert_eq!(person.status_of("/events?type=code.gen*"), 422);
    let filtered = text(&person.sees("/events?type=code.generated"));
    assert!(filtered.contains(&done) && !filtered.contains(&retried), "{filtered}");
    let filtered = text(&person.sees(format_args!("/events?id_prefix={retried}")));
    assert!(!filtered.contains(&done) && filtered.contains(&retried), "{filtered}");
    let none = text(&person.sees("/events?after=2999-01-01T00%3A00"));
    assert!(none.contains("No event is like this"), "{none}");
}

#[test]
fn an_event_is_found_by_its_publishers_id_and_by_its_key() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let wants = server.webhook(&receiver.url(), SECRET);
    let other = server.create_webhook(&json!({ "url": receiver.url(), "events": ["a.b"] }));
    let body = json!({ "type": "code.merged", "id": "own-1", "data": { "n": [1] } }).to_string();
    let accepted =
        server.request("POST", "/v1/events", body.replace("[1]", "[1.50,1e3]").as_bytes());
    assert_eq!(accepted.status(), 202, "{}", accepted.text());
    let delivery = server.delivery("own-1", 1);
    let person = Person::at(&server);
    let page = text(&person.sees("/events/own-1"));
    assert!(page.contains("[\n    1.50,\n    1e3\n  ]"), "as it was published: {page}");
    for told in ["Occurred", "Accepted", "Attempt 1", "All deliveries final", "it wants *"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    for id in [&wants, other["id"].as_str().unwrap(), delivery["id"].as_str().unwrap()] {
        assert!(page.contains(id), "{id}: {page}");
    }
    assert!(page.contains("none of its patterns matched code.merged"), "{page}");
    let (key, _) = delivery["id"].as_str().unwrap().trim_start_matches("dlv_").split_at(13);
    assert!(text(&person.sees(format_args!("/events/evt_{key}"))).contains("own-1"));
    let exact = text(&person.sees("/events/own-1?body=exact"));
    assert!(exact.contains("\"data\":{\"n\":[1.50,1e3]}}"), "{exact}");
    let hex = text(&person.sees("/events/own-1?body=hex"));
    assert!(hex.contains("000000  7b 22 69 64 22 3a"), "{hex}");
    for missing in ["/events/own-2", "/events/evt_zzzzzzzzzzzzz", "/events/%00", "/events/a.b"] {
        assert_eq!(person.status_of(missing), 404, "{missing}");
    }
}

#[test]
fn an_event_that_nobody_wants_says_so() {
    let server = TestServer::start();
    let event = server.publish("code.merged", "1");
    let person = Person::at(&server);
    assert!(text(&person.sees("/events")).contains("nobody wants it"));
    let page = text(&person.sees(format_args!("/events/{event}")));
    assert!(page.contains("No webhook gets this event"), "{page}");
    assert!(page.contains("the tenant had no webhooks"), "{page}");
}

#[test]
fn an_event_of_another_tenant_is_not_there() {
    let server = TestServer::start();
    let event = server.publish("code.merged", "\"of the default tenant\"");
    let stranger = Person::of_tenant(&server, "other", "read");
    for path in ["/dashboard/t/default/events", "/dashboard/t/other/events"] {
        let one = stranger.looks_at(format_args!("{path}/{event}"));
        assert_eq!(one.status, 404, "{path}");
        let list = stranger.looks_at(path);
        assert!(!list.html.contains(&event), "{}", list.html);
    }
    assert_eq!(stranger.looks_at("/dashboard/t/other/events").status, 200);
}
