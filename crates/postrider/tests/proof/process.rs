//! The real binary as a process of its own: to be killed, signalled and started again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use super::client::{ADMIN_KEY, Api};
use super::until;

/// See the module's text. Killed when it is dropped.
pub(crate) struct Process {
    pub(crate) api: Api,
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// An address for one server and its successors. Nothing else uses its loopback host, so that no
/// connection can take the port while no server listens.
pub(crate) fn own_address() -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 77, high, low.max(1));
    let listener = std::net::TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap()
}

impl Process {
    /// Starts the binary; it may not listen yet.
    pub(crate) fn start(data_dir: &Path, address: SocketAddr, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(data_dir)
            .args(["--allow-http", "--danger-allow-networks", "127.0.0.0/8"])
            .args(["--unknown-event-types", "accept"])
            .args(flags)
            .env_clear()
            .env("POSTRIDER_ADMIN_KEY", ADMIN_KEY)
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
        Self { api: Api { address }, child, log, readers }
    }

    /// Starts the binary and waits until it listens.
    pub(crate) async fn start_reachable(
        data_dir: &Path,
        address: SocketAddr,
        flags: &[&str],
    ) -> Self {
        let mut process = Self::start(data_dir, address, flags);
        let what = format!("{address} listens");
        until(&what, async || {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", process.log());
            TcpStream::connect(address).await.ok()
        })
        .await;
        process
    }

    /// What it said until now.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits until it takes no connections any more.
    pub(crate) async fn until_closed(&self) {
        let look = async || TcpStream::connect(self.api.address).await.err().map(|_| ());
        until("the server closes its door", look).await;
    }

    /// kill -9, and waits until the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.last_words();
    }

    pub(crate) fn terminate(&self) {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).unwrap();
    }

    /// How it ended by itself, and everything that it said.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
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
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
