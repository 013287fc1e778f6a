//! A receiver's answer: all bytes that come back over a connection before it is closed.
//!
//! The sender reads from sockets alone, and asks the kernel about them, so a socket it gets: one
//! listener on loopback for each thread, for as long as the thread lives.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider::send::limits::{KEPT_OF_HEADERS_BYTES, RETRY_AFTER_BYTES_MAX};
use postrider::send::{Identity, Request, RequestHead, Sender, SenderOptions, Sent, StaticHosts};
use postrider_core::address::AddressPolicy;
use postrider_core::delivery::{Answer, AttemptResult, ErrorClass};
use postrider_core::limits::{KEPT_OF_FAILURE_BYTES, KEPT_OF_SUCCESS_BYTES};
use postrider_core::retry_after::RetryAfter;
use postrider_core::target::{Target, TargetPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::NOW_MS;

/// Never reached: the connection is closed long before.
const DEADLINE: Duration = Duration::from_secs(30);

thread_local! {
    static RECEIVER: RefCell<Option<Receiver>> = const { RefCell::new(None) };
}

/// Whatever comes back, the attempt ends by itself and keeps no more than it may.
pub fn answer(bytes: &[u8]) {
    let sent = RECEIVER
        .with_borrow_mut(|receiver| receiver.get_or_insert_with(Receiver::start).answer(bytes));
    match &sent.result {
        AttemptResult::Answered(answer) => kept(answer),
        AttemptResult::Broke { class, detail, answer } => {
            let is_of_the_answer =
                matches!(class, ErrorClass::Reset | ErrorClass::Truncated | ErrorClass::Protocol);
            assert!(is_of_the_answer, "{class:?}: {detail}");
            answer.iter().for_each(kept);
        }
    }
    if let Some(value) = &sent.retry_after {
        assert!(value.len() <= RETRY_AFTER_BYTES_MAX && value.is_ascii(), "{value:?}");
        let _ = RetryAfter::parse(value, NOW_MS);
    }
}

fn kept(answer: &Answer) {
    assert!((200..600).contains(&answer.status), "{}", answer.status);
    let is_success = (200..300).contains(&answer.status);
    let kept_max = if is_success { KEPT_OF_SUCCESS_BYTES } else { KEPT_OF_FAILURE_BYTES };
    assert!(answer.body.len() <= kept_max);
    let headers: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(headers <= KEPT_OF_HEADERS_BYTES);
}

struct Receiver {
    runtime: Runtime,
    listener: TcpListener,
    sender: Sender,
    target: Arc<Target>,
    /// Who sends: a new one each time, so that no connection is used again.
    identity: u64,
}

impl Receiver {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let listener =
            runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let policy = TargetPolicy {
            allow_http: true,
            networks: AddressPolicy {
                danger_allow_networks: vec!["127.0.0.1".parse().expect("a network")],
                ..AddressPolicy::default()
            },
            ..TargetPolicy::default()
        };
        let target = Target::parse(&format!("http://{address}/"), &policy).expect("an open URL");
        let resolver = Arc::new(StaticHosts::new(HashMap::new(), None));
        let mut options = SenderOptions::new(policy, resolver);
        options.idle_time = Duration::ZERO;
        let sender = Sender::new(options).expect("no root certificates are added");
        Self { runtime, listener, sender, target: Arc::new(target), identity: 0 }
    }

    /// Sends one request, and answers it with these bytes and a close.
    fn answer(&mut self, bytes: &[u8]) -> Sent {
        self.identity += 1;
        let request = Request {
            target: self.target.clone(),
            head: RequestHead::post(&self.target).expect("a plain URL"),
            body: Bytes::from_static(b"{}"),
            deadline: DEADLINE,
            identity: Identity(self.identity),
        };
        let answered = async {
            let (mut stream, _) = self.listener.accept().await.ok()?;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n{}") {
                (stream.read_buf(&mut request).await.ok()? > 0).then_some(())?;
            }
            // the sender may have read enough and hung up
            stream.write_all(bytes).await.ok()?;
            stream.shutdown().await.ok()
        };
        let sent = self.runtime.block_on(async {
            let (sent, _) = tokio::join!(self.sender.send(request), answered);
            sent
        });
        self.sender.sweep_idle();
        sent
    }
}
