//! Replays: past events on their way to webhooks once more, page by page.
//!
//! The store keeps how far each has come; here is what moves it on, also after a restart. What
//! the store can't know is decided here: which webhooks take anything now, and which of the events
//! that a webhook missed it wants. See `docs/adr/0006-replays-move-deliveries-on.md`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::delivery::{DeliveryState, ErrorClass};
use postrider_core::dispatcher::Input;
use postrider_core::event::Event;
use postrider_core::event_type::Patterns;
use postrider_core::id::{DeliveryKey, ReplayKey, TenantKey, UnixMs, WebhookKey};
use postrider_core::limits::LANE_READY_MAX;
use postrider_core::webhook::WebhookState;
use postrider_store::{
    DeliveryFilter, DeliveryPage, DeliverySearch, FoundDelivery, LOOKS_MAX, Order, Replay,
    ReplayMove, ReplayState, ReplayStep, StatusClass, StoreError, failpoint,
};

use super::Engine;
use super::live::LiveWebhook;

/// Deliveries moved on in one transaction: what one lane holds in memory, and some 10 ms of the
/// writer's time.
const PAGE: usize = LANE_READY_MAX;
/// Between two pages of whichever replays, for the writer's other work.
const BREATH: Duration = Duration::from_millis(20);
/// How long one replay waits for a slow receiver before it looks whether it is still wanted.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pause before a page is tried again when the store could not do it.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Replays of one tenant that run at once: more only take turns.
const RUNNING_PER_TENANT_MAX: usize = 8;
/// Running replays read at once.
const RUNNING_PAGE: usize = 1_000;
/// Searches that one count makes at most, and how long it looks: who asks waits for the answer.
const COUNT_SEARCHES_MAX: usize = 20;
const COUNT_TIME_MAX: Duration = Duration::from_secs(2);

/// Which deliveries are to be made once more.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// `None`: of all webhooks that are enabled.
    pub webhook: Option<WebhookKey>,
    /// Of events accepted at this time or later.
    pub since: Option<UnixMs>,
    /// Of events accepted before this time; without it, until now.
    pub until: Option<UnixMs>,
    pub types: Option<Patterns>,
    /// Final states only.
    pub states: Vec<DeliveryState>,
    /// Also of events that did not go to the webhook though it wants them now.
    pub missed: bool,
    /// By what the last attempt came to.
    pub status: Option<StatusClass>,
    /// By why the last attempt got no answer that counts.
    pub error: Option<ErrorClass>,
}

/// How many there are, as far as they were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub count: u64,
    /// Counting ended before all was looked at.
    pub is_more: bool,
}

