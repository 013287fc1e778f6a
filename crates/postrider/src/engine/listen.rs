//! Listeners: webhooks whose attempts go to whoever holds a connection to this server, for
//! receivers that it can't reach.
//!
//! Such a webhook lives as long as its [`Listening`]. An attempt for it is offered to the listener
//! instead of being sent, and what the listener says of it within the deadline becomes its result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_core::delivery::{AttemptResult, ErrorClass, Timing};
use postrider_core::id::{DeliveryKey, TenantKey, WebhookKey};
use postrider_core::limits::LANE_CONCURRENCY_MAX;
use postrider_core::webhook::{DisabledReason, Webhook, WebhookKind, WebhookState};
use postrider_store::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::live::LiveWebhook;
use super::shell::RETRY_PAUSE;
use super::webhooks::{WebhookDraft, WebhookError, tombstone};
use super::{Engine, lock};
use crate::send::{Sent, answered};

/// Listeners of one tenant: developers at their desks.
const LISTENERS_PER_TENANT_MAX: usize = 100;
/// What stands in place of a listener's URL.
pub(super) const LISTENER_URL: &str = "listener:";

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    open: HashMap<WebhookKey, Listener>,
    /// Webhooks of listeners that went away, which are not deleted yet.
    ending: usize,
    /// The server stops: nobody listens any more.
    is_closed: bool,
}

#[derive(Debug)]
struct Listener {
    tenant: TenantKey,
    attempts: mpsc::Sender<ListenedAttempt>,
    /// Attempts whose answers are waited for, by their numbers.
    waiting: HashMap<u64, oneshot::Sender<ListenerAnswer>>,
    offered: u64,
}

/// An attempt as a listener gets it.
#[derive(Debug)]
pub struct ListenedAttempt {
    /// Names it in its answer; unique for its listener.
    pub number: u64,
    pub delivery: DeliveryKey,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

/// What a listener says of an attempt.
#[derive(Debug)]
pub enum ListenerAnswer {
    /// What its own receiver answered, of which as much is kept as of any answer.
    Answered { status: u16, headers: HeaderMap, body: Bytes },
    /// It came to no answer; why, in words.
    Failed(String),
}

/// An attempt that is ready to be offered.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) delivery: DeliveryKey,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    pub(super) deadline: Duration,
}

/// A listener's side of its webhook, which is deleted when this is dropped.
#[derive(Debug)]
pub struct Listening {
    engine: Engine,
    key: WebhookKey,
    attempts: mpsc::Receiver<ListenedAttempt>,
}

impl Listening {
    /// The next attempt. `None` once the webhook was disabled or deleted or the server stops.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<ListenedAttempt> {
        loop {
            let attempt = self.attempts.recv().await?;
            // one whose deadline passed in the queue would be made for nothing
            if self.engine.inner.listeners.is_waiting(self.key, attempt.number) {
                return Some(attempt);
            }
        }
    }

    /// Why there is no next attempt, when that is because the webhook was disabled.
    pub fn disabled_reason(&self) -> Option<DisabledReason> {
        match self.engine.inner.registry.get(self.key)?.webhook.state {
            WebhookState::Disabled(reason) => Some(reason),
            WebhookState::Enabled | WebhookState::Deleted => None,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // where the runtime is gone too, the next start deletes the webhook
        if tokio::runtime::Handle::try_current().is_ok() {
            let engine = self.engine.clone();
            engine.inner.listeners.begin_ending(self.key);
            engine.spawn(engine.clone().end_listening(self.key));
        }
    }
}

impl Engine {
    /// Registers a webhook whose attempts go to the caller. `draft` has no URL.
    pub async fn listen(
        &self,
        tenant: TenantKey,
        draft: WebhookDraft,
    ) -> Result<(Arc<LiveWebhook>, Listening), WebhookError> {
        let engine = self.clone();
        self.to_the_end(async move { engine.begin_listening(tenant, draft).await }).await
    }

    async fn begin_listening(
        &self,
        tenant: TenantKey,
        draft: WebhookDraft,
    ) -> Result<(Arc<LiveWebhook>, Listening), WebhookError> {
        let (webhook, profile) = self.new_webhook(tenant, draft, WebhookKind::Listener)?;
        // open before anything can match it
        let attempts = self.inner.listeners.open(&webhook)?;
        let listening = Listening { engine: self.clone(), key: webhook.key, attempts };
        Ok((self.register(webhook, profile).await?, listening))
    }

    /// Gives the result of an attempt that was offered; `false` when nobody waits for it.
    pub fn answer_attempt(
        &self,
        tenant: TenantKey,
        webhook: WebhookKey,
        number: u64,
        answer: ListenerAnswer,
    ) -> bool {
        let mut tables = lock(&self.inner.listeners.tables);
        let listener = tables.open.get_mut(&webhook);
        let listener = listener.filter(|listener| listener.tenant == tenant);
        let waiting = listener.and_then(|listener| listener.waiting.remove(&number));
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }

