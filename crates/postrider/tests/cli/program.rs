//! The vocabulary of these tests: the program, run with nothing of this process's surroundings.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::server::{KEY, TestServer};

/// The program in a home directory of its own, perhaps with a server to talk to.
pub(crate) struct Program {
    home: tempfile::TempDir,
    url: Option<String>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Program {
    pub(crate) fn offline() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder"), url: None }
    }

    pub(crate) fn of(server: &TestServer) -> Self {
        Self { url: Some(server.url()), ..Self::offline() }
    }

    /// Its home, which is also where it is run.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        command.args(args).env_clear().env("HOME", self.home()).current_dir(self.home());
        command.stdin(Stdio::null());
        if let Some(url) = &self.url {
            command.env("POSTRIDER_URL", url).env("POSTRIDER_API_KEY", KEY);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().expect("the program starts"))
    }

    /// What a command prints that succeeds.
    pub(crate) fn text(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        ran.out
    }

    /// The answer of a command that succeeds.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.text(&[args, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// The lines of a command that succeeds.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        let text = self.text(&[args, &["--output", "ndjson"]].concat());
        let read = |line| serde_json::from_str(line).expect("a line is JSON");
        text.lines().map(read).collect()
    }

    /// What a command says that fails with an exit code.
    pub(crate) fn refused(&self, code: i32, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}{}", ran.out, ran.err);
        ran.err
    }
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The text of a member.
pub(crate) fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("{value} has an id")).to_owned()
}
