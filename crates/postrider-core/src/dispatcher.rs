//! Decides what is sent when: a state machine without clock, sockets or storage.
//!
//! The shell tells it what happened ([`Dispatcher::handle`]), performs the [`Effect`]s it answers
//! with, and comes back at [`Dispatcher::next_wake`] at the latest. The simulator does the same
//! in virtual time.
//!
//! Order of things, for each delivery: it is committed, then handed over here; an attempt starts;
//! it ends; its outcome is recorded; only when that is durable may the next attempt be thought of.

mod conversation;
mod memory;
mod outcome;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::delivery::{AttemptResult, CancelReason, Happening, Standing};
use crate::event::Event;
use crate::id::{DeliveryKey, UnixMs, WebhookKey};
use crate::lane::{Gate, Lane, LaneSettings, Ready};

use memory::Memory;

pub use conversation::{Claim, DispatcherLimits, Effect, Ended, Input};

/// See the module's text.
#[derive(Debug)]
pub struct Dispatcher {
    limits: DispatcherLimits,
    lanes: BTreeMap<WebhookKey, Lane>,
    wakes: BTreeSet<(UnixMs, WebhookKey)>,
    /// Lanes that could start an attempt if fewer were in flight, in the order in which they asked.
    awaiting_slot: VecDeque<WebhookKey>,
    /// Lanes that could load more if less were in memory, in the order in which they asked.
    awaiting_room: VecDeque<WebhookKey>,
    effects: VecDeque<Effect>,
    memory: Memory,
    in_flight: usize,
    settling: usize,
    /// What the clock showed last.
    now: UnixMs,
    is_stopping: bool,
}

impl Dispatcher {
    pub fn new(limits: DispatcherLimits) -> Self {
        Self {
            limits,
            lanes: BTreeMap::new(),
            wakes: BTreeSet::new(),
            awaiting_slot: VecDeque::new(),
            awaiting_room: VecDeque::new(),
            effects: VecDeque::new(),
            memory: Memory::default(),
            in_flight: 0,
            settling: 0,
            now: UnixMs::MIN,
            is_stopping: false,
        }
    }

    /// Takes in what happened. Afterwards, perform what [`next_effect`](Self::next_effect) gives.
    pub fn handle(&mut self, now: UnixMs, input: Input) {
        if std::mem::replace(&mut self.now, now) > now {
            self.clock_went_back(now);
        }
        match input {
            Input::Accepted { settings, event } => self.accepted(now, settings, event),
            Input::Found { settings, due } => self.found(now, settings, due),
            Input::Configured(settings) => self.configured(now, settings),
            Input::Loaded { webhook, page, next_due } => self.loaded(now, webhook, page, next_due),
            Input::LoadFailed { webhook } => {
                if let Some(lane) = self.lanes.get_mut(&webhook) {
                    let room = lane.fail_load(now);
                    if !mutated!("a failed load's room is kept") {
                        self.memory.take_back(room);
                    }
                }
                self.turn(now, webhook);
                self.serve_waiting(now);
            }
            Input::AttemptEnded { delivery, ended } => self.attempt_ended(now, delivery, *ended),
            Input::Settled { delivery, due } => self.settled(now, delivery, due),
            Input::Cancelled { webhook, is_all } => self.cancelled(now, webhook, is_all),
            Input::Woken => self.woken(now),
            Input::Stop => self.is_stopping = true,
        }
    }

