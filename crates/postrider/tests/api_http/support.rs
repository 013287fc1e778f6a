//! A real server on a port of its own, and a client that sends exactly the bytes it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use postrider::clock::Clock;
use postrider::engine::{Engine, EngineParts, UnknownEventTypes};
use postrider::http::limits::BODY_BYTES_MAX_DEFAULT;
use postrider::http::limits::HttpLimits;
use postrider::http::state::ServerState;
use postrider::profile::Profiles;
use postrider::send::{Sender, SenderOptions, StaticHosts};
use postrider_core::health::HealthPolicy;
use postrider_core::target::TargetPolicy;
use postrider_signature::seal::{SealingKey, SealingKeys};
use postrider_store::MemoryStore;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const ADMIN_KEY: &str = "the-admin-key-of-these-tests";
/// Nothing in these tests takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server. Receivers can't be reached: no name resolves.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) state: ServerState,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) limits: HttpLimits,
    pub(crate) webhooks_per_tenant_max: usize,
    /// Most of these tests are about other things than event types, so any will do.
    pub(crate) unknown_event_types: UnknownEventTypes,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            webhooks_per_tenant_max: 10_000,
            unknown_event_types: UnknownEventTypes::Accept,
        }
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let policy = TargetPolicy::default();
        let resolver = Arc::new(StaticHosts::new(HashMap::new(), None));
        let sender = Sender::new(SenderOptions::new(policy.clone(), resolver)).unwrap();
        let engine = Engine::start(EngineParts {
            store: Arc::new(MemoryStore::default()),
            clock: Clock::system(),
            profiles: Profiles::new("standard", Vec::new()).unwrap(),
            sealing: SealingKeys::new(SealingKey::from_bytes(&[7; 32])),
            sender,
            policy,
            admin_key: Some(ADMIN_KEY.to_owned()),
            public_url: "https://postrider.example".to_owned(),
            attempt_timeout: Duration::from_secs(15),
            webhooks_per_tenant_max: options.webhooks_per_tenant_max,
            unknown_event_types: options.unknown_event_types,
            retention: Duration::from_hours(720),
            health: HealthPolicy::default(),
        })
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = ServerState::new(engine.clone(), BODY_BYTES_MAX_DEFAULT);
        let table = postrider::api::router(state.clone(), Router::new());
        let routes = postrider::api::Routes::new(state.clone(), table);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(postrider::http::serve::run(
            listener,
            routes,
            options.limits,
            async move {
                let _ = stopped.await;
            },
        ));
        Self { address, engine, state, stop: Some(stop), task }
    }

    /// Asks the server to stop; `stopped` waits for it.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub(crate) async fn stopped(self) {
        patiently(self.task).await.unwrap();
        self.engine.stop(Duration::ZERO).await;
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::over(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends one request with the admin key and returns its answer.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.call_with(method, path, &bearer(ADMIN_KEY), body.as_bytes()).await
    }

    /// As `call`, with header lines of one's own (each ends in CRLF).
    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Reply {
        let mut connection = self.connect().await;
        connection.send(&request(method, path, headers, body)).await;
        connection.reply().await.expect("an answer")
    }

    /// A key of a tenant, which is made where it doesn't exist.
    pub(crate) async fn key(&self, tenant: &str, scope: &str) -> String {
        let name = format!(r#"{{"name":"{tenant}"}}"#);
        let made = self.call("POST", "/v1/tenants", &name).await;
        assert!(made.status == 201 || made.status == 409, "{made:?}");
        let body = format!(r#"{{"scope":"{scope}","tenant":"{tenant}"}}"#);
        let made = self.call("POST", "/v1/keys", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["key"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = match (method, body.len()) {
        ("GET" | "DELETE", 0) => String::new(),
        (_, length) => format!("Content-Length: {length}\r\n"),
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n");
    [head.as_bytes(), body].concat()
}

/// One connection of a client.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Sends what the server takes; it may close before it has taken all.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next answer; `None` when the server closed without one.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let head_end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more().await {
                assert!(self.unread.is_empty(), "half an answer: {:?}", self.unread);
                return None;
            }
        };
        let head = String::from_utf8(self.unread[..head_end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        while self.unread.len() < head_end + length {
            assert!(self.read_more().await, "half a body");
        }
        let rest = self.unread.split_off(head_end + length);
        let body = self.unread.split_off(head_end);
        self.unread = rest;
        Some(Reply { status, headers, body })
    }

    /// The next chunk of an answer that has no length, without its frame; `None` once it ended.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                let digits = std::str::from_utf8(&self.unread[..at]).unwrap();
                let length = usize::from_str_radix(digits, 16).unwrap();
                let (begin, end) = (at + 2, at + 2 + length);
                if self.unread.len() >= end + 2 {
                    let chunk = self.unread[begin..end].to_vec();
                    self.unread.drain(..end + 2);
                    return (length > 0).then_some(chunk);
                }
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// Waits until the server closes; what else it said until then is returned.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        std::mem::take(&mut self.unread)
    }

    async fn read_more(&mut self) -> bool {
        let mut buffer = vec![0; 16 << 10];
        let read = patiently(self.stream.read(&mut buffer)).await.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..read]);
        read > 0
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The code of a problem document, which must be one in every way.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["detail"].is_string() && problem["title"].is_string(), "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }

    /// The pointers of a problem document.
    pub(crate) fn pointers(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).map(str::to_owned).collect()
    }
}

/// Fails the test when something takes far too long.
pub(crate) async fn patiently<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer within a minute")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
