//! A lease as its holder sees it, and what keeps it alive meanwhile.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at};

use super::store::{Claim, InboxStore, LeaseState, Token};
use crate::now_ms;

/// The right to handle one event, for as long as the lease lasts.
#[derive(Debug)]
pub struct Lease {
    effect_key: String,
    attempt: u32,
    lost: watch::Sender<bool>,
}

impl Lease {
    pub(super) fn new(claim: &Claim, effect_key: String) -> Self {
        Self { effect_key, attempt: claim.attempt, lost: watch::Sender::new(false) }
    }

    /// The same in every attempt of the event: give it to systems that know idempotency keys.
    pub fn effect_key(&self) -> &str {
        &self.effect_key
    }

    /// 1 for the first.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Ready once somebody else may have taken the event over: stop what has an effect.
    pub async fn lost(&self) {
        let mut lost = self.lost.subscribe();
        // the sender lives as long as `self`
        let _ = lost.wait_for(|is_lost| *is_lost).await;
    }
}

/// Runs `work` and keeps its lease alive. A store that doesn't answer for a whole lease counts as
/// lost: others may think so too.
pub(super) async fn keep<T, F: Future<Output = T>>(
    store: &dyn InboxStore,
    token: &Token,
    lasts: Duration,
    lease: &Lease,
    work: impl FnOnce() -> F,
) -> T {
    let alive = async {
        let pause = (lasts / 3).max(Duration::from_millis(1));
        let mut beats = interval_at(tokio::time::Instant::now() + pause, pause);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut held_until = tokio::time::Instant::now() + lasts;
        loop {
            let asked = beats.tick().await;
            let heard =
                tokio::time::timeout_at(held_until, store.heartbeat(token, lasts, now_ms()));
            match heard.await {
                Ok(Ok(LeaseState::Held)) => held_until = asked + lasts,
                Ok(Ok(LeaseState::Lost)) | Err(_) => break,
                Ok(Err(_)) if tokio::time::Instant::now() >= held_until => break,
                Ok(Err(_)) => {}
            }
        }
        lease.lost.send_replace(true);
        std::future::pending::<std::convert::Infallible>().await
    };
    tokio::select! {
        done = work() => done,
        never = alive => match never {},
    }
}
