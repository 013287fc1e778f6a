//! Proof: a sealing key can be replaced, and the old one goes for good.

use std::path::Path;

use postrider_faults::process::{Launch, Process, own_address};
use postrider_faults::receiver::{Receiver, Reply};
use postrider_faults::until;
use serde_json::json;

const OLD: &str = "b2xkIHNlYWxpbmcga2V5IG9mIDMyIGJ5dGVzLi4uLi4=";
const NEW: &str = "bmV3IHNlYWxpbmcga2V5IG9mIDMyIGJ5dGVzLi4uLi4=";
const SECRET: &str = "a-secret-that-outlives-its-sealing-key";

async fn start(data_dir: &Path, sealing: &str, old: Option<&str>) -> Process {
    let program = Path::new(env!("CARGO_BIN_EXE_postrider"));
    let launch =
        Launch::new(program, data_dir, own_address()).variable("POSTRIDER_SEALING_KEY", sealing);
    match old {
        Some(old) => launch.variable("POSTRIDER_OLD_SEALING_KEYS", old),
        None => launch,
    }
    .start_reachable()
    .await
}

async fn stop(server: Process) {
    server.terminate();
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn what_an_old_key_sealed_is_sealed_anew_and_the_old_key_can_go() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| Reply::Answer(200)).await;
    let server = start(dir.path(), OLD, None).await;
    let webhook = json!({
        "url": receiver.url(), "events": ["proof.*"], "secret": SECRET,
        "headers": {"x-gateway": "a value that is sealed too"},
    });
    let webhook = server.api.create_webhook(&webhook).await;
    let path = format!("/v1/webhooks/{webhook}");
    let created = server.api.get(&path).await;
    stop(server).await;

    let server = start(dir.path(), NEW, Some(OLD)).await;
    let is_said = async || server.log().contains("older sealing keys can go").then_some(());
    until("the log says that the old key can go", is_said).await;
    assert_eq!(server.api.get(&path).await, created, "nothing else of the webhook is changed");
    stop(server).await;

    let server = start(dir.path(), NEW, None).await;
    let shown = server.api.get(&format!("{path}/secret")).await;
    assert_eq!(shown["secret"], SECRET);
    server.api.publish("proof.published").await;
    let requests = receiver.until(|requests| requests.len() == 1).await;
    assert_eq!(requests[0].header("x-gateway"), Some("a value that is sealed too"));
    assert!(!server.log().contains("sealed anew"), "there is nothing left to do");
    stop(server).await;
}
