//! placeholder

pub mod address;
pub mod event_type;
pub mod target;
