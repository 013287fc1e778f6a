//! Postrider: server and command line.
pub mod clock;
pub mod config;
pub mod engine;
pub mod profile;
pub mod send;
