//! `event …`.

use serde_json::json;

use crate::program::{Program, id};
use crate::snapshot::stable;
use crate::support::server::TestServer;

#[test]
fn an_event_is_published_listed_and_shown() {
    let server = TestServer::start();
    let program = Program::of(&server);
    program.json(&[
        "webhook",
        "create",
        "--url",
        "http://127.0.0.1:9/",
        "--events",
        "deployment.*",
    ]);
    let send = ["event", "send", "code.generated", "--data", r#"{"files":3}"#, "--id", "mine-1"];
    let send = [&send[..], &["--timestamp", "2026-01-31T12:00:00Z"]].concat();
    let published = program.json(&send);
    insta::assert_snapshot!("event_send", stable(&published));
    let text = program.text(&send);
    assert!(text.contains("no webhook wants it; `event get mine-1` says why"), "{text}");

    let listed = program.lines(&["event", "list"]);
    assert_eq!(listed.len(), 1);
    insta::assert_snapshot!("event_list", stable(&json!(listed)));
    let shown = program.json(&["event", "get", "mine-1"]);
    insta::assert_snapshot!("event_get", stable(&shown));
    let text = program.text(&["event", "get", "mine-1"]);
    assert!(text.contains("data       {\"files\":3}"), "{text}");
    assert!(text.contains("type_not_wanted"), "{text}");
    let told = program.refused(4, &["event", "get", "mine-2"]);
    assert!(told.contains("hint: check the id"), "{told}");
}

#[test]
fn the_same_id_with_other_content_is_refused() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let send = |data: &str| {
        ["event", "send", "code.generated", "--id", "a", "--data", data].map(str::to_owned)
    };
    let run = |args: [String; 7]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        program.run(&args)
    };
    assert_eq!(run(send("1")).code, Some(0));
    assert_eq!(run(send("1")).code, Some(0));
    let refused = run(send("2"));
    assert_eq!(refused.code, Some(5));
    assert!(refused.err.contains("(id_conflict)"), "{}", refused.err);
}

#[test]
fn events_are_listed_by_when_they_were_accepted() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let sent = program.json(&["event", "send", "code.generated", "--data", "1"]);
    assert_eq!(program.lines(&["event", "list", "--after", "1h"])[0]["id"], id(&sent));
    assert_eq!(program.lines(&["event", "list", "--before", "1h"]).len(), 0);
    let told = program.refused(2, &["event", "list", "--after", "yesterday"]);
    assert!(told.contains("RFC 3339") && told.contains("how long ago"), "{told}");
}
