//! `listen`: deliveries to a local receiver through a connection to the server.

use std::io::{BufRead as _, BufReader, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use postrider_signature::{Secret, SigningProfile, Tolerance, verify};
use serde_json::Value;

use crate::program::Program;
use crate::support::PATIENCE;
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

/// A `listen` that runs. Killed when dropped.
struct Listener {
    child: Child,
    out: Lines<String>,
    err: Lines<String>,
}

impl Listener {
    fn start(program: &Program, forward_to: &str, args: &[&str]) -> Self {
        let args = [&["listen", "--forward-to", forward_to], args].concat();
        let mut command = program.command(&args);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let out = lines(child.stdout.take().expect("stdout is piped"));
        let err = lines(child.stderr.take().expect("stderr is piped"));
        Self { child, out, err }
    }

    /// The id of its webhook and its secret, once it has them.
    fn ready(&self) -> (String, String) {
        let first = self.said("listening as ");
        let id = first.split_whitespace().nth(2).expect("an id").to_owned();
        let second = self.said("secret ");
        let (_, secret) = second.split_once("secret ").expect("a secret");
        (id, secret.to_owned())
    }

    /// The next line on stderr that holds `part`.
    fn said(&self, part: &str) -> String {
        loop {
            let line = self.err.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{part} was not said: {error}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    fn line(&self) -> String {
        self.out.recv_timeout(PATIENCE).expect("a delivery is told by a line")
    }

    /// Ctrl-C, and its exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // it may have ended by itself; then there is nothing to kill
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Lines<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Passes connections on, until it is told to cut them.
struct Relay {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("an address");
        let open = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let copies = [(&client, &server), (&server, &client)];
                for (from, to) in copies {
                    let (mut from, mut to) =
                        (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    // ends with either side
                    thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                let mut open = connections.lock().unwrap_or_else(PoisonError::into_inner);
                open.extend([client, server]);
            }
        });
        Self { address, open }
    }

    fn cut(&self) {
        for connection in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_delivery_arrives_with_its_bytes_and_the_answer_is_the_attempts_result() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let listener = Listener::start(&program, &receiver.url(), &["--events", "code.*"]);
    let (webhook, secret) = listener.ready();
    receiver.script([Answer::Status(201)]);
    let event = server.publish("code.generated", r#"{"n":1.50,"s":"é"}"#);
    let arrived = receiver.wait_for(1).remove(0).request;
    assert_eq!(arrived.start, "POST /webhooks/in?from=postrider HTTP/1.1");
    assert!(arrived.text().contains(r#""data":{"n":1.50,"s":"é"}"#), "{}", arrived.text());
    assert_eq!(arrived.header("host"), receiver.address().to_string());
    let profile = SigningProfile::standard();
    let secret = Secret::parse(&secret, &profile.secret_format).expect("a secret");
    let header = |name: &str| arrived.header_values(name).next();
    let now = server.clock().now();
    let verified =
        verify(&profile, &[(&secret).into()], header, &arrived.body, now, Tolerance::default());
    assert_eq!(verified.expect("the signature fits").id, event);

    let line = listener.line();
    assert!(line.contains("  code.generated  ") && line.contains("  201  "), "{line}");
    let delivery = server.delivery(&event, 1);
    assert_eq!(
        (&delivery["state"], &delivery["history"][0]["status"]),
        (&"succeeded".into(), &201.into())
    );
    assert_eq!(delivery["webhook_id"], webhook);
    server.publish("deployment.failed", "{}");

    assert_eq!(listener.interrupt(), Some(0));
    let webhooks = server.get("/v1/webhooks");
    assert_eq!(webhooks["data"], serde_json::json!([]), "it has removed itself");
    assert_eq!(receiver.deliveries().len(), 1, "other types were not wanted");
}

#[test]
fn the_secret_stays_the_same_in_every_run() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let run = |args: &[&str]| {
        let listener = Listener::start(&program, &receiver.url(), args);
        let (_, secret) = listener.ready();
        assert_eq!(listener.interrupt(), Some(0));
        secret
    };
    let first = run(&[]);
    assert_eq!(run(&[]), first);
    let other = run(&["--profile", "autonoma"]);
    assert_ne!(other, first);
    assert_eq!(run(&["--profile", "autonoma"]), other);
    assert_eq!(run(&["--secret", "one of mine"]), "one of mine");
    assert_eq!(run(&[]), first);
    let kept = program.home().join(".config/postrider/listen");
    let files: Vec<_> = std::fs::read_dir(kept).expect("a folder").flatten().collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let mode = file.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}

#[test]
fn a_local_receiver_that_is_not_there_is_a_failed_attempt() {
    let server = TestServer::start();
    let program = Program::of(&server);
    // nobody listens on the port of tcpmux
    let listener = Listener::start(&program, "http://127.0.0.1:1/in", &["--output", "ndjson"]);
    listener.ready();
    let event = server.publish("code.generated", "{}");
    let line: Value = serde_json::from_str(&listener.line()).expect("a line is JSON");
    assert_eq!(
        (&line["type"], &line["id"], &line["status"]),
        (&"code.generated".into(), &event.as_str().into(), &Value::Null)
    );
    let error = line["error"].as_str().expect("an error");
    assert!(error.starts_with("http://127.0.0.1:1/in: ") && error.contains("refused"), "{error}");
    let delivery = server.delivery(&event, 1);
    assert_eq!(delivery["state"], "pending", "it is tried again");
    let told = delivery["history"][0]["error"]["detail"].as_str().unwrap_or_default();
    assert!(told.contains("refused"), "{delivery}");
}

#[test]
fn it_connects_again_when_the_server_was_gone() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let relay = Relay::to(server.address());
    let program = Program::of(&server);
    let url = format!("http://{}", relay.address);
    let listener = Listener::start(&program, &receiver.url(), &["--server", &url]);
    let (first, secret) = listener.ready();
    relay.cut();
    listener.said("the server is gone (");
    let (second, same) = listener.ready();
    assert!(first != second && secret == same);
    server.wait_for("/v1/webhooks", |page| page["data"].as_array().is_some_and(|it| it.len() == 1));
    server.publish("code.generated", "{}");
    receiver.wait_for(1);
    assert_eq!(listener.interrupt(), Some(0));
}

#[test]
fn it_says_why_the_server_ended_it() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let listener = Listener::start(&program, &receiver.url(), &[]);
    listener.ready();
    receiver.script([Answer::Status(410)]);
    server.publish("code.generated", "{}");
    listener.said("the server ended listening: the local receiver answered 410");
}

#[test]
fn what_cannot_work_ends_at_once() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let refused = |code: i32, args: &[&str]| {
        program.refused(code, &[&["listen", "--forward-to", "http://127.0.0.1:1"], args].concat())
    };
    let told = refused(6, &["--server", "http://127.0.0.1:1"]);
    assert!(told.starts_with("error: no answer from http://127.0.0.1:1"), "{told}");
    refused(3, &["--api-key", "prk_wrong"]);
    let told = refused(5, &["--events", "a..b"]);
    assert!(told.contains("/events/0"), "{told}");
    for forward_to in ["3000", "ftp://a", "http://user@host/", "http://"] {
        let told = program.refused(2, &["listen", "--forward-to", forward_to]);
        assert!(told.contains("write http://HOST:PORT/PATH"), "{forward_to}: {told}");
    }
}

#[test]
fn many_deliveries_are_forwarded_at_once() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let listener = Listener::start(&program, &receiver.url(), &[]);
    listener.ready();
    receiver.script([Answer::Held(204), Answer::Held(204)]);
    server.publish("code.generated", "1");
    server.publish("code.generated", "2");
    receiver.wait_for(2);
    receiver.release();
    receiver.release();
    for _ in 0..2 {
        assert!(listener.line().contains("  204  "));
    }
}
