//! Running seeds: each twice, compared, and checked.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::checker::{self, State};
use crate::rare::{Rare, Tally};
use crate::world::World;

/// What one seed showed.
#[derive(Clone, Debug)]
pub struct Ran {
    pub seed: u64,
    /// Of every step.
    pub hash: u64,
    pub met: Tally,
    /// How long it was for those in it.
    pub virtual_ms: i64,
    pub attempts: usize,
    pub deliveries: usize,
}

impl Ran {
    /// How long it was for those in it.
    pub fn virtual_days(&self) -> f64 {
        let seconds = u32::try_from(self.virtual_ms / 1_000).unwrap_or(u32::MAX);
        f64::from(seconds) / 86_400.0
    }
}

/// A seed that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub why: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} fails; replay it with `cargo xtask sim --seed {0}`:", self.seed)?;
        self.why.iter().try_for_each(|why| writeln!(f, "  {why}"))
    }
}

/// Plays a seed twice; the second time must be like the first.
pub fn run(seed: u64) -> Result<Ran, Failure> {
    let first = run_once(seed, false).0?;
    let second = run_once(seed, false).0?;
    if first.hash != second.hash {
        let why = vec!["its two runs differ: something else than the seed decides".to_owned()];
        return Err(Failure { seed, why });
    }
    Ok(first)
}

/// Plays a seed once and keeps every step as a line.
pub fn replay(seed: u64) -> (Result<Ran, Failure>, Vec<String>) {
    run_once(seed, true)
}

/// Whether a seed finds something wrong, played once.
pub fn finds(seed: u64) -> Option<Failure> {
    run_once(seed, false).0.err()
}

fn run_once(seed: u64, keeps_lines: bool) -> (Result<Ran, Failure>, Vec<String>) {
    let mut world = World::new(seed, keeps_lines);
    // a failed assertion of the core is a finding like any other, and the seed must be named
    if catch_unwind(AssertUnwindSafe(|| world.play())).is_err() {
        world.break_off("it panicked; the message is above".to_owned());
    }
    if world.broken.is_none() {
        world.check_rest();
    }
    let virtual_ms = world.now;
    let mut why: Vec<String> = Vec::new();
    let ledger = std::mem::take(&mut world.books).close(&world.store);
    if world.broken.is_none() {
        let finals = ledger.deliveries.iter().filter(|row| row.state != State::Pending).count();
        world.check_counts(finals);
        why.extend(checker::check(&ledger).iter().map(ToString::to_string));
    }
    for row in &ledger.deliveries {
        let scheduled = row.attempts.iter().filter(|attempt| !attempt.is_manual);
        if row.state == State::Failed && scheduled.count() == row.delays_ms.len() {
            world.meet(Rare::Exhausted);
        }
        if row.attempts.iter().any(|attempt| attempt.retry_after_ms > 5_000) {
            world.meet(Rare::RetryAfter);
        }
    }
    why.splice(..0, world.broken.take());
    let attempts = ledger.deliveries.iter().map(|row| row.attempts.len()).sum();
    let ran = Ran {
        seed,
        hash: world.trace.hash(),
        met: world.rare,
        virtual_ms,
        attempts,
        deliveries: ledger.deliveries.len(),
    };
    let lines = world.trace.into_lines();
    if why.is_empty() { (Ok(ran), lines) } else { (Err(Failure { seed, why }), lines) }
}
