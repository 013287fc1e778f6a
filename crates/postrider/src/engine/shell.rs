//! The dispatcher's shell: tells it what happened, and does what it says.
//!
//! All decisions are the dispatcher's. This is the part that has a clock, tasks and a store.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use postrider_core::delivery::CancelReason;
use postrider_core::dispatcher::{Claim, Dispatcher, DispatcherLimits, Effect, Input};
use postrider_core::id::{DeliveryKey, EventKey, HistoryKey, UnixMs, WebhookKey};
use postrider_core::lane::Ready;
use postrider_core::webhook::{DisabledReason, WebhookState};
use postrider_store::{Accepted, Cancelling, DueQuery, Recorded, StoreError, failpoint};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::commit::Done;
use super::live::LiveWebhook;
use super::{Engine, lock};

/// Webhooks with pending deliveries read at once at start.
const LANES_PAGE: usize = 1_000;
/// Pending deliveries cancelled in one transaction: some milliseconds of the writer's time.
const CANCEL_PAGE: usize = 512;
/// Pause before the store is asked again for something that it could not do.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// See the module's text.
pub(super) struct Shell {
    dispatcher: Mutex<Dispatcher>,
    /// Told when the dispatcher wants to be woken earlier than it was going to be.
    wake_moved: Notify,
    wake_at: AtomicI64,
    /// Told whenever the dispatcher took something in or a listener has ended, for those who wait for a state of it.
    turned: Notify,
    tasks: TaskTracker,
    stopped: CancellationToken,
}

impl Shell {
    pub(super) fn new() -> Self {
        Self {
            dispatcher: Mutex::new(Dispatcher::new(DispatcherLimits::default())),
            wake_moved: Notify::new(),
            wake_at: AtomicI64::new(UnixMs::MAX),
            turned: Notify::new(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        }
    }
}

impl Engine {
    /// Finds what is pending, goes on with what was being replayed, and starts the loops that live as long as the engine.
    pub(super) async fn start_shell(&self) -> Result<(), StoreError> {
        self.spawn_loop(Self::hand_on_commits);
        self.spawn_loop(Self::wake_in_time);
        self.spawn_loop(Self::maintain);
        self.spawn_loop(Self::keep_statistics);
        let mut after = None;
        loop {
            let page = self.store().lanes(after, LANES_PAGE).await?;
            failpoint!(LanesRead);
            let is_last = page.len() < LANES_PAGE;
            after = page.last().map(|lane| lane.webhook);
            let found = page.into_iter().filter_map(|lane| {
                let settings = self.inner.registry.get(lane.webhook)?.lane.clone();
                Some(Input::Found { settings, due: lane.first_due })
            });
            self.tell_all(found);
            if is_last {
                break;
            }
        }
        self.resume_replays().await
    }

    /// Starts no more attempts, and lets listeners go.
    pub fn stop_starting(&self) {
        self.tell(Input::Stop);
        self.inner.listeners.close();
    }

    /// Stops starting attempts and waits for those under way; how many had to be cut off.
    pub(super) async fn drain(&self, deadline: Duration) -> usize {
        let shell = &self.inner.shell;
        failpoint!(DrainBegun);
        self.stop_starting();
        let drained = async {
            loop {
                let turned = shell.turned.notified();
                if lock(&shell.dispatcher).is_drained() && self.inner.listeners.have_ended() {
                    return;
                }
                turned.await;
            }
        };
        let is_drained = tokio::time::timeout(deadline, drained).await.is_ok();
        failpoint!(Drained);
        let cut_off = if is_drained { 0 } else { lock(&shell.dispatcher).in_flight() };
        shell.stopped.cancel();
        shell.tasks.close();
        cut_off
    }

    /// Takes a delivery in hand, so that no attempt of it starts meanwhile; `false` when one is
    /// due or under way.
    pub(super) async fn claim(&self, live: &LiveWebhook, delivery: DeliveryKey) -> bool {
        self.claim_by(|dispatcher| dispatcher.claim(&live.lane, delivery)).await
    }

    /// The same for what ends it: `false` only when an attempt is under way.
    pub(super) async fn claim_unstarted(&self, live: &LiveWebhook, delivery: DeliveryKey) -> bool {
        self.claim_by(|dispatcher| dispatcher.claim_unstarted(&live.lane, delivery)).await
    }

