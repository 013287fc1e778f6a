//! Death while what is past its retention is let go of. What is gone can't be compared; what nobody
//! could deliver by then stays, and is delivered.

use std::path::Path;
use std::time::Duration;

use postrider::faults::CLOCK_VARIABLE;
use postrider_store::failpoint::Failpoint;

use super::failpoints::{armed, killed};
use crate::receiver::Reply;
use crate::rig::Rig;

const PAUSE: Duration = Duration::from_millis(2);
/// What is kept for a day is gone then, and the bucket that it lay in has ended.
const PAST_RETENTION_MS: u64 = 3 * 86_400_000;

/// Dies at each of its failpoints.
pub async fn run(program: &Path, seed: u64) {
    for point in [Failpoint::BucketDropped, Failpoint::TableDropped] {
        let mut rig = Rig::new(program, seed).await;
        let clock = rig.dir().join("clock");
        rig.launch = (rig.launch.clone())
            .flags(&["--retention-days", "1"])
            .variable(CLOCK_VARIABLE, clock.to_str().unwrap());
        rig.receiver.behave(|_| Reply::Answer(500));
        let publishers = rig.publishers(1, PAUSE);
        let mut life = rig.start(&rig.launch);
        life.process.reachable().await;
        rig.answered(20).await;
        publishers.end().await;
        rig.kill(life).await;
        std::fs::write(&clock, PAST_RETENTION_MS.to_string()).unwrap();
        let life = rig.start(&armed(&rig, point, 1));
        rig.until_dead(life, point.name(), killed).await;
        let publishers = rig.publishers(1, PAUSE);
        rig.conclude_uncompared(publishers).await;
    }
}
