//! The client commands against an API of the test's own, which answers what it is told to.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_postrider");

/// A request as it arrived.
struct Received {
    line: String,
    headers: Vec<String>,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().filter_map(|line| line.split_once(": "));
        found.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An API that answers one request with `status` and `body`, and hands the request over.
fn api(status: u16, body: &str) -> (SocketAddr, JoinHandle<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = body.to_owned();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let line = lines.remove(0);
        let mut received = Received { line, headers: lines, body: String::new() };
        let length = received.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).unwrap();
        received.body = String::from_utf8(bytes).unwrap();
        let head = format!(
            "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        received
    });
    (address, thread)
}

/// Connects and leaves, so that a server to which no command came ends and its test fails
/// rather than waits.
fn wake(server: impl std::net::ToSocketAddrs) {
    drop(TcpStream::connect(server));
}

/// The command with nothing of this process's surroundings but a server to talk to.
fn command(binary: &Path, server: SocketAddr, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command
        .args(args)
        .env_clear()
        .env("POSTRIDER_URL", format!("http://{server}"))
        .env("POSTRIDER_API_KEY", "prk_test")
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

/// Runs a command against an API that answers so.
fn run(status: u16, answer: &str, args: &[&str]) -> (Output, Received) {
    let dir = tempfile::tempdir().unwrap();
    let (server, api) = api(status, answer);
    let output = command(Path::new(BINARY), server, dir.path(), args).output().unwrap();
    wake(server);
    (output, api.join().unwrap())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const CREATED: &str = r#"{"id":"wh_1","url":"https://a/b","events":["code.*"],"profile":"standard","state":"enabled","secret":"whsec_x"}"#;
const CREATE: [&str; 6] =
    ["webhook", "create", "--url", "https://a/b?c=d&e", "--events", "code.generated,a.*"];

#[test]
fn a_webhook_is_created_with_what_was_given_and_nothing_else() {
    let args = [&CREATE[..], &["--output", "json", "--tenant", "acme"]].concat();
    let (output, received) = run(201, CREATED, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("{CREATED}\n"), "the API's answer as it came");
    assert_eq!(received.line, "POST /v1/webhooks HTTP/1.1");
    assert_eq!(received.header("authorization"), Some("Bearer prk_test"));
    assert_eq!(received.header("postrider-tenant"), Some("acme"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    let expected = json!({"url": "https://a/b?c=d&e", "events": ["code.generated", "a.*"]});
    assert_eq!(received.json(), expected);
}

#[test]
fn a_table_shows_the_secret_once_made() {
    let (output, _) = run(201, CREATED, &CREATE);
    let shown = text(&output.stdout);
    assert!(shown.contains("id       wh_1\n") && shown.contains("secret   whsec_x\n"), "{shown}");
}

#[test]
fn a_secret_can_come_from_stdin() {
    let dir = tempfile::tempdir().unwrap();
    let (server, api) = api(201, CREATED);
    let args = [&CREATE[..], &["--secret", "-", "--profile", "autonoma"]].concat();
    let mut child = command(Path::new(BINARY), server, dir.path(), &args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from stdin\n").unwrap();
    assert!(child.wait().unwrap().success());
    let sent = api.join().unwrap().json();
    assert_eq!((&sent["secret"], &sent["profile"]), (&json!("from stdin"), &json!("autonoma")));
}

#[test]
fn called_as_autonoma_its_profile_is_the_default_and_there_is_no_serve() {
    let dir = tempfile::tempdir().unwrap();
    let autonoma = dir.path().join("autonoma");
    symlink(BINARY, &autonoma).unwrap();
    for (more, profile) in [(&[][..], "autonoma"), (&["--profile", "standard"][..], "standard")] {
        let (server, api) = api(201, CREATED);
        let args = [&CREATE[..], more].concat();
        let output = command(&autonoma, server, dir.path(), &args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(api.join().unwrap().json()["profile"], profile);
    }
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let output = command(&autonoma, nowhere, dir.path(), &["serve", "--dev"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("unrecognized subcommand 'serve'"));
}

#[test]
fn lists_and_deletions_name_their_place() {
    let page = r#"{"data":[{"id":"wh_1","state":"enabled","profile":"automa","events":["a","b"],"url":"https://a"}],"next_cursor":"c 1"}"#;
    let args = ["webhook", "list", "--limit", "1", "--cursor", "a b&c"];
    let (output, received) = run(200, page, &args);
    assert_eq!(received.line, "GET /v1/webhooks?limit=1&cursor=a%20b%26c HTTP/1.1");
    assert_eq!(
        text(&output.stdout),
        "ID    STATE    PROFILE  EVENTS  URL\nwh_1  enabled  automa   a,b     https://a\n"
    );
    assert_eq!(text(&output.stderr), "there is more: --all, or --cursor c 1\n");
    let (output, received) = run(204, "", &["webhook", "delete", "wh_1"]);
    assert_eq!(received.line, "DELETE /v1/webhooks/wh_1 HTTP/1.1");
    assert_eq!(text(&output.stdout), "deleted wh_1\n");
}

#[test]
fn data_goes_out_as_it_was_written() {
    let accepted = r#"{"id":"evt_1","type":"a.b","timestamp":"t","matched":0}"#;
    let dir = tempfile::tempdir().unwrap();
    let data = r#"{"n":1.50,"e":1e3,"big":12345678901234567890,"s":"\u00e9"}"#;
    std::fs::write(dir.path().join("data.json"), data).unwrap();
    for given in [data, "@data.json", "-"] {
        let (server, api) = api(202, accepted);
        let args = [
            "event",
            "send",
            "a.b",
            "--data",
            given,
            "--id",
            "my-1",
            "--timestamp",
            "2026-01-31T12:00:00Z",
        ];
        let mut child = command(Path::new(BINARY), server, dir.path(), &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if given == "-" {
            stdin.write_all(data.as_bytes()).unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let received = api.join().unwrap();
        assert!(received.body.contains(&format!(r#""data":{data}"#)), "{given}: {}", received.body);
        let sent = received.json();
        assert_eq!((&sent["type"], &sent["id"]), (&json!("a.b"), &json!("my-1")));
        assert_eq!(sent["timestamp"], "2026-01-31T12:00:00Z");
        assert!(text(&output.stdout).contains("no webhook wants it; `event get evt_1` says why"));
    }
}

#[test]
fn a_batch_that_is_refused_in_part_says_which_part() {
    let results = r#"{"results":[{"status":202,"event":{"id":"evt_1","matched":2}},{"status":422,"error":{"detail":"no such type"}}]}"#;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("batch.json"), "[{\"type\":\"a\",\"data\":1.0}]\n").unwrap();
    let (server, api) = api(202, results);
    let args = ["event", "send", "--batch", "batch.json"];
    let output = command(Path::new(BINARY), server, dir.path(), &args).output().unwrap();
    assert_eq!(api.join().unwrap().body, "[{\"type\":\"a\",\"data\":1.0}]");
    assert_eq!(output.status.code(), Some(5));
    let shown = text(&output.stdout);
    assert!(shown.contains("0  202     evt_1  2        -\n"), "{shown}");
    assert!(shown.contains("1  422     -      -        no such type\n"), "{shown}");
    assert!(text(&output.stderr).starts_with("error: 1 of 2 events were refused\n"));
}

#[test]
fn an_event_is_shown_with_its_deliveries_and_why() {
    let event = json!({
        "id": "evt_1", "type": "a.b", "timestamp": "t", "matched": 1, "data": {"a": 1},
        "deliveries": {"data": [{"id": "dlv_1", "webhook_id": "wh_1", "state": "pending", "attempts": 2}]},
        "explanation": {
            "summary": "1 webhook gets a.b.",
            "unmatched_webhooks": [{"webhook_id": "wh_2", "outcome": "disabled", "text": "it was disabled"}],
        },
    });
    let (output, received) = run(200, &event.to_string(), &["event", "get", "evt_1"]);
    assert_eq!(received.line, "GET /v1/events/evt_1 HTTP/1.1");
    let shown = text(&output.stdout);
    for part in [
        "data       {\"a\":1}\n",
        "dlv_1",
        "pending",
        "1 webhook gets a.b.\n",
        "wh_2",
        "it was disabled",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn each_kind_of_failure_has_its_exit_code_and_a_hint() {
    let problem = json!({
        "code": "validation", "detail": "the webhook is refused",
        "errors": [{"pointer": "/url", "message": "use https"}],
    });
    for (status, code) in [
        (401, 3),
        (403, 3),
        (404, 4),
        (400, 5),
        (409, 5),
        (413, 5),
        (422, 5),
        (302, 1),
        (429, 1),
        (500, 1),
        (503, 1),
    ] {
        let (output, _) = run(status, &problem.to_string(), &CREATE);
        assert_eq!(output.status.code(), Some(code), "{status}");
        let told = text(&output.stderr);
        let expected = "error: the webhook is refused (validation)\n  /url: use https\nhint: ";
        assert!(told.starts_with(expected), "{told}");
        assert!(output.stdout.is_empty());
    }
    let (output, _) = run(502, "<html>", &CREATE);
    assert!(text(&output.stderr).starts_with("error: the server answered 502\nhint: "));
}

#[test]
fn without_a_server_or_a_key_the_hint_says_where_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    // nobody listens on the port of tcpmux
    let closed = "127.0.0.1:1".parse().unwrap();
    let output = command(Path::new(BINARY), closed, dir.path(), &CREATE).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let told = text(&output.stderr);
    assert!(told.starts_with("error: no answer from http://127.0.0.1:1: "), "{told}");
    assert!(told.contains("hint: is it running? Start one with `postrider serve --dev`"), "{told}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging_up = listener.local_addr().unwrap();
    let thread = thread::spawn(move || drop(listener.accept().unwrap()));
    let output = command(Path::new(BINARY), hanging_up, dir.path(), &CREATE).output().unwrap();
    thread.join().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));

    let mut keyless = command(Path::new(BINARY), closed, dir.path(), &CREATE);
    let output = keyless.env_remove("POSTRIDER_API_KEY").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("hint: set POSTRIDER_API_KEY or --api-key"));
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    for (args, told) in [
        (&["event", "send", "a.b", "--data", "{'a':1}"][..], "--data is not JSON"),
        (&["event", "send", "a.b", "--data", "@absent"], "absent cannot be read"),
        (&["event", "send", "a.b"], "--data"),
        (&["event", "send"], "--batch"),
        (&["event", "get", "../tenants"], "an id is 1 to 128 of"),
        (&["webhook", "create", "--url", "https://a"], "--events"),
        (
            &["webhook", "create", "--url", "u", "--events", "a", "--secret", "-"],
            "stdin holds no secret",
        ),
        (&["webhook", "list", "--server", "ftp://a"], "is no address of a server"),
        (&["webhook", "list", "--api-key", "a b"], "the key for the API is empty or holds spaces"),
        (&["webhook", "list", "--output", "xml"], "xml"),
        (&["inbox", "--wait", "11"], "11"),
    ] {
        let output = command(Path::new(BINARY), nowhere, dir.path(), args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(told), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn nothing_from_a_server_reaches_the_terminal_raw() {
    let hostile = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}";
    let escaped_json = serde_json::to_string(&hostile).unwrap();
    let page = format!(r#"{{"data":[{{"id":"wh_1","url":{escaped_json}}}]}}"#);
    let problem = format!(
        r#"{{"detail":{escaped_json},"code":"x","errors":[{{"pointer":{escaped_json}}}]}}"#
    );
    for output in [
        run(200, &page, &["webhook", "list"]).0,
        run(200, &page, &["webhook", "list", "--output", "json"]).0,
        run(422, &problem, &["webhook", "list"]).0,
    ] {
        let shown = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(shown.contains("31m"), "{shown}");
        let raw = shown.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(raw, None, "{shown:?}");
    }
}

#[test]
fn an_answer_that_is_not_json_is_not_printed() {
    let (output, _) = run(200, "\u{1b}[2Jhello", &["webhook", "list", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(
        text(&output.stderr).starts_with("error: the answer is not JSON\nhint: is it Postrider")
    );
}

#[test]
fn help_tells_of_settings_and_keys_and_never_shows_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let help = |args: &[&str]| {
        let output = command(Path::new(BINARY), nowhere, dir.path(), args).output().unwrap();
        assert!(output.status.success());
        text(&output.stdout).to_owned()
    };
    let serve = help(&["serve", "--help"]);
    for part in
        ["--listen", "POSTRIDER_LISTEN", "[default: 127.0.0.1:8080]", "POSTRIDER_SEALING_KEY"]
    {
        assert!(serve.contains(part), "{part}: {serve}");
    }
    assert!(!serve.contains("--sealing-key"));
    assert!(!help(&["webhook", "create", "--help"]).contains("prk_test"));
}

/// A TLS server that answers one request, if a handshake succeeds.
fn tls_api(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> (u16, JoinHandle<()>) {
    let key = rustls::pki_types::PrivateKeyDer::try_from(certificate.signing_key.serialize_der());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key.unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let session = rustls::ServerConnection::new(config.into()).unwrap();
        let mut stream = BufReader::new(rustls::StreamOwned::new(session, stream));
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
            line.clear();
        }
        let answer = b"HTTP/1.1 200 X\r\ncontent-length: 11\r\n\r\n{\"data\":[]}";
        // fails when the client refused the certificate, which is half of the test
        let _ = stream.get_mut().write_all(answer);
    });
    (port, thread)
}

#[test]
fn https_needs_a_certificate_of_a_trusted_authority_for_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("ca.pem"), certificate.cert.pem()).unwrap();
    for (host, trusted, code) in [
        ("localhost", &["--ca-file", "ca.pem"][..], 0),
        ("localhost", &[], 6),
        ("127.0.0.1", &["--ca-file", "ca.pem"], 6),
    ] {
        let (port, thread) = tls_api(&certificate);
        let args = [&["webhook", "list"][..], trusted].concat();
        let nowhere = "127.0.0.1:1".parse().unwrap();
        let mut list = command(Path::new(BINARY), nowhere, dir.path(), &args);
        let output = list.env("POSTRIDER_URL", format!("https://{host}:{port}")).output().unwrap();
        wake(("127.0.0.1", port));
        thread.join().unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{host} {trusted:?}: {told}");
        assert_eq!(told.contains("certificate"), code == 6, "{told}");
    }
}
