//! The server's process as the simulator plays it: what `postrider::engine` does around the
//! dispatcher, with virtual time in place of tasks. All that it holds dies with it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use postrider_core::delivery::{CancelReason, HistoryEntry};
use postrider_core::dispatcher::{Dispatcher, Effect, Input};
use postrider_core::event_type::EventType;
use postrider_core::id::{
    DeliveryKey, EventKey, HistoryKey, Key, KeyMaker, TenantKey, UnixMs, WebhookKey,
};
use postrider_core::lane::{Gate, LaneSettings, Ready};
use postrider_core::matching::Matching;
use postrider_core::webhook::{DisabledReason, Webhook, WebhookState};
use postrider_store::{
    Cancelling, DeliveryStore as _, DueQuery, MaintenanceStore as _, Record, RetryRequest,
    WebhookStore as _,
};

use crate::attempts::{Reply, UnderWay};
use crate::commits::{Queue, Writing};
use crate::operators::{Changing, Operation, Wish};
use crate::rare::Rare;
use crate::retries::RetryAsked;
use crate::store_calls::{Fault, at_once};
use crate::world::World;

/// Pause before the store is asked again for something that it could not do.
pub(crate) const RETRY_PAUSE_MS: i64 = 200;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) keys: KeyMaker,
    pub(crate) registry: BTreeMap<WebhookKey, Arc<Live>>,
    pub(crate) fanouts: BTreeMap<(TenantKey, EventType), Arc<Matching>>,
    pub(crate) queue: Queue,
    pub(crate) writing: Option<Writing>,
    pub(crate) is_commit_planned: bool,
    pub(crate) under_way: BTreeMap<DeliveryKey, UnderWay>,
    /// Pages on their way, and whether something of them was cancelled since.
    pub(crate) loads: BTreeMap<WebhookKey, bool>,
    pub(crate) changes: VecDeque<Operation>,
    pub(crate) changing: Option<Changing>,
    /// Stored changes that are not acknowledged yet; some wait for a cancelling to end.
    pub(crate) unacknowledged: Vec<Changing>,
    pub(crate) claims: Vec<RetryAsked>,
    /// Which receiver answered last, by its URL.
    pub(crate) said_last: Option<String>,
    /// Where receivers were that said they are gone.
    pub(crate) gone: BTreeMap<WebhookKey, String>,
    pub(crate) watch: crate::invariants::Watch,
    wake_at: UnixMs,
    /// When the last of the store's answers to writes comes, as far as planned.
    answers_until: i64,
}

/// A webhook with what the dispatcher has to know of it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) webhook: Webhook,
    pub(crate) lane: Arc<LaneSettings>,
}

/// What goes on in a process.
#[derive(Debug)]
pub(crate) enum Work {
    Wake(UnixMs),
    TakeBatch,
    Write,
    HandOver,
    Read { query: DueQuery, asked_at: i64 },
    HandOverPage(Page),
    CancelSome { webhook: WebhookKey, reason: CancelReason, except: Vec<EventKey> },
    Cancelled { webhook: WebhookKey, is_all: bool },
    Change(Operation),
    StoreChange,
    ChangeStored { is_stored: bool },
    StoreRetry(RetryRequest),
    RetryStored { request: RetryRequest, is_stored: bool, asked: usize },
    EndAttempt { delivery: DeliveryKey, number: u32, reply: Reply },
}

/// What the store answered to a load.
#[derive(Debug)]
pub(crate) struct Page {
    webhook: WebhookKey,
    found: Option<(Vec<Ready>, Option<UnixMs>)>,
    asked_at: i64,
}

impl Live {
    pub(crate) fn new(webhook: Webhook) -> Self {
        let lane = LaneSettings {
            webhook: webhook.key,
            gate: gate(webhook.state),
            concurrency: webhook.concurrency.expect("the simulator's webhooks have one"),
            rate_per_s: webhook.rate_per_s,
            schedule: webhook.schedule.clone().expect("the simulator's webhooks have one"),
        };
        Self { webhook, lane: Arc::new(lane) }
    }

    /// The name of the secret that signs.
    pub(crate) fn secret(&self) -> String {
        let current = self.webhook.secrets.first();
        current.map_or_else(String::new, |secret| String::from_utf8_lossy(&secret.sealed).into())
    }
}

/// As the server's, in `engine/live.rs`.
fn gate(state: WebhookState) -> Gate {
    match state {
        WebhookState::Enabled => Gate::Open,
        WebhookState::Disabled(DisabledReason::Requested | DisabledReason::Failing) => Gate::Paused,
        WebhookState::Disabled(DisabledReason::Gone) => Gate::Closed(CancelReason::WebhookGone),
        WebhookState::Deleted => Gate::Closed(CancelReason::WebhookDeleted),
    }
}

