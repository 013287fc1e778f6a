//! Too few file descriptors, too little memory.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::figures::Figures;
use crate::receiver::Reply;
use crate::rig::{Rig, STEADY};
use crate::until;

const PAUSE: Duration = Duration::from_millis(5);
/// A server at rest has about half of them open.
const DESCRIPTORS: &str = "ulimit -n 40";
/// Address space, which is several times of what is in use.
const MEMORY: &str = "ulimit -v 700000";
/// Publishers, who need a connection each.
const MANY: u64 = 30;
/// Where attempts hang as long as the shortage lasts.
const HANGING: &str = "/hanging";
const BIG_BYTES: usize = 500_000;
const BIG_EVENTS: usize = 400;

/// More connections than there are descriptors, in and out; when they are given back, all goes on.
pub async fn descriptors(program: &Path, seed: u64) -> Figures {
    let mut rig = Rig::new(program, seed).await;
    let launch = rig.launch.clone().limit(DESCRIPTORS);
    let process = launch.start_reachable().await;
    for number in 0..4 {
        let path = format!("{HANGING}{number}");
        rig.register(process.api, &path, &["proof.even"], json!({})).await;
    }
    rig.receiver.behave(|request| {
        if request.path.starts_with(HANGING) { Reply::Held(200) } else { Reply::Answer(200) }
    });
    let publishers = rig.publishers(MANY, PAUSE);
    let is_short = || process.log().contains("cannot accept connections");
    until("descriptors run out", async || is_short().then_some(())).await;
    rig.receiver.behave(|_| Reply::Answer(200));
    rig.receiver.release();
    publishers.end().await;
    let publishers = rig.publishers(2, PAUSE);
    rig.delivered(STEADY, 20).await;
    rig.conclude_with(process, publishers, None).await
}

/// Big events to receivers that hang: the server bounds what it holds, or is killed by the limit and
/// goes on with more memory; either way nothing is lost. Whether it lived is said.
pub async fn memory(program: &Path, seed: u64) -> (Figures, bool) {
    let mut rig = Rig::new(program, seed).await;
    let api = rig.api();
    let mut life = rig.start(&rig.launch);
    life.process.reachable().await;
    api.create_webhook(&json!({"url": rig.url("/big"), "events": ["big.*"]})).await;
    rig.kill(life).await;
    let mut life = rig.start(&rig.launch.clone().limit(MEMORY));
    life.process.reachable().await;
    rig.receiver.behave(
        |request| {
            if request.path == "/big" { Reply::Held(200) } else { Reply::Answer(200) }
        },
    );
    let publishers = rig.publishers(2, PAUSE);
    let big = json!({"type": "big.happened", "data": "x".repeat(BIG_BYTES)}).to_string();
    for _ in 0..BIG_EVENTS {
        let Ok(mut open) = crate::client::Line::open(api.address).await else { break };
        if open.call("POST", "/v1/events", &big).await.is_err() {
            break;
        }
    }
    let is_alive = life.process.has_ended().is_none();
    if is_alive {
        rig.delivered(STEADY, 20).await;
        return (rig.conclude_with(life.process, publishers, None).await, true);
    }
    rig.receiver.behave(|_| Reply::Answer(200));
    rig.receiver.release();
    rig.until_dead(life, "too little memory", |status| !status.success()).await;
    (rig.conclude(publishers).await, false)
}
