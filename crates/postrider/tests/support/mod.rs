//! The vocabulary of the tests: a server, receivers, and HTTP spoken byte by byte.
//!
//! Nothing here sleeps: tests wait for requests that arrive and for states that the API shows,
//! and fail at a deadline.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub(crate) mod bot;
pub(crate) mod http;
pub(crate) mod receiver;
pub(crate) mod server;
pub(crate) mod third_party;

use std::path::PathBuf;
use std::time::Duration;

/// How long anything may take that a test waits for. Far above what it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
