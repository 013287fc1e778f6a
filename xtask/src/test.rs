//! `cargo xtask test`: every check and every test, and one line that says how many.
//!
//! All steps share one target folder and one profile, so that nothing is compiled twice but what
//! clippy's own pass needs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::dashboard;
use crate::environment;
use crate::faults;
use crate::fuzz;
use crate::program::{self, Ended};
use crate::sdks;
use crate::step::Step;
use crate::tally::{Counted, Tally, libtest, nextest};

/// From which proptest draws its cases.
const PROPERTY_SEED: &str = "PROPTEST_RNG_SEED";
const PROPERTY_SEED_DEFAULT: &str = "20261128";

/// Runs everything, or with a filter only the tests whose names contain it. `false` when
/// anything failed or nothing ran.
pub(crate) fn run(root: &Path, filter: Option<&str>) -> anyhow::Result<bool> {
    let mut run = Run { root, tally: Tally::default() };
    let prepared = timed("what the tests need", || environment::prepare(root));
    if let Err(error) = &prepared {
        eprintln!("xtask: {error:#}");
        run.tally.step("what the tests need", false);
    }
    if filter.is_none() {
        run.check("rustfmt", &["fmt", "--all", "--check", "--", "--color=never"]);
        let strict = ["--all-targets", "--", "-D", "warnings"];
        run.check("clippy", &[&["clippy", "--locked"], &SERVER[..], &strict].concat());
        run.check(
            "clippy of the receiver",
            &[&["clippy", "--locked"], &RECEIVER[..], &strict].concat(),
        );
        let strict = ["--lib", "--bins", "--", "-D", "warnings"];
        run.check("clippy of the failpoints", &[&["clippy"], &faults::BUILD[..], &strict].concat());
    }
    if prepared.is_ok() {
        run.tests(filter);
        if filter.is_none() {
            run.others();
            run.fuzzer();
        }
    }
    run.conclude()
}

/// Everything but the receiver SDK, whose features the server has no use for.
const SERVER: [&str; 3] = ["--workspace", "--exclude", "postrider-receiver"];
/// The receiver SDK with every store and adapter.
const RECEIVER: [&str; 3] = ["--package", "postrider-receiver", "--all-features"];

struct Run<'a> {
    root: &'a Path,
    tally: Tally,
}

