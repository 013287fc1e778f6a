//! Syncs that fail: nobody knows then what is on the disk, so the process must end and acknowledge
//! nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use postrider_store::failpoint::VARIABLE;

use super::Ran;
use crate::process::Launch;
use crate::rig::Rig;

const PUBLISHERS: u64 = 4;
/// Of sysexits.h, `EX_IOERR`: what the server ends with when it can't write any more.
const EX_IOERR: i32 = 74;

/// So many failures in each of the ways: before the commit, after it, and in the kernel's answer.
pub async fn run(program: &Path, seed: u64, count: u64) -> Ran {
    let mut rig = Rig::new(program, seed).await;
    let publishers = rig.publishers(PUBLISHERS, Duration::ZERO);
    for _ in 0..count {
        for point in ["BeforeCommit", "AfterCommit"] {
            let nth = 2 + rig.random.below(40);
            let armed = format!("{point}:{nth}:error-1");
            let launch = rig.launch.clone().variable(VARIABLE, &armed);
            fail(&mut rig, &launch, &armed).await;
        }
    }
    if !can_trace() {
        let figures = rig.conclude(publishers).await;
        return Ran::partly(figures, "strace is not permitted here: no errors of the kernel's own");
    }
    for _ in 0..count {
        let mut launch = rig.launch.clone();
        let when = 3 + rig.random.below(30);
        launch.under = traced(when);
        fail(&mut rig, &launch, "an fdatasync that fails").await;
    }
    Ran::whole(rig.conclude(publishers).await)
}

async fn fail(rig: &mut Rig, launch: &Launch, what: &str) {
    let life = rig.start(launch);
    rig.until_dead(life, what, |status| status.code() == Some(EX_IOERR)).await;
}

/// Has the kernel answer a sync of the process with EIO. Only the first is answered so: a server
/// that tried again would see success, and be wrong to believe it.
fn traced(when: u64) -> Vec<String> {
    let inject = format!("inject=fdatasync,fsync:error=EIO:when={when}");
    let strace = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e"];
    strace.into_iter().map(str::to_owned).chain([inject]).collect()
}

fn can_trace() -> bool {
    let mut words = traced(1);
    let strace = words.remove(0);
    let tried = Command::new(strace)
        .args(words)
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}
