//! Faults on the real binary, a short selection; `cargo xtask faults` runs them at full size.

#![expect(clippy::print_stdout, reason = "what a machine did not permit must be said")]

use std::path::Path;
use std::time::Duration;

use postrider_faults::scenario::{self, Ran};

const SEED: u64 = 20_261_128;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_postrider-under-fault"))
}

fn tell(ran: &Ran) {
    println!("{ran}");
}

/// Each place that the server declares is reached, or the rig waits in vain.
#[tokio::test]
async fn death_at_every_failpoint_loses_nothing() {
    tell(&Ran::whole(scenario::failpoints::run(program(), SEED, &[1]).await));
}

#[tokio::test]
async fn death_while_retention_takes_what_is_old_leaves_what_is_pending() {
    scenario::retention::run(program(), SEED).await;
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_process_and_acknowledges_nothing() {
    tell(&scenario::syncs::run(program(), SEED, 2).await);
}

#[tokio::test]
async fn a_full_disk_is_survived_and_all_goes_on_with_room() {
    tell(&scenario::room::run(program(), SEED).await);
}

#[tokio::test]
async fn too_few_file_descriptors_are_survived() {
    tell(&Ran::whole(scenario::limits::descriptors(program(), SEED).await));
}

#[tokio::test]
async fn too_little_memory_loses_nothing() {
    tell(&Ran::whole(scenario::limits::memory(program(), SEED).await.0));
}

#[tokio::test]
async fn a_clock_that_jumps_by_hours_delays_nothing_and_loses_nothing() {
    tell(&Ran::whole(scenario::clocks::run(program(), SEED, 6).await));
}

#[tokio::test]
async fn a_process_that_was_stopped_goes_on() {
    let stopped = Duration::from_millis(1_500);
    tell(&Ran::whole(scenario::stops::run(program(), SEED, 2, stopped).await));
}

#[tokio::test]
async fn disordered_receivers_harm_no_other_and_get_theirs_when_well() {
    tell(&Ran::whole(scenario::receivers::run(program(), SEED).await));
}

#[tokio::test]
async fn names_that_fail_stall_or_flip_lead_nowhere_wrong() {
    tell(&Ran::whole(scenario::names::run(program(), SEED).await));
}
