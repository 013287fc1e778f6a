//! placeholder

pub mod address;
pub mod event_type;
pub mod retry_after;
pub mod schedule;
pub mod target;