    async fn claim_by(&self, claim: impl Fn(&mut Dispatcher) -> Claim) -> bool {
        let shell = &self.inner.shell;
        loop {
            let turned = shell.turned.notified();
            match claim(&mut lock(&shell.dispatcher)) {
                Claim::Taken => return true,
                Claim::Underway => return false,
                Claim::Settling => {}
            }
            turned.await;
        }
    }

    /// A claimed delivery was moved on.
    pub(super) fn settled(&self, delivery: DeliveryKey, due: Option<UnixMs>) {
        self.tell(Input::Settled { delivery, due });
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> usize {
        lock(&self.inner.shell.dispatcher).in_flight()
    }

    /// Waits until a webhook's lane has come to everything that is due, or `patience` ends: then
    /// `false`.
    pub(super) async fn caught_up(&self, webhook: WebhookKey, patience: Duration) -> bool {
        let shell = &self.inner.shell;
        let caught_up = async {
            loop {
                let turned = shell.turned.notified();
                if !lock(&shell.dispatcher).is_behind(self.now(), webhook) {
                    return;
                }
                turned.await;
            }
        };
        tokio::time::timeout(patience, caught_up).await.is_ok()
    }

    pub(super) fn is_cancelling(&self, webhook: WebhookKey) -> bool {
        lock(&self.inner.shell.dispatcher).is_cancelling(webhook)
    }

    /// Waits until nothing of a webhook is being cancelled.
    pub(super) async fn cancelling_ended(&self, webhook: WebhookKey) {
        let shell = &self.inner.shell;
        loop {
            let turned = shell.turned.notified();
            if !self.is_cancelling(webhook) {
                return;
            }
            turned.await;
        }
    }

    pub(super) fn tell(&self, input: Input) {
        self.tell_all(std::iter::once(input));
    }

    pub(super) fn tell_all(&self, inputs: impl IntoIterator<Item = Input>) {
        let shell = &self.inner.shell;
        let now = self.now();
        let mut effects = Vec::new();
        let wake = {
            let mut dispatcher = lock(&shell.dispatcher);
            for input in inputs {
                dispatcher.handle(now, input);
            }
            effects.extend(std::iter::from_fn(|| dispatcher.next_effect()));
            dispatcher.next_wake().unwrap_or(UnixMs::MAX)
        };
        if wake < shell.wake_at.load(Ordering::Relaxed) {
            shell.wake_at.store(wake, Ordering::Relaxed);
            shell.wake_moved.notify_one();
        }
        for effect in effects {
            self.perform(effect);
        }
        self.turned();
    }

    /// Lets those look again who wait for a state.
    pub(super) fn turned(&self) {
        self.inner.shell.turned.notify_waiters();
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Start { delivery, event, waiting } => {
                self.start_attempt(delivery, event, waiting);
            }
            Effect::Record { delivery, event, was, what, standing } => {
                self.record(delivery, &event, was, what, standing);
            }
            Effect::Load { webhook, until, limit, bytes_max, except } => {
                let query = DueQuery { webhook, until, limit, bytes_max, except };
                self.spawn(self.clone().load(query));
            }
            Effect::Cancel { webhook, reason, except } => {
                self.spawn(self.clone().cancel(webhook, reason, except));
            }
            Effect::DisableGone { webhook } => {
                if let Some(live) = self.inner.registry.get(webhook) {
                    self.spawn(self.clone().disable_gone(live));
                }
            }
        }
    }

    async fn load(self, query: DueQuery) {
        let webhook = query.webhook;
        let input = match self.store().due(query).await {
            Ok(page) => {
                failpoint!(PageRead);
                let ready = page.deliveries.into_iter();
                let ready = ready.map(|due| Ready { event: due.event, waiting: due.waiting });
                Input::Loaded { webhook, page: ready.collect(), next_due: page.next_due }
            }
            Err(error) => {
                tracing::error!(%webhook, %error, "due deliveries could not be read; trying again");
                Input::LoadFailed { webhook }
            }
        };
        self.tell(input);
    }

