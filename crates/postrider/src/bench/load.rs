//! The publisher: so many connections, each publishing one event after the other.
//!
//! Flat out, an event is published when its connection is free. At a rate, events are due one by
//! one whatever became of those before; one that finds no connection free is late, and its latency
//! counts from when it was due, for that is when a user would have begun to wait.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::event::Template;
use super::ledger::Ledger;
use super::process::Child;
use super::webhooks::Webhooks;

/// What is published, and where.
pub(super) struct Load {
    to: SocketAddr,
    request: Template,
    webhooks: Webhooks,
    ledger: Arc<Ledger>,
}

/// The events of one run, shared by its connections.
struct Queue {
    next: AtomicUsize,
    events: Range<usize>,
    pace: Option<Pace>,
}

/// When events are due.
struct Pace {
    started: Instant,
    per_s: u32,
}

impl Load {
    /// `payload_bytes`: of each event's data.
    pub(super) fn new(
        child: &Child,
        ledger: Arc<Ledger>,
        webhooks: Webhooks,
        payload_bytes: usize,
    ) -> Self {
        let (to, key) = (child.address(), Child::key());
        let request = Template::new(payload_bytes, |body| request("/v1/events", to, key, body));
        Self { to, request, webhooks, ledger }
    }

    /// Publishes `events` over `connections`, flat out or so many per second; returns once all are
    /// accepted.
    pub(super) fn run(
        &self,
        connections: usize,
        events: Range<usize>,
        rate: Option<u32>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pace = rate.map(|per_s| Pace { started: Instant::now(), per_s });
        let queue = Arc::new(Queue { next: AtomicUsize::new(events.start), events, pace });
        runtime.block_on(async {
            let mut publishers = JoinSet::new();
            for _ in 0..connections {
                let publisher = publish(
                    self.to,
                    self.request.clone(),
                    self.webhooks,
                    queue.clone(),
                    self.ledger.clone(),
                );
                publishers.spawn(publisher);
            }
            while let Some(ended) = publishers.join_next().await {
                ended.context("a publisher panicked")??;
            }
            Ok(())
        })
    }
}

impl Queue {
    /// The next event, once it is due, and when its latency begins. `None`: all are taken.
    async fn next(&self) -> Option<(usize, Instant)> {
        let event = self.next.fetch_add(1, Ordering::Relaxed);
        if event >= self.events.end {
            return None;
        }
        let now = Instant::now();
        let Some(pace) = &self.pace else { return Some((event, now)) };
        let due = pace.due(event - self.events.start);
        if due <= now {
            return Some((event, due));
        }
        tokio::time::sleep_until(due.into()).await;
        // The timer's own lateness, up to a millisecond, is no latency of the server.
        Some((event, Instant::now()))
    }
}

impl Pace {
    fn due(&self, nth: usize) -> Instant {
        let nth = u64::try_from(nth).unwrap_or(u64::MAX);
        let nanos = u128::from(nth) * 1_000_000_000 / u128::from(self.per_s.max(1));
        self.started + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Registers a webhook at `receiver` for each of `webhooks`.
pub(super) fn register(
    server: SocketAddr,
    key: &str,
    receiver: SocketAddr,
    webhooks: Webhooks,
) -> anyhow::Result<()> {
    let concurrency = super::CONCURRENCY.div_ceil(webhooks.count());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        for webhook in 0..webhooks.count() {
            let event_type = super::event::event_type(webhooks.group_of_webhook(webhook));
            let body = format!(
                r#"{{"url":"http://{receiver}/{webhook}","events":["{event_type}"],"concurrency":{concurrency}}}"#
            );
            let request = request("/v1/webhooks", server, key, &body);
            exchange(&mut stream, &request, &mut buffer).await.context("registering a webhook")?;
        }
        Ok(())
    })
}

async fn publish(
    to: SocketAddr,
    mut request: Template,
    webhooks: Webhooks,
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to).await.context("connecting to publish")?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4 << 10);
    while let Some((event, since)) = queue.next().await {
        ledger.publish(event, since);
        let request = request.fill(event, webhooks.group_of_event(event));
        exchange(&mut stream, request, &mut buffer).await?;
    }
    Ok(())
}

/// One request and its answer, which must be a 2xx.
async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut Vec<u8>,
) -> anyhow::Result<()> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the connection was closed before an answer");
        }
        let Some(head_end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..head_end])?;
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if buffer.len() < head_end + 4 + length.parse::<usize>()? {
            continue;
        }
        if !head.starts_with("HTTP/1.1 2") {
            bail!("it was not accepted: {}", String::from_utf8_lossy(buffer));
        }
        return Ok(());
    }
}

fn request(path: &str, host: SocketAddr, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_at_a_rate_are_due_evenly_and_the_late_count_from_when_they_were_due() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let started = now.checked_sub(second).unwrap();
        let queue = Queue {
            next: AtomicUsize::new(5),
            events: 5..8,
            // two of the three were due before anyone came for them
            pace: Some(Pace { started, per_s: 2 }),
        };
        assert_eq!(queue.next().await, Some((5, started)));
        assert_eq!(queue.next().await, Some((6, started + second / 2)));
        let (event, since) = queue.next().await.unwrap();
        assert!(event == 7 && since >= now, "{event} {since:?}");
        assert_eq!(queue.next().await, None);
    }
}
