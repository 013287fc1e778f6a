//! The dispatcher against a store and receivers that exist only as collections, in virtual time.
//!
//! Answers of the store arrive late and out of step with everything else, as they do in life:
//! a page is read at one moment and handed over at another, outcomes become durable later than
//! they happened. Whatever the order, nothing may be lost, doubled or early.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, ErrorClass, Standing, Timing, Trigger, Waiting,
};
use postrider_core::dispatcher::{Claim, Dispatcher, DispatcherLimits, Effect, Ended, Input};
use postrider_core::event::{Bodies, Event};
use postrider_core::id::{
    DeliveryKey, EventKey, Key, KeyMaker, MatchingKey, TenantKey, WebhookKey,
};
use postrider_core::lane::{Gate, LaneSettings, Ready};
use postrider_core::schedule::RetrySchedule;
use postrider_core::{delivery::CancelReason, delivery::DeliveryState, id::UnixMs};
use postrider_signature::NumberPolicy;
use proptest::prelude::*;

const START: UnixMs = 1_795_000_000_000;

const BODY: &[u8] = b"0123456789";

/// Small bounds, so that every one of them is met.
const LIMITS: DispatcherLimits = DispatcherLimits {
    lane_ready_max: 4,
    lane_ready_burst_max: 5,
    lane_ready_low: 1,
    ready_max: 6,
    ready_bytes_max: 60,
    in_flight_max: 5,
};

struct World {
    limits: DispatcherLimits,
    now: UnixMs,
    keys: KeyMaker,
    dispatcher: Dispatcher,
    webhooks: Vec<Arc<LaneSettings>>,
    events: BTreeMap<EventKey, Arc<Event>>,
    /// The store: how every delivery stands.
    standings: BTreeMap<DeliveryKey, Standing>,
    in_flight: BTreeMap<DeliveryKey, Waiting>,
    /// Read from the store, not handed over yet.
    pages: Vec<(WebhookKey, Vec<Ready>, Option<UnixMs>)>,
    /// Ended, not durable yet.
    outcomes: Vec<(DeliveryKey, Waiting, Standing)>,
    cancellings: Vec<(WebhookKey, BTreeSet<EventKey>)>,
    /// What is in flight went to where its webhook no longer leads.
    has_moved: bool,
    attempts: BTreeMap<DeliveryKey, u32>,
}

#[derive(Clone, Debug)]
enum Step {
    Publish { to: Vec<usize> },
    EndAttempt { which: usize, status: Option<u16> },
    HandOverPage { which: usize, is_failing: bool },
    Commit,
    Cancel { which: usize },
    Gate { webhook: usize, gate: Gate },
    Retry { which: usize },
    CancelOne { which: usize },
    Pass { ms: i64 },
}

impl World {
    fn new(webhooks: usize, concurrency: u16) -> Self {
        Self::with_rate(webhooks, concurrency, None)
    }

    fn with_rate(webhooks: usize, concurrency: u16, rate_per_s: Option<u32>) -> Self {
        let mut keys = KeyMaker::new(0, 0);
        let webhooks = (0..webhooks)
            .map(|_| {
                Arc::new(LaneSettings {
                    webhook: keys.next(START),
                    gate: Gate::Open,
                    concurrency,
                    rate_per_s,
                    schedule: RetrySchedule::standard(),
                })
            })
            .collect();
        Self {
            limits: LIMITS,
            now: START,
            keys,
            dispatcher: Dispatcher::new(LIMITS),
            webhooks,
            events: BTreeMap::new(),
            standings: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            pages: Vec::new(),
            outcomes: Vec::new(),
            cancellings: Vec::new(),
            has_moved: false,
            attempts: BTreeMap::new(),
        }
    }

