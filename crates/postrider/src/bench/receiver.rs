//! A receiver that does as little as can be done: reads requests, answers 200, counts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Listens on loopback for as long as the benchmark's process lives.
pub(super) struct Receiver {
    address: SocketAddr,
    count: Arc<AtomicU64>,
}

impl Receiver {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").context("binding the receiver")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { accept(TcpListener::from_std(listener)?, counted).await })
        });
        Ok(Self { address, count })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn reset(&self) {
        self.count.store(0, Ordering::Relaxed);
    }

    pub(super) fn wait_for(&self, expected: usize, timeout: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + timeout;
        while self.count() < u64::try_from(expected)? {
            if Instant::now() > until {
                bail!(
                    "{} of {expected} deliveries arrived in {} s",
                    self.count(),
                    timeout.as_secs()
                );
            }
            thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }
}

async fn accept(listener: TcpListener, count: Arc<AtomicU64>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream, count.clone()));
    }
}

async fn answer(mut stream: TcpStream, count: Arc<AtomicU64>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        if let Some(length) = request_length(&buffer) {
            buffer.drain(..length);
            count.fetch_add(1, Ordering::Relaxed);
            stream.write_all(ANSWER).await?;
        } else if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Length of the first request in `buffer`, once it is whole.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head_end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..head_end]).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let whole = head_end + length.parse::<usize>().ok()?;
    (buffer.len() >= whole).then_some(whole)
}
