//! Repository chores, run as `cargo xtask COMMAND`.
//!
//! Each command works from a fresh clone on a machine with Rust and Debian's package manager.

mod dashboard;
mod environment;
mod faults;
mod fuzz;
mod power;
mod program;
mod sdks;
mod sim;
mod step;
mod tally;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

const USAGE: &str = "\
usage: cargo xtask test [FILTER]   install what the tests need, then run every check and test;
                                   with FILTER only the tests whose names contain it
       cargo xtask sim [--seeds N] [--seed S]
                                   play the simulator's seeds and see that it finds mistakes made
                                   on purpose; with --seed alone replay that one, step by step
       cargo xtask faults [--kills N] [--seed S] [SCENARIO]
                                   kill the real binary 2,000 times and bring every other fault
                                   about, and see that nothing is lost; --kills 100 takes minutes
       cargo xtask powercuts [--cuts N] [--seed S]
                                   cut the power under the embedded store, fifty times for each
                                   file, and look what survived
       cargo xtask fuzz [--seconds N] [TARGET]
                                   look for inputs that break what must hold of hostile input, 60 s
                                   for each target; takes cargo-fuzz
       cargo xtask screenshots     take a picture of every page of the dashboard, into
                                   target/screenshots
       cargo xtask dashboard-bench [--rounds N] [--only TEXT]
                                   ask for every page of the dashboard with six million attempts
                                   stored, and fail where one takes more than 200 ms
       cargo xtask prepare         install what the tests need, and no more";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["prepare"] => repository().and_then(|root| environment::prepare(&root)).map(|()| true),
        ["faults", ref rest @ ..] => repository().and_then(|root| faults::run(&root, rest)),
        ["fuzz", ref rest @ ..] => repository().and_then(|root| fuzz::run(&root, rest)),
        ["dashboard-bench", ref rest @ ..] => {
            repository().and_then(|root| dashboard::bench(&root, rest))
        }
        ["screenshots"] => repository().and_then(|root| dashboard::screenshots(&root)),
        ["powercuts", ref rest @ ..] => repository().and_then(|root| power::run(&root, rest)),
        ["sim", ref rest @ ..] => repository().and_then(|root| sim::run(&root, rest)),
        ["test"] => repository().and_then(|root| test::run(&root, None)),
        ["test", filter] if !filter.starts_with('-') => {
            repository().and_then(|root| test::run(&root, Some(filter)))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace that this xtask was built from.
fn repository() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no folder")?;
    anyhow::ensure!(
        root.join("Cargo.toml").is_file(),
        "{} is gone; run `cargo xtask` from the repository's present place",
        root.display()
    );
    Ok(root.to_owned())
}
