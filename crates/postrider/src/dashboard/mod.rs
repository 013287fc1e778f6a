//! The dashboard.

#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the pages that draw charts come next")
)]
pub(crate) mod chart;
