//! What the dispatcher is told and what it asks for: the whole of its interface but the calls.

use std::sync::Arc;

use crate::delivery::{Attempt, CancelReason, Happening, Standing, Waiting};
use crate::event::Event;
use crate::id::{DeliveryKey, EventKey, UnixMs, WebhookKey};
use crate::lane::{LaneSettings, Ready};
use crate::limits;
use crate::retry_after::RetryAfter;

/// What the dispatcher may hold. All at least 1.
#[derive(Clone, Copy, Debug)]
pub struct DispatcherLimits {
    pub lane_ready_max: usize,
    pub lane_ready_burst_max: usize,
    pub lane_ready_low: usize,
    pub ready_max: usize,
    pub ready_bytes_max: usize,
    pub in_flight_max: usize,
}

impl Default for DispatcherLimits {
    fn default() -> Self {
        Self {
            lane_ready_max: limits::LANE_READY_MAX,
            lane_ready_burst_max: limits::LANE_READY_BURST_MAX,
            lane_ready_low: limits::LANE_READY_LOW,
            ready_max: limits::READY_MAX,
            ready_bytes_max: limits::READY_BYTES_MAX,
            in_flight_max: limits::IN_FLIGHT_MAX,
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A delivery was committed, due at once.
    Accepted { settings: Arc<LaneSettings>, event: Arc<Event> },
    /// Pending deliveries are in the store, the first due at `due`: found at start, or by others.
    Found { settings: Arc<LaneSettings>, due: UnixMs },
    /// A webhook changed. To be told before the change is acknowledged.
    Configured(Arc<LaneSettings>),
    /// The answer to [`Effect::Load`]. `next_due`: of the first one beyond the page.
    Loaded { webhook: WebhookKey, page: Vec<Ready>, next_due: Option<UnixMs> },
    /// The store could not answer [`Effect::Load`].
    LoadFailed { webhook: WebhookKey },
    /// An attempt that [`Effect::Start`] asked for is over.
    AttemptEnded { delivery: DeliveryKey, ended: Box<Ended> },
    /// What [`Effect::Record`] asked for is durable, or a claimed delivery was moved on.
    /// `due`: when it is pending still.
    Settled { delivery: DeliveryKey, due: Option<UnixMs> },
    /// The answer to [`Effect::Cancel`].
    Cancelled { webhook: WebhookKey, is_all: bool },
    /// The time that `next_wake` named has come.
    Woken,
    /// Start nothing more.
    Stop,
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Ended {
    pub attempt: Attempt,
    pub ended_at: UnixMs,
    pub retry_after: Option<RetryAfter>,
    /// For the schedule's jitter, uniform over all of `u64`.
    pub random: u64,
    /// The webhook leads elsewhere by now than to where the attempt went. Of no interest but where it
    /// was answered 410.
    pub is_of_former_url: bool,
}

impl Ended {
    /// Whether the receiver that the webhook leads to says that it is gone. What a former one
    /// says of itself is a failure like others.
    pub(super) fn is_gone(&self) -> bool {
        let is_current = !self.is_of_former_url
            || mutated!("a former receiver's 410 counts as the present one's");
        self.attempt.result.is_gone() && is_current
    }
}

/// What the shell is to do.
#[derive(Debug)]
pub enum Effect {
    /// Make an attempt; answer with [`Input::AttemptEnded`].
    Start { delivery: DeliveryKey, event: Arc<Event>, waiting: Waiting },
    /// Make the outcome durable; answer with [`Input::Settled`].
    Record {
        delivery: DeliveryKey,
        event: Arc<Event>,
        was: Waiting,
        what: Happening,
        standing: Standing,
    },
    /// Read due deliveries; answer with [`Input::Loaded`] or [`Input::LoadFailed`].
    /// At most `limit` of them, with bodies of at most `bytes_max` together (but at least one).
    Load {
        webhook: WebhookKey,
        until: UnixMs,
        limit: usize,
        bytes_max: usize,
        except: Vec<EventKey>,
    },
    /// Cancel some of what is pending; answer with [`Input::Cancelled`].
    Cancel { webhook: WebhookKey, reason: CancelReason, except: Vec<EventKey> },
    /// A receiver said that it is gone (410): disable its webhook, unless that leads elsewhere by then.
    DisableGone { webhook: WebhookKey },
}

/// Whether a delivery could be taken in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Taken,
    /// An attempt of it is due in memory or under way.
    Underway,
    /// What became of it is not durable yet, which takes moments.
    Settling,
}
