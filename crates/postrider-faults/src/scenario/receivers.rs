//! Receivers in every kind of disorder at once, beside one that is well. Then all are well.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::client::Api;
use crate::figures::Figures;
use crate::receiver::{Reply, Request};
use crate::rig::{Rig, STEADY};
use crate::until;

const PUBLISHERS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(10);
/// Requests that each disordered receiver must have met before all get well.
const MET: usize = 8;
/// The receiver that is well waits no longer than this for what is published to it.
const HEALTHY_MAX: Duration = Duration::from_secs(2);

type Disorder = fn() -> Reply;

/// Disorders that begin once the request is there, by path.
const ANSWERS: [(&str, Disorder); 12] = [
    ("/bad-reset", || Reply::Reset),
    ("/bad-reset-at", reset_at),
    ("/bad-cut", || Reply::CutHead),
    ("/bad-trickled-head", || Reply::TrickleHead),
    ("/bad-trickled-body", || Reply::TrickleBody(200)),
    ("/bad-endless-head", || Reply::EndlessHead),
    ("/bad-silent", || Reply::Silent),
    ("/bad-garbage", || Reply::Raw("SSH-2.0-OpenSSH_9.6\r\n\r\n")),
    ("/bad-status", || Reply::Raw("HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n")),
    ("/bad-framing", || Reply::Raw("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")),
    ("/bad-length", || Reply::Raw("HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\nshort")),
    ("/bad-redirect", || Reply::AnswerWith(308, "location".to_owned(), "/bad-redirect".to_owned())),
];

/// Each byte of an answer in turn.
fn reset_at() -> Reply {
    static BYTES: AtomicUsize = AtomicUsize::new(0);
    Reply::ResetAt(BYTES.fetch_add(1, Ordering::SeqCst) % 80)
}

/// All of them at once under load; the figures say what the checker found.
pub async fn run(program: &Path, seed: u64) -> Figures {
    let mut rig = Rig::new(program, seed).await;
    rig.launch = rig.launch.clone().flags(&["--attempt-timeout-seconds", "1"]);
    let process = rig.launch.start_reachable().await;
    let api = process.api;
    let type_ = ["proof.even"];
    for (path, _) in ANSWERS {
        rig.register(api, path, &type_, json!({"concurrency": 2})).await;
    }
    let mut elsewhere = Vec::new();
    let refusing = refused().await;
    let unspoken = Unspoken::start().await;
    for (path, url) in [
        ("/refused", format!("http://{refusing}/")),
        ("/bad-tls", format!("https://{}/", unspoken.address)),
        ("/no-tls", format!("https://{}/", rig.receiver.address)),
    ] {
        let more = json!({"url": url, "concurrency": 2});
        elsewhere.push((path, rig.register(api, path, &type_, more).await));
    }
    rig.receiver.behave(disordered);
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    for (path, _) in ANSWERS {
        rig.delivered(path, MET).await;
        healthy_is_served(&rig).await;
    }
    for (path, webhook) in &elsewhere {
        until(path, async || has_failed(api, webhook).await.then_some(())).await;
        api.patch_webhook(webhook, &json!({"url": rig.url(path)})).await;
    }
    rig.conclude_with(process, publishers, None).await
}

fn disordered(request: &Request) -> Reply {
    let found = ANSWERS.iter().find(|(path, _)| *path == request.path);
    found.map_or(Reply::Answer(200), |(_, reply)| reply())
}

/// What is published now reaches the receiver that is well, soon.
async fn healthy_is_served(rig: &Rig) {
    let began = Instant::now();
    let event = rig.publish("proof.odd").await;
    let at = |requests: &[std::sync::Arc<Request>]| {
        requests.iter().any(|request| request.path == STEADY && request.id() == event)
    };
    rig.receiver.until(at).await;
    let took = began.elapsed();
    assert!(took < HEALTHY_MAX, "a receiver that is well waited {took:?}");
}

/// Whether attempts of a webhook have failed without an answer.
async fn has_failed(api: Api, webhook: &str) -> bool {
    let page = api.get(&format!("/v1/webhooks/{webhook}/attempts")).await;
    page["data"].as_array().unwrap().iter().any(|attempt| !attempt["error"].is_null())
}

/// An address where nobody listens.
async fn refused() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Answers a TLS greeting with an alert, and nothing else.
struct Unspoken {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Unspoken {
    async fn start() -> Self {
        /// Fatal, `handshake_failure` (RFC 8446 §6).
        const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut greeting = [0; 512];
                // whoever greets may hang up
                let _ = stream.read(&mut greeting).await;
                let _ = stream.write_all(&ALERT).await;
            }
        });
        Self { address, accepting: accepting.abort_handle() }
    }
}

impl Drop for Unspoken {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
