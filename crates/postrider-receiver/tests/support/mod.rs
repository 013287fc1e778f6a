//! Servers of databases that live as long as a test, reachable by a Unix socket only.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A cluster of PostgreSQL of its own.
pub(crate) struct Postgres {
    process: Child,
    folder: TempDir,
}

/// A Redis of its own.
pub(crate) struct Redis {
    process: Child,
    folder: TempDir,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // the server runs as another user than a test that is root
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let made = as_server(&program("initdb"))
            .args(["--username=postrider", "--auth=trust", "--no-sync", "--encoding=UTF8"])
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut process = as_server(&program("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "max_connections=100"])
            .arg("-k")
            .arg(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        await_line(&mut process, "database system is ready to accept connections");
        Self { process, folder }
    }

    /// For `tokio_postgres::connect`.
    pub(crate) fn config(&self) -> String {
        format!("host={} user=postrider dbname=postgres", self.folder.path().display())
    }

    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        connect(&self.config()).await
    }
}

pub(crate) async fn connect(config: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(config, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // fast shutdown; the process is ours, or that of `setpriv`, which became it
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

impl Redis {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(folder.path().join("socket"))
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server starts; `cargo xtask prepare` installs it");
        let output = process.stdout.take().unwrap();
        let mut lines = BufReader::new(output).lines();
        let is_ready = lines.any(|line| line.unwrap().contains("ready to accept connections"));
        assert!(is_ready, "redis-server ended");
        // it must not stop at a full pipe
        std::thread::spawn(move || lines.for_each(drop));
        let redis = Self { process, folder };
        let start = Instant::now();
        while !redis.socket().exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "no socket");
            std::thread::yield_now();
        }
        redis
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn await_line(process: &mut Child, wanted: &str) {
    let errors = process.stderr.take().unwrap();
    let mut lines = BufReader::new(errors).lines();
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        let is_ready = line.contains(wanted);
        said.push(line);
        if is_ready {
            std::thread::spawn(move || lines.for_each(drop));
            return;
        }
    }
    panic!("the server ended: {}", said.join("\n"));
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made.
fn as_server(program: &Path) -> Command {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// A program of the newest PostgreSQL that Debian's packages have installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed; `cargo xtask prepare` does it");
    let newest = versions.map(|entry| entry.unwrap().path()).max().unwrap();
    newest.join("bin").join(name)
}
