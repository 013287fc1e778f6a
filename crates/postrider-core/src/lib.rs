//! What Postrider decides without I/O: ids, matching, retries, the life of a delivery, lanes,
//! the dispatcher, and which addresses may be dialled.
//!
//! The law of this crate: deterministic, no sockets, no files, no clock, no randomness, no
//! runtime. Times and random numbers come in as arguments, decisions go out as values. The
//! crate's `clippy.toml` holds it to that.

#[macro_use]
pub mod mutation;

pub mod address;
pub mod catalogue;
pub mod delivery;
pub mod dispatcher;
pub mod event;
pub mod event_type;
pub mod health;
pub mod histogram;
pub mod id;
pub mod lane;
pub mod limits;
pub mod matching;
pub mod retry_after;
pub mod schedule;
pub mod statistics;
pub mod target;
pub mod webhook;
