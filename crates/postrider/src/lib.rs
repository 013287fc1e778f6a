//! Postrider: server and command line.
//!
//! `serve` joins the parts; `api` is what others ask of them over `http`; `engine` is what they
//! do together; `send` makes HTTP requests to receivers; `cli` talks to a running server;
//! `meaning` says what failures mean. The
//! binary in `main.rs` only calls in here, so that tests can start a server in their own process.

pub mod api;
pub mod bench;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboard;
pub mod dev;
pub mod engine;
#[cfg(feature = "failpoints")]
pub mod faults;
pub mod filter;
pub mod http;
pub mod meaning;
pub mod profile;
pub mod schema;
pub mod send;
pub mod serve;
