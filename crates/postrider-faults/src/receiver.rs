//! A receiver that shows what it got and answers, or misbehaves, as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::PATIENCE;

/// Between two bytes of a receiver that trickles.
const DRIP_EVERY: Duration = Duration::from_millis(20);
/// What the kernel may hold for a receiver that writes without end.
pub const SEND_BUFFER_BYTES: usize = 16 << 10;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Instant,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The status of the answer, once its head is written.
    pub answered: OnceLock<u16>,
}

/// What the receiver does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer(u16),
    AnswerWith(u16, String, String),
    /// Resets the connection.
    Reset,
    /// Resets the connection after so many bytes of an answer.
    ResetAt(usize),
    /// Writes just this, and closes the connection.
    Raw(&'static str),
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

impl Reply {
    /// Of an answer whose head is written at once.
    fn status(&self) -> Option<u16> {
        match *self {
            Self::Answer(status)
            | Self::AnswerWith(status, ..)
            | Self::TrickleBody(status)
            | Self::EndlessBody(status) => Some(status),
            _ => None,
        }
    }
}

/// See the module's text. Ends when it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
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
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The event's id, as the header says.
    pub fn id(&self) -> &str {
        self.header("webhook-id").unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Receiver {
    pub async fn start(decide: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
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
    pub async fn answering(status: u16) -> Self {
        Self::start(move |_| Reply::Answer(status)).await
    }

    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// From now on, requests are met like this.
    pub fn behave(&self, decide: impl FnMut(&Request) -> Reply + Send + 'static) {
        *self.shared.decide.lock().unwrap() = Box::new(decide);
    }

    /// Answers what is held, and holds nothing from now on.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    pub fn written_bytes(&self) -> u64 {
        self.shared.written_bytes.load(Ordering::SeqCst)
    }

    pub fn unanswered(&self) -> usize {
        self.shared.unanswered.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The `number`th request, counted from 1, once it has come.
    pub async fn request(&self, number: usize) -> Arc<Request> {
        let requests = self.until(|requests| requests.len() >= number).await;
        requests[number - 1].clone()
    }

    /// The requests, once they are as they should be.
    pub async fn until(&self, is_enough: impl Fn(&[Arc<Request>]) -> bool) -> Vec<Arc<Request>> {
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

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("address", &self.address).finish_non_exhaustive()
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
        let request = Arc::new(request);
        shared.requests.lock().unwrap().push(request.clone());
        shared.came.notify_waiters();
        let is_kept = perform(&mut stream, reply, shared, &request.answered).await;
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
    Some(Request { at: Instant::now(), path, headers, body, answered: OnceLock::new() })
}

/// `None` when the connection is of no more use.
async fn perform(
    stream: &mut BufReader<TcpStream>,
    reply: Reply,
    shared: &Shared,
    answered: &OnceLock<u16>,
) -> Option<()> {
    const ENDLESS: &str = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";
    if let Some(status) = reply.status() {
        // Before it is written, for the other side may act on it at once.
        let _ = answered.set(status);
    }
    match reply {
        Reply::Answer(status) => answer(stream, status, "").await,
        Reply::AnswerWith(status, name, value) => {
            answer(stream, status, &format!("{name}: {value}\r\n")).await
        }
        Reply::Held(status) => {
            let mut released = shared.released.subscribe();
            released.wait_for(|is| *is).await.ok()?;
            let _ = answered.set(status);
            answer(stream, status, "").await
        }
        Reply::Reset => reset(stream),
        Reply::ResetAt(bytes) => {
            let whole = "HTTP/1.1 200 X\r\ncontent-length: 40\r\n\r\n".to_owned() + &"x".repeat(40);
            stream.write_all(&whole.as_bytes()[..bytes.min(whole.len() - 1)]).await.ok()?;
            stream.flush().await.ok()?;
            reset(stream)
        }
        Reply::Raw(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
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

/// Closes the connection with a reset.
fn reset(stream: &BufReader<TcpStream>) -> Option<()> {
    socket2::SockRef::from(stream.get_ref()).set_linger(Some(Duration::ZERO)).ok()?;
    None
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
