//! One step of a test run.

use std::process::Command;

use crate::tally::Counted;

/// What `cargo xtask test` runs that isn't cargo's.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    /// How its tests are counted; `None` where it passes or fails as a whole.
    pub(crate) count: Option<fn(&[String]) -> Counted>,
}

impl Step {
    /// Passes or fails as a whole.
    pub(crate) fn check(name: &'static str, command: Command) -> Self {
        Self { name, command, count: None }
    }

    /// Has tests, which `count` finds in its output.
    pub(crate) fn tests(
        name: &'static str,
        command: Command,
        count: fn(&[String]) -> Counted,
    ) -> Self {
        Self { name, command, count: Some(count) }
    }
}