impl World {
    /// A new process finds what the store holds, and begins to deliver.
    pub(crate) fn start_process(&mut self) {
        self.note(format_args!("start"));
        let newest = at_once(self.store.newest_key_ms()).unwrap_or_default();
        let webhooks = at_once(self.store.webhooks(None, usize::MAX)).unwrap_or_default();
        let live = webhooks.into_iter().map(|webhook| (webhook.key, Arc::new(Live::new(webhook))));
        self.process = Some(Process {
            dispatcher: Dispatcher::new(self.plan.limits),
            keys: KeyMaker::new(0, newest),
            registry: live.collect(),
            fanouts: BTreeMap::new(),
            queue: Queue::default(),
            writing: None,
            is_commit_planned: false,
            under_way: BTreeMap::new(),
            loads: BTreeMap::new(),
            changes: VecDeque::new(),
            changing: None,
            unacknowledged: Vec::new(),
            claims: Vec::new(),
            said_last: None,
            gone: BTreeMap::new(),
            watch: crate::invariants::Watch::default(),
            wake_at: UnixMs::MAX,
            answers_until: 0,
        });
        let generation = self.generation;
        let mut after = None;
        loop {
            let size = self.plan.lanes_page;
            let page = at_once(self.store.lanes(after, size)).unwrap_or_default();
            let is_last = page.len() < size || crate::mutated!("only the first lanes are found");
            after = page.last().map(|lane| lane.webhook);
            let found = page.into_iter().filter_map(|lane| {
                let settings = self.live(lane.webhook)?.lane.clone();
                Some(Input::Found { settings, due: lane.first_due })
            });
            self.tell_all(found.collect());
            if self.generation != generation {
                self.meet(Rare::CrashInStart);
                return;
            }
            if is_last {
                return;
            }
        }
    }

    pub(crate) fn live(&self, webhook: WebhookKey) -> Option<Arc<Live>> {
        self.process.as_ref()?.registry.get(&webhook).cloned()
    }

    /// Where a webhook leads.
    pub(crate) fn url_of(&self, webhook: WebhookKey) -> Option<&str> {
        let live = self.process.as_ref()?.registry.get(&webhook)?;
        Some(&live.webhook.url)
    }

    /// A key of the process, which must be alive.
    pub(crate) fn next_key<K: Key>(&mut self) -> K {
        let now = self.wall();
        self.process.as_mut().expect("only a living process makes keys").keys.next(now)
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.tell_all(vec![input]);
    }

