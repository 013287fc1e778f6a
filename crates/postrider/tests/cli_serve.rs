//! The binary as people run it: a server in one process, commands in others.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_postrider");

/// A server on a port of its own in `dir`; ended with the value.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let log = File::options().append(true).create(true).open(dir.join("log")).unwrap();
        let mut child = binary(dir)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The next line on stdout that `is_wanted`.
    fn line(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "the server ended: {:?}", self.child.wait());
            if is_wanted(&line) {
                return line.trim().to_owned();
            }
        }
    }

    /// SIGTERM, and what came of it.
    fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary(dir: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// Whether a line shows a value that begins so under a name, however wide the names are.
fn has(shown: &str, name: &str, value: &str) -> bool {
    let cells = shown.lines().filter_map(|line| line.split_once("  "));
    cells.into_iter().any(|(first, rest)| first == name && rest.trim_start().starts_with(value))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap()
}

#[test]
fn the_three_commands_of_the_banner_work_as_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--dev"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut run = |part: &str| {
        let command = server.line(|line| line.starts_with("  /") && line.contains(part));
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).env_clear().current_dir(elsewhere.path());
        succeeded(&shell.output().unwrap())
    };
    assert!(has(&run(" webhook create "), "secret", "whsec_"));
    assert!(run(" event send ").contains("matched    1\n"));
    let arrived = run(" inbox ");
    assert!(
        arrived.contains("code.generated") && arrived.contains("true      standard"),
        "{arrived}"
    );

    let data = dir.path().join("postrider-data");
    for file in ["admin-key", "sealing-key", "dev.json"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert_eq!(server.stop(), Some(0));
    assert!(!data.join("dev.json").exists(), "nobody is to look for a server that has ended");
    assert!(log(dir.path()).contains("→ code.generated wh_"), "{}", log(dir.path()));
}

#[test]
fn the_published_command_works_under_the_name_autonoma() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--dev"]);
    server.line(|line| line.contains(" inbox "));
    let bin = tempfile::tempdir().unwrap();
    symlink(BINARY, bin.path().join("autonoma")).unwrap();
    let published = "autonoma webhook create --url https://your-domain.com/webhooks/autonoma \
                     --events code.generated,deployment.completed --secret your-webhook-secret";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", published]).env_clear().env("PATH", bin.path()).current_dir(dir.path());
    let shown = succeeded(&shell.output().unwrap());
    assert!(has(&shown, "profile", "autonoma"), "{shown}");
    assert!(has(&shown, "events", "code.generated,deployment.completed"), "{shown}");
}

#[test]
fn the_inbox_verifies_every_profile() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--dev"]);
    let address = server.line(|line| line.starts_with("  Inbox"));
    let inbox = address.split_whitespace().nth(1).unwrap();
    server.line(|line| line.contains(" inbox "));
    let profiles = ["standard", "automa", "autonoma"];
    for profile in profiles {
        let url = format!("{inbox}/{profile}");
        let args = ["webhook", "create", "--events", "*", "--profile", profile, "--url", &url];
        succeeded(&binary(dir.path()).args(args).output().unwrap());
    }
    let send = ["event", "send", "task.created", "--data", r#"{"a": 1.50, "2": [], "1": "é"}"#];
    succeeded(&binary(dir.path()).args(send).output().unwrap());

    let deadline = Instant::now() + Duration::from_secs(20);
    let arrivals = loop {
        let shown = binary(dir.path()).args(["inbox", "--output", "json"]).output().unwrap();
        let shown: Value = serde_json::from_str(&succeeded(&shown)).unwrap();
        let arrivals = shown["data"].as_array().unwrap().clone();
        if arrivals.len() == profiles.len() {
            break arrivals;
        }
        assert!(Instant::now() < deadline, "{shown}");
    };
    for profile in profiles {
        let arrival = arrivals.iter().find(|a| a["profile"] == profile).unwrap();
        assert_eq!((&arrival["verified"], &arrival["reason"]), (&Value::Bool(true), &Value::Null));
    }
}

#[test]
fn outside_dev_a_made_admin_key_is_shown_once_and_works() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--log-format", "json"];
    let mut first = Server::start(dir.path(), &args);
    let line = first.line(|line| line.starts_with("Admin key"));
    let key = line.strip_prefix("Admin key, shown this once: ").unwrap();
    let logged = log(dir.path());
    let record = logged.lines().find(|line| line.contains("listening")).unwrap();
    let record: Value = serde_json::from_str(record).unwrap();
    let server = format!("http://{}", record["address"].as_str().unwrap());
    let list = ["webhook", "list", "--server", &server, "--api-key", key];
    succeeded(&binary(dir.path()).args(list).output().unwrap());

    let wrong = ["webhook", "list", "--server", &server, "--api-key", "prk_wrong"];
    assert_eq!(binary(dir.path()).args(wrong).output().unwrap().status.code(), Some(3));
    let inbox = ["inbox", "--server", &server, "--api-key", key];
    assert_eq!(binary(dir.path()).args(inbox).output().unwrap().status.code(), Some(4));
    let data = dir.path().join("postrider-data");
    assert!(!data.join("admin-key").exists() && !data.join("dev.json").exists());
    assert_eq!(first.stop(), Some(0));
    assert!(!log(dir.path()).contains(key), "the log holds no key");

    let mut second = binary(dir.path());
    second.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut second = second.spawn().unwrap();
    let stderr = BufReader::new(second.stderr.take().unwrap());
    assert!(stderr.lines().any(|line| line.unwrap().contains("listening")));
    let pid = rustix::process::Pid::from_child(&second);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = second.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
}

#[test]
fn what_is_unknown_or_unsafe_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.toml"), "retention = 3\n").unwrap();
    let refused = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(!dir.path().join("postrider-data").exists(), "nothing was made");
        text(&output.stderr).to_owned()
    };
    let told = refused(binary(dir.path()).arg("serve").env("POSTRIDER_LISTENS", "x"));
    assert!(
        told.contains("POSTRIDER_LISTENS: no such setting") || told.contains("POSTRIDER_LISTENS)"),
        "{told}"
    );
    assert!(told.contains("did you mean POSTRIDER_LISTEN?"), "{told}");
    let told = refused(binary(dir.path()).args(["serve", "--config", "c.toml"]));
    assert!(
        told.contains("retention (file c.toml): no such setting; did you mean retention_days?"),
        "{told}"
    );
    let told = refused(binary(dir.path()).args(["serve", "--dev", "--listen", "0.0.0.0:0"]));
    assert!(told.contains("listen (--listen): --dev on 0.0.0.0:0"), "{told}");
    let told = refused(binary(dir.path()).args(["serve", "--listen", "0.0.0.0:0"]));
    assert!(told.contains("set public_url to the https:// address"), "{told}");
    let told = refused(binary(dir.path()).args(["serve", "--lisen", "x"]));
    assert!(told.contains("'--listen'"), "{told}");
}

#[test]
fn a_key_file_open_to_others_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("postrider-data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(data.join("sealing-key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .unwrap();
    std::fs::set_permissions(data.join("sealing-key"), PermissionsExt::from_mode(0o644)).unwrap();
    let output = binary(dir.path()).args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("sealing-key is open to other users (mode 644)"), "{told}");
    assert!(told.contains("chmod 600"), "{told}");
}