    fn tell(&mut self, input: Input) {
        self.dispatcher.handle(self.now, input);
        while let Some(effect) = self.dispatcher.next_effect() {
            self.perform(effect);
        }
        self.check();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start { delivery, waiting, .. } => {
                assert!(waiting.due <= self.now, "{delivery} started before it was due");
                assert_eq!(
                    self.gate(delivery.webhook),
                    Gate::Open,
                    "{delivery} started behind a closed gate"
                );
                assert_eq!(
                    self.standings.get(&delivery),
                    Some(&Standing::Pending(waiting)),
                    "{delivery} started from a standing that the store doesn't know"
                );
                let doubled = self.in_flight.insert(delivery, waiting);
                assert!(doubled.is_none(), "{delivery} is in flight twice");
                *self.attempts.entry(delivery).or_default() += 1;
            }
            Effect::Record { delivery, was, standing, .. } => {
                self.outcomes.push((delivery, was, standing));
            }
            Effect::Load { webhook, until, limit, bytes_max, except } => {
                assert!(limit >= 1);
                let limit = limit.min((bytes_max / BODY.len()).max(1));
                let mut due: Vec<_> = self
                    .pending()
                    .filter(|(delivery, _)| {
                        delivery.webhook == webhook && !except.contains(&delivery.event)
                    })
                    .collect();
                due.sort_by_key(|(delivery, waiting)| (waiting.due, delivery.event));
                let ready = due.iter().filter(|(_, waiting)| waiting.due <= until).take(limit);
                let page: Vec<_> = ready
                    .map(|(delivery, waiting)| Ready {
                        event: self.events[&delivery.event].clone(),
                        waiting: *waiting,
                    })
                    .collect();
                let next_due = due.get(page.len()).map(|(_, waiting)| waiting.due);
                self.pages.push((webhook, page, next_due));
            }
            Effect::Cancel { webhook, except, .. } => {
                self.cancellings.push((webhook, except.into_iter().collect()));
            }
            Effect::DisableGone { webhook } => {
                self.set_gate(webhook, Gate::Closed(CancelReason::WebhookGone));
            }
        }
    }

    fn pending(&self) -> impl Iterator<Item = (DeliveryKey, Waiting)> + '_ {
        self.standings.iter().filter_map(|(delivery, standing)| match standing {
            Standing::Pending(waiting) => Some((*delivery, *waiting)),
            Standing::Final { .. } => None,
        })
    }

    fn settings(&self, webhook: WebhookKey) -> &Arc<LaneSettings> {
        self.webhooks.iter().find(|settings| settings.webhook == webhook).unwrap()
    }

    fn gate(&self, webhook: WebhookKey) -> Gate {
        self.settings(webhook).gate
    }

    fn set_gate(&mut self, webhook: WebhookKey, gate: Gate) {
        while gate == Gate::Open && self.dispatcher.is_cancelling(webhook) {
            let own = self.cancellings.iter().position(|(cancelling, _)| *cancelling == webhook);
            self.cancel(own.expect("a cancelling was asked for"));
        }
        let settings =
            self.webhooks.iter_mut().find(|settings| settings.webhook == webhook).unwrap();
        *settings = Arc::new(LaneSettings { gate, ..(**settings).clone() });
        let settings = settings.clone();
        self.dispatcher.handle(self.now, Input::Configured(settings));
    }

    fn check(&self) {
        assert!(self.in_flight.len() <= self.limits.in_flight_max);
        assert_eq!(self.in_flight.len(), self.dispatcher.in_flight());
        for settings in &self.webhooks {
            let own = self.in_flight.keys().filter(|delivery| delivery.webhook == settings.webhook);
            assert!(own.count() <= usize::from(settings.concurrency), "concurrency exceeded");
        }
        // A lane with nothing in hand may load one beyond the bounds.
        let bare = self.webhooks.len();
        assert!(self.dispatcher.held() <= self.limits.ready_max + bare);
        assert!(self.dispatcher.held_bytes() <= self.limits.ready_bytes_max + bare * BODY.len());
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { to } => self.publish(&to),
            Step::EndAttempt { which, status } => self.end_attempt(which, status),
            Step::HandOverPage { which, is_failing } => self.hand_over_page(which, is_failing),
            Step::Commit => self.commit(),
            Step::Cancel { which } => self.cancel(which),
            Step::Gate { webhook, gate } => {
                let webhook = self.webhooks[webhook % self.webhooks.len()].webhook;
                self.set_gate(webhook, gate);
                self.drain_effects();
            }
            Step::Retry { which } => self.retry(which),
            Step::CancelOne { which } => self.cancel_one(which),
            Step::Pass { ms } => {
                self.now += ms;
                self.tell(Input::Woken);
            }
        }
    }

    fn drain_effects(&mut self) {
        while let Some(effect) = self.dispatcher.next_effect() {
            self.perform(effect);
        }
        self.check();
    }

    fn publish(&mut self, to: &[usize]) {
        let key: EventKey = self.keys.next(self.now);
        let event = Arc::new(Event {
            key,
            tenant: TenantKey::from_raw(1),
            given_id: None,
            event_type: "code.generated".parse().unwrap(),
            occurred_at: self.now,
            bodies: Bodies { verbatim: Bytes::from_static(BODY), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: MatchingKey::from_raw(1),
        });
        self.events.insert(key, event.clone());
        let to: BTreeSet<_> = to.iter().map(|index| index % self.webhooks.len()).collect();
        let to: Vec<_> = to.into_iter().map(|index| self.webhooks[index].clone()).collect();
        for settings in &to {
            let delivery = DeliveryKey { event: key, webhook: settings.webhook };
            self.standings.insert(delivery, Standing::accepted(event.accepted_at()));
        }
        self.now = self.now.max(event.accepted_at());
        for settings in to {
            self.tell(Input::Accepted { settings, event: event.clone() });
        }
    }

    fn end_attempt(&mut self, which: usize, status: Option<u16>) {
        let Some(&delivery) = self.in_flight.keys().nth(which % self.in_flight.len().max(1)) else {
            return;
        };
        let waiting = self.in_flight.remove(&delivery).unwrap();
        let result = match status {
            Some(status) => AttemptResult::Answered(Answer {
                status,
                headers: Vec::new(),
                body: Bytes::new(),
                is_body_cut: false,
            }),
            None => AttemptResult::Broke {
                class: ErrorClass::Timeout,
                detail: String::new(),
                answer: None,
            },
        };
        let attempt = Attempt {
            number: waiting.progress.attempts + 1,
            is_manual: false,
            started_at: self.now,
            timing: Timing::default(),
            address: None,
            outline: None,
            signed_headers: Vec::new(),
            result,
        };
        let is_of_former_url = self.has_moved;
        let ended =
            Ended { attempt, ended_at: self.now, retry_after: None, random: 0, is_of_former_url };
        self.tell(Input::AttemptEnded { delivery, ended: Box::new(ended) });
    }

    fn hand_over_page(&mut self, which: usize, is_failing: bool) {
        if self.pages.is_empty() {
            return;
        }
        let (webhook, page, next_due) = self.pages.remove(which % self.pages.len());
        self.tell(if is_failing {
            Input::LoadFailed { webhook }
        } else {
            Input::Loaded { webhook, page, next_due }
        });
    }

    fn commit(&mut self) {
        for (delivery, was, standing) in std::mem::take(&mut self.outcomes) {
            let before = self.standings.insert(delivery, standing);
            assert_eq!(
                before,
                Some(Standing::Pending(was)),
                "{delivery} was recorded from a stale standing"
            );
            self.tell(Input::Settled { delivery, due: standing.due() });
        }
    }

    fn cancel(&mut self, which: usize) {
        if self.cancellings.is_empty() {
            return;
        }
        let (webhook, except) = self.cancellings.remove(which % self.cancellings.len());
        let own: Vec<_> = self
            .pending()
            .filter(|(delivery, _)| {
                delivery.webhook == webhook && !except.contains(&delivery.event)
            })
            .collect();
        let is_all = own.len() < 2;
        for (delivery, waiting) in own.into_iter().take(2) {
            let ended = Standing::Pending(waiting).after(Trigger::Cancelled).unwrap();
            self.standings.insert(delivery, ended);
        }
        self.tell(Input::Cancelled { webhook, is_all });
    }

    fn retry(&mut self, which: usize) {
        let Some((&delivery, &standing)) =
            self.standings.iter().nth(which % self.standings.len().max(1))
        else {
            return;
        };
        let settings = self.settings(delivery.webhook).clone();
        if settings.gate != Gate::Open || self.dispatcher.claim(&settings, delivery) != Claim::Taken
        {
            return;
        }
        let after = standing.after(Trigger::RetryRequested { at: self.now }).unwrap();
        self.standings.insert(delivery, after);
        self.tell(Input::Settled { delivery, due: after.due() });
    }

    /// Cancels one delivery that no attempt is under way for, ready in memory or not.
    fn cancel_one(&mut self, which: usize) {
        let Some((&delivery, &standing)) =
            self.standings.iter().nth(which % self.standings.len().max(1))
        else {
            return;
        };
        let settings = self.settings(delivery.webhook).clone();
        match self.dispatcher.claim_unstarted(&settings, delivery) {
            Claim::Taken => {}
            Claim::Underway => {
                assert!(self.in_flight.contains_key(&delivery), "{delivery} is only ready");
                return;
            }
            Claim::Settling => return,
        }
        let after = standing.after(Trigger::Cancelled).unwrap_or(standing);
        self.standings.insert(delivery, after);
        self.tell(Input::Settled { delivery, due: after.due() });
    }

    /// Opens every gate, answers everything with 200 and lets time pass: all must come to an end.
    fn settle(&mut self) {
        for index in 0..self.webhooks.len() {
            let webhook = self.webhooks[index].webhook;
            self.set_gate(webhook, Gate::Open);
            self.drain_effects();
        }
        for _ in 0..10_000 {
            self.commit();
            self.hand_over_page(0, false);
            self.cancel(0);
            self.end_attempt(0, Some(200));
            let is_quiet =
                self.in_flight.is_empty() && self.pages.is_empty() && self.outcomes.is_empty();
            if is_quiet && self.pending().next().is_none() {
                return;
            }
            if is_quiet {
                let wake = self.dispatcher.next_wake();
                self.now = wake
                    .expect("something is pending, and the dispatcher sleeps for ever")
                    .max(self.now);
                self.tell(Input::Woken);
            }
        }
        panic!("never settles: {:?}", self.pending().collect::<Vec<_>>());
    }
}

