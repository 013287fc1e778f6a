//! One webhook: what its page shows, and what is done there.

use serde_json::{Value, json};

use crate::person::{Person, leads_to, text};
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;
use crate::webhooks::form;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn its_page_shows_charts_deliveries_and_settings() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    receiver.script([Answer::Status(503)]);
    let webhook = server.webhook(&receiver.url(), SECRET);
    let delivery = server.delivery(&server.publish("code.generated", "{}"), 1);
    let person = Person::at(&server);
    let html = person.sees(format_args!("/webhooks/{webhook}?range=1h"));
    let page = text(&html);
    for expected in [
        &receiver.url(),
        "Attempts",
        "Response time",
        "Answers",
        "1 attempts have failed in a row",
        "it is disabled",
        "503 server_error",
        "code.generated",
        "at once, 5\u{a0}s",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    let id = delivery["id"].as_str().unwrap();
    assert!(html.contains(&format!("/deliveries/{id}\"")), "{html}");
    assert!(html.contains(&format!("/deliveries?webhook_id={webhook}")), "{html}");
    assert_eq!(person.status_of(format_args!("/webhooks/{webhook}?range=2h")), 422);
    for unknown in ["/webhooks/wh_0000000000001", "/webhooks/x"] {
        assert_eq!(person.status_of(unknown), 404, "{unknown}");
    }
}

#[test]
fn a_test_of_a_chosen_type_leads_to_its_delivery() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let webhook = server.webhook(&receiver.url(), SECRET);
    let person = Person::at(&server);
    let sent = person.sends(format_args!("/webhooks/{webhook}/test"), "type=deployment.failed");
    assert!(leads_to(&sent).starts_with("/deliveries/dlv_"), "{}", leads_to(&sent));
    let arrived = receiver.wait_for(1).remove(0).request;
    assert!(arrived.header("webhook-id").starts_with("test_"));
    assert_eq!(arrived.json()["type"], "deployment.failed");
    let refused = person.sends(format_args!("/webhooks/{webhook}/test"), "type=a..b");
    assert_eq!(refused.status(), 422);
}

#[test]
fn a_disabled_webhook_says_why_and_what_it_missed_is_counted_and_sent() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let webhook = server.webhook(&receiver.url(), SECRET);
    let person = Person::at(&server);
    let path = format!("/webhooks/{webhook}");
    let disabled = person.sends(format_args!("{path}/disable"), "");
    assert_eq!(leads_to(&disabled), format!("{path}?notice=disabled"));
    let page = text(&person.sees(&path));
    assert!(page.contains("Disabled since") && page.contains("somebody disabled it"), "{page}");
    for n in 0..3 {
        server.publish("code.generated", &n.to_string());
    }

    let enabled = person.sends(format_args!("{path}/enable"), "");
    let asked = leads_to(&enabled);
    assert_eq!(server.get(&format!("/v1{path}"))["state"], "enabled");
    let html = person.sees(&asked);
    assert!(text(&html).contains("3\u{a0}deliveries to send"), "{html}");
    assert_eq!(receiver.deliveries().len(), 0, "nothing is sent unless it is asked for");

    let hidden = |name: &str| {
        let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let sent = form(&[
        ("since", &hidden("since")),
        ("until", &hidden("until")),
        ("states", "missed"),
        ("of", "3"),
    ]);
    let started = leads_to(&person.sends(format_args!("{path}/replay"), &sent));
    assert!(started.starts_with("/replays/rpl_") && started.contains("of=3"), "{started}");
    receiver.wait_for(3);
    let replay = started.split(['/', '?']).nth(2).unwrap();
    server.wait_for(&format!("/v1/replays/{replay}"), |replay| replay["state"] == "done");
    let page = text(&person.sees(&started));
    assert!(page.contains("done") && page.contains("3\u{a0}deliveries sent once more"), "{page}");
    assert!(person.sees(&path).contains(replay), "its page lists it");
}

#[test]
fn disabling_cancels_what_is_pending_where_that_is_wanted() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    receiver.script([Answer::Status(503)]);
    let webhook = server.webhook(&receiver.url(), SECRET);
    let event = server.publish("code.generated", "{}");
    server.delivery(&event, 1);
    let person = Person::at(&server);
    person.sends(format_args!("/webhooks/{webhook}/disable"), "cancel_pending=yes");
    assert_eq!(server.delivery(&event, 1)["state"], "cancelled");
}

#[test]
fn a_receiver_that_is_gone_is_told_of() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    receiver.script([Answer::Status(410)]);
    let webhook = server.webhook(&receiver.url(), SECRET);
    server.publish("code.generated", "{}");
    let gone = |view: &Value| view["disabled_reason"] == "gone";
    server.wait_for(&format!("/v1/webhooks/{webhook}"), gone);
    let page = text(&Person::at(&server).sees(format_args!("/webhooks/{webhook}")));
    assert!(page.contains("answered 410 Gone") && page.contains("disabled: gone"), "{page}");
}

#[test]
fn a_secret_is_replaced_with_an_overlap_whose_end_is_shown() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let webhook = server.webhook(&receiver.url(), SECRET);
    let person = Person::at(&server);
    let path = format!("/webhooks/{webhook}");
    assert!(person.sees(format_args!("{path}/rotate")).contains("goes on signing for"));
    let rotated = person.sends(format_args!("{path}/rotate"), "secret_kind=same&overlap_s=3600");
    assert_eq!(rotated.status(), 200);
    let secret = server.get(&format!("/v1{path}/secret"))["secret"].as_str().unwrap().to_owned();
    assert!(secret != SECRET && rotated.text().contains(&secret), "{}", rotated.text());
    assert!(text(rotated.text()).contains("signs too until"), "{}", rotated.text());
    assert!(text(&person.sees(&path)).contains("signs too until"));
    server.publish("code.generated", "{}");
    let arrived = receiver.wait_for(1).remove(0).request;
    assert_eq!(arrived.header("webhook-signature").split(' ').count(), 2, "both sign");

    let weak = form(&[("secret_kind", "own"), ("secret", "whsec_AAAA"), ("overlap_s", "0")]);
    let refused = person.sends(format_args!("{path}/rotate"), &weak);
    assert_eq!(refused.status(), 422);
    assert!(refused.text().contains("id=\"secret-fault\""), "{}", refused.text());
    let refused = person.sends(format_args!("{path}/rotate"), "overlap_s=999999999");
    assert!(refused.text().contains("id=\"overlap_s-fault\""), "{}", refused.text());
}

#[test]
fn a_deleted_webhook_is_gone() {
    let server = TestServer::start();
    let webhook = server.create_webhook(&json!({ "url": "http://127.0.0.1:1/", "events": ["*"] }));
    let path = format!("/webhooks/{}", webhook["id"].as_str().unwrap());
    let person = Person::at(&server);
    let deleted = person.sends(format_args!("{path}/delete"), "");
    assert_eq!(leads_to(&deleted), "/webhooks?notice=deleted");
    assert_eq!(person.status_of(&path), 404);
}
