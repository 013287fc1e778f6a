//! The commands that Autonoma published register webhooks as they stand (wire contract §4).

mod support;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::server::{KEY, TestServer};

const WITH_CURL: &str = r#"curl -X POST https://HOST/v1/webhooks -H "Authorization: Bearer KEY" -d '{"url": "https://your-domain.com/webhooks/autonoma", "events": ["code.generated", "deployment.completed"], "secret": "your-webhook-secret"}'"#;

const WITH_CLI: &str = "autonoma webhook create --url https://your-domain.com/webhooks/autonoma --events code.generated,deployment.completed --secret your-webhook-secret";

#[test]
fn the_published_curl_command_registers_a_webhook() {
    let server = TestServer::start();
    let command = WITH_CURL.replace("https://HOST", &server.url()).replace("KEY", KEY);
    let output = shell(&command, &server, None);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("curl shows the answer");
    assert_eq!(answer["secret"], "your-webhook-secret", "{answer}");
    assert_registered(&server, &answer["id"]);
}

#[test]
fn the_published_autonoma_command_registers_a_webhook() {
    let server = TestServer::start();
    let bin = tempfile::tempdir().expect("a temporary folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_postrider"), bin.path().join("autonoma"))
        .expect("links can be made");
    shell(WITH_CLI, &server, Some(bin.path()));
    let id = &server.get("/v1/webhooks")["data"][0]["id"];
    assert_registered(&server, id);
}

#[test]
fn the_same_commands_with_a_wrong_key_register_nothing() {
    let server = TestServer::start();
    let command = WITH_CURL.replace("https://HOST", &server.url());
    let output = shell(&command, &server, None);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("curl shows the answer");
    assert_eq!((&answer["status"], &answer["code"]), (&json!(401), &json!("unauthenticated")));
    assert_eq!(server.get("/v1/webhooks")["data"], json!([]));
}

fn assert_registered(server: &TestServer, id: &Value) {
    let webhooks = server.get("/v1/webhooks");
    let [webhook] = webhooks["data"].as_array().expect("a list").as_slice() else {
        panic!("one webhook is registered: {webhooks}");
    };
    assert_eq!(webhook["id"], *id);
    assert_eq!(webhook["url"], "https://your-domain.com/webhooks/autonoma");
    assert_eq!(webhook["events"], json!(["code.generated", "deployment.completed"]));
    assert_eq!(webhook["profile"], "autonoma");
    assert_eq!(webhook["state"], "enabled");
    let id = id.as_str().expect("an id");
    let secret = server.get(&format!("/v1/webhooks/{id}/secret"));
    assert_eq!(secret["secret"], "your-webhook-secret");
}

/// Runs a command as a person would, with `bin` first in the path; it must succeed.
fn shell(command: &str, server: &TestServer, bin: Option<&Path>) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = bin.map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-c", command])
        .env("PATH", std::env::join_paths(folders).expect("folders without colons"))
        .env("POSTRIDER_URL", server.url())
        .env("POSTRIDER_API_KEY", KEY)
        .output()
        .expect("a shell starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{}: {said}", output.status);
    output
}
