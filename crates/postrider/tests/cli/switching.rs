//! Webhooks and tenants that come and go: enabling, disabling, secrets, narrowing, removing.

use serde_json::json;

use crate::program::{Program, id};
use crate::snapshot::stable;
use crate::support::server::TestServer;

fn create(program: &Program, more: &[&str]) -> serde_json::Value {
    let create = ["webhook", "create", "--url", "http://127.0.0.1:9/in", "--events", "code.*"];
    program.json(&[&create[..], more].concat())
}

#[test]
fn a_webhook_is_disabled_and_enabled() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let id = id(&create(&program, &[]));
    let disabled = program.json(&["webhook", "disable", &id]);
    assert_eq!(
        (&disabled["state"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("requested"))
    );
    let text = program.text(&["webhook", "get", &id]);
    assert!(text.contains("disabled_reason  requested\n"), "{text}");
    let enabled = program.json(&["webhook", "enable", &id]);
    assert_eq!((&enabled["state"], &enabled["disabled_at"]), (&json!("enabled"), &json!(null)));
}

#[test]
fn disabling_cancels_what_is_pending_when_it_is_told_to() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let receiver = crate::support::receiver::Receiver::start();
    receiver.script([crate::support::receiver::Answer::Status(500)]);
    let webhook = server.webhook(&receiver.url(), "a secret");
    let event = server.publish("code.generated", "{}");
    server.delivery(&event, 1);
    program.json(&["webhook", "disable", &webhook, "--cancel-pending"]);
    let delivery = server.delivery(&event, 1);
    assert_eq!(delivery["state"], "cancelled");
}

#[test]
fn a_secret_is_rotated() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let created = create(&program, &[]);
    let id = id(&created);
    let rotated = program.json(&["webhook", "secret", "rotate", &id, "--overlap", "1h"]);
    insta::assert_snapshot!("secret_rotate", stable(&rotated));
    assert_ne!(rotated["secret"], created["secret"]);
    let shown = program.json(&["webhook", "secret", "get", &id]);
    assert_eq!(shown["secret"], rotated["secret"]);
    let mine = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let rotate = ["webhook", "secret", "rotate", &id, "--secret", mine, "--overlap", "0s"];
    let text = program.text(&rotate);
    assert!(text.contains(mine) && text.contains("live_secrets  "), "{text}");
    let told = program.refused(5, &["webhook", "secret", "rotate", &id, "--overlap", "8d"]);
    assert!(told.contains("/overlap_s"), "{told}");
    program.refused(2, &["webhook", "secret", "rotate", &id, "--overlap", "soon"]);
}

#[test]
fn a_webhook_can_sign_with_an_ed25519_key() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let created = create(&program, &["--signing-key", "ed25519"]);
    assert!(created["secret"].as_str().expect("a secret").starts_with("whsk_"));
    let shown = program.text(&["webhook", "secret", "get", &id(&created)]);
    assert!(shown.contains("public_key  whpk_"), "{shown}");
}

#[test]
fn webhooks_are_found_by_state_event_type_and_url() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let first = id(&create(&program, &["--metadata", "team=payments", "--metadata", "tier=1"]));
    let other = ["webhook", "create", "--url", "http://127.0.0.1:9/Other", "--events", "*"];
    let second = id(&program.json(&other));
    program.json(&["webhook", "disable", &second]);
    let found = |args: &[&str]| -> Vec<String> {
        program.lines(&[&["webhook", "list"], args].concat()).iter().map(id).collect()
    };
    assert_eq!(found(&["--state", "enabled"]), [first.as_str()]);
    assert_eq!(found(&["--state", "disabled"]), [second.as_str()]);
    assert_eq!(found(&["--event-type", "deployment.failed"]), [second.as_str()]);
    assert_eq!(found(&["--url", "/other"]), [second.as_str()]);
    assert_eq!(found(&["--url", "nowhere"]).len(), 0);
    let shown = program.json(&["webhook", "get", &first]);
    assert_eq!(shown["metadata"], json!({"team": "payments", "tier": "1"}));
    let cleared = program.json(&["webhook", "update", &first, "--clear", "metadata"]);
    assert_eq!(cleared["metadata"], json!({}));
}

#[test]
fn a_tenant_is_removed_with_what_it_has() {
    let server = TestServer::start();
    let program = Program::of(&server);
    program.json(&["tenant", "create", "acme"]);
    let webhook = id(&create(&program, &["--tenant", "acme"]));
    let key = program.json(&["key", "create", "--scope", "read", "--tenant", "acme"]);
    assert_eq!(program.text(&["tenant", "delete", "acme", "--yes"]), "deleted acme\n");
    program.refused(4, &["webhook", "get", &webhook, "--tenant", "acme"]);
    program.refused(3, &["webhook", "list", "--api-key", key["key"].as_str().expect("a key")]);
    program.refused(4, &["tenant", "delete", "acme"]);
    let told = program.refused(5, &["tenant", "delete", "default"]);
    assert!(told.contains("(conflict)"), "{told}");
}
