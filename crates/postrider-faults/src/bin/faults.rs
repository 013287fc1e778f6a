//! `cargo xtask faults`: every scenario at full size, or one, with its figures.

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postrider_faults::figures::Figures;
use postrider_faults::scenario::{self, Ran};

const USAGE: &str = "usage: cargo xtask faults [--kills N] [--seed S] [SCENARIO]";

/// As many as the promise names.
const KILLS_DEFAULT: usize = 2_000;
/// On these passes of each failpoint the process dies.
const PASSES: [u32; 3] = [1, 2, 7];

const SCENARIOS: [&str; 11] = [
    "kills",
    "failpoints",
    "retention",
    "syncs",
    "room",
    "descriptors",
    "memory",
    "clocks",
    "stops",
    "receivers",
    "names",
];

struct Asked {
    kills: usize,
    seed: u64,
    only: Option<String>,
}

fn main() -> ExitCode {
    let Some(asked) = read(&std::env::args().skip(1).collect::<Vec<_>>()) else {
        eprintln!("{USAGE}\nscenarios: {}", SCENARIOS.join(", "));
        return ExitCode::from(2);
    };
    let here = std::env::current_exe().expect("a process knows its program");
    // built together with this one
    let program = here.with_file_name("postrider-under-fault");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made at the start");
    println!("seed {}", asked.seed);
    for name in SCENARIOS {
        if asked.only.as_ref().is_none_or(|only| only == name) {
            let began = Instant::now();
            // a promise that is broken panics, which ends the run with its message
            let ran = runtime.block_on(play(name, &program, &asked));
            println!("{name}: {ran}\n  {} s", began.elapsed().as_secs());
        }
    }
    ExitCode::SUCCESS
}

fn read(arguments: &[String]) -> Option<Asked> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let mut asked = Asked { kills: KILLS_DEFAULT, seed: since_epoch.as_secs(), only: None };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--kills" => asked.kills = arguments.next()?.parse().ok()?,
            "--seed" => asked.seed = arguments.next()?.parse().ok()?,
            name if SCENARIOS.contains(&name) => asked.only = Some(name.to_owned()),
            _ => return None,
        }
    }
    Some(asked)
}

async fn play(name: &str, program: &Path, asked: &Asked) -> Ran {
    let seed = asked.seed;
    let tell = |figures: &_| println!("so far: {figures}");
    match name {
        "kills" => Ran::whole(scenario::kills::run(program, seed, asked.kills, tell).await),
        "failpoints" => Ran::whole(scenario::failpoints::run(program, seed, &PASSES).await),
        "retention" => {
            scenario::retention::run(program, seed).await;
            Ran::whole(Figures::default())
        }
        "syncs" => scenario::syncs::run(program, seed, 20).await,
        "room" => scenario::room::run(program, seed).await,
        "descriptors" => Ran::whole(scenario::limits::descriptors(program, seed).await),
        "memory" => {
            let (figures, has_lived) = scenario::limits::memory(program, seed).await;
            println!("memory: the server {}", if has_lived { "lived" } else { "died of it" });
            Ran::whole(figures)
        }
        "clocks" => Ran::whole(scenario::clocks::run(program, seed, 50).await),
        "stops" => {
            let stopped = Duration::from_millis(1_500);
            Ran::whole(scenario::stops::run(program, seed, 20, stopped).await)
        }
        "receivers" => Ran::whole(scenario::receivers::run(program, seed).await),
        "names" => Ran::whole(scenario::names::run(program, seed).await),
        _ => unreachable!("names were checked"),
    }
}
