//! What must be true at every step, and once everything rests.

use std::collections::{BTreeMap, VecDeque};

use postrider_core::delivery::{Standing, Waiting};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, WebhookKey};
use postrider_core::lane::Gate;
use postrider_store::{DeliveryStore as _, MaintenanceStore as _};

use crate::plan::BODY_BYTES_MAX;
use crate::rare::Rare;
use crate::store_calls::at_once;
use crate::world::World;

/// How late an attempt may be when nothing is wrong (issue 4: "within its schedule + 60 s").
const LATE_MS: i64 = 60_000;
/// Over what a rate is watched.
const RATE_WINDOW_MS: i64 = 1_000;

/// What is known of one process's attempts beside what the dispatcher knows.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Attempts that a receiver may have at once, by whether it answered those before.
    allowances: BTreeMap<WebhookKey, u16>,
    /// True times of starts, as far back as a rate is watched.
    starts: BTreeMap<WebhookKey, VecDeque<i64>>,
}

impl Watch {
    /// A webhook has other bounds from now on.
    pub(crate) fn tuned(&mut self, webhook: WebhookKey) {
        self.allowances.insert(webhook, u16::MAX);
        self.starts.remove(&webhook);
    }

    /// A second by the server's clock was none by the true one.
    pub(crate) fn clock_jumped(&mut self) {
        self.starts.clear();
    }
}

impl World {
    /// The bounds of memory and of attempts, and the accounting identity.
    pub(crate) fn check_step(&mut self) {
        let limits = self.plan.limits;
        let Some(process) = &mut self.process else { return };
        let dispatcher = &process.dispatcher;
        process.watch.allowances.retain(|&webhook, _| dispatcher.has_lane(webhook));
        let (in_flight, under_way) = (dispatcher.in_flight(), process.under_way.len());
        let (held, bytes) = (dispatcher.held(), dispatcher.held_bytes());
        // A lane with nothing in hand may load one beyond the bounds; one event may cross them.
        let bare = process.registry.len() + 1;
        let broken = if in_flight != under_way {
            Some(format!("{under_way} attempts are under way, {in_flight} are known"))
        } else if in_flight > limits.in_flight_max {
            Some(format!("{in_flight} attempts are under way on the node"))
        } else if held > limits.ready_max + bare {
            Some(format!("{held} deliveries are in memory"))
        } else if bytes > limits.ready_bytes_max + bare * BODY_BYTES_MAX {
            Some(format!("{bytes} bytes are in memory"))
        } else {
            None
        };
        if in_flight == limits.in_flight_max && held > in_flight {
            self.rare.meet(Rare::SlotWait);
        }
        if held >= limits.ready_max {
            self.rare.meet(Rare::RoomWait);
        }
        let counts = at_once(self.store.counts()).unwrap_or_default();
        let created = u64::try_from(self.books.created()).unwrap_or(u64::MAX);
        if counts.deliveries_created != counts.deliveries_pending + counts.deliveries_finished
            || counts.deliveries_created != created
        {
            self.break_off(format!("{counts:?} of {created} deliveries don't add up"));
        }
        if let Some(broken) = broken {
            self.break_off(broken);
        }
    }

    pub(crate) fn check_load(&mut self, webhook: WebhookKey, limit: usize) {
        if limit > self.plan.limits.lane_ready_max {
            self.break_off(format!("{webhook} asks for {limit} deliveries at once"));
        }
    }

    /// An attempt starts: may it?
    pub(crate) fn check_start(&mut self, delivery: DeliveryKey, event: &Event, waiting: &Waiting) {
        if let Some(why) = self.forbids(delivery, event, waiting) {
            self.break_off(format!("{delivery} must not start: {why}; {waiting:?}"));
        }
        self.watch_start(delivery.webhook);
        let late = self.wall() - waiting.due;
        let has_rate = self.live(delivery.webhook).is_some_and(|l| l.lane.rate_per_s.is_some());
        if has_rate && late > 0 {
            self.meet(Rare::RateWait);
        }
    }