    /// Tells the dispatcher what happened and does what it says, in which the process may die.
    pub(crate) fn tell_all(&mut self, inputs: Vec<Input>) {
        let now = self.wall();
        let Some(process) = &mut self.process else { return };
        for input in inputs {
            process.dispatcher.handle(now, input);
        }
        let effects: Vec<Effect> =
            std::iter::from_fn(|| process.dispatcher.next_effect()).collect();
        let wake = process.dispatcher.next_wake().unwrap_or(UnixMs::MAX);
        if wake < process.wake_at {
            process.wake_at = wake;
            self.plan_work((wake - now).max(0), Work::Wake(wake));
        }
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            if self.dies_now() {
                let rest = std::iter::once(effect).chain(effects);
                let outcomes = rest.filter(|effect| matches!(effect, Effect::Record { .. }));
                self.books.ledger.cut_off += outcomes.count();
                self.crash();
                return;
            }
            self.perform(effect);
        }
        self.check_step();
        self.look_at_waiting();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start { delivery, event, waiting } => {
                self.start_attempt(delivery, &event, waiting);
            }
            Effect::Record { delivery, was, what, standing, .. } => {
                self.note(format_args!("record {delivery} {standing:?}"));
                let key = self.next_key();
                let entry = HistoryEntry { key, delivery, what, standing };
                self.record(Record { was, entry, health: None });
            }
            Effect::Load { webhook, until, limit, bytes_max, except } => {
                self.note(format_args!("load {webhook} {limit} but {except:?}"));
                self.check_load(webhook, limit);
                if let Some(process) = &mut self.process {
                    process.loads.insert(webhook, false);
                }
                let query = DueQuery { webhook, until, limit, bytes_max, except };
                let asked_at = self.now;
                let after = self.store_delay();
                self.plan_work(after, Work::Read { query, asked_at });
            }
            Effect::Cancel { webhook, reason, except } => {
                self.note(format_args!("cancel {webhook} but {except:?}"));
                if let Some(is_void) = self.process.as_mut().and_then(|p| p.loads.get_mut(&webhook))
                {
                    *is_void = true;
                }
                let after = self.store_delay();
                self.plan_work(after, Work::CancelSome { webhook, reason, except });
            }
            Effect::DisableGone { webhook } => {
                let said = self.process.as_mut().and_then(|process| process.said_last.take());
                if said.as_deref() != self.url_of(webhook) {
                    let what =
                        format!("{webhook} is to be disabled for what another receiver said");
                    self.break_off(what);
                }
                let url = self.url_of(webhook).map(str::to_owned);
                if let (Some(process), Some(url)) = (&mut self.process, url) {
                    process.gone.insert(webhook, url);
                }
                let asked = self.tick();
                let change = Operation { webhook, wish: Wish::Gone, asked };
                self.plan_work(0, Work::Change(change));
            }
        }
    }

    /// Plans what comes of a write. The store does one after the other, and the process hears of
    /// them in the order in which they were done.
    pub(crate) fn plan_answer(&mut self, work: Work) {
        let delay = self.store_delay();
        let Some(process) = &mut self.process else { return };
        process.answers_until = process.answers_until.max(self.now + delay);
        let after = process.answers_until - self.now;
        self.plan_work(after, work);
    }

    pub(crate) fn work(&mut self, work: Work) {
        match work {
            Work::Wake(time) => self.wake(time),
            Work::TakeBatch => self.take_batch(),
            Work::Write => self.write(),
            Work::HandOver => self.hand_over(),
            Work::Read { query, asked_at } => self.read(query, asked_at),
            Work::HandOverPage(page) => self.hand_over_page(page),
            Work::CancelSome { webhook, reason, except } => {
                self.cancel_some(webhook, reason, except);
            }
            Work::Cancelled { webhook, is_all } => self.tell(Input::Cancelled { webhook, is_all }),
            Work::Change(operation) => self.queue_change(operation),
            Work::StoreChange => self.store_change(),
            Work::ChangeStored { is_stored } => self.change_stored(is_stored),
            Work::StoreRetry(request) => self.store_retry(request),
            Work::RetryStored { request, is_stored, asked } => {
                self.retry_stored(request, is_stored, asked);
            }
            Work::EndAttempt { delivery, number, reply } => {
                self.end_attempt(delivery, number, reply);
            }
        }
    }

    /// A timer went off; it sleeps by true time, whatever the clock does meanwhile.
    fn wake(&mut self, time: UnixMs) {
        let Some(process) = &mut self.process else { return };
        if process.wake_at != time {
            return;
        }
        process.wake_at = UnixMs::MAX;
        self.tell(Input::Woken);
    }

    fn read(&mut self, query: DueQuery, asked_at: i64) {
        let webhook = query.webhook;
        let found = match self.fault() {
            Fault::Fails | Fault::Unknown => None,
            Fault::None => at_once(self.store.due(query)).ok().map(|page| {
                let ready = page.deliveries.into_iter();
                let ready = ready.map(|due| Ready { event: due.event, waiting: due.waiting });
                (ready.collect(), page.next_due)
            }),
        };
        let after = self.store_delay();
        self.plan_work(after, Work::HandOverPage(Page { webhook, found, asked_at }));
    }

    fn hand_over_page(&mut self, page: Page) {
        let Page { webhook, found, asked_at } = page;
        let is_void = self.process.as_mut().and_then(|process| process.loads.remove(&webhook));
        if self.now - asked_at > 1_000 {
            self.meet(Rare::LoadLate);
        }
        let Some((page, next_due)) = found else {
            self.meet(Rare::LoadFailed);
            self.note(format_args!("load of {webhook} failed"));
            self.tell(Input::LoadFailed { webhook });
            return;
        };
        if is_void == Some(true) && !page.is_empty() {
            self.meet(Rare::VoidPage);
        }
        self.note(format_args!("page of {webhook}: {}, then {next_due:?}", page.len()));
        self.tell(Input::Loaded { webhook, page, next_due });
    }

    fn cancel_some(&mut self, webhook: WebhookKey, reason: CancelReason, except: Vec<EventKey>) {
        let at = self.wall();
        let size = self.plan.cancel_page;
        let keys: Vec<HistoryKey> = (0..size).map(|_| self.next_key()).collect();
        let cancelling = Cancelling { webhook, at, reason, keys, except };
        let fault = self.fault();
        let cancelled = match fault {
            Fault::Fails => None,
            Fault::Unknown | Fault::None => at_once(self.store.cancel_pending(cancelling)).ok(),
        };
        self.note(format_args!("cancelled {cancelled:?} of {webhook}"));
        if self.dies() {
            return;
        }
        let is_all = match (fault, cancelled) {
            (Fault::None, Some(count)) => {
                if count == size {
                    self.meet(Rare::CancelInPages);
                }
                count < size
            }
            (fault, count) => {
                let is_unknown = fault == Fault::Unknown && count > Some(0);
                self.meet(if is_unknown { Rare::CancelUnknown } else { Rare::CancelFailed });
                let is_all = false;
                self.plan_work(RETRY_PAUSE_MS, Work::Cancelled { webhook, is_all });
                return;
            }
        };
        self.plan_answer(Work::Cancelled { webhook, is_all });
    }

    /// Gives their turn to those who wait for a state of the dispatcher.
    fn look_at_waiting(&mut self) {
        let Some(process) = &mut self.process else { return };
        let dispatcher = &process.dispatcher;
        let ended = process.unacknowledged.extract_if(.., |changing| {
            let Operation { webhook, wish, .. } = changing.operation;
            wish != Wish::DisableAndCancel || !dispatcher.is_cancelling(webhook)
        });
        let ended: Vec<Changing> = ended.collect();
        for changing in ended {
            self.acknowledge(&changing);
        }
        self.next_change();
        self.claim_waiting();
    }
}
