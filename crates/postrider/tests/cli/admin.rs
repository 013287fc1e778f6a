//! `tenant …` and `key …`.

use serde_json::json;

use crate::program::{Program, id};
use crate::snapshot::stable;
use crate::support::server::TestServer;

#[test]
fn tenants_are_added_and_listed() {
    let server = TestServer::start();
    let program = Program::of(&server);
    insta::assert_snapshot!("tenant_create", stable(&program.json(&["tenant", "create", "acme"])));
    let names: Vec<_> =
        program.lines(&["tenant", "list"]).iter().map(|tenant| tenant["name"].clone()).collect();
    assert_eq!(names, [json!("default"), json!("acme")]);
    let told = program.refused(5, &["tenant", "create", "acme"]);
    assert!(told.contains("(conflict)"), "{told}");
    program.refused(2, &["tenant", "create", "../x"]);
}

#[test]
fn a_key_is_shown_once_and_ends_when_it_is_revoked() {
    let server = TestServer::start();
    let program = Program::of(&server);
    program.json(&["tenant", "create", "acme"]);
    let create = ["key", "create", "--scope", "read", "--tenant", "acme", "--expires-in", "1h"];
    let made = program.json(&[&create[..], &["--description", "for a dashboard"]].concat());
    insta::assert_snapshot!("key_create", stable(&made));
    let key = made["key"].as_str().expect("a key");
    assert_eq!(program.lines(&["webhook", "list", "--api-key", key]).len(), 0);
    let told = program.refused(3, &["key", "list", "--api-key", key]);
    assert!(told.contains("(forbidden)\nhint: use a key whose scope"), "{told}");

    let listed = program.lines(&["key", "list"]);
    let mine = listed.iter().find(|known| known["id"] == made["id"]).expect("it is listed");
    assert_eq!((&mine["tenant"], &mine["key"]), (&json!("acme"), &json!(null)));
    let id = id(&made);
    assert_eq!(program.text(&["key", "revoke", &id]), format!("revoked {id}\n"));
    let told = program.refused(3, &["webhook", "list", "--api-key", key]);
    assert!(told.contains("(unauthenticated)\nhint: check --api-key"), "{told}");
}

#[test]
fn an_admin_key_has_no_tenant() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let made = program.json(&["key", "create", "--scope", "admin", "--tenant", "default"]);
    assert_eq!(made["tenant"], json!(null));
}
