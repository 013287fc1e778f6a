//! One webhook's queue: what is ready to be sent, what is in flight, what waits in the store.
//!
//! Memory holds only work that is due. Whatever waits for a later time, and whatever is due but
//! does not fit, is in the store alone, and the lane remembers when the first of it is due. So a
//! lane costs the same at ten waiting deliveries as at ten million.
//!
//! A delivery is *in hand* from when it enters `ready` until its outcome is durable. Pages from
//! the store leave out what was in hand when they were asked for, and what changed meanwhile.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::delivery::{CancelReason, Waiting};
use crate::dispatcher::DispatcherLimits;
use crate::event::Event;
use crate::id::{EventKey, UnixMs, WebhookKey};
use crate::schedule::RetrySchedule;

/// What the dispatcher has to know of a webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneSettings {
    pub webhook: WebhookKey,
    pub gate: Gate,
    /// Attempts in flight at once, at least 1.
    pub concurrency: u16,
    /// Attempts started a second.
    pub rate_per_s: Option<u32>,
    pub schedule: RetrySchedule,
}

/// Whether a webhook gets attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// No attempt starts; what is pending stays.
    Paused,
    /// No attempt starts; what is pending is cancelled.
    Closed(CancelReason),
}

/// A due delivery in memory.
#[derive(Clone, Debug)]
pub struct Ready {
    pub event: Arc<Event>,
    pub waiting: Waiting,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) settings: Arc<LaneSettings>,
    /// Follows `settings.gate`, but closes at once when a receiver says that it is gone.
    pub(crate) gate: Gate,
    pub(crate) ready: VecDeque<Ready>,
    pub(crate) in_flight: BTreeMap<EventKey, Ready>,
    /// Ended or claimed, and not durable yet.
    pub(crate) settling: BTreeSet<EventKey>,
    /// When the first delivery that is only in the store is due.
    stored_due: Option<UnixMs>,
    load: Load,
    /// The newest event that a page has brought.
    newest_loaded: Option<EventKey>,
    /// At most `concurrency`; halved when the receiver doesn't answer at all, so that hanging
    /// receivers hold few of the sockets that all share, and raised by one with each answer.
    allowance: u16,
    /// When the rate next allows a start, in microseconds: a rate need not divide 1,000.
    rate_free_at_us: i64,
    cancelling: Cancelling,
    /// What is in the dispatcher's wake list for this lane.
    pub(crate) wake: Option<UnixMs>,
    /// Whether the lane waits for an attempt of another lane to end.
    pub(crate) awaits_slot: bool,
    /// Whether the lane waits for room in memory.
    pub(crate) awaits_room: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancelling {
    No,
    Running,
    /// What came may not be among what is being cancelled.
    RunningAndMoreCame,
}

#[derive(Debug)]
enum Load {
    Idle,
    Running {
        /// The earliest due time of what became stored-only since the page was asked for.
        noted: Option<UnixMs>,
        /// What became durable since, in another form than the page may show.
        changed: Vec<EventKey>,
        /// Something was cancelled since: the page may show it as pending.
        is_void: bool,
        /// Room that is kept free for the page.
        room: Room,
    },
    /// The store didn't answer; not again before this.
    NotBefore(UnixMs),
}

/// Room in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) deliveries: usize,
    pub(crate) bytes: usize,
}

/// Due deliveries in memory for each attempt that may be in flight, where the receiver doesn't answer.
const READY_PER_ATTEMPT: usize = 32;

/// How long a lane waits after the store failed to answer a load.
const LOAD_PAUSE_MS: UnixMs = 1_000;

impl Lane {
    pub(crate) fn new(settings: Arc<LaneSettings>) -> Self {
        let gate = settings.gate;
        let allowance = settings.concurrency.max(1);
        Self {
            settings,
            gate,
            ready: VecDeque::new(),
            in_flight: BTreeMap::new(),
            settling: BTreeSet::new(),
            stored_due: None,
            load: Load::Idle,
            newest_loaded: None,
            allowance,
            rate_free_at_us: 0,
            cancelling: Cancelling::No,
            wake: None,
            awaits_slot: false,
            awaits_room: false,
        }
    }

    /// Attempts may start. Not while a cancelling runs, even if the gate has opened since: it
    /// may end what is being started.
    fn is_open(&self) -> bool {
        self.gate == Gate::Open && !self.is_cancelling()
    }

    /// Nothing here and nothing waiting: the lane can be forgotten.
    pub(crate) fn is_idle(&self, now: UnixMs) -> bool {
        self.ready.is_empty()
            && self.in_flight.is_empty()
            && self.settling.is_empty()
            && self.stored_due.is_none()
            && !self.is_loading()
            && !self.is_cancelling()
            && self.rate_allows(now)
    }

    pub(crate) fn is_loading(&self) -> bool {
        matches!(self.load, Load::Running { .. })
    }

    /// Whether an event's delivery is ready or in flight.
    pub(crate) fn holds(&self, event: EventKey) -> bool {
        self.in_flight.contains_key(&event)
            || self.ready.iter().any(|ready| ready.event.key == event)
    }

