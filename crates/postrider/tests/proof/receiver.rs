//! A receiver that shows what it got and answers, or misbehaves, as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::PATIENCE;

/// Between two bytes of a receiver that trickles.
const DRIP_EVERY: Duration = Duration::from_millis(20);
/// What the kernel may hold for a receiver that writes without end.
pub(crate) const SEND_BUFFER_BYTES: usize = 16 << 10;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What the receiver does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer(u16),
    AnswerWith(u16, String, String),
    /// Resets the connection.
    Reset,
    /// Closes the connection in the middle of a head.
    CutHead,
    /// A byte of the head at a time, and never its end.
    TrickleHead,
    /// A head with this status, then a byte of the body at a time, and never its end.
    TrickleBody(u16),
    /// A head without end, as fast as it is taken.
    EndlessHead,
    /// A head with this status, then a body without end, as fast as it is taken.
    EndlessBody(u16),
    /// Takes the request and never says a thing.
    Silent,
    /// Answers once the receiver is told to.
    Held(u16),
}

/// See the module's text. Ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

type Decide = Box<dyn FnMut(&Request) -> Reply + Send>;

struct Shared {
    requests: Mutex<Vec<Arc<Request>>>,
    decide: Mutex<Decide>,
    came: Notify,
    released: watch::Sender<bool>,
    /// Of replies without end.
    written_bytes: AtomicU64,
    /// Requests taken and not answered yet.
    unanswered: AtomicUsize,
    connections: AtomicUsize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The event's id, as the header says.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id").unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Receiver {
    pub(crate) async fn start(decide: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // what accepted connections inherit, so that unread bytes stay with the receiver
        socket2::SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER_BYTES / 2).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            decide: Mutex::new(Box::new(decide)),
            came: Notify::new(),
            released: watch::Sender::new(false),
            written_bytes: AtomicU64::new(0),
            unanswered: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn({
            let shared = shared.clone();
            async move {
                let mut connections = tokio::task::JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let shared = shared.clone();
                    connections.spawn(async move {
                        converse(stream, &shared).await;
                        shared.connections.fetch_sub(1, Ordering::SeqCst);
                    });
                    while connections.try_join_next().is_some() {}
                }
            }
        });
        Self { address, shared, accepting: accepting.abort_handle() }
    }

    /// A receiver that always answers with this status.
    pub(crate) async fn answering(status: u16) -> Self {
        Self::start(move |_| Reply::Answer(status)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// From now on, requests are met like this.
    pub(crate) fn behave(&self, decide: impl FnMut(&Request) -> Reply + Send + 'static) {
        *self.shared.decide.lock().unwrap() = Box::new(decide);
    }

    /// Answers what is held, and holds nothing from now on.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    pub(crate) fn requests(&self) -> Vec<Arc<Request>> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    pub(crate) fn written_bytes(&self) -> u64 {
        self.shared.written_bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.shared.unanswered.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The `number`th request, counted from 1, once it has come.
    pub(crate) async fn request(&self, number: usize) -> Arc<Request> {
        let requests = self.until(|requests| requests.len() >= number).await;
        requests[number - 1].clone()
    }

    /// The requests, once they are as they should be.
    pub(crate) async fn until(
        &self,
        is_enough: impl Fn(&[Arc<Request>]) -> bool,
    ) -> Vec<Arc<Request>> {
        let enough = async {
            loop {
                let came = self.shared.came.notified();
                {
                    let requests = self.shared.requests.lock().unwrap();
                    if is_enough(&requests) {
                        return requests.clone();
                    }
                }
                came.await;
            }
        };
        let Ok(requests) = tokio::time::timeout(PATIENCE, enough).await else {
            panic!("waited in vain; {} requests have come", self.count());
        };
        requests
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes requests from a connection until it breaks.
async fn converse(stream: TcpStream, shared: &Shared) {
    // fails only on a connection that is gone already
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let reply = (shared.decide.lock().unwrap())(&request);
        shared.unanswered.fetch_add(1, Ordering::SeqCst);
        shared.requests.lock().unwrap().push(Arc::new(request));
        shared.came.notify_waiters();
        let is_kept = perform(&mut stream, reply, shared).await;
        shared.unanswered.fetch_sub(1, Ordering::SeqCst);
        if is_kept.is_none() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { at: Instant::now(), path, headers, body })
}

/// `None` when the connection is of no more use.
async fn perform(stream: &mut BufReader<TcpStream>, reply: Reply, shared: &Shared) -> Option<()> {
    const ENDLESS: &str = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";
    match reply {
        Reply::Answer(status) => answer(stream, status, "").await,
        Reply::AnswerWith(status, name, value) => {
            answer(stream, status, &format!("{name}: {value}\r\n")).await
        }
        Reply::Held(status) => {
            let mut released = shared.released.subscribe();
            released.wait_for(|is| *is).await.ok()?;
            answer(stream, status, "").await
        }
        Reply::Reset => {
            socket2::SockRef::from(stream.get_ref()).set_linger(Some(Duration::ZERO)).ok()?;
            None
        }
        Reply::CutHead => {
            stream.write_all(b"HTTP/1.1 200 X\r\ncontent-le").await.ok()?;
            None
        }
        Reply::TrickleHead => {
            stream.write_all(b"HTTP/1.1 200 X\r\nx-drip: ").await.ok()?;
            drip(stream, b"x", shared).await
        }
        Reply::TrickleBody(status) => {
            let head = ENDLESS.replace("200", &status.to_string());
            stream.write_all(head.as_bytes()).await.ok()?;
            drip(stream, b"1\r\nx\r\n", shared).await
        }
        Reply::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 X\r\nx-flood: ").await.ok()?;
            flood(stream, &[b'x'; 1024], shared).await
        }
        Reply::EndlessBody(status) => {
            let head = ENDLESS.replace("200", &status.to_string());
            stream.write_all(head.as_bytes()).await.ok()?;
            let mut chunk = b"400\r\n".to_vec();
            chunk.extend_from_slice(&[b'x'; 1024]);
            chunk.extend_from_slice(b"\r\n");
            flood(stream, &chunk, shared).await
        }
        Reply::Silent => {
            // ends when the other side closes
            stream.read_u8().await.ok().and(None)
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, status: u16, headers: &str) -> Option<()> {
    let length = if status == 204 { "" } else { "content-length: 0\r\n" };
    let answer = format!("HTTP/1.1 {status} X\r\n{length}{headers}\r\n");
    stream.write_all(answer.as_bytes()).await.ok()
}

async fn drip(stream: &mut BufReader<TcpStream>, drop: &[u8], shared: &Shared) -> Option<()> {
    let mut drips = tokio::time::interval(DRIP_EVERY);
    loop {
        drips.tick().await;
        stream.write_all(drop).await.ok()?;
        shared.written_bytes.fetch_add(drop.len() as u64, Ordering::SeqCst);
    }
}

async fn flood(stream: &mut BufReader<TcpStream>, wave: &[u8], shared: &Shared) -> Option<()> {
    loop {
        let written = stream.write(wave).await.ok()?;
        shared.written_bytes.fetch_add(written as u64, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}