    /// Offers an attempt to the listener of its webhook and waits for what it says.
    pub(super) async fn offer(&self, offer: Offer) -> Sent {
        let (webhook, deadline, began) = (offer.delivery.webhook, offer.deadline, Instant::now());
        let Some((number, answer)) = self.inner.listeners.offer(offer) else {
            return ended(began, went_away());
        };
        let Ok(answer) = tokio::time::timeout(deadline, answer).await else {
            self.inner.listeners.give_up(webhook, number);
            let detail = format!("the listener did not answer within {} ms", deadline.as_millis());
            return ended(began, broke(ErrorClass::Timeout, detail));
        };
        match answer {
            Ok(ListenerAnswer::Answered { status, headers, body }) => {
                let (answer, retry_after) = answered(status, &headers, &body);
                Sent { retry_after, ..ended(began, AttemptResult::Answered(answer)) }
            }
            Ok(ListenerAnswer::Failed(why)) => ended(began, broke(ErrorClass::ConnectFailed, why)),
            Err(_) => ended(began, went_away()),
        }
    }

    /// Deletes the webhooks of listeners that a crash has left behind.
    pub(super) async fn delete_left_listeners(&self) -> Result<(), StoreError> {
        for live in self.inner.registry.filtered(|webhook| webhook.kind == WebhookKind::Listener) {
            self.store_change(tombstone(&live.webhook), live.profile.clone()).await?;
        }
        Ok(())
    }

    async fn end_listening(self, key: WebhookKey) {
        let tenant = self.inner.registry.get(key).map(|live| live.webhook.tenant);
        while let Some(tenant) = tenant {
            match self.delete_webhook(tenant, key).await {
                Ok(()) | Err(WebhookError::NotFound) => break,
                Err(error) => {
                    tracing::error!(webhook = %key, %error, "a listener's webhook could not be deleted; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
        lock(&self.inner.listeners.tables).ending -= 1;
        self.turned();
    }
}

impl Listeners {
    fn open(&self, webhook: &Webhook) -> Result<mpsc::Receiver<ListenedAttempt>, WebhookError> {
        let mut tables = lock(&self.tables);
        if tables.is_closed {
            let stopping = StoreError::Unavailable("the server is stopping".to_owned());
            return Err(WebhookError::Store(stopping));
        }
        let own = tables.open.values().filter(|listener| listener.tenant == webhook.tenant);
        if own.count() >= LISTENERS_PER_TENANT_MAX {
            return Err(WebhookError::TooManyListeners(LISTENERS_PER_TENANT_MAX));
        }
        // as many as can be under way, whatever the webhook's concurrency becomes
        let (attempts, received) = mpsc::channel(LANE_CONCURRENCY_MAX.into());
        let (tenant, waiting) = (webhook.tenant, HashMap::new());
        let listener = Listener { tenant, attempts, waiting, offered: 0 };
        tables.open.insert(webhook.key, listener);
        Ok(received)
    }

    /// `None` when nobody listens, or not well enough to take any more.
    fn offer(&self, offer: Offer) -> Option<(u64, oneshot::Receiver<ListenerAnswer>)> {
        let mut tables = lock(&self.tables);
        let listener = tables.open.get_mut(&offer.delivery.webhook)?;
        listener.offered += 1;
        let number = listener.offered;
        let Offer { delivery, headers, body, .. } = offer;
        listener.attempts.try_send(ListenedAttempt { number, delivery, headers, body }).ok()?;
        let (told, answer) = oneshot::channel();
        listener.waiting.insert(number, told);
        Some((number, answer))
    }

    fn is_waiting(&self, webhook: WebhookKey, number: u64) -> bool {
        let tables = lock(&self.tables);
        tables.open.get(&webhook).is_some_and(|listener| listener.waiting.contains_key(&number))
    }

    fn give_up(&self, webhook: WebhookKey, number: u64) {
        if let Some(listener) = lock(&self.tables).open.get_mut(&webhook) {
            listener.waiting.remove(&number);
        }
    }

    fn begin_ending(&self, webhook: WebhookKey) {
        let mut tables = lock(&self.tables);
        tables.open.remove(&webhook);
        tables.ending += 1;
    }

    /// Ends what a listener gets: its webhook was disabled or deleted.
    pub(super) fn forget(&self, webhook: WebhookKey) {
        lock(&self.tables).open.remove(&webhook);
    }

    /// Ends them all, and lets no more begin.
    pub(super) fn close(&self) {
        let mut tables = lock(&self.tables);
        tables.is_closed = true;
        tables.open.clear();
    }

    /// Whether no webhook of a listener is waiting to be deleted.
    pub(super) fn have_ended(&self) -> bool {
        lock(&self.tables).ending == 0
    }
}

fn ended(began: Instant, result: AttemptResult) -> Sent {
    let total_us = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
    let timing = Timing { wait_us: total_us, total_us, ..Timing::default() };
    Sent { timing, address: None, result, retry_after: None, refusal: None }
}

fn went_away() -> AttemptResult {
    broke(ErrorClass::ConnectFailed, "its listener went away".to_owned())
}

fn broke(class: ErrorClass, detail: String) -> AttemptResult {
    AttemptResult::Broke { class, detail, answer: None }
}
