//! The publisher: so many connections, each publishing one event after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is published, and where.
pub(super) struct Load {
    to: SocketAddr,
    request: Arc<[u8]>,
}

impl Load {
    /// `payload`: bytes of each event's data.
    pub(super) fn new(to: SocketAddr, key: &str, payload: usize) -> Self {
        let text = "x".repeat(payload.saturating_sub(r#"{"note":""}"#.len()));
        let body = format!(r#"{{"type":"bench.event","data":{{"note":"{text}"}}}}"#);
        Self { to, request: request("/v1/events", to, key, &body).into() }
    }

    /// Publishes `events` over `connections`; returns once all are accepted.
    pub(super) fn run(&self, connections: usize, events: usize) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let left = Arc::new(AtomicUsize::new(events));
        runtime.block_on(async {
            let mut publishers = JoinSet::new();
            for _ in 0..connections {
                publishers.spawn(publish(self.to, self.request.clone(), left.clone()));
            }
            while let Some(ended) = publishers.join_next().await {
                ended.context("a publisher panicked")??;
            }
            Ok(())
        })
    }
}

/// Registers a webhook for everything at `receiver`.
pub(super) fn register(
    server: SocketAddr,
    key: &str,
    receiver: SocketAddr,
    concurrency: usize,
) -> anyhow::Result<()> {
    let body =
        format!(r#"{{"url":"http://{receiver}/","events":["*"],"concurrency":{concurrency}}}"#);
    let request = request("/v1/webhooks", server, key, &body);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stream = TcpStream::connect(server).await?;
        exchange(&mut stream, &request, &mut Vec::new()).await
    })
}

async fn publish(to: SocketAddr, request: Arc<[u8]>, left: Arc<AtomicUsize>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to).await.context("connecting to publish")?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4 << 10);
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        .is_ok()
    {
        exchange(&mut stream, &request, &mut buffer).await?;
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
            bail!("an event was not accepted: {}", String::from_utf8_lossy(buffer));
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