    /// Whether a newly accepted delivery is in hand already: a page that was read between its
    /// commit and now has brought it.
    pub(crate) fn has_in_hand(&self, event: EventKey) -> bool {
        if mutated!("an accepted delivery is taken twice") {
            return false;
        }
        self.settling.contains(&event)
            // most are newer than any page, and `holds` is slow
            || (self.newest_loaded >= Some(event) && self.holds(event))
    }

    /// Whether a newly accepted delivery may enter memory: only when nothing due is left in the
    /// store, or it would overtake that, and a running load might bring it a second time.
    pub(crate) fn takes_accepted(&self, now: UnixMs, ready_max: usize) -> bool {
        self.is_open()
            && !self.is_loading()
            && self.ready.len() < ready_max
            && self.stored_due.is_none_or(|due| due > now)
    }

    /// A delivery is in the store alone from now on.
    pub(crate) fn note_stored(&mut self, due: UnixMs) {
        let earlier = |known: Option<UnixMs>| Some(known.map_or(due, |known| known.min(due)));
        self.stored_due = earlier(self.stored_due);
        if self.is_cancelling() {
            self.cancelling = Cancelling::RunningAndMoreCame;
        }
        if let Load::Running { noted, .. } = &mut self.load {
            *noted = earlier(*noted);
        }
    }

    /// A delivery's new standing is durable; a page asked for before may show the old one.
    pub(crate) fn note_changed(&mut self, event: EventKey) {
        if let Load::Running { changed, .. } = &mut self.load
            && !mutated!("a page may be older than what changed")
        {
            changed.push(event);
        }
    }

    /// Whether the rate allows a start within this millisecond.
    fn rate_allows(&self, now: UnixMs) -> bool {
        self.rate_free_at_us < now.saturating_add(1).saturating_mul(1_000)
            || mutated!("rates are ignored")
    }

    /// Between two starts, where there is a rate.
    fn rate_gap_us(&self) -> Option<i64> {
        self.settings.rate_per_s.map(|rate| i64::from(1_000_000_u32.div_ceil(rate.max(1))))
    }

    /// Brings the waits that are moments long by nature to where the clock is now.
    pub(crate) fn clock_went_back(&mut self, now: UnixMs) {
        if mutated!("a rate waits for a clock that went back") {
            return;
        }
        let gap_us = self.rate_gap_us().unwrap_or_default();
        let free_at_most = now.saturating_mul(1_000).saturating_add(gap_us);
        self.rate_free_at_us = self.rate_free_at_us.min(free_at_most);
        if let Load::NotBefore(time) = &mut self.load {
            *time = (*time).min(now + LOAD_PAUSE_MS);
        }
    }

    /// How many due deliveries the lane may hold: fewer when its receiver doesn't answer or is
    /// slow by its own wish, so that such lanes can't fill the memory that all share.
    pub(crate) fn ready_max(&self, ready_max: usize) -> usize {
        if mutated!("a lane's memory is not bounded") {
            return usize::MAX;
        }
        let is_answering = self.allowance >= self.settings.concurrency;
        let by_allowance = match usize::from(self.allowance) * READY_PER_ATTEMPT {
            _ if is_answering => usize::MAX,
            some => some,
        };
        let by_rate = self.settings.rate_per_s.map_or(usize::MAX, |rate| rate.max(1) as usize);
        ready_max.min(by_allowance).min(by_rate)
    }

    /// At so few the lane asks for more.
    fn ready_low(&self, limits: &DispatcherLimits) -> usize {
        limits.lane_ready_low.min(self.ready_max(limits.lane_ready_max) / 4)
    }

    /// Whether a start is allowed now, as far as the lane itself decides.
    pub(crate) fn may_start(&self, now: UnixMs) -> bool {
        self.is_open()
            && !self.ready.is_empty()
            && self.in_flight.len() < usize::from(self.attempts_max())
            && self.rate_allows(now)
    }

    /// Attempts that may be in flight now.
    fn attempts_max(&self) -> u16 {
        let concurrency = self.settings.concurrency.max(1);
        if mutated!("the allowance is ignored") {
            return concurrency;
        }
        if mutated!("concurrency is ignored") {
            return u16::MAX;
        }
        self.allowance.min(concurrency)
    }

    /// Takes the next delivery into flight.
    pub(crate) fn start(&mut self, now: UnixMs) -> Option<Ready> {
        let next = self.ready.pop_front()?;
        if let Some(gap_us) = self.rate_gap_us() {
            self.rate_free_at_us = self.rate_free_at_us.max(now.saturating_mul(1_000)) + gap_us;
        }
        self.in_flight.insert(next.event.key, next.clone());
        Some(next)
    }

    /// Whether the store should be asked for more.
    pub(crate) fn wants_load(&self, now: UnixMs, limits: &DispatcherLimits) -> bool {
        self.is_open()
            && self.ready.len() <= self.ready_low(limits)
            && self.stored_due.is_some_and(|due| due <= now)
            && match self.load {
                Load::Idle => true,
                Load::Running { .. } => false,
                Load::NotBefore(time) => time <= now,
            }
    }

