//! Death at each failpoint: while a server is under load, and while it does what is rarer.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use postrider_store::failpoint::{Failpoint, VARIABLE};
use rustix::process::Signal;

use super::restless::{Operator, Work};
use crate::figures::Figures;
use crate::rig::{MOODY, Rig};

const PUBLISHERS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(2);

/// What it takes that a place is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Publishers and receivers.
    Load,
    /// Somebody who changes webhooks, retries and replays.
    Operator,
    /// So much published that the log and the indexes fill.
    Bulk,
    /// An orderly end.
    End,
    /// Events past their retention.
    Age,
}

fn taken(point: Failpoint) -> Taken {
    use Failpoint as F;
    match point {
        // those of earlier lives are remembered; a new webhook makes new ones
        F::MatchingInserted
        | F::WebhookStored
        | F::ChangeStored
        | F::RetryStored
        | F::PendingCancelled
        | F::ReplayMoved => Taken::Operator,
        F::IndexFilled | F::BeforeCheckpoint | F::AfterCheckpoint => Taken::Bulk,
        F::StatisticsAdded | F::DrainBegun | F::Drained => Taken::End,
        F::BucketDropped | F::TableDropped => Taken::Age,
        _ => Taken::Load,
    }
}

/// The server died of a SIGKILL, which nobody but itself sent.
pub(super) fn killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Dies at every failpoint when it is passed for the `nth` time, for each of `nths`.
///
/// A place that is not reached within the rig's patience is a panic.
pub async fn run(program: &Path, seed: u64, nths: &[u32]) -> Figures {
    let mut rig = Rig::new(program, seed).await;
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    for &point in Failpoint::ALL {
        for &nth in nths {
            let nth = if taken(point) == Taken::Load { nth } else { 1 };
            die_at(&mut rig, point, nth).await;
        }
    }
    half_a_request(&mut rig).await;
    rig.conclude(publishers).await
}

async fn die_at(rig: &mut Rig, point: Failpoint, nth: u32) {
    // The process's first pass of it must be the one that counts.
    let nth = if point == Failpoint::LanesRead { 1 } else { nth };
    match taken(point) {
        Taken::Load => {
            let life = rig.start(&armed(rig, point, nth));
            rig.until_dead(life, point.name(), killed).await;
        }
        Taken::Operator => with_operator(rig, Work::Webhooks, point).await,
        Taken::Bulk => with_operator(rig, Work::Bulk, point).await,
        Taken::End => {
            let mut life = rig.start(&armed(rig, point, nth));
            life.process.reachable().await;
            rig.answered(20).await;
            rig.delivered(MOODY, 1).await;
            life.process.terminate();
            rig.until_dead(life, point.name(), killed).await;
        }
        // `retention` sees to these
        Taken::Age => {}
    }
}

pub(super) fn armed(rig: &Rig, point: Failpoint, nth: u32) -> crate::process::Launch {
    rig.launch.clone().variable(VARIABLE, &format!("{}:{nth}:kill", point.name()))
}

async fn with_operator(rig: &mut Rig, work: Work, point: Failpoint) {
    let operator = Operator::start(rig, work);
    let life = rig.start(&armed(rig, point, 1));
    rig.until_dead(life, point.name(), killed).await;
    let mut life = rig.start(&rig.launch);
    life.process.reachable().await;
    operator.end(rig.api()).await;
    rig.kill(life).await;
}

/// A request of which the receiver got half.
async fn half_a_request(rig: &mut Rig) {
    let name = Failpoint::RequestWriting.name();
    let armed = format!("{name}:1:error-1,{name}:2:kill");
    let life = rig.start(&rig.launch.clone().variable(VARIABLE, &armed));
    rig.until_dead(life, "half of a request", killed).await;
}
