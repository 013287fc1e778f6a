//! The binary of this package as a process of its own.

use std::net::SocketAddr;
use std::path::Path;

use postrider_faults::process::{Launch, Process};

/// Starts the binary; it may not listen yet.
pub(crate) fn start(data_dir: &Path, address: SocketAddr, flags: &[&str]) -> Process {
    launch(data_dir, address, flags).start()
}

/// Starts the binary and waits until it listens.
pub(crate) async fn start_reachable(
    data_dir: &Path,
    address: SocketAddr,
    flags: &[&str],
) -> Process {
    launch(data_dir, address, flags).start_reachable().await
}

fn launch(data_dir: &Path, address: SocketAddr, flags: &[&str]) -> Launch {
    Launch::new(Path::new(env!("CARGO_BIN_EXE_postrider")), data_dir, address).flags(flags)
}
