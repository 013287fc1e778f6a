//! SIGSTOP and SIGCONT: a process that sleeps through its time, as in a paused virtual machine.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::figures::Figures;
use crate::rig::{Rig, STEADY};

const PUBLISHERS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(2);

/// So many stops, each as long as `stopped`; longer ones let attempts pass their deadline.
pub async fn run(program: &Path, seed: u64, stops: usize, stopped: Duration) -> Figures {
    let mut rig = Rig::new(program, seed).await;
    rig.launch = rig.launch.clone().flags(&["--attempt-timeout-seconds", "1"]);
    let process = rig.launch.start_reachable().await;
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    for _ in 0..stops {
        rig.delivered(STEADY, 20).await;
        // the random moment itself; nothing is waited for
        tokio::time::sleep(Duration::from_micros(rig.random.below(50_000))).await;
        process.signal(Signal::STOP);
        tokio::time::sleep(stopped).await;
        process.signal(Signal::CONT);
    }
    rig.delivered(STEADY, 20).await;
    rig.conclude_with(process, publishers, None).await
}
