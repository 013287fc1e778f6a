//! Proof: whatever is asked, the API answers as its `OpenAPI` document says, and never with a fault
//! of its own.
//!
//! Schemathesis reads the document of a running server and tries every route with what the document
//! allows and with what it doesn't: no 5xx, no status, content type, header or body that is not in
//! the document, nothing accepted that it forbids, nobody let in without a key. The requests are
//! the same in every run.

mod support;

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};
use support::receiver::Receiver;
use support::server::{KEY, TestServer};
use support::third_party::environment;

/// Requests to each route, in each phase that makes them up.
const EXAMPLES_MAX: &str = "40";
/// Seconds that one request may take.
const REQUEST_SECONDS_MAX: &str = "20";

/// What each route finds something by: routes, the name of what stands in their paths, its value.
struct Seeds(Vec<(&'static str, &'static str, String)>);

impl Seeds {
    /// Makes one thing of each kind. What is deleted is for that alone, so that the other routes
    /// find theirs.
    fn make(server: &TestServer, receiver: &Receiver) -> Self {
        let webhook = || server.webhook(&receiver.url(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let made = |target: &str, body: &Value| {
            let answer = server.request("POST", target, body.to_string().as_bytes());
            assert!(answer.status() < 300, "{target}: {}", answer.text());
            answer.json()
        };
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        let kept = webhook();
        let event = server.publish("code.generated", r#"{"files":3}"#);
        let delivery = text(&server.delivery(&event, 1)["id"]);
        made("/v1/tenants", &json!({ "name": "leaving" }));
        made("/v1/event-types", &json!({ "name": "own.type" }));
        let key = text(&made("/v1/keys", &json!({ "scope": "read" }))["id"]);
        let replay = format!("/v1/webhooks/{kept}/replay");
        let replay = text(&made(&replay, &json!({ "since": "2020-01-01T00:00:00Z" }))["id"]);
        Self(vec![
            ("/v1/webhooks/", "id", kept.clone()),
            ("/v1/replays/", "id", replay),
            ("/v1/events/", "id", event),
            ("/v1/deliveries/", "id", delivery),
            ("/v1/keys/", "id", key),
            ("/v1/tenants/", "name", "leaving".to_owned()),
            ("/v1/listen/", "webhook_id", kept),
            ("/v1/event-types/", "name", "own.type".to_owned()),
            ("DELETE /v1/webhooks/", "id", webhook()),
        ])
    }

    /// The settings of Schemathesis that say so; later ones go before.
    fn settings(&self) -> String {
        let mut settings =
            "parameters = { \"header.Postrider-Tenant\" = \"default\" }\n\n".to_owned();
        for (routes, name, value) in self.0.iter().rev() {
            let (method, path) = routes.split_once(' ').unwrap_or(("", routes));
            let method = if method.is_empty() {
                String::new()
            } else {
                format!("include-method = {method:?}\n")
            };
            write!(
                settings,
                "[[operations]]\ninclude-path-regex = \"^{path}\"\n{method}\
                 parameters = {{ \"path.{name}\" = {value:?} }}\n\n"
            )
            .expect("a text takes what is written");
        }
        settings
    }
}

#[test]
fn the_api_answers_as_its_document_says() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let seeds = Seeds::make(&server, &receiver);
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("schemathesis.toml"), seeds.settings())
        .expect("the settings can be written");
    let output = Command::new(environment("openapi/bin/schemathesis"))
        .arg("run")
        .arg(format!("{}/openapi.json", server.url()))
        .args(["--header", &format!("Authorization: Bearer {KEY}")])
        // its answer has no end
        .args(["--exclude-path", "/v1/listen"])
        .args(["--phases", "examples,coverage,fuzzing"])
        // what a schema can't say, such as which secret goes with which profile, is refused too
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        .args(["--max-examples", EXAMPLES_MAX, "--generation-deterministic"])
        .args(["--request-timeout", REQUEST_SECONDS_MAX, "--no-color"])
        .current_dir(folder.path())
        .env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path().join("hypothesis"))
        .output()
        .expect("Schemathesis starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
