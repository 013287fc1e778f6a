//! `cargo xtask faults`: faults on the real binary, at full size.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::program;

/// Everything whose features are those of the tests, so that what they built is used again; and the
/// server with failpoints, which no other build has.
pub(crate) const BUILD: [&str; 8] = [
    "--locked",
    "--workspace",
    "--exclude",
    "postrider-receiver",
    "--features",
    "postrider-faults/failpoints",
    "--test",
    "faults",
];

/// Hands its arguments on; `false` when a promise was broken.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<bool> {
    let mut build = program::cargo(root);
    build.args(["test", "--quiet", "--no-run"]).args(BUILD);
    let is_built = build.status().context("cargo can't be started")?.success();
    anyhow::ensure!(is_built, "the rig could not be built");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let rig = root.join(target).join("debug/faults");
    let ended = Command::new(rig).args(arguments).status().context("the rig can't be started")?;
    Ok(ended.success())
}