    /// What is to be done next, in order.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to come back with [`Input::Woken`], if nothing happens before.
    pub fn next_wake(&self) -> Option<UnixMs> {
        if self.is_stopping {
            return None;
        }
        self.wakes.first().map(|&(time, _)| time)
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Deliveries in memory: ready or in flight.
    pub fn held(&self) -> usize {
        self.memory.held().deliveries
    }

    /// Bytes of the bodies of what is in memory; a body counts once for each delivery.
    pub fn held_bytes(&self) -> usize {
        self.memory.held().bytes
    }

    /// Deliveries that memory is kept free for: pages that were asked for.
    pub fn promised(&self) -> usize {
        self.memory.promised().deliveries
    }

    /// Whether anything of a webhook is in hand or known to wait.
    pub fn has_lane(&self, webhook: WebhookKey) -> bool {
        self.lanes.contains_key(&webhook)
    }

    /// Nothing under way, and every outcome durable.
    pub fn is_drained(&self) -> bool {
        self.in_flight == 0 && self.settling == 0
    }

    /// Whether a webhook's pending deliveries are being cancelled. Don't enable it until that has
    /// ended, or what is accepted from then on may be cancelled too.
    pub fn is_cancelling(&self, webhook: WebhookKey) -> bool {
        self.lanes.get(&webhook).is_some_and(Lane::is_cancelling)
    }

    /// Takes a delivery in hand for an operation on the store, such as a manual retry. When
    /// [`Claim::Taken`], end it with [`Input::Settled`].
    pub fn claim(&mut self, settings: &Arc<LaneSettings>, delivery: DeliveryKey) -> Claim {
        let lane =
            self.lanes.entry(delivery.webhook).or_insert_with(|| Lane::new(settings.clone()));
        if lane.settling.contains(&delivery.event) {
            return Claim::Settling;
        }
        if lane.holds(delivery.event) {
            return Claim::Underway;
        }
        lane.settling.insert(delivery.event);
        self.settling += 1;
        Claim::Taken
    }

    /// The same for an operation that ends it, such as a cancelling: one that is ready is taken out
    /// of memory, so only an attempt under way is in the way.
    pub fn claim_unstarted(
        &mut self,
        settings: &Arc<LaneSettings>,
        delivery: DeliveryKey,
    ) -> Claim {
        if let Some(lane) = self.lanes.get_mut(&delivery.webhook)
            && let Some(ready) = lane.withdraw(delivery.event)
        {
            self.memory.leave(&ready);
        }
        self.claim(settings, delivery)
    }

    /// Whether due work of a webhook waits in the store because its lane has not come to it yet.
    pub fn is_behind(&self, now: UnixMs, webhook: WebhookKey) -> bool {
        self.lanes.get(&webhook).is_some_and(|lane| lane.is_behind(now))
    }

    fn accepted(&mut self, now: UnixMs, settings: Arc<LaneSettings>, event: Arc<Event>) {
        let webhook = settings.webhook;
        let due = event.accepted_at();
        let has_room = self.memory.has_room(&self.limits) && !self.is_stopping;
        let lane_max = if self.memory.is_half_free(&self.limits) {
            self.limits.lane_ready_burst_max
        } else {
            self.limits.lane_ready_max
        };
        let lane = self.lanes.entry(webhook).or_insert_with(|| Lane::new(settings));
        if lane.has_in_hand(event.key) {
            return;
        }
        let ready_max = lane.ready_max(lane_max);
        if has_room && lane.takes_accepted(now, ready_max) {
            let Standing::Pending(waiting) = Standing::accepted(due) else {
                return;
            };
            let ready = Ready { event, waiting };
            self.memory.enter(&ready);
            lane.ready.push_back(ready);
        } else {
            lane.note_stored(due);
        }
        self.turn(now, webhook);
    }

    fn found(&mut self, now: UnixMs, settings: Arc<LaneSettings>, due: UnixMs) {
        let webhook = settings.webhook;
        self.lanes.entry(webhook).or_insert_with(|| Lane::new(settings)).note_stored(due);
        self.turn(now, webhook);
    }

    fn configured(&mut self, now: UnixMs, settings: Arc<LaneSettings>) {
        let webhook = settings.webhook;
        let is_closed = matches!(settings.gate, Gate::Closed(_));
        if !self.lanes.contains_key(&webhook) && !is_closed {
            return;
        }
        let lane = self.lanes.entry(webhook).or_insert_with(|| Lane::new(settings.clone()));
        if !(mutated!("a pause is not heard") && settings.gate == Gate::Paused) {
            lane.gate = settings.gate;
        }
        lane.settings = settings;
        if lane.gate != Gate::Open {
            self.unload(webhook);
        }
        if is_closed {
            self.cancel(webhook);
        }
        self.turn(now, webhook);
        self.serve_waiting(now);
    }

    fn loaded(
        &mut self,
        now: UnixMs,
        webhook: WebhookKey,
        page: Vec<Ready>,
        next_due: Option<UnixMs>,
    ) {
        let Some(lane) = self.lanes.get_mut(&webhook) else {
            return;
        };
        let (page, room) = lane.end_load(page, next_due);
        if lane.gate == Gate::Open {
            for ready in &page {
                self.memory.enter(ready);
            }
            lane.ready.extend(page);
        } else {
            for ready in page {
                lane.note_stored(ready.waiting.due);
            }
        }
        self.memory.take_back(room);
        self.turn(now, webhook);
        self.serve_waiting(now);
    }

    fn attempt_ended(&mut self, now: UnixMs, delivery: DeliveryKey, ended: Ended) {
        let Some(lane) = self.lanes.get_mut(&delivery.webhook) else {
            return;
        };
        let Some(ready) = lane.in_flight.remove(&delivery.event) else {
            return;
        };
        lane.settling.insert(delivery.event);
        if !(mutated!("a gone receiver's slot is kept") && ended.is_gone()) {
            self.in_flight -= 1;
        }
        self.settling += 1;
        self.memory.leave(&ready);

        lane.adapt(matches!(ended.attempt.result, AttemptResult::Answered(_)));
        let is_gone = ended.is_gone();
        let standing = outcome::standing_after(&ready, &lane.settings, lane.gate, &ended);
        if mutated!("settled before it is durable") {
            lane.settling.remove(&delivery.event);
            standing.due().into_iter().for_each(|due| lane.note_stored(due));
        }
        self.effects.push_back(Effect::Record {
            delivery,
            event: ready.event,
            was: ready.waiting,
            what: Happening::Attempt(Box::new(ended.attempt)),
            standing,
        });
        if is_gone && !matches!(lane.gate, Gate::Closed(_)) {
            lane.gate = Gate::Closed(CancelReason::WebhookGone);
            self.effects.push_back(Effect::DisableGone { webhook: delivery.webhook });
            self.unload(delivery.webhook);
            self.cancel(delivery.webhook);
        }
        self.turn(now, delivery.webhook);
        self.serve_waiting(now);
    }

    fn settled(&mut self, now: UnixMs, delivery: DeliveryKey, due: Option<UnixMs>) {
        let Some(lane) = self.lanes.get_mut(&delivery.webhook) else {
            return;
        };
        if lane.settling.remove(&delivery.event) {
            self.settling -= 1;
        }
        lane.note_changed(delivery.event);
        if let Some(due) = due {
            lane.note_stored(due);
            if matches!(lane.gate, Gate::Closed(_)) {
                self.cancel(delivery.webhook);
            }
        }
        self.turn(now, delivery.webhook);
    }

    fn cancelled(&mut self, now: UnixMs, webhook: WebhookKey, is_all: bool) {
        let Some(lane) = self.lanes.get_mut(&webhook) else {
            return;
        };
        let is_seen_whole = lane.end_cancelling();
        if matches!(lane.gate, Gate::Closed(_)) {
            if is_all && is_seen_whole {
                lane.forget_stored();
            } else {
                self.cancel(webhook);
            }
        }
        self.turn(now, webhook);
    }

    /// Lanes wait for what the clock showed before; those that wait for moments only would wait for
    /// as long as it went back.
    fn clock_went_back(&mut self, now: UnixMs) {
        let webhooks: Vec<WebhookKey> = self.lanes.keys().copied().collect();
        for webhook in webhooks {
            if let Some(lane) = self.lanes.get_mut(&webhook) {
                lane.clock_went_back(now);
            }
            self.tidy_lane(now, webhook);
        }
    }

    fn woken(&mut self, now: UnixMs) {
        while let Some(&(time, webhook)) = self.wakes.first() {
            if time > now {
                break;
            }
            self.wakes.pop_first();
            if let Some(lane) = self.lanes.get_mut(&webhook) {
                lane.wake = None;
            }
            self.turn(now, webhook);
        }
    }
}
