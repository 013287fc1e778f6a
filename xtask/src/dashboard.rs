//! The dashboard in a real browser: tests, and screenshots to look at.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::environment;
use crate::program::{self, cargo, must};
use crate::step::Step;
use crate::tally::node_test;
use crate::test::built_server;

/// Where screenshots go.
const SCREENSHOTS: &str = "target/screenshots";

/// The steps of a test run. `server` is a built one.
pub(crate) fn tests(root: &Path, server: &Path) -> anyhow::Result<Vec<Step>> {
    let folder = environment::dashboard(root)?;
    let mut node = Command::new("node");
    // two at once: each file has a browser and servers of its own
    node.args(["--test", "--test-concurrency=2"]).current_dir(folder).env("POSTRIDER_BIN", server);
    Ok(vec![Step::tests("dashboard in a browser", node, node_test)])
}

/// Takes a picture of every page, light and dark, wide and narrow, with three months of data.
pub(crate) fn screenshots(root: &Path) -> anyhow::Result<bool> {
    environment::prepare(root)?;
    must(cargo(root).args(["build", "--locked", "--package", "postrider", "--bin", "postrider"]))?;
    must(cargo(root).args([
        "build",
        "--locked",
        "--package",
        "postrider",
        "--example",
        "seed_dashboard",
    ]))?;
    let folder = environment::dashboard(root)?;
    let server = built_server(root);
    let seed = server.with_file_name("examples/seed_dashboard");
    let pictures = root.join(SCREENSHOTS);
    std::fs::create_dir_all(&pictures).context("there is no place for the screenshots")?;
    let mut node = Command::new("node");
    node.arg("screenshots.mjs").arg(&pictures).current_dir(folder);
    node.env("POSTRIDER_BIN", server).env("POSTRIDER_SEED_BIN", seed);
    Ok(program::run(&mut node)?.is_success)
}
