//! The process under measurement: started from this very binary, watched through `/proc`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::stock::Stocked;
use super::webhooks::Webhooks;

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    /// A server without what sets the other one apart: stock, failing and hanging receivers.
    Plain,
    Forwarder,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "postrider",
            Self::Plain => "plain",
            Self::Forwarder => "forwarder",
        }
    }
}

/// A child process, ended by pid when it is dropped.
pub(super) struct Child {
    process: std::process::Child,
    _stdin: Option<ChildStdin>,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    data_dir: Option<DataDir>,
    /// From starting it to its saying where it listens.
    ready_after: Duration,
}

/// A data directory, gone when this is dropped.
struct DataDir(PathBuf);

/// A key for a server that lives for seconds on loopback.
const KEY: &str = "prk_benchmark_key_of_a_throwaway_server";

impl Child {
    /// A server with what was stocked, in which `webhooks` are registered at `receiver`.
    pub(super) fn server(
        receiver: SocketAddr,
        webhooks: Webhooks,
        stocked: Option<&Stocked>,
    ) -> anyhow::Result<Self> {
        let dir = DataDir(fresh_dir()?);
        if let Some(stocked) = stocked {
            stocked.copy_to(&dir.0)?;
        }
        let server = Self::start(&mut serve(&dir.0)?, Some(dir))?;
        super::load::register(server.address, KEY, receiver, webhooks)?;
        Ok(server)
    }

    pub(super) fn forwarder(receiver: SocketAddr, webhooks: Webhooks) -> anyhow::Result<Self> {
        let mut command = this_binary()?;
        command.args(["bench-forward", "--to", &receiver.to_string()]);
        command.args(["--fan-out", &webhooks.fan_out.to_string()]);
        Self::start(&mut command, None)
    }

    /// Ends a server, lets its data directory be changed, and starts it anew; `started` is called
    /// just before.
    pub(super) fn anew(
        mut self,
        change: impl FnOnce(&Path) -> anyhow::Result<()>,
        started: impl FnOnce(),
    ) -> anyhow::Result<Self> {
        self.end()?;
        let dir = self.data_dir.take().context("only a server has a data directory")?;
        change(&dir.0)?;
        let mut command = serve(&dir.0)?;
        started();
        Self::start(&mut command, Some(dir))
    }

    fn start(command: &mut Command, data_dir: Option<DataDir>) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut process = command.spawn().context("starting the process to be measured")?;
        let stdin = process.stdin.take();
        let (log, address) = match read_address(&mut process) {
            Ok(found) => found,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(error);
            }
        };
        let ready_after = started.elapsed();
        Ok(Self { process, _stdin: stdin, address, log, data_dir, ready_after })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// What it takes to publish.
    pub(super) fn key() -> &'static str {
        KEY
    }

    /// User and system time of all threads, as the kernel counts it.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after_name = stat.rsplit_once(") ").context("/proc/PID/stat is not as expected")?.1;
        let mut fields = after_name.split(' ').skip(11);
        let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
        let (user, system) = ticks().zip(ticks()).context("/proc/PID/stat has no times")?;
        // The kernel reports in units of 1/100 s on every Linux (USER_HZ).
        Ok(Duration::from_millis((user + system) * 10))
    }

    pub(super) fn peak_rss_mib(&self) -> anyhow::Result<f64> {
        self.memory_mib("VmHWM:")
    }

    pub(super) fn rss_mib(&self) -> anyhow::Result<f64> {
        self.memory_mib("VmRSS:")
    }

    fn memory_mib(&self, what: &'static str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).context(what)?;
        Ok(kib.trim().parse::<f64>()? / 1_024.0)
    }

    /// Waits until the process has nothing left to do, as its CPU time tells: outcomes are
    /// recorded a little after the last delivery, and belong to the cost.
    pub(super) fn settle(&self) {
        let until = Instant::now() + Duration::from_secs(3);
        let mut last = self.cpu().unwrap_or_default();
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(200));
            let now = self.cpu().unwrap_or_default();
            if now.saturating_sub(last) < Duration::from_millis(10) {
                return;
            }
            last = now;
        }
    }

    pub(super) fn last_words(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it; its data directory goes too.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.process.kill().context("ending the process")?;
        self.process.wait().context("waiting for the process")?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn serve(dir: &Path) -> anyhow::Result<Command> {
    let mut command = this_binary()?;
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        .env("POSTRIDER_ADMIN_KEY", KEY)
        // given, for a database that was made without a server has none beside it
        .env("POSTRIDER_SEALING_KEY", format!("{}=", "A".repeat(43)))
        .env("POSTRIDER_UNKNOWN_EVENT_TYPES", "accept")
        // --registered may go far beyond the default
        .env("POSTRIDER_WEBHOOKS_PER_TENANT_MAX", "1000000")
        .env("POSTRIDER_ALLOW_HTTP", "true")
        .env("POSTRIDER_DANGER_ALLOW_NETWORKS", "127.0.0.0/8");
    Ok(command)
}

fn this_binary() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("finding this binary")?))
}

/// A directory of our own for a throwaway database, beside which nothing else lies.
pub(super) fn fresh_dir() -> anyhow::Result<PathBuf> {
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let dir =
        std::env::temp_dir().join(format!("postrider-bench-{:016x}", u64::from_le_bytes(name)));
    fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

/// The process says on stderr where it listens; what follows is kept for when it breaks.
fn read_address(
    process: &mut std::process::Child,
) -> anyhow::Result<(Arc<Mutex<String>>, SocketAddr)> {
    let stderr = process.stderr.take().context("the process has no stderr")?;
    let mut lines = BufReader::new(stderr);
    let mut said = String::new();
    let address = loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            bail!("the process ended before it listened; it said: {said}");
        }
        said.push_str(&line);
        if let Some(address) = address_in(&line) {
            break address;
        }
    };
    let log = Arc::new(Mutex::new(said));
    let kept = log.clone();
    thread::spawn(move || {
        let mut chunk = [0; 4_096];
        while let Ok(read @ 1..) = lines.read(&mut chunk) {
            let mut log = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() < 64 << 10 {
                log.push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        }
    });
    Ok((log, address))
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find("127.0.0.1:")?..];
    let end =
        rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].trim_end_matches('.').parse().ok()
}