    fn forbids(&self, delivery: DeliveryKey, event: &Event, waiting: &Waiting) -> Option<String> {
        let process = self.process.as_ref()?;
        let Some(live) = process.registry.get(&delivery.webhook) else {
            return Some("its webhook is unknown".to_owned());
        };
        let stands = at_once(self.store.delivery(delivery)).ok().flatten();
        let stands = stands.map(|stands| stands.standing);
        let own = process.under_way.keys().filter(|other| other.webhook == delivery.webhook);
        let others = u16::try_from(own.count()).unwrap_or(u16::MAX);
        let allowance = process.watch.allowances.get(&delivery.webhook).copied();
        let concurrency = live.lane.concurrency;
        if live.webhook.tenant != event.tenant {
            Some("its event is another tenant's".to_owned())
        } else if stands != Some(Standing::Pending(*waiting)) {
            Some(format!("it stands as {stands:?}"))
        } else if process.under_way.contains_key(&delivery) {
            Some("it is under way already".to_owned())
        } else if live.lane.gate != Gate::Open {
            Some(format!("its webhook is {:?}", live.webhook.state))
        } else if waiting.progress.attempts > 0 && waiting.due > self.wall_max {
            // What has become due stays so when the clock goes back.
            Some(format!("it is not due at {}", self.wall_max))
        } else if others >= concurrency {
            Some(format!("{others} others of {concurrency} are under way"))
        } else if allowance.is_some_and(|allowance| others >= allowance) {
            Some(format!("its receiver doesn't answer, and {others} others are under way"))
        } else {
            self.is_late(delivery, waiting)
        }
    }

    /// Once faults have stopped, what is due is started, at most one after the other.
    fn is_late(&self, delivery: DeliveryKey, waiting: &Waiting) -> Option<String> {
        let quiet = self.quiet?;
        let waited = self.wall() - waiting.due.max(quiet.from);
        if waited <= LATE_MS {
            return None;
        }
        let pending = self.pending().get(&delivery.webhook).copied().unwrap_or_default();
        (waited > LATE_MS + pending * 1_000).then(|| format!("it is {waited} ms late"))
    }

    fn watch_start(&mut self, webhook: WebhookKey) {
        let now = self.now;
        let Some(live) = self.live(webhook) else { return };
        let Some(process) = &mut self.process else { return };
        process.watch.allowances.entry(webhook).or_insert(live.lane.concurrency);
        let Some(rate) = live.lane.rate_per_s else { return };
        let starts = process.watch.starts.entry(webhook).or_default();
        starts.push_back(now);
        while starts.front().is_some_and(|&start| start <= now - RATE_WINDOW_MS) {
            starts.pop_front();
        }
        let started = starts.len();
        if started > rate as usize + 2 {
            self.break_off(format!("{webhook} gets {started} attempts in a second of {rate}"));
        }
    }

    pub(crate) fn watch_end(&mut self, webhook: WebhookKey, is_answered: bool) {
        let Some(live) = self.live(webhook) else { return };
        let Some(process) = &mut self.process else { return };
        let Some(allowance) = process.watch.allowances.get_mut(&webhook) else { return };
        *allowance = if is_answered {
            allowance.saturating_add(1).min(live.lane.concurrency)
        } else {
            (*allowance / 2).max(1)
        };
    }

    /// Nothing is planned any more, or all time is up: nothing may be left over.
    pub(crate) fn check_rest(&mut self) {
        let Some(process) = &self.process else {
            self.break_off("no process is left".to_owned());
            return;
        };
        let dispatcher = &process.dispatcher;
        let (held, promised) = (dispatcher.held(), dispatcher.promised());
        let in_flight = dispatcher.in_flight();
        if held + promised + in_flight > 0 || !dispatcher.is_drained() {
            let what = format!("{held} held, {promised} promised, {in_flight} in flight");
            self.break_off(format!("something leaks: at rest there are {what}"));
        }
        let waiting: Vec<_> = self.pending().into_iter().filter(|(_, count)| *count > 0).collect();
        for (webhook, count) in waiting {
            let gate = self.live(webhook).map(|live| live.lane.gate);
            if gate != Some(Gate::Paused) {
                self.break_off(format!("{webhook} doesn't settle: {count} are pending, {gate:?}"));
            }
        }
    }

    /// The accounting's terms against what there is.
    pub(crate) fn check_counts(&mut self, finals: usize) {
        let counts = at_once(self.store.counts()).unwrap_or_default();
        if counts.deliveries_finished != u64::try_from(finals).unwrap_or(u64::MAX) {
            self.break_off(format!("{counts:?}, but {finals} are final"));
        }
    }
}
