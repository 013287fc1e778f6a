//! `cargo xtask fuzz`: the targets of `fuzz/` under cargo-fuzz, two at a time.
//!
//! What the fuzzer keeps of its inputs lies in `fuzz/corpus`, which is not committed; it starts
//! from the small corpus that is.

use std::path::Path;
use std::process::Child;

use anyhow::{Context as _, bail, ensure};

use crate::program::{cargo, output};

/// For each target, unless told otherwise.
const SECONDS_DEFAULT: u32 = 60;
/// One input that takes longer is a finding.
const INPUT_SECONDS_MAX: u32 = 10;
/// No input is worth more: the bounds on larger ones have tests of their own.
const INPUT_BYTES_MAX: u32 = 16 << 10;

/// What two cores bear.
const TARGETS_AT_ONCE: usize = 2;
/// `cargo xtask test` runs the fuzzer too with `1` in this, and doesn't with anything else; without it,
/// where [`IN_CI`] is set. Building the targets takes minutes, which is too long for every run by hand.
/// Not named after the server, which refuses to start where it finds a variable of its own that it doesn't know.
const WANTED: &str = "XTASK_FUZZ";
/// What continuous integration sets.
const IN_CI: &str = "CI";
/// So that a run of `cargo xtask test` tries what the last one tried, and fails for everybody or nobody;
/// `cargo xtask fuzz` draws another one each time.
const GATE_SEED: u32 = 20_261_128;

const CORPUS: &str = "crates/postrider-fuzz/corpus";

/// Which one is installed where there is none.
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";

const HOW_TO_GET_IT: &str = "\
cargo-fuzz is not installed: `cargo install cargo-fuzz --locked` brings it, and it needs a C++ \
compiler. Without it, `cargo nextest run -p postrider-fuzz` runs the same targets over their corpus \
and some thousands of changed inputs.";

/// Runs all targets, or one; `false` when an input was found that breaks one.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<bool> {
    let (seconds, only) = read(arguments)?;
    ensure!(is_installed(root), HOW_TO_GET_IT);
    look(root, only, &Search { seconds, seed: None })
}

/// Runs all targets as `cargo xtask test` does.
pub(crate) fn run_in_gate(root: &Path) -> anyhow::Result<bool> {
    look(root, None, &Search { seconds: SECONDS_DEFAULT, seed: Some(GATE_SEED) })
}

/// How one target is searched.
struct Search {
    seconds: u32,
    /// Drawn by the fuzzer unless given.
    seed: Option<u32>,
}

fn look(root: &Path, only: Option<&str>, search: &Search) -> anyhow::Result<bool> {
    let targets: Vec<String> =
        targets(root)?.into_iter().filter(|name| only.is_none_or(|only| only == name)).collect();
    ensure!(!targets.is_empty(), "no target has that name; {CORPUS} has a folder for each");
    build(root)?;
    let mut broken = Vec::new();
    for names in targets.chunks(TARGETS_AT_ONCE) {
        eprintln!("\n== {}, {} s", names.join(" and "), search.seconds);
        let fuzzers = names.iter().map(|name| fuzzer(root, name, search));
        let fuzzers = fuzzers.collect::<anyhow::Result<Vec<_>>>()?;
        for (name, mut fuzzer) in names.iter().zip(fuzzers) {
            if !fuzzer.wait()?.success() {
                broken.push(name.as_str());
            }
        }
    }
    if !broken.is_empty() {
        eprintln!(
            "\nBroken: {}. The inputs lie in fuzz/artifacts; put each into {CORPUS}/TARGET \
             with the mend.",
            broken.join(", ")
        );
    }
    Ok(broken.is_empty())
}

/// `[--seconds N] [TARGET]`
fn read<'a>(arguments: &[&'a str]) -> anyhow::Result<(u32, Option<&'a str>)> {
    let (seconds, rest) = match *arguments {
        ["--seconds", seconds, ref rest @ ..] => {
            (seconds.parse().context("--seconds takes a whole number")?, rest)
        }
        ref rest => (SECONDS_DEFAULT, rest),
    };
    match *rest {
        [] => Ok((seconds, None)),
        [name] if !name.starts_with('-') => Ok((seconds, Some(name))),
        _ => bail!("give `cargo xtask fuzz [--seconds N] [TARGET]`"),
    }
}

/// Each target has a folder of its name in the corpus.
fn targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let folders = std::fs::read_dir(root.join(CORPUS)).context("the corpus can't be read")?;
    let mut names = Vec::new();
    for folder in folders {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Whether `cargo xtask test` is to run the fuzzer, which is installed for it where it can be had;
/// says so when it isn't.
pub(crate) fn is_wanted(root: &Path) -> bool {
    let is_wanted = match std::env::var(WANTED) {
        Ok(text) => text == "1",
        Err(_) => std::env::var_os(IN_CI).is_some(),
    };
    let missing = if !is_wanted {
        format!("{WANTED}=1 asks for it")
    } else if is_installed(root) || install(root) {
        return true;
    } else {
        format!("{CARGO_FUZZ} is not to be had here")
    };
    eprintln!("\n== no fuzzing ({missing}); the corpus runs as tests");
    false
}

fn is_installed(root: &Path) -> bool {
    output(cargo(root).args(["fuzz", "--version"])).is_some()
}

fn install(root: &Path) -> bool {
    let installed = cargo(root).args(["install", "--locked", CARGO_FUZZ]).status();
    installed.is_ok_and(|status| status.success()) && is_installed(root)
}

/// Counting which code is reached takes no nightly compiler; a sanitizer would, and has little to
/// find where unsafe code is forbidden.
const HOW: [&str; 4] = ["--fuzz-dir", "fuzz", "--sanitizer", "none"];

fn build(root: &Path) -> anyhow::Result<()> {
    let built = cargo(root).args(["fuzz", "build"]).args(HOW).status();
    ensure!(built.context("cargo can't be started")?.success(), "the targets can't be built");
    Ok(())
}

fn fuzzer(root: &Path, name: &str, search: &Search) -> anyhow::Result<Child> {
    let found = root.join("fuzz/corpus").join(name);
    std::fs::create_dir_all(&found).context("the fuzzer has no place for what it finds")?;
    let mut fuzzer = cargo(root);
    fuzzer
        .args(["fuzz", "run"])
        .args(HOW)
        .arg(name)
        .arg(found)
        .arg(root.join(CORPUS).join(name))
        .arg("--")
        .arg(format!("-max_total_time={}", search.seconds))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg("-print_final_stats=1");
    if let Some(seed) = search.seed {
        // and without a line for each input that it keeps, which are thousands
        fuzzer.arg(format!("-seed={seed}")).args(["-verbosity=0", "-print_funcs=0"]);
    }
    fuzzer.spawn().context("cargo can't be started")
}
