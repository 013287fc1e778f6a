//! The command line as people run it, against a server in this process.

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod contexts;
mod deliveries;
mod events;
mod lists;
mod program;
mod signature;
mod snapshot;
mod webhooks;
