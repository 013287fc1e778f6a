//! The command line as people run it, against a server in this process.

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod catalogue;
mod contexts;
mod deliveries;
mod doctor;
mod events;
mod figures;
mod help;
mod listen;
mod lists;
mod program;
mod replays;
mod settings;
mod signature;
mod snapshot;
mod switching;
mod terminal;
mod verify;
mod webhooks;
