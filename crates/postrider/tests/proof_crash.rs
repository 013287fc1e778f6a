//! Proof: kill -9 at any moment loses no event that was answered 202, stores none twice, and
//! sends again only what was in flight. `postrider-faults` has the scenario; here it is tried on the
//! binary as it is shipped, which has no failpoints.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use postrider_faults::scenario;

const KILLS: usize = 50;

#[tokio::test]
async fn kill_9_at_fifty_moments_loses_nothing_and_repeats_only_what_was_in_flight() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("seed {seed}");
    let program = Path::new(env!("CARGO_BIN_EXE_postrider"));
    let figures = scenario::kills::run(program, seed, KILLS, |_| {}).await;
    println!("{figures}");
}
