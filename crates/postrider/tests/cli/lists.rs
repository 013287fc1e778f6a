//! Lists go on over pages, and each form of output holds all of them.

use crate::program::Program;
use crate::support::server::TestServer;

#[test]
fn a_list_follows_its_cursors() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let batch: Vec<_> = (0..260)
        .map(|n| serde_json::json!({"type": "code.generated", "id": format!("e{n}"), "data": n}))
        .collect();
    std::fs::write(program.home().join("batch.json"), serde_json::json!(batch).to_string())
        .expect("a file");
    program.json(&["event", "send", "--batch", "batch.json"]);

    let all = program.run(&["event", "list", "--all", "--output", "ndjson"]);
    assert_eq!((all.out.lines().count(), all.err.as_str()), (260, ""));
    let all = program.json(&["event", "list", "--all"]);
    assert_eq!(all["data"].as_array().expect("a list").len(), 260);
    assert!(all["next_cursor"].is_null());
    let table = program.run(&["event", "list", "--limit", "255"]);
    assert_eq!(table.out.lines().count(), 256, "a heading and 255 rows");
    assert!(table.err.starts_with("there is more: --all, or --cursor "), "{}", table.err);

    let some = program.json(&["event", "list", "--limit", "258"]);
    let cursor = some["next_cursor"].as_str().expect("there is more");
    let rest = program.lines(&["event", "list", "--cursor", cursor]);
    let ids: Vec<_> = rest.iter().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["e1", "e0"]);
}

#[test]
fn a_reader_that_has_enough_ends_a_list_without_an_error() {
    let server = TestServer::start();
    let program = Program::of(&server);
    program.json(&["event", "send", "code.generated", "--data", "1"]);
    let mut list = program.command(&["event", "list", "--output", "ndjson"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = list.stdout(writer).output().expect("the program starts");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(0), "")
    );
}

#[test]
fn bounds_are_checked_where_they_are_given() {
    let program = Program::offline();
    for args in [&["--limit", "0"][..], &["--limit", "x"], &["--limit", "5", "--all"]] {
        program.refused(2, &[&["webhook", "list"], args].concat());
    }
}