fn gates() -> impl Strategy<Value = Gate> {
    prop_oneof![
        3 => Just(Gate::Open),
        1 => Just(Gate::Paused),
        1 => Just(Gate::Closed(CancelReason::WebhookDisabled)),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let which = 0usize..64;
    let status = prop_oneof![
        5 => Just(Some(200)),
        4 => Just(Some(500)),
        2 => Just(None),
        1 => Just(Some(410)),
    ];
    prop_oneof![
        5 => proptest::collection::vec(0usize..8, 1..4).prop_map(|to| Step::Publish { to }),
        6 => (which.clone(), status).prop_map(|(which, status)| Step::EndAttempt { which, status }),
        4 => (which.clone(), proptest::bool::weighted(0.1))
            .prop_map(|(which, is_failing)| Step::HandOverPage { which, is_failing }),
        4 => Just(Step::Commit),
        2 => which.clone().prop_map(|which| Step::Cancel { which }),
        1 => (which.clone(), gates()).prop_map(|(webhook, gate)| Step::Gate { webhook, gate }),
        1 => which.clone().prop_map(|which| Step::Retry { which }),
        1 => which.prop_map(|which| Step::CancelOne { which }),
        2 => prop_oneof![0i64..2_000, 0i64..600_000].prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost_doubled_early_or_beyond_its_bounds(
        webhooks in 1usize..6,
        concurrency in 1u16..4,
        rate_per_s in proptest::option::of(1u32..2_000),
        steps in proptest::collection::vec(steps(), 1..200),
    ) {
        let mut world = World::with_rate(webhooks, concurrency, rate_per_s);
        for step in steps {
            world.step(step);
        }
        world.settle();
        prop_assert!(world.dispatcher.is_drained());
        prop_assert_eq!(world.dispatcher.held(), 0);
        for (delivery, standing) in &world.standings {
            let attempts = world.attempts.get(delivery).copied().unwrap_or_default();
            prop_assert_eq!(standing.progress().attempts, attempts);
            prop_assert!(standing.state().is_final());
        }
    }
}

#[test]
fn a_started_dispatcher_finds_what_was_left() {
    let mut world = World::new(1, 2);
    for _ in 0..20 {
        world.publish(&[0]);
    }
    // The process dies: memory is gone, the store is not.
    world.dispatcher = Dispatcher::new(LIMITS);
    world.in_flight.clear();
    world.pages.clear();
    world.attempts.clear();
    let settings = world.webhooks[0].clone();
    let due = world.pending().map(|(_, waiting)| waiting.due).min().unwrap();
    world.tell(Input::Found { settings, due });
    world.settle();
    assert!(world.standings.values().all(|standing| standing.state() == DeliveryState::Succeeded));
}

#[test]
fn after_stop_nothing_starts_and_what_runs_is_drained() {
    let mut world = World::new(1, 1);
    world.publish(&[0]);
    world.publish(&[0]);
    world.tell(Input::Stop);
    assert_eq!(world.in_flight.len(), 1);
    world.end_attempt(0, Some(200));
    assert!(!world.dispatcher.is_drained(), "the outcome is not durable yet");
    world.commit();
    assert!(world.dispatcher.is_drained());
    assert!(world.in_flight.is_empty());
    assert_eq!(world.pending().count(), 1, "what did not start is pending still");
}

#[test]
fn a_receiver_that_does_not_answer_gets_fewer_attempts_at_once() {
    let mut world = World::new(1, 4);
    for _ in 0..4 {
        world.publish(&[0]);
    }
    assert_eq!(world.in_flight.len(), 4);
    for _ in 0..4 {
        world.end_attempt(0, None);
    }
    world.commit();
    for _ in 0..4 {
        world.publish(&[0]);
    }
    assert_eq!(world.in_flight.len(), 1, "one probe at a time");
    world.end_attempt(0, Some(500));
    assert_eq!(world.in_flight.len(), 2, "an answer, even a bad one, opens it again");
}

#[test]
fn what_a_former_receiver_says_of_itself_says_nothing_of_the_webhook() {
    let mut world = World::new(1, 1);
    world.publish(&[0]);
    world.publish(&[0]);
    world.has_moved = true;
    world.end_attempt(0, Some(410));
    world.commit();
    assert_eq!(world.in_flight.len(), 1, "the next one goes to where the webhook leads now");
    assert_eq!(world.pending().count(), 2, "the first one is tried again by the schedule");
    world.has_moved = false;
    world.end_attempt(0, Some(410));
    assert!(world.in_flight.is_empty());
    assert_eq!(world.cancellings.len(), 1, "the present one's word counts");
}

#[test]
fn a_burst_stays_in_memory_while_half_of_it_is_free() {
    let mut world = World::new(2, 1);
    world.limits = DispatcherLimits {
        lane_ready_max: 2,
        lane_ready_burst_max: 5,
        ready_max: 12,
        ready_bytes_max: 10_000,
        ..LIMITS
    };
    world.dispatcher = Dispatcher::new(world.limits);
    for _ in 0..8 {
        world.publish(&[0]);
    }
    assert_eq!(world.dispatcher.held(), 6, "one is under way, five are ready");
    for _ in 0..4 {
        world.publish(&[1]);
    }
    assert_eq!(world.dispatcher.held(), 9, "the second half is shared as ever");
    world.settle();
    assert!(world.attempts.values().all(|&attempts| attempts == 1));
}

#[test]
fn a_rate_need_not_divide_a_thousand() {
    for rate in [1, 400, 501, 3_000] {
        let mut world = World::with_rate(1, 200, Some(rate));
        world.limits = DispatcherLimits::default();
        world.dispatcher = Dispatcher::new(world.limits);
        for _ in 0..8_000 {
            world.publish(&[0]);
        }
        let mut started = 0;
        for _ in 0..2_000 {
            world.now += 1;
            world.tell(Input::Woken);
            while !world.in_flight.is_empty() {
                started += 1;
                world.end_attempt(0, Some(200));
            }
            world.commit();
            world.hand_over_page(0, false);
        }
        let expected = 2 * i64::from(rate);
        let allowed = expected - expected / 20 - 2..=expected + expected / 20 + 2;
        assert!(allowed.contains(&started), "{started} started in 2 s at {rate}/s");
    }
}

#[test]
fn a_lane_that_waits_for_its_rate_and_for_room_wakes_for_its_rate() {
    let mut world = World::with_rate(2, 1, Some(100));
    world.limits = DispatcherLimits { ready_max: 2, ..LIMITS };
    world.dispatcher = Dispatcher::new(world.limits);
    world.publish(&[0, 1]);
    while !world.in_flight.is_empty() {
        world.end_attempt(0, Some(200));
    }
    world.commit();
    // Both rates are used up: these fill the memory, and the ones after them stay in the store.
    world.publish(&[0, 1]);
    world.publish(&[0, 1]);
    assert_eq!(world.dispatcher.held(), 2);
    world.settle();
}

#[test]
fn a_delivery_that_a_page_brought_before_its_acceptance_was_told_is_made_once() {
    let mut world = World::new(1, 1);
    let settings = world.webhooks[0].clone();
    world.publish(&[0]);
    let event = world.events.values().next().unwrap().clone();
    world.end_attempt(0, Some(500));
    world.commit();
    // Committed, and its commit not handed over yet, when a page is read for another reason.
    let later: EventKey = world.keys.next(world.now);
    let later = Arc::new(Event { key: later, ..(*event).clone() });
    let delivery = DeliveryKey { event: later.key, webhook: settings.webhook };
    world.now = later.accepted_at();
    world.events.insert(later.key, later.clone());
    world.standings.insert(delivery, Standing::accepted(later.accepted_at()));
    world.tell(Input::Found { settings: settings.clone(), due: world.now });
    world.hand_over_page(0, false);
    assert!(world.in_flight.contains_key(&delivery));
    world.tell(Input::Accepted { settings: settings.clone(), event: later.clone() });
    world.end_attempt(0, Some(200));
    world.tell(Input::Accepted { settings, event: later });
    world.settle();
    assert_eq!(world.attempts[&delivery], 1);
}

/// Two deliveries that failed once and have long been due again, with a rate of one a second.
fn two_overdue() -> World {
    let mut world = World::with_rate(1, 4, Some(1));
    for _ in 0..2 {
        world.publish(&[0]);
        world.end_attempt(0, Some(500));
        world.commit();
        world.now += 1_000;
        world.tell(Input::Woken);
    }
    world.now += 7_200_000;
    world.tell(Input::Woken);
    world
}

#[test]
fn a_clock_that_goes_back_does_not_hold_a_rate_back() {
    let mut world = two_overdue();
    world.hand_over_page(0, false);
    world.hand_over_page(0, false);
    assert_eq!(world.in_flight.len(), 1, "the other one waits for its rate");
    world.now -= 3_600_000;
    world.tell(Input::Woken);
    let wake = world.dispatcher.next_wake().unwrap();
    assert!(wake <= world.now + 1_000, "{} ms from now", wake - world.now);
    world.now = wake;
    world.tell(Input::Woken);
    assert_eq!(world.in_flight.len(), 2);
}

#[test]
fn a_clock_that_goes_back_does_not_hold_a_failed_load_back() {
    let mut world = two_overdue();
    world.hand_over_page(0, true);
    world.now -= 3_600_000;
    world.tell(Input::Woken);
    let wake = world.dispatcher.next_wake().unwrap();
    assert!(wake <= world.now + 1_000, "{} ms from now", wake - world.now);
    world.now = wake;
    world.tell(Input::Woken);
    assert_eq!(world.pages.len(), 1);
}
