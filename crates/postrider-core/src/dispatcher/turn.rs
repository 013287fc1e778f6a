//! What lanes can do now: start attempts, ask for pages, have what is pending cancelled.

use super::{Dispatcher, Effect};
use crate::id::{DeliveryKey, UnixMs, WebhookKey};
use crate::lane::{Gate, Ready, Room};

impl Dispatcher {
    /// Lets one lane do all that it can do now.
    pub(super) fn turn(&mut self, now: UnixMs, webhook: WebhookKey) {
        if self.is_stopping {
            return;
        }
        let Some(lane) = self.lanes.get_mut(&webhook) else {
            return;
        };
        while lane.may_start(now) {
            if self.in_flight >= self.limits.in_flight_max
                && !mutated!("the node's slots are not bounded")
            {
                if !std::mem::replace(&mut lane.awaits_slot, true) {
                    self.awaiting_slot.push_back(webhook);
                }
                break;
            }
            let Some(Ready { event, waiting }) = lane.start(now) else {
                break;
            };
            self.in_flight += 1;
            let delivery = DeliveryKey { event: event.key, webhook };
            self.effects.push_back(Effect::Start { delivery, event, waiting });
        }
        if matches!(lane.gate, Gate::Closed(_)) && !lane.is_cancelling() && lane.has_stored() {
            self.cancel(webhook);
        } else if lane.wants_load(now, &self.limits) {
            let lane_room = lane.ready_max(self.limits.lane_ready_max) - lane.ready.len();
            // A lane with nothing in hand may always load one: it can't be starved by full ones.
            let is_bare = lane.ready.is_empty() && lane.in_flight.is_empty();
            let least = is_bare.then_some(Room { deliveries: 1, bytes: 0 });
            let room = self.memory.for_page(lane_room, &self.limits).or(least);
            if let Some(room) = room {
                let except = lane.begin_load(room);
                self.memory.promise(room);
                self.effects.push_back(Effect::Load {
                    webhook,
                    until: if mutated!("due a second early") { now + 1_000 } else { now },
                    limit: room.deliveries,
                    bytes_max: room.bytes,
                    except,
                });
            } else if !std::mem::replace(&mut lane.awaits_room, true) {
                self.awaiting_room.push_back(webhook);
            }
        }
        self.tidy_lane(now, webhook);
    }

    /// Brings the wake list up to date with a lane; forgets it when it is idle.
    pub(super) fn tidy_lane(&mut self, now: UnixMs, webhook: WebhookKey) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        let wake = lane.next_wake(now, &self.limits);
        if wake != lane.wake {
            if let Some(old) = lane.wake.take() {
                self.wakes.remove(&(old, webhook));
            }
            if let Some(time) = wake {
                self.wakes.insert((time, webhook));
            }
            lane.wake = wake;
        }
        if lane.is_idle(now) && !lane.awaits_slot && !lane.awaits_room {
            self.lanes.remove(&webhook);
        }
    }

    /// Something has come free: gives a turn to lanes that waited for it, each at most once.
    pub(super) fn serve_waiting(&mut self, now: UnixMs) {
        for _ in 0..self.awaiting_slot.len() {
            if self.in_flight >= self.limits.in_flight_max {
                break;
            }
            let Some(webhook) = self.awaiting_slot.pop_front() else { break };
            if let Some(lane) = self.lanes.get_mut(&webhook) {
                lane.awaits_slot = false;
            }
            self.turn(now, webhook);
        }
        for _ in 0..self.awaiting_room.len() {
            if !self.memory.has_room(&self.limits) {
                break;
            }
            let Some(webhook) = self.awaiting_room.pop_front() else { break };
            if let Some(lane) = self.lanes.get_mut(&webhook) {
                lane.awaits_room = false;
            }
            self.turn(now, webhook);
        }
    }

    /// Takes a lane's ready deliveries out of memory; they are in the store.
    pub(super) fn unload(&mut self, webhook: WebhookKey) {
        let Some(lane) = self.lanes.get_mut(&webhook) else {
            return;
        };
        for ready in lane.unload() {
            self.memory.leave(&ready);
        }
    }

    /// Asks for a part of what is pending to be cancelled, unless that runs already.
    pub(super) fn cancel(&mut self, webhook: WebhookKey) {
        let Some(lane) = self.lanes.get_mut(&webhook) else {
            return;
        };
        let Gate::Closed(reason) = lane.gate else {
            return;
        };
        if lane.is_cancelling() {
            return;
        }
        lane.begin_cancelling();
        let in_hand = lane.in_flight.keys().copied().chain(lane.settling.iter().copied());
        let except = in_hand.filter(|_| !mutated!("what is in flight is cancelled")).collect();
        self.effects.push_back(Effect::Cancel { webhook, reason, except });
    }
}
