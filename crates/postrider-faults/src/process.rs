//! The real binary as a process of its own: to be killed, signalled and started again.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::net::TcpStream;

use crate::client::{ADMIN_KEY, Api};
use crate::until;

/// See the module's text. Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    pub api: Api,
    child: Child,
    /// Whether it leads a process group of its own.
    is_group: bool,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// An address for one server and its successors. Nothing else uses its loopback host, so that no
/// connection can take the port while no server listens.
pub fn own_address() -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 77, high, low.max(1));
    let listener = std::net::TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub data_dir: PathBuf,
    pub address: SocketAddr,
    pub flags: Vec<String>,
    pub variables: Vec<(String, String)>,
    /// A line of the shell that comes before it, such as `ulimit -n 64`.
    pub limit: Option<String>,
    /// A program that runs it, such as `strace`, with its arguments.
    pub under: Vec<String>,
}

impl Launch {
    pub fn new(program: &Path, data_dir: &Path, address: SocketAddr) -> Self {
        Self {
            program: program.to_owned(),
            data_dir: data_dir.to_owned(),
            address,
            flags: Vec::new(),
            variables: Vec::new(),
            limit: None,
            under: Vec::new(),
        }
    }

    /// The same with more flags.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// The same with a variable in its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same below a limit.
    #[must_use]
    pub fn limit(mut self, line: &str) -> Self {
        self.limit = Some(line.to_owned());
        self
    }

    fn command(&self) -> Command {
        let mut words: Vec<OsString> = self.under.iter().map(Into::into).collect();
        words.push(self.program.clone().into());
        if let Some(limit) = &self.limit {
            let line = format!("{limit}; exec \"$@\"");
            words.splice(0..0, ["sh", "-c", &line, "sh"].map(OsString::from));
        }
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["serve", "--listen", &self.address.to_string(), "--data-dir"])
            .arg(&self.data_dir)
            .args(["--allow-http", "--danger-allow-networks", "127.0.0.0/8"])
            .args(["--unknown-event-types", "accept"])
            .args(&self.flags)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("POSTRIDER_ADMIN_KEY", ADMIN_KEY)
            .envs(self.variables.iter().cloned());
        if !self.under.is_empty() {
            // what runs under another program would outlive it
            command.process_group(0);
        }
        command
    }

    /// Starts the binary; it may not listen yet.
    pub fn start(&self) -> Process {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            gather(child.stdout.take().unwrap(), &log),
            gather(child.stderr.take().unwrap(), &log),
        ];
        let is_group = !self.under.is_empty();
        Process { api: Api { address: self.address }, child, is_group, log, readers }
    }

    /// Has the binary prove that the store of the data folder is whole and in order: what it says
    /// where it is not. No server may need the folder's room meanwhile.
    pub fn verify(&self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.arg("verify").arg("--data-dir").arg(&self.data_dir).env_clear();
        let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// Starts the binary and waits until it listens.
    pub async fn start_reachable(&self) -> Process {
        let mut process = self.start();
        process.reachable().await;
        process
    }
}

impl Process {
    /// Waits until it listens.
    pub async fn reachable(&mut self) {
        let address = self.api.address;
        let what = format!("{address} listens");
        until(&what, async || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", self.log());
            TcpStream::connect(address).await.ok()
        })
        .await;
    }

    /// The process itself, also where a shell or another program was started before it.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGSTOP or SIGCONT, or another signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What it said until now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits until it takes no connections any more.
    pub async fn until_closed(&self) {
        let look = async || TcpStream::connect(self.api.address).await.err().map(|_| ());
        until("the server closes its door", look).await;
    }

    /// kill -9, and waits until the process is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.last_words();
    }

    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// How it ended by itself, and everything that it said.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let look = async || self.child.try_wait().unwrap();
        let status = until("the server ends", look).await;
        (status, self.last_words())
    }

    /// Everything that an ended process said; there was no panic in it.
    fn last_words(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        log
    }

    /// A figure of `/proc/PID/status`, in KiB.
    pub fn memory_kib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Reads what a process says until it ends.
fn gather(
    mut said: impl std::io::Read + Send + 'static,
    log: &Arc<Mutex<Vec<u8>>>,
) -> JoinHandle<()> {
    let log = log.clone();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = said.read(&mut chunk) {
            log.lock().unwrap().extend_from_slice(&chunk[..read]);
        }
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        // it may have ended already
        if self.is_group {
            let _ = kill_process_group(self.pid(), Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
