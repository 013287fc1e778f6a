//! `event-type …`, `filter test`, `trigger` and `event explain`.

use serde_json::{Value, json};

use crate::program::Program;
use crate::snapshot::stable;
use crate::support::server::TestServer;

#[test]
fn an_event_type_is_added_changed_archived_and_taken_back() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let schema = r#"{"type":"object","required":["amount"]}"#;
    std::fs::write(program.home().join("schema.json"), schema).expect("a file");
    let create = ["event-type", "create", "invoice.paid", "--description", "paid in full"];
    let more =
        ["--schema", "@schema.json", "--example", r#"{"amount":1900}"#, "--validation", "reject"];
    let created = program.json(&[&create[..], &more, &["--large-integers", "stringify"]].concat());
    insta::assert_snapshot!("event_type", stable(&created));
    let told = program.refused(5, &["event", "send", "invoice.paid", "--data", "{}"]);
    assert!(told.contains("/data"), "{told}");

    let update = ["event-type", "update", "invoice.paid", "--validation", "warn"];
    let updated = program.json(&[&update[..], &["--clear", "description"]].concat());
    assert_eq!((&updated["validation"], &updated["description"]), (&json!("warn"), &Value::Null));
    let text = program.text(&["event", "send", "invoice.paid", "--data", "{}"]);
    assert!(text.contains("warnings"), "{text}");

    program.json(&["event-type", "archive", "invoice.paid"]);
    let told = program.refused(5, &["event", "send", "invoice.paid", "--data", "{}"]);
    assert!(told.contains("archived_event_type"), "{told}");
    let names = |args: &[&str]| -> Vec<Value> {
        let listed = program.lines(&[&["event-type", "list"], args].concat());
        listed.iter().map(|event_type| event_type["name"].clone()).collect()
    };
    assert!(!names(&[]).contains(&json!("invoice.paid")));
    assert!(names(&["--include-archived"]).contains(&json!("invoice.paid")));
    assert_eq!(names(&[]).len(), 16, "the built-in ones");
    program.json(&["event-type", "unarchive", "invoice.paid"]);
    assert!(names(&[]).contains(&json!("invoice.paid")));

    let told = program.refused(5, &create);
    assert!(told.contains("(conflict)"), "{told}");
    program.refused(4, &["event-type", "get", "invoice.unpaid"]);
    program.refused(2, &["event-type", "update", "invoice.paid"]);
    program.refused(2, &["event-type", "get", "../keys"]);
}

#[test]
fn a_realistic_example_of_every_built_in_type_can_be_sent() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let types = program.lines(&["event-type", "list"]);
    for event_type in &types {
        let name = event_type["name"].as_str().expect("a name");
        let sent = program.json(&["trigger", name]);
        assert_eq!(sent["type"], name);
        let shown = program.json(&["event", "get", sent["id"].as_str().expect("an id")]);
        assert_eq!(shown["data"], event_type["example"]);
    }
}

#[test]
fn an_example_is_changed_where_it_is_told() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let trigger = ["trigger", "code.generated", "--override", "data.repository=acme/api"];
    let more =
        ["--override", "data.extra.severity=high", "--override", "data.count=3", "--id", "mine"];
    let dry = program.json(&[&trigger[..], &more, &["--dry-run"]].concat());
    assert_eq!((&dry["type"], &dry["id"]), (&json!("code.generated"), &json!("mine")));
    program.refused(4, &["event", "get", "mine"]);
    program.json(&[&trigger[..], &more].concat());
    let data = program.json(&["event", "get", "mine"])["data"].clone();
    assert_eq!(data, dry["data"]);
    assert_eq!((&data["repository"], &data["count"]), (&json!("acme/api"), &json!(3)));
    assert_eq!(data["extra"], json!({"severity": "high"}));
    let told = program.refused(4, &["trigger", "no.such.type"]);
    assert!(told.contains("hint: `event-type list` shows"), "{told}");
    let told = program.refused(2, &["trigger", "code.generated", "--override", "severity=high"]);
    assert!(told.contains("only members of data"), "{told}");
}

#[test]
fn a_filter_is_tried_and_what_it_says_is_explained() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let filter = r#"data.severity == "high""#;
    let create = ["webhook", "create", "--url", "http://127.0.0.1:9/", "--events", "*"];
    let webhook = program.json(&[&create[..], &["--filter", filter]].concat());
    assert_eq!(webhook["filter"], filter);
    program.json(&[
        "event",
        "send",
        "code.generated",
        "--id",
        "low",
        "--data",
        r#"{"severity":"low"}"#,
    ]);

    let tried = |more: &[&str]| program.json(&[&["filter", "test", filter], more].concat());
    assert_eq!(tried(&["--event", "low"])["matches"], false);
    let high = ["--type", "code.generated", "--data", r#"{"severity":"high"}"#];
    assert_eq!(tried(&high), json!({"matches": true, "error": null}));
    let odd = tried(&["--type", "code.generated", "--data", "{}"]);
    assert!(odd["matches"] == false && odd["error"].is_string(), "{odd}");
    let told = program.refused(5, &["filter", "test", "data.severity ==", "--event", "low"]);
    assert!(told.contains("/filter: "), "{told}");
    program.refused(2, &["filter", "test", filter]);

    let text = program.text(&["event", "explain", "low"]);
    assert!(text.contains("filter_said_no"), "{text}");
    let explained = program.json(&["event", "explain", "low"]);
    assert_eq!(explained["unmatched_counts"]["filter_said_no"], 1);
    program.refused(4, &["event", "explain", "none"]);
}
