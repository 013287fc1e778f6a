//! `verify`, on the store of a server that runs and of one that has ended.

use std::path::Path;

use postrider::clock::Clock;
use serde_json::Value;

use crate::program::Program;
use crate::support::server::TestServer;

const PAGE_BYTES: usize = 8_192;

fn verify<'a>(data: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let data = data.to_str().expect("a UTF-8 path");
    [&["verify", "--data-dir", data], more].concat()
}

#[test]
fn the_store_of_a_running_server_is_in_order() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let server = TestServer::start_in(data.path(), Clock::system(), &[]);
    let program = Program::of(&server);
    program.json(&["webhook", "create", "--url", "http://127.0.0.1:9/", "--events", "code.*"]);
    program.json(&["trigger", "code.generated"]);
    let told = program.text(&verify(data.path(), &[]));
    let line = |what: &str| told.lines().any(|line| line.trim() == what);
    assert!(line("1 events") && line("1 deliveries") && line("0 violations"), "{told}");
    let told = program.text(&verify(data.path(), &["--json"]));
    let looked: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(looked["checked"]["webhooks"], 1, "{looked}");
    assert_eq!(looked["violations"], Value::Array(vec![]));
}

#[test]
fn a_damaged_store_is_told_of_and_ends_with_1() {
    let data = tempfile::tempdir().expect("a temporary folder");
    drop(TestServer::start_in(data.path(), Clock::system(), &[]));
    let program = Program::offline();
    program.text(&verify(data.path(), &[]));
    let database = data.path().join("postrider.db");
    let mut bytes = std::fs::read(&database).expect("a file");
    bytes[PAGE_BYTES..].fill(0x5a);
    std::fs::write(&database, bytes).expect("a file");
    let ran = program.run(&verify(data.path(), &[]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("violations") && ran.out.contains("malformed"), "{ran:?}");
    let ran = program.run(&verify(data.path(), &["--json"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let looked: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert!(looked["violations"][0]["meaning"].is_string(), "{looked}");
}

#[test]
fn where_there_is_no_store_nothing_is_looked_at() {
    let program = Program::offline();
    let told = program.refused(2, &["verify"]);
    assert!(told.contains("there is no store in ./postrider-data"), "{told}");
    assert!(!program.home().join("postrider-data").exists());
}
