//! The faults, one file each. A scenario takes the program and its size, and panics when a promise
//! is broken.

#[cfg(feature = "failpoints")]
pub mod clocks;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod kills;
pub mod limits;
#[cfg(feature = "failpoints")]
pub mod names;
pub mod receivers;
#[cfg(feature = "failpoints")]
mod restless;
#[cfg(feature = "failpoints")]
pub mod retention;
#[cfg(feature = "failpoints")]
pub mod room;
pub mod stops;
#[cfg(feature = "failpoints")]
pub mod syncs;

use std::fmt;

use crate::figures::Figures;

/// What a scenario measured, and what of it this machine did not permit.
#[derive(Clone, Debug)]
pub struct Ran {
    pub figures: Figures,
    pub skipped: Option<&'static str>,
}

impl Ran {
    pub fn whole(figures: Figures) -> Self {
        Self { figures, skipped: None }
    }

    pub fn partly(figures: Figures, skipped: &'static str) -> Self {
        Self { figures, skipped: Some(skipped) }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.figures)?;
        match self.skipped {
            Some(why) => write!(f, "\n  skipped: {why}"),
            None => Ok(()),
        }
    }
}
