//! Postrider: server and command line.
//!
//! `serve` joins the parts; `engine` is what they do together; `send` makes HTTP requests to
//! receivers. The binary in `main.rs` only calls in here, so that tests can start a server in
//! their own process.

pub mod clock;
pub mod engine;
pub mod profile;
pub mod send;
