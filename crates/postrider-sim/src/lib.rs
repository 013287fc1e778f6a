//! Postrider's dispatcher and memory store in virtual time, everything decided by one seed.
//!
//! A [`run`] plays publishers, operators, receivers and a server's process that may die at any
//! step, and checks what must be true at every step and in the end. It knows no clock, no
//! randomness but its own, and no thread. `docs/simulator.md` says how to use it.

mod agenda;
mod attempts;
mod books;
pub mod checker;
mod commits;
mod faults;
mod invariants;
#[cfg(feature = "mutations")]
pub mod mutations;
mod operators;
mod plan;
mod process;
mod publishers;
mod random;
mod rare;
mod receivers;
mod retries;
mod run;
mod store_calls;
mod trace;
mod world;

use postrider_core::mutated;

pub use rare::{Rare, Tally};
pub use run::{Failure, Ran, finds, replay, run};
