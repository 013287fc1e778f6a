//! A machine's clock that is set, by hours, forwards and backwards, while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postrider::faults::CLOCK_VARIABLE;
use serde_json::json;

use crate::figures::Figures;
use crate::receiver::Reply;
use crate::rig::{Rig, STEADY};

const PUBLISHERS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(3);
/// Deliveries that were to be tried again in an hour when the clock is set.
const WAITING: &str = "/waiting";
const HOUR_MS: i64 = 3_600_000;
/// How soon what has become due by the clock is attempted.
const SOON: Duration = Duration::from_secs(10);

/// So many jumps either way under load, and one while all is quiet.
pub async fn run(program: &Path, seed: u64, jumps: u64) -> Figures {
    let mut figures = jumping(program, seed, jumps).await;
    figures.add(becoming_due(program, seed).await);
    figures
}

async fn jumping(program: &Path, seed: u64, jumps: u64) -> Figures {
    let (mut rig, clock) = with_clock(program, seed).await;
    let process = rig.launch.start_reachable().await;
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    rig.delivered(STEADY, 20).await;
    let (mut offset_ms, mut furthest_ms) = (0, 0);
    for _ in 0..jumps {
        let by_ms = i64::try_from(rig.random.below(4 * 3_600_000)).unwrap() - 2 * HOUR_MS;
        offset_ms += by_ms;
        furthest_ms = offset_ms.max(furthest_ms);
        set(&clock, offset_ms);
        // events that come now go out now, whatever the clock says
        rig.answered(10).await;
        rig.delivered(STEADY, 10).await;
    }
    // what was put off while the clock was ahead waits until it is there again
    set(&clock, furthest_ms + HOUR_MS);
    rig.conclude_with(process, publishers, None).await
}

/// A retry in an hour, and the clock goes forward by two while nothing else happens.
async fn becoming_due(program: &Path, seed: u64) -> Figures {
    let (rig, clock) = with_clock(program, seed).await;
    let process = rig.launch.start_reachable().await;
    let api = process.api;
    let is_well = Arc::new(AtomicBool::new(false));
    rig.receiver.behave({
        let is_well = is_well.clone();
        move |_| Reply::Answer(if is_well.load(Ordering::SeqCst) { 200 } else { 500 })
    });
    let webhook = json!({"url": rig.url(WAITING), "events": ["waiting.*"],
        "retry_schedule": [0, 3600]});
    api.create_webhook(&webhook).await;
    let event = api.publish("waiting.began").await;
    let delivery = api.sole_delivery(&event).await;
    api.delivery_after(&delivery, 1).await;
    is_well.store(true, Ordering::SeqCst);
    set(&clock, 2 * HOUR_MS);
    let retried = tokio::time::timeout(SOON, api.delivery_in(&delivery, "succeeded")).await;
    assert!(retried.is_ok(), "seed {seed}: a retry that the clock has made due is not made");
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    rig.delivered(STEADY, 10).await;
    rig.conclude_with(process, publishers, None).await
}

/// A rig whose servers go by a clock that can be set, and the file that sets it.
async fn with_clock(program: &Path, seed: u64) -> (Rig, PathBuf) {
    let mut rig = Rig::new(program, seed).await;
    let clock = rig.dir().join("clock");
    rig.is_clock_true = false;
    rig.launch = rig.launch.clone().variable(CLOCK_VARIABLE, clock.to_str().unwrap());
    (rig, clock)
}

/// Whole at once, for it is read at any moment.
fn set(clock: &Path, offset_ms: i64) {
    let new = clock.with_extension("new");
    std::fs::write(&new, offset_ms.to_string()).unwrap();
    std::fs::rename(&new, clock).unwrap();
}
