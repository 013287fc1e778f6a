//! Cuts the power under Postrider's embedded store, again and again, and looks what survived.
//!
//! SQLite writes to files of a [`Machine`], which lie in memory: what was synced is durable, the
//! rest is not. When the power goes, any of what was not synced may be lost, torn or done out of
//! order, file names included. The store is then opened on what is left, and compared with the
//! memory store, which was told the same. One seed decides everything.
//!
//! For tests alone, and the one crate that may use `unsafe`: SQLite calls its file system by C
//! functions. They are in `vfs`; everything else is safe Rust.

mod dice;
mod disk;
mod image;
mod locks;
mod machine;
mod rig;
mod step;
mod vfs;
mod workload;

pub use machine::{Faults, Kind, Machine};
pub use rig::{CUTS_OF_FILE, Report, Rig, run, run_with};
pub use vfs::mount;
