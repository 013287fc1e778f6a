//! Looking for events and deliveries by what they are: the questions, the answers, and how far
//! one question looks.
//!
//! There is no index for each thing that one can ask for, and there will be none: the hot path
//! would pay for it. A search walks the tenant's events in order and judges each; what it looks
//! at is bounded, and where it stopped is part of the answer, so that the next one goes on there.
//! A store may pass by events of which it knows that no delivery is meant: those that went wrong
//! are few, and looked for most.

use std::ops::ControlFlow;

use postrider_core::delivery::{Attempt, AttemptResult, DeliveryState, ErrorClass, Standing};
use postrider_core::event::{Event, test_id};
use postrider_core::event_type::{EventType, Patterns};
use postrider_core::id::{DeliveryKey, EventKey, Key, TenantKey, UnixMs, WebhookKey};

use std::sync::Arc;

/// Events, and deliveries of them, that one search looks at together: some 100 ms of one reader
/// where every look misses.
pub const LOOKS_MAX: usize = 10_000;
/// Bytes of bodies of the events that one search reads: few large events are as slow as many
/// small ones.
pub const LOOK_BYTES_MAX: usize = 32 << 20;

/// Asks for events of a tenant, newest first.
#[derive(Clone, Debug)]
pub struct EventSearch {
    pub tenant: TenantKey,
    /// Of types that these match; `None`: of every type.
    pub types: Option<Patterns>,
    /// Whose public id begins with this.
    pub id_prefix: String,
    /// Accepted at this time or later.
    pub after: Option<UnixMs>,
    /// Accepted before this time.
    pub before: Option<UnixMs>,
    /// Where the search before this one stopped.
    pub beyond: Option<EventKey>,
    /// At most this many, and at least one.
    pub limit: usize,
}

/// Events that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    pub events: Vec<Arc<Event>>,
    /// Where to go on; `None` when all was looked at.
    pub next: Option<EventKey>,
}

/// Which deliveries are meant.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryFilter {
    pub webhook: Option<WebhookKey>,
    pub event: Option<EventKey>,
    /// Of events of types that these match; `None`: of every type.
    pub types: Option<Patterns>,
    /// Of events accepted at this time or later.
    pub after: Option<UnixMs>,
    /// Of events accepted before this time.
    pub before: Option<UnixMs>,
    /// Standing in one of these.
    pub states: Vec<DeliveryState>,
    /// By what the last attempt came to; `None`: by nothing.
    pub status: Option<StatusClass>,
    /// By why the last attempt got no answer that counts; `None`: by nothing.
    pub error: Option<ErrorClass>,
}

/// What an attempt's status begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 1 for 100–199, and so on to 5.
    Hundreds(u8),
    /// An attempt was made, and no answer came.
    NoAnswer,
}

/// In which order events are walked. The deliveries of one go by ascending webhook in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// Asks for deliveries of a tenant.
#[derive(Clone, Debug)]
pub struct DeliverySearch {
    pub tenant: TenantKey,
    pub filter: DeliveryFilter,
    /// Also events that did not go to the filter's webhook, though it was there when they were
    /// accepted. Never a test of another webhook. Says nothing where the filter names no webhook,
    /// or a status or error.
    pub with_missed: bool,
    pub order: Order,
    /// Where the search before this one stopped.
    pub beyond: Option<DeliveryKey>,
    /// At most this many, and at least one.
    pub limit: usize,
}

/// Deliveries that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryPage {
    pub deliveries: Vec<FoundDelivery>,
    /// Events in the filter's range that were looked at to their end, of whichever type. Counted
    /// where the oldest come first; a search for the newest may pass some by, and says 0.
    pub events: u64,
    /// Where to go on; `None` when all was looked at.
    pub next: Option<DeliveryKey>,
}

/// A delivery, with what a list shows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundDelivery {
    pub delivery: DeliveryKey,
    pub event_id: Box<str>,
    pub event_type: EventType,
    /// `None` for an event that did not go to the webhook.
    pub standing: Option<Standing>,
    /// `None` before the first, and when its history has gone.
    pub last_attempt: Option<LastAttempt>,
}

impl FoundDelivery {
    /// Whether its event was a test, of which nothing is sent again.
    pub fn is_of_test(&self) -> bool {
        *self.event_id == *test_id(self.delivery.event)
    }
}

/// What the last attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    pub started_at: UnixMs,
    /// Where an answer came.
    pub status: Option<u16>,
    /// Where the answer does not count, or none came.
    pub broke: Option<ErrorClass>,
    /// How long it took.
    pub total_us: u32,
}

/// A webhook that an event goes to, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) webhook: WebhookKey,
    pub(crate) since: UnixMs,
}

