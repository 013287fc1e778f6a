//! The dashboard in a real browser: tests, and screenshots to look at. And how quickly it answers.

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

/// Where the history is that the benchmark asks about.
const BENCH_DATA: &str = "target/dashboard-bench";
/// Attempts in it: some more than the five million that every page is promised to bear.
const BENCH_ATTEMPTS: &str = "6000000";

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

/// Asks a server that holds millions of attempts for every page; `false` when one takes too long.
/// The history is made once, and takes some minutes and 3 GB.
pub(crate) fn bench(root: &Path, arguments: &[&str]) -> anyhow::Result<bool> {
    let data = root.join(BENCH_DATA);
    if !data.exists() {
        // under another name until it is whole
        let unfinished = root.join(format!("{BENCH_DATA}.unfinished"));
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).context("an unfinished history is in the way")?;
        }
        let mut seed = example(root, "seed_dashboard");
        must(seed.arg(&unfinished).args(["--attempts", BENCH_ATTEMPTS]))?;
        std::fs::rename(&unfinished, &data).context("there is no place for the history")?;
    }
    let mut bench = example(root, "dashboard_bench");
    Ok(program::run(bench.arg(&data).args(arguments))?.is_success)
}

/// An example of the server's, built as it is shipped; a data folder is to follow.
fn example(root: &Path, name: &str) -> Command {
    let mut run = cargo(root);
    run.args(["run", "--release", "--locked", "--package", "postrider", "--example", name]);
    run.args(["--", "--data-dir"]);
    run
}