    /// Begins a load of at most `room`; what it must leave out.
    pub(crate) fn begin_load(&mut self, room: Room) -> Vec<EventKey> {
        self.load = Load::Running { noted: None, changed: Vec::new(), is_void: false, room };
        if mutated!("what is in hand is loaded again") {
            return Vec::new();
        }
        let ready = self.ready.iter().map(|ready| ready.event.key);
        ready.chain(self.in_flight.keys().copied()).chain(self.settling.iter().copied()).collect()
    }

    /// Cancelling begins: what a running load brings must be read again.
    pub(crate) fn begin_cancelling(&mut self) {
        self.cancelling = Cancelling::Running;
        if let Load::Running { is_void, .. } = &mut self.load {
            *is_void = !mutated!("a void page counts");
        }
    }

    /// A part was cancelled. Whether nothing has become pending since it was asked for.
    pub(crate) fn end_cancelling(&mut self) -> bool {
        let was = std::mem::replace(&mut self.cancelling, Cancelling::No);
        was == Cancelling::Running || mutated!("what comes while cancelling is forgotten")
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling != Cancelling::No
    }

    /// Ends a load; returns what of the page is still as the page shows it, and the room that was
    /// kept for it.
    pub(crate) fn end_load(
        &mut self,
        page: Vec<Ready>,
        next_due: Option<UnixMs>,
    ) -> (Vec<Ready>, Room) {
        let load = std::mem::replace(&mut self.load, Load::Idle);
        let newest = page.iter().map(|ready| ready.event.key).max();
        self.newest_loaded = self.newest_loaded.max(newest);
        let Load::Running { noted, changed, is_void, room } = load else {
            return (Vec::new(), Room::default());
        };
        let first_void = if is_void { page.first().map(|ready| ready.waiting.due) } else { None };
        let next_due = next_due.filter(|_| !mutated!("what lies beyond a page is forgotten"));
        self.stored_due = [next_due, noted, first_void].into_iter().flatten().min();
        if is_void {
            return (Vec::new(), room);
        }
        let unchanged = page.into_iter().filter(|Ready { event, .. }| {
            // Nothing enters `ready` while a load runs; claims and starts may happen.
            !changed.contains(&event.key)
                && !self.in_flight.contains_key(&event.key)
                && !self.settling.contains(&event.key)
        });
        (unchanged.collect(), room)
    }

    /// The store didn't answer; what is known of it stays. Returns the room that was kept.
    pub(crate) fn fail_load(&mut self, now: UnixMs) -> Room {
        match std::mem::replace(&mut self.load, Load::NotBefore(now + LOAD_PAUSE_MS)) {
            Load::Running { room, .. } => room,
            Load::Idle | Load::NotBefore(_) => Room::default(),
        }
    }

    /// Gives back what is ready, for it is in the store as well.
    pub(crate) fn unload(&mut self) -> Vec<Ready> {
        let ready: Vec<_> = self.ready.drain(..).collect();
        for item in &ready {
            self.note_stored(item.waiting.due);
        }
        ready
    }

    /// Takes one that is ready out of memory. Its owner says how it stands from now on.
    pub(crate) fn withdraw(&mut self, event: EventKey) -> Option<Ready> {
        let at = self.ready.iter().position(|ready| ready.event.key == event)?;
        self.ready.remove(at)
    }

    /// Whether something due is in the store alone.
    pub(crate) fn is_behind(&self, now: UnixMs) -> bool {
        self.is_loading() || self.stored_due.is_some_and(|due| due <= now)
    }

    /// Whether anything is in the store alone.
    pub(crate) fn has_stored(&self) -> bool {
        self.stored_due.is_some()
    }

    /// Everything pending was cancelled.
    pub(crate) fn forget_stored(&mut self) {
        self.stored_due = None;
    }

    /// Learns from an attempt whether the receiver answers.
    pub(crate) fn adapt(&mut self, is_answered: bool) {
        self.allowance = if is_answered {
            self.allowance.saturating_add(1).min(self.settings.concurrency.max(1))
        } else {
            (self.allowance / 2).max(1)
        };
    }

    /// When the lane has to be looked at again, if nothing else happens to it: after `now`. What
    /// could be done by now and is not waits for a slot or for room, not for a time.
    pub(crate) fn next_wake(&self, now: UnixMs, limits: &DispatcherLimits) -> Option<UnixMs> {
        if !self.is_open() {
            return None;
        }
        let is_held_back = !self.ready.is_empty() && !self.rate_allows(now);
        let rate = is_held_back.then(|| self.rate_free_at_us.div_euclid(1_000));
        let load = match (&self.load, self.stored_due) {
            (Load::Running { .. }, _) | (_, None) => None,
            (Load::Idle, Some(due)) => (self.ready.len() <= self.ready_low(limits)).then_some(due),
            (Load::NotBefore(time), Some(due)) => Some(due.max(*time)),
        };
        if mutated!("a rate's wake is lost") {
            return [rate, load].into_iter().flatten().min().filter(|&time| time > now);
        }
        [rate, load].into_iter().flatten().filter(|&time| time > now).min()
    }
}