/// Greater than every webhook's: an event with it stands for all of its deliveries.
const LAST_WEBHOOK: u64 = u64::MAX >> 1;

impl DeliveryFilter {
    /// All deliveries.
    pub fn all() -> Self {
        Self {
            webhook: None,
            event: None,
            types: None,
            after: None,
            before: None,
            states: DeliveryState::ALL.to_vec(),
            status: None,
            error: None,
        }
    }

    /// Whether the deliveries of an event can be among those meant, as far as its type and id
    /// say. The range of time is the walk's.
    fn wants_event(&self, event: &Event) -> bool {
        self.types.as_ref().is_none_or(|types| types.matches(&event.event_type))
    }

    /// Whether a delivery that stands like this is meant.
    fn wants(&self, standing: &Standing, last: Option<&LastAttempt>) -> bool {
        let broke = last.and_then(|last| last.broke);
        self.states.contains(&standing.state())
            && self.status.is_none_or(|class| class.holds(last))
            && self.error.is_none_or(|class| broke == Some(class))
    }
}

impl StatusClass {
    fn holds(self, last: Option<&LastAttempt>) -> bool {
        match (self, last) {
            (_, None) => false,
            (Self::Hundreds(first), Some(last)) => {
                last.status.is_some_and(|status| status / 100 == u16::from(first))
            }
            (Self::NoAnswer, Some(last)) => last.status.is_none(),
        }
    }
}

impl From<&Attempt> for LastAttempt {
    fn from(attempt: &Attempt) -> Self {
        let broke = match &attempt.result {
            AttemptResult::Answered(_) => None,
            AttemptResult::Broke { class, .. } => Some(*class),
        };
        let (started_at, status) = (attempt.started_at, attempt.result.status());
        Self { started_at, status, broke, total_us: attempt.timing.total_us }
    }
}

/// What is left to look at.
#[derive(Debug)]
struct Budget {
    looks: usize,
    bytes: usize,
}

impl Budget {
    fn new() -> Self {
        Self { looks: LOOKS_MAX, bytes: LOOK_BYTES_MAX }
    }

    fn look_at(&mut self, event: &Event) {
        self.look();
        self.bytes = self.bytes.saturating_sub(event.bodies.size_bytes());
    }

    fn look(&mut self) {
        self.looks = self.looks.saturating_sub(1);
    }

    fn is_spent(&self) -> bool {
        self.looks == 0 || self.bytes == 0
    }
}

/// A search for events under way. The store hands it events in order.
#[derive(Debug)]
pub(crate) struct EventWalk<'a> {
    search: &'a EventSearch,
    budget: Budget,
    page: EventPage,
}

impl<'a> EventWalk<'a> {
    pub(crate) fn new(search: &'a EventSearch) -> Self {
        Self { search, budget: Budget::new(), page: EventPage::default() }
    }

    /// Only events with smaller keys are handed over, newest first; `None`: any.
    pub(crate) fn before(&self) -> Option<EventKey> {
        let by_time = self.search.before.map(EventKey::first_at);
        [by_time, self.search.beyond].into_iter().flatten().min()
    }

    /// Judges one event. Breaks when the walk is over.
    pub(crate) fn event(&mut self, event: &Arc<Event>) -> ControlFlow<()> {
        if self.search.after.is_some_and(|after| event.accepted_at() < after) {
            return ControlFlow::Break(());
        }
        self.budget.look_at(event);
        let types = self.search.types.as_ref();
        let is_wanted = types.is_none_or(|types| types.matches(&event.event_type))
            && event.id().starts_with(&self.search.id_prefix);
        if is_wanted {
            self.page.events.push(Arc::clone(event));
        }
        if self.page.events.len() >= self.search.limit || self.budget.is_spent() {
            self.page.next = Some(event.key);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    pub(crate) fn page(self) -> EventPage {
        self.page
    }
}

/// A search for deliveries under way. The store hands it events in order, and the deliveries of
/// those that it asks about.
#[derive(Debug)]
pub(crate) struct DeliveryWalk<'a> {
    search: &'a DeliverySearch,
    budget: Budget,
    page: DeliveryPage,
}

impl<'a> DeliveryWalk<'a> {
    pub(crate) fn new(search: &'a DeliverySearch) -> Self {
        Self { search, budget: Budget::new(), page: DeliveryPage::default() }
    }

