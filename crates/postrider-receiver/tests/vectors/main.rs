//! Every case of `vectors/` in the repository that concerns receivers: what they accept and refuse,
//! and what an inbox and a lock do, step by step, on every store.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../../../postrider-signature/tests/vector_file/mod.rs"]
mod vector_file;

mod inbox;
mod locks;
mod verifying;

use vector_file::{list, text, vectors};
