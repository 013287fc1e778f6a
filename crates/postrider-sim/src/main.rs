//! The simulator's command line; `cargo xtask sim` runs it.

#![expect(clippy::disallowed_methods, reason = "how long it took is told, and decides nothing")]

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use postrider_sim::{Tally, replay, run};

const USAGE: &str = "usage: postrider-sim [--seeds N] [--seed S]

  --seeds N   plays so many seeds, each twice (500 without it); then, where it was built with
              mistakes to make, sees that each of them is found
  --seed S    plays this one alone and shows every step; with --seeds, begins there";

/// Enough for every rare branch to be met.
const SEEDS_DEFAULT: u64 = 500;
const YEAR_MS: f64 = 365.25 * 24.0 * 3_600_000.0;

fn main() -> ExitCode {
    match wanted().and_then(|(seeds, seed)| play(seeds, seed)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("postrider-sim: {error:#}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn wanted() -> anyhow::Result<(Option<u64>, Option<u64>)> {
    let (mut seeds, mut seed) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().context("a number is missing")?;
        let number = number.parse().with_context(|| format!("{number} is no number"))?;
        match argument.as_str() {
            "--seeds" => seeds = Some(number),
            "--seed" => seed = Some(number),
            other => bail!("{other} is not known"),
        }
    }
    Ok((seeds, seed))
}

fn play(seeds: Option<u64>, seed: Option<u64>) -> anyhow::Result<bool> {
    match (seeds, seed) {
        (None, Some(seed)) => one(seed),
        (seeds, first) => {
            let holds = many(seeds.unwrap_or(SEEDS_DEFAULT), first.unwrap_or(0))?;
            Ok(sees()? && holds)
        }
    }
}

#[cfg(not(feature = "mutations"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
fn sees() -> anyhow::Result<bool> {
    Ok(true)
}

/// The blindness check: every mistake on purpose is found within a minute.
#[cfg(feature = "mutations")]
fn sees() -> anyhow::Result<bool> {
    use postrider_sim::mutations::{MUTATIONS, finding};
    const FOUND_WITHIN: std::time::Duration = std::time::Duration::from_mins(1);

    // some mistakes are found by an assertion, whose text would only be in the way
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = std::io::stdout().lock();
    let mut blind = 0;
    for mistake in MUTATIONS {
        let start = Instant::now();
        let mut seeds = (0..).take_while(|_| start.elapsed() < FOUND_WITHIN);
        let found = seeds.find_map(|seed| finding(seed, mistake));
        let took = start.elapsed().as_secs_f64();
        if let Some(failure) = found {
            let why: String = failure.why.iter().flat_map(|why| why.chars()).take(100).collect();
            writeln!(out, "{mistake}: seed {} after {took:.1} s: {why}", failure.seed)?;
        } else {
            blind += 1;
            writeln!(out, "{mistake}: NOT FOUND")?;
        }
    }
    std::panic::set_hook(hook);
    writeln!(out, "{} mistakes, {blind} not found", MUTATIONS.len())?;
    Ok(blind == 0)
}

/// One seed, readable.
fn one(seed: u64) -> anyhow::Result<bool> {
    let (ran, lines) = replay(seed);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in lines {
        writeln!(out, "{line}")?;
    }
    match &ran {
        Ok(ran) => writeln!(out, "seed {seed} holds: {} attempts", ran.attempts)?,
        Err(failure) => write!(out, "{failure}")?,
    }
    out.flush()?;
    Ok(ran.is_ok())
}

/// Many seeds, and what they met.
fn many(seeds: u64, first: u64) -> anyhow::Result<bool> {
    let start = Instant::now();
    let mut out = std::io::stdout().lock();
    let (mut met, mut failed) = (Tally::default(), 0_u64);
    let (mut virtual_ms, mut attempts, mut deliveries) = (0.0, 0, 0);
    for seed in first..first.saturating_add(seeds) {
        match run(seed) {
            Ok(ran) => {
                met.add(&ran.met);
                // both runs were played
                virtual_ms += 2.0 * ran.virtual_days() * 86_400_000.0;
                attempts += ran.attempts;
                deliveries += ran.deliveries;
            }
            Err(failure) => {
                failed += 1;
                write!(out, "{failure}")?;
            }
        }
    }
    let years = virtual_ms / YEAR_MS;
    let hours = start.elapsed().as_secs_f64() / 3_600.0;
    writeln!(out, "{seeds} seeds from {first}, {failed} failed")?;
    writeln!(out, "{deliveries} deliveries, {attempts} attempts; every seed twice alike")?;
    writeln!(out, "{:.0} simulated years per hour", years / hours)?;
    let missing: Vec<_> = met.missing().collect();
    for rare in &missing {
        writeln!(out, "never met: {}", rare.text())?;
    }
    Ok(failed == 0 && missing.is_empty())
}
