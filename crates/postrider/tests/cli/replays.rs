//! Many deliveries at once: bulk retries and replays, on a terminal and without.

use serde_json::{Value, json};

use crate::program::{Program, id};
use crate::snapshot::stable;
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

/// A webhook whose deliveries of so many events failed for good.
pub(crate) fn with_failures(server: &TestServer, receiver: &Receiver, count: usize) -> String {
    receiver.script(std::iter::repeat_n(Answer::Status(503), count));
    let draft = json!({"url": receiver.url(), "events": ["*"], "retry_schedule": [0]});
    let webhook = server.create_webhook(&draft);
    for _ in 0..count {
        let event = server.publish("code.generated", "{}");
        server.deliveries(&event, |delivery| delivery["state"] == "failed");
    }
    id(&webhook)
}

fn count(server: &TestServer, state: &str) -> usize {
    let page = server.get(&format!("/v1/deliveries?state={state}&limit=250"));
    page["data"].as_array().expect("a list").len()
}

#[test]
fn what_failed_is_counted_then_retried_and_waited_for() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let webhook = with_failures(&server, &receiver, 3);
    let retry = ["delivery", "retry", "--webhook", &webhook, "--status-class", "5xx"];
    let counted = program.json(&[&retry[..], &["--dry-run"]].concat());
    assert_eq!(counted, json!({"count": 3, "is_more": false}));
    assert_eq!(count(&server, "failed"), 3, "nothing was changed");
    let none = program.json(&[&retry[..4], &["--status-class", "4xx", "--dry-run"]].concat());
    assert_eq!(none["count"], 0);

    let ran = program.run(&[&retry[..], &["--wait", "--output", "json"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), "retry 3 deliveries\n"));
    let replay: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&replay["state"], &replay["replayed"]), (&json!("done"), &json!(3)));
    receiver.wait_for(6);
    server.wait_for("/v1/deliveries?state=succeeded", |page| {
        page["data"].as_array().is_some_and(|it| it.len() == 3)
    });
}

#[test]
fn a_webhook_gets_again_what_it_got() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let webhook = server.webhook(&receiver.url(), "a secret");
    let event = server.publish("code.generated", "{}");
    server.deliveries(&event, |delivery| delivery["state"] == "succeeded");
    let replay = ["webhook", "replay", &webhook, "--since", "1h", "--states", "succeeded"];
    let ran = program.run(&[&replay[..], &["--types", "code.*", "--wait", "--yes"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("replayed     1\n"), "{}", ran.out);
    receiver.wait_for(2);
    let dry = program.json(&[&replay[..], &["--types", "deployment.*", "--dry-run"]].concat());
    assert_eq!(dry["count"], 0);

    let listed = program.lines(&["replay", "list", "--webhook", &webhook]);
    assert_eq!(listed.len(), 1);
    insta::assert_snapshot!("replay", stable(&listed[0]));
    let shown = program.json(&["replay", "get", &id(&listed[0]), "--wait"]);
    assert_eq!(shown["state"], "done");
    let told = program.refused(5, &["replay", "cancel", &id(&listed[0])]);
    assert!(told.contains("(conflict)"), "{told}");
    program.refused(4, &["replay", "get", "rpl_none"]);
}

#[test]
fn what_was_missed_is_offered_when_a_webhook_is_enabled() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let webhook = server.webhook(&receiver.url(), "a secret");
    program.json(&["webhook", "disable", &webhook]);
    server.publish("code.generated", "{}");
    let ran = program.run(&["webhook", "enable", &webhook]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.starts_with("it missed 1 event while it was disabled"), "{}", ran.err);
    let command = ran.err.lines().nth(1).expect("the command that sends them").trim();
    let command = command.strip_prefix("postrider ").expect("the program's name first");
    assert!(command.ends_with(" --states failed,cancelled,missed"), "{command}");
    let words: Vec<&str> = command.split_whitespace().chain(["--yes", "--wait"]).collect();
    program.text(&words);
    receiver.wait_for(1);
}

#[test]
fn a_test_event_is_sent_to_one_webhook_and_known_for_a_test() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let create = ["webhook", "create", "--url", &receiver.url(), "--events", "deployment.*"];
    let webhook = id(&program.json(&create));
    let sent = program.json(&["webhook", "test", &webhook]);
    assert!(sent["event"]["id"].as_str().expect("an id").starts_with("test_"), "{sent}");
    let arrived = receiver.wait_for(1).remove(0).request;
    assert!(arrived.text().contains(r#""type":"deployment."#), "{}", arrived.text());
    let own = ["webhook", "test", &webhook, "--type", "code.merged", "--data", r#"{"a":1.50}"#];
    let text = program.text(&own);
    assert!(text.contains("code.merged") && text.contains("delivery_id  dlv_"), "{text}");
    let arrived = receiver.wait_for(2).remove(1).request;
    assert!(arrived.text().contains(r#""data":{"a":1.50}"#), "{}", arrived.text());
}

#[test]
fn a_delivery_is_given_up() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    receiver.script([Answer::Status(500)]);
    server.webhook(&receiver.url(), "a secret");
    let delivery = server.delivery(&server.publish("code.generated", "{}"), 1);
    let id = id(&delivery);
    let cancelled = program.json(&["delivery", "cancel", &id]);
    assert_eq!(cancelled["state"], "cancelled");
    let told = program.refused(5, &["delivery", "cancel", &id]);
    assert!(told.contains("(conflict)"), "{told}");
    let text = program.text(&["delivery", "get", &id]);
    assert!(text.contains("cancelled  ") && text.contains("attempt 1"), "{text}");
}

#[test]
fn attempts_show_what_was_sent_and_what_came_back() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    with_failures(&server, &receiver, 1);
    let delivery = id(&program.lines(&["delivery", "list"])[0]);
    let attempts = program.lines(&["delivery", "attempts", &delivery]);
    assert_eq!((attempts.len(), &attempts[0]["status"]), (1, &json!(503)));
    let body = attempts[0]["request"]["body"].as_str().expect("a body");
    assert!(body.contains(r#""type":"code.generated""#), "{body}");
    let text = program.text(&["delivery", "attempts", &delivery]);
    let heading = "NUMBER  STARTED AT                IS MANUAL  ADDRESS";
    assert!(text.starts_with(heading) && text.contains("503"), "{text}");
}

#[test]
fn deliveries_and_events_are_found_by_what_they_are() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let webhook = with_failures(&server, &receiver, 2);
    let event = server.publish("deployment.failed", "{}");
    server.deliveries(&event, |delivery| delivery["state"] == "succeeded");
    for (args, expected) in [
        (&[][..], 3),
        (&["--state", "failed"], 2),
        (&["--event-type", "deployment.*"], 1),
        (&["--status-class", "5xx"], 2),
        (&["--webhook", &webhook, "--after", "1h"], 3),
        (&["--before", "1h"], 0),
        (&["--event", &event], 1),
    ] {
        let found = program.lines(&[&["delivery", "list"], args].concat());
        assert_eq!(found.len(), expected, "{args:?}");
    }
    for (args, expected) in [
        (&["--type", "code.*"][..], 2),
        (&["--type", "deployment.failed"], 1),
        (&["--id-prefix", "evt_"], 3),
        (&["--id-prefix", "mine"], 0),
    ] {
        let found = program.lines(&[&["event", "list"], args].concat());
        assert_eq!(found.len(), expected, "{args:?}");
    }
    let text = program.text(&["delivery", "list", "--state", "failed"]);
    assert!(text.contains("code.generated") && text.contains("503"), "{text}");
}
