//! Receivers by others: Node.js and Python with the packages that `cargo xtask prepare` installs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{http, repository};

/// A process with a receiver of each kind, see `tests/receivers`. Killed when dropped; it also
/// ends by itself when this process does.
pub(crate) struct ThirdParty {
    process: Child,
    ports: BTreeMap<String, u16>,
}

impl ThirdParty {
    pub(crate) fn node() -> Self {
        let packages = environment("node/node_modules");
        let mut node = Command::new("node");
        node.env("NODE_PATH", packages).arg(repository().join("tests/receivers/node/receiver.js"));
        Self::start(node)
    }

    pub(crate) fn python() -> Self {
        let mut python = Command::new(environment("python/bin/python"));
        python.arg("-B").arg(repository().join("tests/receivers/python/receiver.py"));
        Self::start(python)
    }

    fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
        let mut line = String::new();
        let output = process.stdout.take().expect("stdout is piped");
        BufReader::new(output).read_line(&mut line).expect("the receiver says its ports");
        let ports = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the receiver said {line:?} ({error}), not its ports"));
        Self { process, ports }
    }

    pub(crate) fn address(&self, kind: &str) -> SocketAddr {
        let port = self.ports.get(kind).unwrap_or_else(|| panic!("there is no receiver {kind}"));
        SocketAddr::from(([127, 0, 0, 1], *port))
    }

    pub(crate) fn url(&self, kind: &str) -> String {
        format!("http://{}/", self.address(kind))
    }

    /// What this kind verifies with from now on.
    pub(crate) fn set_secret(&self, kind: &str, secret: &str) {
        self.control(&json!({ "secrets": { kind: secret } }));
    }

    /// Puts the clock of the process forward, counted from the system's.
    pub(crate) fn set_clock_ahead(&self, by: Duration) {
        self.control(&json!({ "offset_ms": u64::try_from(by.as_millis()).expect("in range") }));
    }

    fn control(&self, wanted: &Value) {
        let body = wanted.to_string();
        let answer = http::send(self.address("control"), "POST", "/", &[], body.as_bytes());
        assert_eq!(answer.status(), 204, "{}", answer.text());
    }
}

impl Drop for ThirdParty {
    fn drop(&mut self) {
        // it may have ended by itself; then there is nothing to kill
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn environment(part: &str) -> std::path::PathBuf {
    let path = repository().join("target/test-env").join(part);
    assert!(
        Path::new(&path).exists(),
        "{} is missing; run `cargo xtask prepare` once",
        path.display()
    );
    path
}
