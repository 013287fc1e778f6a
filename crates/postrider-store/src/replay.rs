//! A replay at rest: past events on their way to webhooks once more, page by page.
//!
//! How far a replay has come is stored in the same step that moves its deliveries on. So a crash
//! in the middle repeats nothing and leaves nothing out.

use postrider_core::delivery::DeliveryState;
use postrider_core::id::{DeliveryKey, HistoryKey, ReplayKey, TenantKey, UnixMs};

use crate::search::DeliveryFilter;

/// A stored replay, and how far it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    pub key: ReplayKey,
    pub tenant: TenantKey,
    /// Which deliveries are moved on. Pending ones are not: they are on their way.
    pub filter: DeliveryFilter,
    /// Adds deliveries to events that did not go to the filter's webhook.
    pub with_missed: bool,
    pub state: ReplayState,
    /// All up to here is done, oldest event first.
    pub position: Option<DeliveryKey>,
    /// Events looked at.
    pub considered: u64,
    /// Deliveries moved on or added.
    pub replayed: u64,
    pub created_at: UnixMs,
    pub finished_at: Option<UnixMs>,
}

/// Where a replay is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// Moved on by the engine, also after a restart.
    Running,
    /// Came to its end.
    Done,
    /// Somebody ended it, or its webhook was deleted or disabled. What it had moved on stays so.
    Cancelled,
}

/// One step of a replay: all of it becomes durable together, or none of it.
#[derive(Clone, Debug)]
pub struct ReplayStep {
    pub replay: ReplayKey,
    /// Where the replay stands; it must stand there still.
    pub from: Option<DeliveryKey>,
    /// Where it stands afterwards; `None` when this step is the last.
    pub to: Option<DeliveryKey>,
    /// Events looked at in this step.
    pub considered: u64,
    /// Each delivery once.
    pub moves: Vec<ReplayMove>,
    pub at: UnixMs,
}

/// Asks for one delivery to be made once more, or at all.
#[derive(Clone, Copy, Debug)]
pub struct ReplayMove {
    pub delivery: DeliveryKey,
    /// Key of the history entry that this may make.
    pub key: HistoryKey,
}

/// What a [`ReplayStep`] came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayStepped {
    pub replay: Replay,
    /// Deliveries that are pending now because of it.
    pub moved: Vec<DeliveryKey>,
}

impl Replay {
    /// Whether a delivery that stands in this state is moved on.
    pub(crate) fn moves(&self, state: DeliveryState) -> bool {
        state.is_final() && self.filter.states.contains(&state)
    }

    /// Whether a delivery is added that there is not.
    pub(crate) fn adds(&self, delivery: DeliveryKey) -> bool {
        self.with_missed && self.filter.webhook == Some(delivery.webhook)
    }

    /// The replay after a step that made so many deliveries pending.
    pub(crate) fn after(&self, step: &ReplayStep, moved: usize) -> Self {
        let is_last = step.to.is_none();
        Self {
            state: if is_last { ReplayState::Done } else { ReplayState::Running },
            position: step.to.or(self.position),
            considered: self.considered + step.considered,
            replayed: self.replayed + u64::try_from(moved).unwrap_or(u64::MAX),
            finished_at: is_last.then_some(step.at),
            ..self.clone()
        }
    }
}