    /// Only events within these bounds are handed over, the first included, the second not.
    pub(crate) fn range(&self) -> (EventKey, EventKey) {
        let filter = &self.search.filter;
        let (mut first, mut end) = (EventKey::from_raw(0), EventKey::from_raw(LAST_WEBHOOK));
        if let Some(after) = filter.after {
            first = first.max(EventKey::first_at(after));
        }
        if let Some(before) = filter.before {
            end = end.min(EventKey::first_at(before));
        }
        if let Some(event) = filter.event {
            first = first.max(event);
            end = end.min(next(event));
        }
        match (self.search.beyond, self.search.order) {
            (None, _) => {}
            (Some(beyond), Order::NewestFirst) if is_whole(beyond) => end = end.min(beyond.event),
            (Some(beyond), Order::NewestFirst) => end = end.min(next(beyond.event)),
            (Some(beyond), Order::OldestFirst) if is_whole(beyond) => {
                first = first.max(next(beyond.event));
            }
            (Some(beyond), Order::OldestFirst) => first = first.max(beyond.event),
        }
        (first, end)
    }

    /// An event turned out to be another tenant's. Breaks when the walk is over.
    pub(crate) fn stranger(&mut self, event: EventKey) -> ControlFlow<()> {
        self.budget.look();
        self.stop_when_full(whole(event))
    }

    /// Takes in an event; whether its deliveries have to be looked at.
    pub(crate) fn event(&mut self, event: &Event) -> bool {
        self.budget.look_at(event);
        self.search.filter.wants_event(event)
    }

    /// Those of an event's fan-out, which ascends, that have to be looked at.
    pub(crate) fn targets(&self, event: &Event, mut fanout: Vec<Target>) -> Vec<Target> {
        if let Some(webhook) = self.search.filter.webhook {
            fanout.retain(|target| target.webhook == webhook);
        }
        if let Some(beyond) = self.search.beyond.filter(|beyond| beyond.event == event.key) {
            fanout.retain(|target| target.webhook > beyond.webhook);
        }
        fanout
    }

    /// Judges one delivery. Breaks when the walk is over.
    pub(crate) fn delivery(
        &mut self,
        event: &Event,
        webhook: WebhookKey,
        standing: Standing,
        last_attempt: Option<LastAttempt>,
    ) -> ControlFlow<()> {
        self.budget.look();
        if self.search.filter.wants(&standing, last_attempt.as_ref()) {
            self.find(event, webhook, Some(standing), last_attempt);
        }
        self.stop_when_full(DeliveryKey { event: event.key, webhook })
    }

    /// An event has no more deliveries. `went`: whether one of them is to the webhook that the
    /// filter names. Breaks when the walk is over.
    pub(crate) fn event_done(&mut self, event: &Event, went: bool) -> ControlFlow<()> {
        self.page.events += 1;
        if let Some(webhook) = self.missed_by(event, went) {
            self.find(event, webhook, None, None);
        }
        self.stop_when_full(whole(event.key))
    }

    /// An event that is not wanted was passed by. Breaks when the walk is over.
    pub(crate) fn event_passed(&mut self, event: &Event) -> ControlFlow<()> {
        self.page.events += 1;
        self.stop_when_full(whole(event.key))
    }

    pub(crate) fn page(mut self) -> DeliveryPage {
        if self.search.order == Order::NewestFirst {
            self.page.events = 0;
        }
        self.page
    }

    fn missed_by(&self, event: &Event, went: bool) -> Option<WebhookKey> {
        let filter = &self.search.filter;
        let webhook = filter.webhook.filter(|_| self.search.with_missed && !went)?;
        let was_there = webhook.raw() < event.key.raw();
        let is_by_attempt = filter.status.is_some() || filter.error.is_some();
        (was_there && !event.is_test() && !is_by_attempt).then_some(webhook)
    }

    fn find(
        &mut self,
        event: &Event,
        webhook: WebhookKey,
        standing: Option<Standing>,
        last_attempt: Option<LastAttempt>,
    ) {
        self.page.deliveries.push(FoundDelivery {
            delivery: DeliveryKey { event: event.key, webhook },
            event_id: event.id().into(),
            event_type: event.event_type.clone(),
            standing,
            last_attempt,
        });
    }

    fn stop_when_full(&mut self, looked_at: DeliveryKey) -> ControlFlow<()> {
        if self.page.deliveries.len() < self.search.limit.max(1) && !self.budget.is_spent() {
            return ControlFlow::Continue(());
        }
        self.page.next = Some(looked_at);
        ControlFlow::Break(())
    }
}

fn next(event: EventKey) -> EventKey {
    EventKey::from_raw(event.raw().saturating_add(1))
}

/// All deliveries of an event.
fn whole(event: EventKey) -> DeliveryKey {
    DeliveryKey { event, webhook: WebhookKey::from_raw(LAST_WEBHOOK) }
}

fn is_whole(delivery: DeliveryKey) -> bool {
    delivery.webhook.raw() == LAST_WEBHOOK
}
