//! `cargo xtask sim`: the simulator, built so that it can make mistakes on purpose.

use std::path::Path;

use anyhow::Context as _;

use crate::program;

/// Hands its arguments on; `false` when something was found, or a mistake was not.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<bool> {
    let build = ["run", "--quiet", "--locked", "--package", "postrider-sim"];
    let mut simulator = program::cargo(root);
    simulator.args(build).args(["--features", "mutations", "--"]).args(arguments);
    let ended = simulator.status().context("cargo can't be started")?;
    Ok(ended.success())
}
