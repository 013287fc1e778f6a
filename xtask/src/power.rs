//! `cargo xtask powercuts`: power cuts under the embedded store.

use std::path::Path;

use anyhow::Context as _;

use crate::program;

/// Hands its arguments on; `false` when something was lost.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<bool> {
    let build = ["run", "--quiet", "--locked", "--package", "postrider-power", "--"];
    let ended = program::cargo(root).args(build).args(arguments).status();
    Ok(ended.context("cargo can't be started")?.success())
}
