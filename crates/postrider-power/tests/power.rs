//! A short selection of what `cargo xtask powercuts` does at length, and what the rig must see.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use postrider_power::{Faults, Kind, Report, Rig, run, run_with};
use postrider_store::{MaintenanceStore, SqliteStore};

/// Files after which a rig that has seen nothing is blind.
const FILES_MAX: u64 = 40;

fn nothing_is_lost(first: u64) {
    let mut all = Report::default();
    for seed in first..first + 3 {
        all.add(&run(seed, 30).unwrap());
    }
    assert!(all.cuts_in_writes > 40, "{all}");
    assert!(all.found_written > 0 && all.cuts_at_opening > 0, "{all}");
}

#[test]
fn what_was_acknowledged_survives_power_cuts_1() {
    nothing_is_lost(1_000);
}

#[test]
fn what_was_acknowledged_survives_power_cuts_2() {
    nothing_is_lost(2_000);
}

/// Fails unless the rig finds out that these files are not synced.
fn is_found_out(unsynced: &[Kind]) {
    let faults = Faults { unsynced: unsynced.to_vec(), ..Faults::default() };
    let is_found = |seed| run_with(seed, 50, faults.clone()).is_err();
    assert!((0..FILES_MAX).any(is_found), "the rig sees nothing");
}

#[test]
fn a_store_that_syncs_nothing_is_found_out() {
    is_found_out(&[Kind::Database, Kind::Log, Kind::Journal]);
}

#[test]
fn a_store_that_does_not_sync_its_log_is_found_out() {
    is_found_out(&[Kind::Log]);
}

#[test]
fn a_store_that_does_not_sync_its_database_is_found_out() {
    is_found_out(&[Kind::Database]);
}

#[test]
fn one_seed_decides_everything() {
    let played = || format!("{:?}", run(7, 20).unwrap());
    assert_eq!(played(), played());
}

/// A rig whose store was told some things.
fn worked(seed: u64) -> (Rig, SqliteStore) {
    let mut rig = Rig::new(seed).unwrap();
    let store = rig.open().unwrap();
    assert!(rig.work(&store, 60).unwrap());
    (rig, store)
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_a_new_process_has_read_the_disk() {
    for syncs in [0, 1, 2, 5, 17] {
        let (mut rig, store) = worked(syncs as u64);
        rig.machine().set_faults(Faults { sync_fails_after: Some(syncs), ..Faults::default() });
        let refused = rig.work_until_refused(&store).unwrap();
        assert!(store.is_broken(), "the server is to end: {refused}");
        let refused = rig.work_unsure(&store).expect_err("written after a failed sync");
        assert!(format!("{refused:#}").contains("may write no more"), "{refused:#}");
        drop(store);
        rig.power_cycle();
        let store = rig.open().unwrap();
        rig.look(&store).unwrap();
        assert!(rig.work(&store, 20).unwrap(), "and goes on");
    }
}

#[test]
fn a_full_disk_refuses_and_takes_up_again_when_there_is_room() {
    for spare_bytes in [0, 5_000, 50_000, 200_000] {
        let (mut rig, store) = worked(spare_bytes as u64);
        let room_bytes = Some(rig.machine().used_bytes() + spare_bytes);
        rig.machine().set_faults(Faults { room_bytes, ..Faults::default() });
        let refused = rig.work_until_refused(&store).unwrap();
        assert!(refused.contains("the disk is full"), "{refused}");
        assert!(!store.is_broken());
        rig.machine().set_faults(Faults::default());
        rig.look(&store).unwrap();
        assert!(rig.work(&store, 50).unwrap());
        rig.power_cycle();
        drop(store);
        let store = rig.open().unwrap();
        rig.look(&store).unwrap();
    }
}

#[test]
fn a_read_that_fails_gives_an_error_and_never_a_wrong_answer() {
    let (mut rig, store) = worked(11);
    drop(store);
    let mut errors = 0;
    for reads in 0..400 {
        rig.machine().set_faults(Faults { read_fails_after: Some(reads), ..Faults::default() });
        let Ok(store) = rig.open() else {
            errors += 1;
            continue;
        };
        errors += usize::from(!rig.answers_right_or_not_at_all(&store).unwrap());
    }
    assert!(errors > 50, "{errors}");
    rig.machine().set_faults(Faults::default());
    let store = rig.open().unwrap();
    rig.look(&store).unwrap();
}

#[test]
fn reads_that_fall_short_give_errors_and_never_a_wrong_answer() {
    let (mut rig, store) = worked(12);
    let short = || Faults { reads_fall_short: true, ..Faults::default() };
    rig.machine().set_faults(short());
    rig.answers_right_or_not_at_all(&store).unwrap();
    rig.machine().set_faults(Faults::default());
    drop(store);
    rig.machine().set_faults(short());
    if let Ok(store) = rig.open() {
        assert!(!rig.answers_right_or_not_at_all(&store).unwrap());
    }
    rig.machine().set_faults(Faults::default());
    let store = rig.open().unwrap();
    rig.look(&store).unwrap();
}
