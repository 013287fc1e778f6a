//! kill -9 at random moments, under load.

use std::path::Path;
use std::time::Duration;

use crate::figures::Figures;
use crate::rig::Rig;

/// Kills of one data folder before it is checked and a new one begun: what a folder gathers stays
/// small enough to be checked in a moment.
const KILLS_OF_A_RIG: usize = 50;
const PUBLISHERS: u64 = 6;

/// When a life of the server ends.
#[derive(Clone, Copy, Debug)]
enum Time {
    /// So long after the process was started, whether it listens or not.
    Started(Duration),
    /// So long after it listens.
    Listened(Duration),
    /// Right after so many events were answered.
    Answered(u64),
}

impl Time {
    fn draw(rig: &mut Rig) -> Self {
        let random = &mut rig.random;
        match random.below(5) {
            0 => Self::Started(Duration::from_micros(random.below(100_000))),
            1 | 2 => Self::Listened(Duration::from_micros(random.below(300_000))),
            _ => Self::Answered(1 + random.below(300)),
        }
    }
}

/// So many kills; `progress` hears of each rig's figures.
pub async fn run(
    program: &Path,
    seed: u64,
    kills: usize,
    mut progress: impl FnMut(&Figures),
) -> Figures {
    let mut figures = Figures::default();
    let mut seeds = seed..;
    while figures.kills < kills {
        let count = KILLS_OF_A_RIG.min(kills - figures.kills);
        let seed = seeds.next().expect("seeds don't run out");
        figures.add(rig(program, seed, count).await);
        progress(&figures);
    }
    figures
}

async fn rig(program: &Path, seed: u64, kills: usize) -> Figures {
    let mut rig = Rig::new(program, seed).await;
    let publishers = rig.publishers(PUBLISHERS, Duration::ZERO);
    for _ in 0..kills {
        let time = Time::draw(&mut rig);
        let mut life = rig.start(&rig.launch);
        match time {
            // the random moment itself; nothing is waited for
            Time::Started(time) => tokio::time::sleep(time).await,
            Time::Listened(time) => {
                life.process.reachable().await;
                tokio::time::sleep(time).await;
            }
            Time::Answered(count) => rig.answered(count).await,
        }
        rig.kill(life).await;
    }
    rig.conclude(publishers).await
}
