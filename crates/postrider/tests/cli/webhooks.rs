//! `webhook …`.

use serde_json::json;

use crate::program::{Program, id};
use crate::snapshot::stable;
use crate::support::server::TestServer;

const CREATE: [&str; 6] =
    ["webhook", "create", "--url", "http://127.0.0.1:9/in", "--events", "code.*,deployment.failed"];

#[test]
fn a_webhook_is_registered_shown_changed_and_removed() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let settings = [
        "--description",
        "for people",
        "--header",
        "X-Team: payments",
        "--timeout-ms",
        "2000",
        "--concurrency",
        "3",
        "--rate-limit",
        "7",
        "--retry-schedule",
        "0,60",
    ];
    let created = program.json(&[&CREATE[..], &settings].concat());
    insta::assert_snapshot!("webhook_create", stable(&created));
    let id = id(&created);

    let shown = program.json(&["webhook", "get", &id]);
    assert_eq!(shown["headers"], json!({"x-team": "***"}));
    let update = ["webhook", "update", &id, "--url", "http://127.0.0.1:8/", "--events", "*"];
    let clear = ["--clear", "description,header,timeout-ms,retry-schedule"];
    let updated = program.json(&[&update[..], &clear, &["--concurrency", "4"]].concat());
    insta::assert_snapshot!("webhook_update", stable(&updated));
    let text = program.text(&["webhook", "get", &id]);
    assert!(text.contains("url          http://127.0.0.1:8/\n"), "{text}");
    assert!(text.contains("concurrency  4\n") && !text.contains("description"), "{text}");

    assert_eq!(program.text(&["webhook", "delete", &id]), format!("deleted {id}\n"));
    for command in ["get", "delete"] {
        let told = program.refused(4, &["webhook", command, &id]);
        assert!(told.contains("(not_found)\nhint: check the id"), "{told}");
    }
}

#[test]
fn a_secret_is_shown_when_asked_for() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let created = program.json(&[&CREATE[..], &["--secret", "a secret of mine"]].concat());
    assert_eq!(created["profile"], "autonoma");
    let shown = program.text(&["webhook", "secret", "get", &id(&created)]);
    assert_eq!(shown, "secret  a secret of mine\n");
}

#[test]
fn what_the_server_refuses_is_told_by_place() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let told = program.refused(5, &["webhook", "create", "--url", "ftp://a", "--events", "a..b"]);
    assert!(told.contains("  /events/0: ") && told.contains("hint: mend the places"), "{told}");
    let told = program.refused(5, &[&CREATE[..], &["--profile", "nobody"]].concat());
    assert!(told.contains("/profile: there is no such profile"), "{told}");
}

#[test]
fn a_change_of_nothing_and_a_contradiction_are_usage_errors() {
    let program = Program::offline();
    let told = program.refused(2, &["webhook", "update", "wh_1"]);
    assert!(told.contains("there is nothing to change"), "{told}");
    let update = ["webhook", "update", "wh_1", "--description", "x", "--clear", "description"];
    let told = program.refused(2, &update);
    assert!(told.contains("description is both given and cleared"), "{told}");
    program.refused(2, &["webhook", "update", "wh_1", "--clear", "url"]);
    program.refused(2, &["webhook", "get", "../keys"]);
}
