//! The process under measurement: started from this very binary, watched through `/proc`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::webhooks::Webhooks;

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Forwarder,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "postrider",
            Self::Forwarder => "forwarder",
        }
    }
}

/// A child process, ended by pid when it is dropped.
pub(super) struct Child {
    process: std::process::Child,
    _stdin: Option<ChildStdin>,
    address: SocketAddr,
    key: String,
    log: Arc<Mutex<String>>,
    data_dir: Option<PathBuf>,
}

impl Child {
    pub(super) fn start(
        kind: Kind,
        receiver: SocketAddr,
        webhooks: Webhooks,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("finding this binary")?);
        let mut data_dir = None;
        // A key for a server that lives for seconds on loopback.
        let key = "prk_benchmark_key_of_a_throwaway_server";
        match kind {
            Kind::Server => {
                let dir = fresh_dir()?;
                command
                    .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
                    .arg(&dir)
                    .env("POSTRIDER_ADMIN_KEY", key)
                    .env("POSTRIDER_UNKNOWN_EVENT_TYPES", "accept")
                    .env("POSTRIDER_ALLOW_HTTP", "true")
                    .env("POSTRIDER_DANGER_ALLOW_NETWORKS", "127.0.0.0/8");
                data_dir = Some(dir);
            }
            Kind::Forwarder => {
                command.args(["bench-forward", "--to", &receiver.to_string()]);
                command.args(["--fan-out", &webhooks.fan_out.to_string()]);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
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
        let child = Self { process, _stdin: stdin, address, key: key.to_owned(), log, data_dir };
        if kind == Kind::Server {
            super::load::register(address, key, receiver, webhooks)?;
        }
        Ok(child)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn key(&self) -> &str {
        &self.key
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
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).context("no VmHWM")?;
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

    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        self.process.kill().context("ending the process")?;
        self.process.wait().context("waiting for the process")?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(dir) = &self.data_dir {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// A directory of our own for a throwaway database, beside which nothing else lies.
fn fresh_dir() -> anyhow::Result<PathBuf> {
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
