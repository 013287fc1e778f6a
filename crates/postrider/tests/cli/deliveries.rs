//! `delivery …`.

use crate::program::Program;
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

/// A delivery whose one attempt failed, and its server.
fn failed(server: &TestServer, receiver: &Receiver) -> String {
    receiver.script([Answer::Status(500)]);
    let draft = serde_json::json!({"url": receiver.url(), "events": ["*"], "retry_schedule": [0]});
    server.create_webhook(&draft);
    let event = server.publish("code.generated", "{}");
    let delivery = server.delivery(&event, 1);
    delivery["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_delivery_is_shown_with_what_happened_and_what_to_do() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let id = failed(&server, &receiver);
    let text = program.text(&["delivery", "get", &id]);
    assert!(text.contains("state        failed\n"), "{text}");
    assert!(text.contains("attempt 1") && text.contains("500"), "{text}");
    assert!(text.contains("receiver"), "the mend: {text}");
    let shown = program.json(&["delivery", "get", &id]);
    assert_eq!(shown["history"][0]["status"], 500);
}

#[test]
fn a_delivery_is_retried_at_once() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let id = failed(&server, &receiver);
    let retried = program.json(&["delivery", "retry", &id]);
    assert_eq!(retried["id"], id);
    receiver.wait_for(2);
    server.wait_for(&format!("/v1/deliveries/{id}"), |delivery| delivery["state"] == "succeeded");
    let told = program.refused(4, &["delivery", "retry", "dlv_none"]);
    assert!(told.contains("hint: check the id"), "{told}");
}

#[test]
fn a_retry_says_which() {
    let program = Program::offline();
    for args in [
        &[][..],
        &["dlv_1", "--all"],
        &["dlv_1", "--webhook", "wh_1"],
        &["dlv_1", "--dry-run"],
        &["--all", "--dry-run", "--wait"],
        &["--status-class", "9xx"],
    ] {
        program.refused(2, &[&["delivery", "retry"], args].concat());
    }
}

#[test]
fn deliveries_are_found_by_the_class_of_their_last_error() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let gone = failed(&server, &receiver);
    let nobody = serde_json::json!({
        "url": "http://127.0.0.1:9/", "events": ["code.merged"], "retry_schedule": [0]
    });
    server.create_webhook(&nobody);
    let event = server.publish("code.merged", "{}");
    server.wait_for(&format!("/v1/events/{event}/deliveries"), |page| {
        page["data"].as_array().is_some_and(|all| all.iter().all(|one| one["state"] != "pending"))
    });
    let found = program.lines(&["delivery", "list", "--error-class", "connect_refused"]);
    assert_eq!(found.len(), 1);
    assert_ne!(found[0]["id"], gone);
    program.refused(5, &["delivery", "list", "--error-class", "no-such-class"]);
}