/// Why a replay is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there is no such webhook")]
    NotFound,
    #[error("the webhook is disabled; enable it first")]
    WebhookDisabled,
    #[error("{0} replays of this tenant are running already; wait for one to end, or cancel one")]
    TooMany(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a replay is not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndReplayError {
    #[error("there is no such replay")]
    NotFound,
    #[error("the replay is over already")]
    Over,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// How many deliveries a replay would make now.
    pub async fn count_replay(
        &self,
        tenant: TenantKey,
        request: &ReplayRequest,
    ) -> Result<Counted, ReplayError> {
        self.check_webhook(tenant, request.webhook)?;
        Ok(self.counted(tenant, request).await?)
    }

    async fn counted(
        &self,
        tenant: TenantKey,
        request: &ReplayRequest,
    ) -> Result<Counted, StoreError> {
        let replay = self.replay_of(tenant, request);
        let mut search = search(&replay, LOOKS_MAX);
        let mut counted = Counted { count: 0, is_more: false };
        let deadline = Instant::now() + COUNT_TIME_MAX;
        for _ in 0..COUNT_SEARCHES_MAX {
            let page = self.store().find_deliveries(search.clone()).await?;
            for found in &page.deliveries {
                if Instant::now() >= deadline {
                    return Ok(Counted { is_more: true, ..counted });
                }
                counted.count += u64::from(self.takes(found).await?.is_some());
            }
            search.beyond = page.next;
            if page.next.is_none() {
                return Ok(counted);
            }
        }
        counted.is_more = true;
        Ok(counted)
    }

    /// How many events an enabled webhook did not get between two times, though it wants them now.
    pub async fn count_missed(
        &self,
        live: &LiveWebhook,
        since: UnixMs,
        until: UnixMs,
    ) -> Result<Counted, StoreError> {
        let request = ReplayRequest {
            webhook: Some(live.webhook.key),
            since: Some(since),
            until: Some(until),
            types: None,
            states: Vec::new(),
            missed: true,
            status: None,
            error: None,
        };
        self.counted(live.webhook.tenant, &request).await
    }

    /// Starts a replay. It goes on by itself, also after a restart, until it is done.
    pub async fn start_replay(
        &self,
        tenant: TenantKey,
        request: ReplayRequest,
    ) -> Result<Replay, ReplayError> {
        self.check_webhook(tenant, request.webhook)?;
        let engine = self.clone();
        let started = async move {
            let _beginning = engine.inner.beginning_replay.lock().await;
            let running = engine.running_of(tenant).await?;
            if running >= RUNNING_PER_TENANT_MAX {
                return Err(ReplayError::TooMany(running));
            }
            let replay = engine.replay_of(tenant, &request);
            engine.store().insert_replay(replay.clone()).await?;
            engine.spawn_loop(|engine| engine.run_replay(replay.key));
            Ok(replay)
        };
        self.to_the_end(started).await
    }

    /// A replay of this tenant.
    pub async fn replay(
        &self,
        tenant: TenantKey,
        key: ReplayKey,
    ) -> Result<Option<Replay>, StoreError> {
        let found = self.store().replay(key).await?;
        Ok(found.filter(|replay| replay.tenant == tenant))
    }

    /// Ends a replay. What it had moved on stays so.
    pub async fn cancel_replay(
        &self,
        tenant: TenantKey,
        key: ReplayKey,
    ) -> Result<Replay, EndReplayError> {
        self.replay(tenant, key).await?.ok_or(EndReplayError::NotFound)?;
        let ended = self.store().end_replay(key, ReplayState::Cancelled, self.now()).await?;
        ended.ok_or(EndReplayError::Over)
    }

    /// Goes on with what was running when the last process ended.
    pub(super) async fn resume_replays(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.store().running_replays(after, RUNNING_PAGE).await?;
            for replay in &page {
                let key = replay.key;
                self.spawn_loop(move |engine| engine.run_replay(key));
            }
            if page.len() < RUNNING_PAGE {
                return Ok(());
            }
            after = page.last().map(|replay| replay.key);
        }
    }

    async fn run_replay(self, key: ReplayKey) {
        loop {
            match self.replay_on(key).await {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return,
                Err(error) => {
                    tracing::error!(replay = %key, %error, "a replay can't go on; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// One page of a replay, when its receiver has come to those before. Breaks when it is over.
    async fn replay_on(&self, key: ReplayKey) -> Result<ControlFlow<()>, StoreError> {
        let Some(replay) = self.running(key).await? else {
            return Ok(ControlFlow::Break(()));
        };
        if let Some(webhook) = replay.filter.webhook {
            if self.enabled(webhook).is_none() {
                let ended = self.store().end_replay(key, ReplayState::Cancelled, self.now()).await;
                return ended.map(|_| ControlFlow::Break(()));
            }
            if !self.caught_up(webhook, PATIENCE).await {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let page = self.store().find_deliveries(search(&replay, PAGE)).await?;
        let mut wanted = Vec::with_capacity(page.deliveries.len());
        for found in &page.deliveries {
            if self.takes(found).await?.is_some() {
                wanted.push(found.delivery);
            }
        }
        let _turn = self.inner.replaying.lock().await;
        // Waiting takes its time, and somebody may have ended it meanwhile.
        let Some(replay) = self.running(key).await? else {
            return Ok(ControlFlow::Break(()));
        };
        let is_over = self.step(&replay, &page, &wanted).await?;
        tokio::time::sleep(BREATH).await;
        Ok(is_over)
    }

    async fn step(
        &self,
        replay: &Replay,
        page: &DeliveryPage,
        wanted: &[DeliveryKey],
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut claimed = Vec::with_capacity(wanted.len());
        for &delivery in wanted {
            // What is due or under way is pending, and so left alone.
            if let Some(live) = self.enabled(delivery.webhook)
                && self.claim(&live, delivery).await
            {
                claimed.push(delivery);
            }
        }
        let at = self.now();
        let moves = claimed.iter().map(|&delivery| ReplayMove { delivery, key: self.next_key(at) });
        let step = ReplayStep {
            replay: replay.key,
            from: replay.position,
            to: page.next,
            considered: page.events,
            moves: moves.collect(),
            at,
        };
        let stepped = self.store().step_replay(step).await;
        self.inner.changes.note(replay.tenant);
        failpoint!(ReplayMoved);
        self.tell_all(claimed.into_iter().map(|delivery| settled(delivery, at)));
        match stepped {
            Ok(stepped) if stepped.replay.state == ReplayState::Running => {
                Ok(ControlFlow::Continue(()))
            }
            Ok(_) => Ok(ControlFlow::Break(())),
            // Somebody ended it meanwhile; the next look will say so.
            Err(StoreError::Conflict(_)) => Ok(ControlFlow::Continue(())),
            Err(error) => Err(error),
        }
    }

    /// The webhook of a found delivery, when it would take the event now.
    async fn takes(&self, found: &FoundDelivery) -> Result<Option<Arc<LiveWebhook>>, StoreError> {
        if found.is_of_test() {
            return Ok(None);
        }
        let Some(live) = self.enabled(found.delivery.webhook) else { return Ok(None) };
        let is_missed = found.standing.is_none();
        if is_missed && !live.webhook.patterns.matches(&found.event_type) {
            return Ok(None);
        }
        if is_missed && live.webhook.filter.is_some() {
            let Some(event) = self.store().event_by_key(found.delivery.event).await? else {
                return Ok(None);
            };
            return Ok(self.wants_past(&live, event).await.then_some(live));
        }
        Ok(Some(live))
    }

    /// Asks a filter about a past event, away from the thread that everybody is served by: a filter
    /// may take milliseconds of each event, and there are many. One at a time for the whole server.
    async fn wants_past(&self, live: &Arc<LiveWebhook>, event: Arc<Event>) -> bool {
        let _turn = self.inner.looking_back.lock().await;
        let (engine, live) = (self.clone(), live.clone());
        let asked = tokio::task::spawn_blocking(move || engine.wants(&live, &event).is_ok());
        // a panic in a filter is none of the webhook's will; it is logged by the runtime's hook
        asked.await.unwrap_or(false)
    }

    fn check_webhook(
        &self,
        tenant: TenantKey,
        webhook: Option<WebhookKey>,
    ) -> Result<(), ReplayError> {
        let Some(webhook) = webhook else { return Ok(()) };
        let live = self.webhook(tenant, webhook).ok_or(ReplayError::NotFound)?;
        match live.webhook.state {
            WebhookState::Enabled => Ok(()),
            WebhookState::Disabled(_) | WebhookState::Deleted => Err(ReplayError::WebhookDisabled),
        }
    }

    fn enabled(&self, webhook: WebhookKey) -> Option<Arc<LiveWebhook>> {
        let live = self.inner.registry.get(webhook);
        live.filter(|live| live.webhook.state == WebhookState::Enabled)
    }

    async fn running(&self, key: ReplayKey) -> Result<Option<Replay>, StoreError> {
        let found = self.store().replay(key).await?;
        Ok(found.filter(|replay| replay.state == ReplayState::Running))
    }

    async fn running_of(&self, tenant: TenantKey) -> Result<usize, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.store().running_replays(after, RUNNING_PAGE).await?;
            count += page.iter().filter(|replay| replay.tenant == tenant).count();
            if page.len() < RUNNING_PAGE {
                return Ok(count);
            }
            after = page.last().map(|replay| replay.key);
        }
    }

    fn replay_of(&self, tenant: TenantKey, request: &ReplayRequest) -> Replay {
        let now = self.now();
        let after_now = now.saturating_add(1);
        let filter = DeliveryFilter {
            webhook: request.webhook,
            event: None,
            types: request.types.clone(),
            after: request.since,
            before: Some(request.until.unwrap_or(after_now).min(after_now)),
            states: request.states.clone(),
            status: request.status,
            error: request.error,
        };
        Replay {
            key: self.next_key(now),
            tenant,
            filter,
            with_missed: request.missed,
            state: ReplayState::Running,
            position: None,
            considered: 0,
            replayed: 0,
            created_at: now,
            finished_at: None,
        }
    }
}

/// What of a replay is next.
fn search(replay: &Replay, limit: usize) -> DeliverySearch {
    DeliverySearch {
        tenant: replay.tenant,
        filter: replay.filter.clone(),
        with_missed: replay.with_missed,
        order: Order::OldestFirst,
        beyond: replay.position,
        limit,
    }
}

/// Whatever became of it: looking once too often costs nothing.
fn settled(delivery: DeliveryKey, at: UnixMs) -> Input {
    Input::Settled { delivery, due: Some(at) }
}
