//! A fixed set of seeds holds. `cargo xtask sim` plays more, and sees that mistakes are found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use postrider_sim::{Rare, Tally, replay, run};

/// So many meet every rare branch.
const SEEDS: u64 = 400;

#[test]
fn the_fixed_seeds_hold_and_meet_every_rare_branch() {
    let mut met = Tally::default();
    for seed in 0..SEEDS {
        match run(seed) {
            Ok(ran) => met.add(&ran.met),
            Err(failure) => panic!("{failure}"),
        }
    }
    let missing: Vec<&str> = met.missing().map(Rare::text).collect();
    assert!(missing.is_empty(), "{SEEDS} seeds never met: {missing:#?}");
}

#[test]
fn a_replay_shows_every_step_and_takes_the_same_ones() {
    let (replayed, lines) = replay(7);
    let replayed = replayed.expect("the seed holds");
    assert_eq!(replayed.hash, run(7).expect("the seed holds").hash);
    assert!(lines.len() > 100, "{} lines", lines.len());
    assert!(lines[0].contains("seed 7"), "{}", lines[0]);
}

#[test]
fn every_mistake_that_the_sources_can_make_is_one_that_must_be_found() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut made = BTreeSet::new();
    for name in ["postrider-core", "postrider-store", "postrider-sim"] {
        mistakes(&crates.join(name).join("src"), &mut made);
    }
    let list =
        fs::read_to_string(crates.join("postrider-sim/src/mutations.rs")).expect("it is there");
    let listed: BTreeSet<String> = (list.lines())
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
        .map(str::to_owned)
        .collect();
    assert_eq!(made, listed);
    assert!(listed.len() >= 15, "{} mistakes", listed.len());
}

/// What stands in `mutated!("…")`, however it is broken over lines.
fn mistakes(folder: &Path, made: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path: PathBuf = entry.expect("an entry can be read").path();
        if path.is_dir() {
            mistakes(&path, made);
        } else {
            let text = fs::read_to_string(&path).expect("Rust is UTF-8");
            let calls = text.split("mutated!(").skip(1).filter_map(|rest| {
                let name = rest.trim_start().strip_prefix('"')?;
                name.split_once('"').map(|(name, _)| name.to_owned())
            });
            made.extend(calls);
        }
    }
}
