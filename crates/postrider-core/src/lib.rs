//! placeholder

pub mod address;
pub mod target;
