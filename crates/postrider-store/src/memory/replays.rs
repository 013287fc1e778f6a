//! Replays, and what they do to deliveries.

use postrider_core::delivery::Standing;
use postrider_core::id::{DeliveryKey, ReplayKey, TenantKey, UnixMs, WebhookKey};

use super::state::State;
use crate::error::StoreError;
use crate::records::RetryRequest;
use crate::replay::{Replay, ReplayMove, ReplayState, ReplayStep, ReplayStepped};

impl State {
    pub(super) fn insert_replay(&mut self, replay: Replay) -> Result<(), StoreError> {
        match self.replays.get(&replay.key) {
            Some(stored) if *stored == replay => Ok(()),
            Some(_) => Err(StoreError::Conflict("another replay has this key")),
            None => {
                self.replays.insert(replay.key, replay);
                Ok(())
            }
        }
    }

    pub(super) fn list_replays(
        &self,
        tenant: TenantKey,
        webhook: Option<WebhookKey>,
        before: Option<ReplayKey>,
        limit: usize,
    ) -> Vec<Replay> {
        let newest_first = self.replays.values().rev().filter(|replay| replay.tenant == tenant);
        let older = newest_first.filter(|replay| before.is_none_or(|before| replay.key < before));
        let of_webhook =
            older.filter(|replay| webhook.is_none() || replay.filter.webhook == webhook);
        of_webhook.take(limit).cloned().collect()
    }

    pub(super) fn running_replays(&self, after: Option<ReplayKey>, limit: usize) -> Vec<Replay> {
        let running = self.replays.values().filter(|r| r.state == ReplayState::Running);
        running.filter(|replay| Some(replay.key) > after).take(limit).cloned().collect()
    }

    pub(super) fn step_replay(&mut self, step: &ReplayStep) -> Result<ReplayStepped, StoreError> {
        let replay = self.replays.get(&step.replay).cloned();
        let stands =
            |replay: &Replay| replay.state == ReplayState::Running && replay.position == step.from;
        let replay =
            replay.filter(stands).ok_or(StoreError::Conflict("the replay stands elsewhere"))?;
        let mut moved = Vec::new();
        for wanted in &step.moves {
            if self.replay_one(&replay, *wanted, step.at)? {
                moved.push(wanted.delivery);
            }
        }
        let replay = replay.after(step, moved.len());
        self.replays.insert(replay.key, replay.clone());
        Ok(ReplayStepped { replay, moved })
    }

    pub(super) fn end_replay(
        &mut self,
        key: ReplayKey,
        state: ReplayState,
        at: UnixMs,
    ) -> Option<Replay> {
        let replay = self.replays.get_mut(&key).filter(|r| r.state == ReplayState::Running)?;
        replay.state = state;
        replay.finished_at = Some(at);
        Some(replay.clone())
    }

    /// Whether it is pending now because of this.
    fn replay_one(
        &mut self,
        replay: &Replay,
        wanted: ReplayMove,
        at: UnixMs,
    ) -> Result<bool, StoreError> {
        let ReplayMove { delivery, key } = wanted;
        match self.standings.get(&delivery) {
            Some(standing) if replay.moves(standing.state()) => {
                self.request_retry(RetryRequest { delivery, at, key })?;
                Ok(true)
            }
            None if replay.adds(delivery) && self.events.contains_key(&delivery.event) => {
                self.add(delivery, at);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn add(&mut self, delivery: DeliveryKey, at: UnixMs) {
        self.added.insert(delivery, at);
        self.stand(delivery, Standing::accepted(at));
        self.counts.deliveries_created += 1;
    }
}
