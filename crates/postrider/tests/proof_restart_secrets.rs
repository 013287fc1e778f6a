//! Proof: secrets are nowhere in clear: not in the files of a data directory, not in logs at
//! their loudest, not in the bodies of errors.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::path::Path;

use postrider_faults::client::{ADMIN_KEY, Api};
use postrider_faults::process::own_address;
use postrider_faults::receiver::{Receiver, Reply};
use postrider_faults::until;
use proof::process;
use serde_json::{Value, json};

const TEXT_SECRET: &str = "a-secret-that-nobody-may-read-3f9c";
const CHANGED_SECRET: &str = "the-secret-that-came-after-it-77b1";
/// `whsec_` and the base64 of the bytes below.
const STANDARD_SECRET: &str = "whsec_c2VjcmV0LWJ5dGVzLW5vYm9keS1tYXktcmVhZC14eXo=";
const STANDARD_BYTES: &str = "secret-bytes-nobody-may-read-xyz";
const AUTOMA_SECRET: &str = "atma_whsec_QmFzZTY0TG9va2luZ1NlY3JldFRoYXROb2JvZHlNYXlSZWFk";
const HEADER_VALUE: &str = "Basic token-of-a-gateway-5d0e";
/// Given where it can't be taken.
const REFUSED_SECRET: &str = "whsec_this is no base64, but somebody's secret";

fn secrets() -> Vec<&'static str> {
    vec![
        TEXT_SECRET,
        CHANGED_SECRET,
        STANDARD_SECRET.strip_prefix("whsec_").unwrap(),
        STANDARD_BYTES,
        AUTOMA_SECRET.strip_prefix("atma_whsec_").unwrap(),
        HEADER_VALUE,
        "somebody's secret",
        ADMIN_KEY,
    ]
}

/// Which of the secrets stand in `bytes`.
fn found_in(bytes: &[u8]) -> Vec<&'static str> {
    let is_in = |secret: &&str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    secrets().into_iter().filter(|secret| is_in(secret)).collect()
}

/// Looks into every file; returns how many bytes there were.
fn check_files(directory: &Path) -> usize {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        let found = found_in(&content);
        assert!(found.is_empty(), "{} holds {found:?}", path.display());
        bytes += content.len();
    }
    bytes
}

/// Asks for something that is refused, and looks into the answer.
async fn refused(api: Api, method: &str, path: &str, body: &Value, status: u16) {
    let answer = api.call(method, path, &body.to_string()).await;
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    let found = found_in(answer.text.as_bytes());
    assert!(found.is_empty(), "{method} {path} answers with {found:?}: {}", answer.text);
}

#[tokio::test]
async fn secrets_stand_nowhere_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| Reply::Answer(500)).await;
    let flags = ["--log-level", "trace"];
    let server = process::start_reachable(dir.path(), own_address(), &flags).await;
    let api = server.api;
    let mut webhooks = Vec::new();
    for secret in [TEXT_SECRET, STANDARD_SECRET, AUTOMA_SECRET] {
        let webhook = json!({
            "url": receiver.url(), "events": ["proof.*"], "secret": secret,
            "headers": {"authorization": HEADER_VALUE},
        });
        webhooks.push(api.create_webhook(&webhook).await);
    }
    for _ in 0..3 {
        api.publish("proof.published").await;
    }
    let requests = receiver.until(|requests| requests.len() == 9).await;
    let is_sent = |request: &&std::sync::Arc<postrider_faults::receiver::Request>| {
        request.header("authorization") == Some(HEADER_VALUE)
    };
    assert!(requests.iter().all(|request| is_sent(&request)), "the header goes to the receiver");

    let url = receiver.url();
    let hook = format!("/v1/webhooks/{}", webhooks[0]);
    let bad_url = json!({"url": "nonsense", "events": ["*"], "secret": TEXT_SECRET});
    refused(api, "POST", "/v1/webhooks", &bad_url, 422).await;
    let bad_secret = json!({"url": url, "events": ["*"], "secret": REFUSED_SECRET});
    refused(api, "POST", "/v1/webhooks", &bad_secret, 422).await;
    let bad_profile =
        json!({"url": url, "events": ["*"], "profile": "standard", "secret": TEXT_SECRET});
    refused(api, "POST", "/v1/webhooks", &bad_profile, 422).await;
    let bad_header = json!({"headers": {"webhook-id": HEADER_VALUE}});
    refused(api, "PATCH", &hook, &bad_header, 422).await;
    let misplaced = json!({"secret": {"text": TEXT_SECRET}, "sekret": CHANGED_SECRET});
    refused(api, "PATCH", &hook, &misplaced, 422).await;
    api.patch_webhook(&webhooks[0], &json!({"secret": CHANGED_SECRET})).await;

    // what is shown of webhooks and attempts, but for the route whose purpose is the secret
    for path in ["/v1/webhooks".to_owned(), hook.clone(), format!("{hook}/attempts")] {
        let found = found_in(api.get(&path).await.to_string().as_bytes());
        assert!(found.is_empty(), "{path} shows {found:?}");
    }
    let shown = api.get(&format!("{hook}/secret")).await;
    assert_eq!(shown["secret"], CHANGED_SECRET);

    // recorded, so that the outcomes too are in the files
    let recorded = async || (api.all(&format!("{hook}/attempts")).await.len() == 3).then_some(());
    until("the attempts are recorded", recorded).await;
    assert!(check_files(dir.path()) > 0, "while the server runs, with its log of writes");
    server.terminate();
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");
    assert!(check_files(dir.path()) > 0);
    assert!(log.len() > 1_000, "a loud log: {log}");
    let found = found_in(log.as_bytes());
    assert!(found.is_empty(), "the log holds {found:?}");
}