    async fn cancel(self, webhook: WebhookKey, reason: CancelReason, except: Vec<EventKey>) {
        let at = self.now();
        let keys: Vec<HistoryKey> = (0..CANCEL_PAGE).map(|_| self.next_key(at)).collect();
        let cancelling = Cancelling { webhook, at, reason, keys, except };
        let is_all = match self.store().cancel_pending(cancelling).await {
            Ok(cancelled) => {
                failpoint!(PendingCancelled);
                cancelled < CANCEL_PAGE
            }
            Err(error) => {
                tracing::error!(%webhook, %error, "pending deliveries could not be cancelled; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
                false
            }
        };
        self.tell(Input::Cancelled { webhook, is_all });
    }

    /// Disables a webhook whose receiver is gone, unless it leads elsewhere when its turn has come.
    async fn disable_gone(self, gone: Arc<LiveWebhook>) {
        let (webhook, url) = (gone.webhook.key, &gone.webhook.url);
        let state = WebhookState::Disabled(DisabledReason::Gone);
        let leads_there = || {
            let live = self.inner.registry.get(webhook);
            live.is_some_and(|live| live.webhook.url == *url)
        };
        while let Err(error) = self.set_state_if_enabled(webhook, state, leads_there).await {
            tracing::error!(%webhook, %error, "a webhook that is gone could not be disabled; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// What is durable: answers publishers, and hands the work to the dispatcher.
    async fn hand_on_commits(self) {
        loop {
            for done in self.inner.commits.done().await {
                self.hand_on(done);
            }
        }
    }

    fn hand_on(&self, done: Done) {
        failpoint!(HandedOver);
        self.inner.metrics.committed(done.accepts.len() + done.records.len());
        let mut inputs = Vec::with_capacity(done.accepts.len() + done.records.len());
        for accepted in done.accepts {
            let event = &accepted.accept.event;
            let matched = accepted.accept.matching.matched.iter();
            let lanes = matched.filter_map(|key| Some(self.inner.registry.get(*key)?.lane.clone()));
            match accepted.result {
                Ok(Accepted::New) => {
                    self.inner.metrics.accepted();
                    self.inner.statistics.accepted(event.accepted_at(), event.tenant);
                    self.inner.changes.note(event.tenant);
                    inputs.extend(
                        lanes.map(|settings| Input::Accepted { settings, event: event.clone() }),
                    );
                }
                // It may have taken effect all the same, and nobody else would tell: let them look.
                Err(_) => {
                    let due = event.accepted_at();
                    inputs.extend(lanes.map(|settings| Input::Found { settings, due }));
                }
                Ok(Accepted::Repeat { .. } | Accepted::IdConflict) => {}
            }
            // A publisher that hung up doesn't want to know; its event is safe all the same.
            let _ = accepted.reply.send(accepted.result);
        }
        failpoint!(PublishersTold);
        for (record, recorded) in done.records {
            let delivery = record.entry.delivery;
            let due = match recorded {
                Recorded::Done => record.entry.standing.due(),
                Recorded::NotPending => {
                    tracing::warn!(%delivery, "an outcome came for a delivery that was not pending");
                    None
                }
            };
            inputs.push(Input::Settled { delivery, due });
            self.note_change_of(delivery.webhook);
        }
        self.tell_all(inputs);
        failpoint!(DispatcherTold);
    }

    async fn wake_in_time(self) {
        let shell = &self.inner.shell;
        loop {
            let wake_at = shell.wake_at.load(Ordering::Relaxed);
            tokio::select! {
                () = shell.wake_moved.notified() => {}
                // Also where the clock went back meanwhile: the dispatcher then says when to come.
                () = self.clock().sleep_until(wake_at) => {
                    shell.wake_at.store(UnixMs::MAX, Ordering::Relaxed);
                    self.tell(Input::Woken);
                }
            }
        }
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let shell = &self.inner.shell;
        let stopped = shell.stopped.clone();
        shell.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stopped.cancelled() => {}
            }
        });
    }

    /// Does work that must not stop half-way when whoever asked for it goes away: a change that
    /// is stored must be told to everybody, and what was claimed must be settled.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.inner.shell.tasks.spawn(work).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// A loop that must not end before the engine does: a panic in it ends the process, for a
    /// server that accepts and no longer delivers is worse than one that restarts.
    pub(super) fn spawn_loop<F>(&self, run: impl FnOnce(Self) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work = AssertUnwindSafe(run(self.clone())).catch_unwind();
        let shell = &self.inner.shell;
        let stopped = shell.stopped.clone();
        shell.tasks.spawn(async move {
            tokio::select! {
                ended = work => if ended.is_err() {
                    tracing::error!("a loop of the engine panicked; ending the process so that it is restarted");
                    std::process::exit(70);
                },
                () = stopped.cancelled() => {}
            }
        });
    }
}

/// Shared by what is told to the dispatcher about a webhook.
pub(super) fn configured(live: &Arc<LiveWebhook>) -> Input {
    Input::Configured(live.lane.clone())
}
