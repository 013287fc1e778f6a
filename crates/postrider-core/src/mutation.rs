//! Faults put in on purpose, to see that the simulator finds them.
//!
//! They exist only under the feature `mutations`, which nothing but the simulator's blindness
//! check enables; in every other build [`mutated!`] is the constant `false`.

#[cfg(feature = "mutations")]
use std::cell::Cell;

#[cfg(feature = "mutations")]
std::thread_local! {
    static ACTIVE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Lets this thread make one mistake, or none.
#[cfg(feature = "mutations")]
pub fn activate(name: Option<&'static str>) {
    ACTIVE.set(name);
}

/// Whether this thread is to make this mistake.
#[cfg(feature = "mutations")]
pub fn is_active(name: &str) -> bool {
    ACTIVE.get() == Some(name)
}

/// Whether to make a mistake by this name. The feature is that of the crate that asks.
#[macro_export]
macro_rules! mutated {
    ($name:literal) => {{
        #[cfg(feature = "mutations")]
        let is_active = $crate::mutation::is_active($name);
        #[cfg(not(feature = "mutations"))]
        let is_active = false;
        is_active
    }};
}
