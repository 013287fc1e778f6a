//! A receiver that does as little as can be done: reads requests, notes which delivery each is,
//! and answers as its webhook's receiver is meant to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::event::{number_in, webhook_in};
use super::ledger::Ledger;
use super::webhooks::Behaviour;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// Listens on loopback for as long as the benchmark's process lives.
pub(super) struct Receiver {
    address: SocketAddr,
}

/// One request, as far as it concerns the benchmark.
struct Received {
    length: usize,
    event: Option<usize>,
    webhook: Option<usize>,
}

impl Receiver {
    /// Notes in `ledger` what arrives.
    pub(super) fn start(ledger: Arc<Ledger>) -> anyhow::Result<Self> {
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").context("binding the receiver")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { accept(TcpListener::from_std(listener)?, ledger).await })
        });
        Ok(Self { address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, ledger: Arc<Ledger>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream, ledger.clone()));
    }
}

async fn answer(mut stream: TcpStream, ledger: Arc<Ledger>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        if let Some(received) = first_request(&buffer) {
            buffer.drain(..received.length);
            match ledger.behaviour(received.webhook) {
                Behaviour::Healthy => {
                    ledger.arrive(received.event, received.webhook);
                    stream.write_all(OK).await?;
                }
                Behaviour::Failing => {
                    ledger.arrive_unhealthy();
                    stream.write_all(FAILED).await?;
                }
                Behaviour::Hanging => ledger.arrive_unhealthy(),
            }
        } else if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// The first request in `buffer`, once it is whole.
fn first_request(buffer: &[u8]) -> Option<Received> {
    let head_end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..head_end]).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let length = head_end + length.parse::<usize>().ok()?;
    let body = buffer.get(head_end..length)?;
    Some(Received { length, event: number_in(body), webhook: webhook_in(head) })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::super::webhooks::Webhooks;
    use super::*;

    fn request(webhook: usize, event: usize) -> String {
        let body = format!(r#"{{"data":{{"n":"{event:012}"}}}}"#);
        let length = body.len();
        format!("POST /{webhook} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}")
    }

    #[test]
    fn what_arrives_is_noted_before_it_is_answered_and_answered_as_its_receiver_would() {
        let webhooks = Webhooks { fan_out: 2, groups: 1, failing: 1, hanging: 0 };
        let ledger = Arc::new(Ledger::new(webhooks, 2));
        (0..2).for_each(|event| ledger.publish(event, Instant::now()));
        let receiver = Receiver::start(ledger.clone()).unwrap();
        let mut stream = TcpStream::connect(receiver.address()).unwrap();
        let mut exchange = |webhook, event, answer: &[u8]| {
            stream.write_all(request(webhook, event).as_bytes()).unwrap();
            let mut got = vec![0; answer.len()];
            stream.read_exact(&mut got).unwrap();
            assert_eq!(got, answer, "webhook {webhook}, event {event}");
        };
        exchange(0, 0, OK);
        exchange(0, 0, OK);
        exchange(1, 0, FAILED);
        exchange(7, 0, OK);
        assert_eq!((ledger.delivered(), ledger.duplicates(), ledger.strays()), (1, 1, 1));
        assert_eq!(ledger.unhealthy_attempts(), 1);
    }
}
