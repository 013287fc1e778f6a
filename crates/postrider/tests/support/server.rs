//! A server in this process: the whole of it, on a port and a thread of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use postrider::clock::Clock;
use postrider::config::{Config, Keys, Sources};
use postrider::serve::{self, ServeParts};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::http::{self, Exchanged};

/// The admin key of every test server.
pub(crate) const KEY: &str = "prk_a_key_for_tests_and_nothing_else";

/// A running server. Dropping it stops it in order, and fails the test when the server failed or
/// anything on its thread panicked.
pub(crate) struct TestServer {
    address: SocketAddr,
    clock: Clock,
    name: String,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    /// Removed with the server; `None` when the test owns it.
    data: Option<tempfile::TempDir>,
}

impl TestServer {
    /// A server with an empty database, whose receivers may be on this machine.
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut started = Self::start_in(data.path(), Clock::system(), &[]);
        started.data = Some(data);
        started
    }

    /// A server on the data of an earlier one, with a clock and further settings by their names.
    pub(crate) fn start_in(data: &Path, clock: Clock, settings: &[(&'static str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("server {}", COUNT.fetch_add(1, Ordering::Relaxed));
        watch_panics();
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("sockets can be non-blocking");
        let config = config(data, settings);
        let shutdown = CancellationToken::new();
        let (started, is_started) = mpsc::channel();
        let (own_clock, own_shutdown, own_name) = (clock.clone(), shutdown.clone(), name.clone());
        let serve = move || {
            let keys = Keys::settle(&config)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .thread_name(own_name)
                .build()?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let parts = ServeParts { config, keys, listener, clock: own_clock };
                // a test that went away meanwhile needs no answer
                serve::run(parts, own_shutdown, |_| started.send(()).unwrap_or_default()).await
            })
        };
        let thread = thread::Builder::new().name(name.clone()).spawn(serve).expect("a thread");
        // the sender goes away when the server ends without having started
        let outcome = is_started.recv_timeout(PATIENCE);
        assert!(outcome.is_ok(), "the server did not start: {:?}", thread.join());
        Self { address, clock, name, shutdown, thread: Some(thread), data: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asks the API with the admin key.
    pub(crate) fn request(&self, method: &str, target: &str, body: &[u8]) -> Exchanged {
        let authorization = format!("Bearer {KEY}");
        let headers = [("authorization", &*authorization), ("content-type", "application/json")];
        http::send(self.address, method, target, &headers, body)
    }

    pub(crate) fn get(&self, target: &str) -> Value {
        let answer = self.request("GET", target, b"");
        assert_eq!(answer.status(), 200, "GET {target}: {}", answer.text());
        answer.json()
    }

    /// Registers a webhook; its id is in the answer.
    pub(crate) fn create_webhook(&self, draft: &Value) -> Value {
        let answer = self.request("POST", "/v1/webhooks", draft.to_string().as_bytes());
        assert_eq!(answer.status(), 201, "{draft}: {}", answer.text());
        answer.json()
    }

    /// Registers a webhook for all event types and gives its id.
    pub(crate) fn webhook(&self, url: &str, secret: &str) -> String {
        let webhook =
            self.create_webhook(&json!({ "url": url, "events": ["*"], "secret": secret }));
        webhook["id"].as_str().expect("a webhook has an id").to_owned()
    }

    /// Publishes an event that is accepted, and gives its id. `data` is JSON text, sent as it is.
    pub(crate) fn publish(&self, event_type: &str, data: &str) -> String {
        let answer = self.publish_raw(event_type, data.as_bytes());
        assert_eq!(answer.status(), 202, "{data}: {}", answer.text());
        answer.json()["id"].as_str().expect("an event has an id").to_owned()
    }

    /// Publishes an event whatever comes of it. `data` is sent as it is.
    pub(crate) fn publish_raw(&self, event_type: &str, data: &[u8]) -> Exchanged {
        let body = [format!(r#"{{"type":"{event_type}","data":"#).as_bytes(), data, b"}"].concat();
        self.request("POST", "/v1/events", &body)
    }

    /// The deliveries of an event, once each of them is as wanted.
    pub(crate) fn deliveries(&self, event: &str, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let target = format!("/v1/events/{event}/deliveries?limit=250");
        let page = self.wait_for(&target, |page| rows(page).all(&is_wanted));
        rows(&page).cloned().collect()
    }

    /// The delivery of an event that goes to one webhook, with its history, once so many attempts
    /// of it are on record.
    pub(crate) fn delivery(&self, event: &str, attempts: u64) -> Value {
        let found = self.deliveries(event, |row| row["attempts"].as_u64() >= Some(attempts));
        assert_eq!(found.len(), 1, "{event} goes to one webhook");
        let id = found[0]["id"].as_str().expect("a delivery has an id");
        self.get(&format!("/v1/deliveries/{id}"))
    }

    /// What the API shows, once it is as wanted. Each look is a request, so nothing spins freely.
    pub(crate) fn wait_for(&self, target: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.get(target);
            if is_wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "{target} still shows {shown}");
            thread::yield_now();
        }
    }

    /// Puts the clock forward to when a delivery's next attempt is due.
    pub(crate) fn advance_to_next_attempt(&self, delivery: &Value) -> Duration {
        let due = delivery["next_attempt_at"].as_str().expect("another attempt is to come");
        let due = postrider_signature::timestamp::parse(due).expect("a timestamp");
        let wait = u64::try_from(due - self.clock.now()).unwrap_or(0);
        let wait = Duration::from_millis(wait);
        self.clock.advance(wait);
        wait
    }

    /// Stops the server in order.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shutdown.cancel();
        let outcome = thread.join();
        let panics = panics_of(&self.name);
        if !thread::panicking() {
            assert!(panics.is_empty(), "{} panicked: {panics:?}", self.name);
            assert!(matches!(outcome, Ok(Ok(()))), "{} failed: {outcome:?}", self.name);
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn rows(page: &Value) -> impl Iterator<Item = &Value> {
    page["data"].as_array().expect("a list has data").iter()
}

fn config(data: &Path, settings: &[(&'static str, &str)]) -> Config {
    let mut flags: BTreeMap<&'static str, String> = BTreeMap::from([
        ("data_dir", data.to_str().expect("a UTF-8 path").to_owned()),
        ("danger_allow_networks", "127.0.0.0/8".to_owned()),
        ("allow_http", "true".to_owned()),
        ("drain_seconds", "5".to_owned()),
        ("unknown_event_types", "accept".to_owned()),
    ]);
    flags.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let variables = [(OsString::from("POSTRIDER_ADMIN_KEY"), OsString::from(KEY))];
    let sources = Sources::read(flags, variables).expect("settings of the right form");
    Config::from_sources(&sources).expect("settings that go together")
}

/// Thread names and what was said. The engine survives a panic of an attempt, and the accept loop
/// one of a handler; a test must not.
static PANICS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            let thread = thread::current().name().unwrap_or_default().to_owned();
            let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
            panics.push((thread, panicked.to_string()));
            drop(panics);
            before(panicked);
        }));
    });
}

/// The engine's writer thread has the same name in every server: whichever it was, it is a fault.
fn panics_of(thread: &str) -> Vec<String> {
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    panics
        .iter()
        .filter(|(name, _)| name == thread || name == "writer")
        .map(|(_, said)| said.clone())
        .collect()
}
