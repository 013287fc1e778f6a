//! Replays: counting first, watching, stopping.

use serde_json::json;

use crate::person::{Person, leads_to, text};
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;
use crate::webhooks::form;

/// More than a replay moves on before its receiver has come to those before.
const EVENTS: usize = 1_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_replay_is_counted_before_it_begins() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let webhook = server.webhook(&receiver.url(), SECRET);
    for n in 0..2 {
        let event = server.publish("code.generated", &n.to_string());
        server.deliveries(&event, |row| row["state"] == "succeeded");
    }
    let person = Person::at(&server);
    let count = |query: &str| {
        text(&person.sees(format_args!("/webhooks/{webhook}/replay?count=yes&{query}")))
    };
    assert!(count("states=succeeded&span=1h").contains("2\u{a0}deliveries to send"));
    assert!(count("states=succeeded&types=task.*").contains("Nothing to send"));
    assert!(count("states=failed&states=missed").contains("Nothing to send"));
    assert!(count("").contains("name at least one state"));
    assert!(count("states=lost&types=a..b").contains("This was not done"));
    assert_eq!(receiver.deliveries().len(), 2, "counting sends nothing");
    assert_eq!(server.get("/v1/replays")["data"], json!([]));
}

#[test]
fn a_running_replay_is_stopped() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let webhook = server.create_webhook(&json!({
        "url": receiver.url(), "events": ["*"], "concurrency": 1,
    }));
    let webhook = webhook["id"].as_str().unwrap();
    server.request("POST", &format!("/v1/webhooks/{webhook}/disable"), b"");
    let event = json!({ "type": "code.generated", "data": null });
    let missed = json!(vec![event; EVENTS]).to_string();
    assert_eq!(server.request("POST", "/v1/events", missed.as_bytes()).status(), 202);
    server.request("POST", &format!("/v1/webhooks/{webhook}/enable"), b"");
    // the receiver takes one and keeps it, so that the replay can't come to its end
    receiver.script([Answer::Held(204)]);
    let person = Person::at(&server);
    let sent = form(&[("span", "1h"), ("states", "missed")]);
    let started = leads_to(&person.sends(format_args!("/webhooks/{webhook}/replay"), &sent));
    let path = started.split('?').next().unwrap();
    let html = person.sees(path);
    assert!(html.contains("<progress") && html.contains("data-live"), "{html}");
    let stopped = person.sends(format_args!("{path}/cancel"), "");
    assert_eq!(leads_to(&stopped), format!("{path}?notice=replay-cancelled"));
    assert!(text(&person.sees(path)).contains("stopped"));
    let again = person.sends(format_args!("{path}/cancel"), "");
    assert_eq!(again.status(), 409, "it is over");
}

#[test]
fn a_replay_of_another_tenant_is_not_there() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let webhook = server.webhook(&receiver.url(), SECRET);
    let person = Person::at(&server);
    let sent = form(&[("span", "1h"), ("states", "failed")]);
    let started = leads_to(&person.sends(format_args!("/webhooks/{webhook}/replay"), &sent));
    let path = started.split('?').next().unwrap();
    let stranger = Person::of_tenant(&server, "acme", "manage");
    assert_eq!(stranger.looks_at(format_args!("/dashboard/t/acme{path}")).status, 404);
    for unknown in ["/replays/x", "/replays/rpl_0000000000001"] {
        assert_eq!(person.status_of(unknown), 404, "{unknown}");
    }
}