impl Run<'_> {
    /// A check by a cargo command, which passes or fails as a whole.
    fn check(&mut self, name: &str, arguments: &[&str]) {
        let is_success = self.is_done(name, arguments);
        self.tally.step(name, is_success);
    }

    fn is_done(&self, name: &str, arguments: &[&str]) -> bool {
        let ended = timed(name, || program::run(program::cargo(self.root).args(arguments)));
        is_success(name, ended).is_some_and(|ended| ended.is_success)
    }

    /// A cargo command that runs tests. Property tests draw the same cases each time, so that a
    /// failure is a failure for everybody; to look for new ones, run cargo nextest without this.
    fn counted(&mut self, name: &str, arguments: &[&str], count: fn(&[String]) -> Counted) {
        let mut cargo = program::cargo(self.root);
        if std::env::var_os(PROPERTY_SEED).is_none() {
            cargo.env(PROPERTY_SEED, PROPERTY_SEED_DEFAULT);
        }
        let ended = timed(name, || program::run(cargo.args(arguments)));
        let (is_success, lines) = match is_success(name, ended) {
            Some(ended) => (ended.is_success, ended.lines),
            None => (false, Vec::new()),
        };
        self.tally.tests(name, is_success, count(&lines));
    }

    fn tests(&mut self, filter: Option<&str>) {
        let has_nextest =
            program::output(Command::new("cargo").args(["nextest", "--version"])).is_some();
        let filter: Vec<&str> = filter.into_iter().collect();
        for (part, of) in [("", SERVER), (" of the receiver", RECEIVER)] {
            self.tests_of(part, &of, has_nextest, &filter);
        }
        self.faults(has_nextest, &filter);
    }

    fn tests_of(&mut self, part: &str, of: &[&str], has_nextest: bool, filter: &[&str]) {
        // lib, bins, tests and examples, as both runners take them without doc tests
        let targets = ["--locked", "--lib", "--bins", "--tests", "--examples"];
        let build = if has_nextest { &["nextest", "run"][..] } else { &["test"] };
        let name = format!("build of the tests{part}");
        if !self.is_done(&name, &[build, of, &targets, &["--no-run"]].concat()) {
            self.tally.step(&name, false);
            return;
        }
        let name = format!("tests{part}");
        if has_nextest {
            let rest = ["--no-fail-fast", "--no-tests=pass"];
            let arguments = [&["nextest", "run"], of, &targets, &rest, filter];
            self.counted(&name, &arguments.concat(), nextest);
        } else {
            let rest = ["--no-fail-fast"];
            let arguments = [&["test"], of, &targets, &rest, filter];
            self.counted(&name, &arguments.concat(), libtest);
        }
        let rest = ["--locked", "--doc", "--no-fail-fast"];
        let arguments = [&["test"], of, &rest, filter].concat();
        self.counted(&format!("doc tests{part}"), &arguments, libtest);
    }

    /// Faults on a server with failpoints, which is another build of it.
    fn faults(&mut self, has_nextest: bool, filter: &[&str]) {
        let name = "tests of faults";
        if has_nextest {
            let rest = ["--no-fail-fast", "--no-tests=pass"];
            let arguments = [&["nextest", "run"], &faults::BUILD[..], &rest, filter];
            self.counted(name, &arguments.concat(), nextest);
        } else {
            let arguments = [&["test"], &faults::BUILD[..], &["--no-fail-fast"], filter];
            self.counted(name, &arguments.concat(), libtest);
        }
    }

    /// The dashboard in a browser, and the SDKs in other languages. The server that they talk to is
    /// built by now.
    fn others(&mut self) {
        let server = built_server(self.root);
        for (name, steps) in [
            ("dashboard", dashboard::tests(self.root, &server)),
            ("TypeScript SDK", sdks::typescript(self.root, &server)),
            ("Python SDK", sdks::python(self.root)),
        ] {
            let steps = steps.unwrap_or_else(|error| {
                eprintln!("xtask: {name}: {error:#}");
                self.tally.step(name, false);
                Vec::new()
            });
            for Step { name, mut command, count } in steps {
                let ended = timed(name, || program::run(&mut command));
                let ended = is_success(name, ended);
                let is_success = ended.as_ref().is_some_and(|ended| ended.is_success);
                match count {
                    None => self.tally.step(name, is_success),
                    Some(count) => {
                        let lines = ended.map(|ended| ended.lines).unwrap_or_default();
                        self.tally.tests(name, is_success, count(&lines));
                    }
                }
            }
        }
    }

    /// Last, for it takes minutes and the rest is known by then.
    fn fuzzer(&mut self) {
        if fuzz::is_wanted(self.root) {
            let done = timed("fuzzing", || fuzz::run_in_gate(self.root));
            let done = done.inspect_err(|error| eprintln!("xtask: fuzzing: {error:#}"));
            self.tally.step("fuzzing", done.unwrap_or(false));
        }
    }

    fn conclude(self) -> anyhow::Result<bool> {
        if !self.tally.failures.is_empty() {
            eprintln!("\nFailed:");
            for name in &self.tally.failures {
                eprintln!("  {name}");
            }
        }
        if !self.tally.has_tests() {
            eprintln!("\nNo test ran.");
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} passed, {} failed", self.tally.passed, self.tally.failed())?;
        out.flush()?;
        Ok(self.tally.is_success())
    }
}

/// Where cargo puts the server.
pub(crate) fn built_server(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    root.join(target).join("debug/postrider")
}

fn is_success(name: &str, ended: anyhow::Result<Ended>) -> Option<Ended> {
    ended.inspect_err(|error| eprintln!("xtask: {name}: {error:#}")).ok()
}

/// Announces a step, and says how long it took.
fn timed<T>(name: &str, step: impl FnOnce() -> T) -> T {
    eprintln!("\n== {name}");
    let start = Instant::now();
    let done = step();
    eprintln!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    done
}
