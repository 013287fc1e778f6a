//! Power cuts by the thousand; `cargo xtask powercuts` runs it.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use postrider_power::{CUTS_OF_FILE, Report, run};

const USAGE: &str = "usage: postrider-power [--cuts N] [--seed S]

  --cuts N   cuts the power so many times (2000 without it), fifty times for each file
  --seed S   begins with this seed; each file has the next one";

const CUTS_DEFAULT: usize = 2_000;

fn main() -> ExitCode {
    let done = wanted().and_then(|(cuts, seed)| cut(cuts, seed));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("postrider-power: {error:#}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn wanted() -> anyhow::Result<(usize, u64)> {
    let (mut cuts, mut seed) = (CUTS_DEFAULT, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().context("a number is missing")?;
        let is_none = || format!("{number} is no number");
        match argument.as_str() {
            "--cuts" => cuts = number.parse().with_context(is_none)?,
            "--seed" => seed = number.parse().with_context(is_none)?,
            other => bail!("{other} is not known"),
        }
    }
    Ok((cuts, seed))
}

/// Whether nothing was lost. What is found names its seed.
fn cut(cuts: usize, first: u64) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    let mut all = Report::default();
    let mut found = 0;
    for seed in first.. {
        if all.cuts >= cuts {
            break;
        }
        let left = CUTS_OF_FILE.min(cuts - all.cuts);
        match run(seed, left) {
            Ok(report) => all.add(&report),
            Err(error) => {
                found += 1;
                all.cuts += left;
                writeln!(out, "{error:#}\nagain: cargo xtask powercuts --cuts 50 --seed {seed}")?;
            }
        }
        if all.cuts % 1_000 == 0 {
            writeln!(out, "{} cuts, {found} files with a finding", all.cuts)?;
        }
    }
    writeln!(out, "{all}\n{found} files with a finding")?;
    Ok(found == 0)
}
