//! The dashboard's pages over HTTP: what they show, what may be done there, and by whom.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod deliveries;
mod event_types;
mod events;
mod hostile;
mod operators;
mod person;
mod replays;
#[path = "../support/mod.rs"]
mod support;
mod webhook;
mod webhooks;
