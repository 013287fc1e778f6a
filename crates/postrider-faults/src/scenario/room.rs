//! A disk that is full: nothing is accepted, nothing that was accepted is lost, and all goes on
//! when there is room again, without a restart.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use postrider_store::failpoint::VARIABLE;
use tempfile::TempDir;

use super::Ran;
use super::restless::{Operator, Work};
use crate::figures::Figures;
use crate::rig::{Rig, STEADY};
use crate::until;

const PUBLISHERS: u64 = 3;
const PAUSE: Duration = Duration::from_millis(5);
/// Room for the tables, the log and some thousand events.
const DISK: &str = "size=64m";
/// What is set free when there is to be room again. More than the log holds, for going on begins
/// with moving it into the database.
const BALLAST_BYTES: u64 = 40 << 20;
/// Commits that find no room.
const COMMITS_WITHOUT_ROOM: u32 = 3;

/// With a small disk of its own, where that is permitted, and with the store told so.
pub async fn run(program: &Path, seed: u64) -> Ran {
    let mut figures = told_by_the_store(program, seed).await;
    match Disk::mount() {
        Some(disk) => {
            figures.add(on_a_small_disk(program, seed, &disk).await);
            Ran::whole(figures)
        }
        None => Ran::partly(figures, "mounting a tmpfs is not permitted here: no real full disk"),
    }
}

async fn told_by_the_store(program: &Path, seed: u64) -> Figures {
    let rig = Rig::new(program, seed).await;
    let armed = format!("WithoutRoom:20:error-{COMMITS_WITHOUT_ROOM}");
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    let process = rig.launch.clone().variable(VARIABLE, &armed).start_reachable().await;
    until("commits find no room", async || {
        let said = process.log().matches("a commit failed").count();
        (said >= 1).then_some(())
    })
    .await;
    rig.answered(50).await;
    rig.conclude_with(process, publishers, None).await
}

async fn on_a_small_disk(program: &Path, seed: u64, disk: &Disk) -> Figures {
    let dir = tempfile::tempdir_in(&disk.path).unwrap();
    let rig = Rig::in_dir(program, seed, dir).await;
    let ballast = disk.path.join("ballast");
    std::fs::write(&ballast, vec![0; usize::try_from(BALLAST_BYTES).unwrap()]).unwrap();
    assert_eq!(std::fs::metadata(&ballast).unwrap().size(), BALLAST_BYTES);
    let process = rig.launch.start_reachable().await;
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    rig.answered(20).await;
    let bulk = Operator::start(&rig, Work::Bulk);
    until("the disk is full", async || process.log().contains("the disk is full").then_some(()))
        .await;
    // the server answers meanwhile
    assert_eq!(rig.api().call("GET", "/healthz", "").await.status, 200);
    bulk.end(rig.api()).await;
    std::fs::remove_file(&ballast).unwrap();
    rig.answered(50).await;
    rig.delivered(STEADY, 50).await;
    rig.conclude_with(process, publishers, None).await
}

/// A tmpfs of a few megabytes. Unmounted when it is dropped.
struct Disk {
    path: PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// `None` where it is not permitted.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "none"]).arg(&path).stderr(Stdio::null());
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        is_mounted.then(|| Self { path, _dir: dir })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // lazily: a process that is just being killed may hold a file
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
