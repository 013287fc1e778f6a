//! Three months as they might have been: events come with the rhythm of days and weeks, receivers
//! behave as planned, and everything is written as a server writes it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use postrider::catalogue::builtin_types;
use postrider::engine::sent_body;
use postrider::profile::Profile;
use postrider_core::delivery::{
    Attempt, CancelReason, DeliveryState, Happening, HistoryEntry, Mode, Outline, Standing,
    Trigger, Verdict, Waiting,
};
use postrider_core::event::{Bodies, Event};
use postrider_core::health::{Change, Health, HealthPolicy, Outcome};
use postrider_core::id::{DeliveryKey, EventKey, KeyMaker, MatchingKey, TenantKey, UnixMs};
use postrider_core::matching::{Matching, Verdict as FilterVerdict, match_webhooks};
use postrider_core::retry_after::RetryAfter;
use postrider_core::webhook::{DisabledReason, Webhook, WebhookState};
use postrider_signature::{BodyForm, Content, NumberPolicy, Secret, envelope, sign};
use postrider_store::{
    Accept, Batch, DeliveryStore, EventStore, MaintenanceStore, Record, RetryRequest, SqliteStore,
    WebhookStore,
};

use super::counted::Counted;
use super::dice::Dice;
use super::payloads;
use super::receivers::{TENANTS, WebhookPlan};
use super::temper::{HOUR_MS, MINUTE_MS, Temper};

/// Three months.
pub(crate) const HISTORY_MS: UnixMs = 92 * 24 * HOUR_MS;
/// What a busy hour has to do with a quiet one: from midnight on, UTC.
const DAY_RHYTHM: [u64; 24] = [
    22, 18, 15, 14, 15, 20, 32, 48, 68, 84, 92, 96, 94, 97, 100, 98, 92, 84, 72, 60, 50, 42, 34, 27,
];
const WEEKEND_PERCENT: u64 = 42;
/// Attempts for each delivery, about: some are tried again.
const ATTEMPTS_PERCENT: u64 = 101;
/// In one commit.
const BATCH: usize = 1_024;
/// Commits between two sweeps, which fill the list indexes.
const COMMITS_TO_SWEEP: usize = 16;
/// How long a busy receiver is behind.
const BEHIND_MS: UnixMs = 6 * HOUR_MS;
/// A webhook that fails for so long is disabled.
const BORNE_MS: UnixMs = 5 * 24 * HOUR_MS;
/// Failed deliveries that somebody retried by hand.
const RETRIED_MAX: usize = 24;

/// A webhook with what its attempts need.
pub(crate) struct Receiver {
    pub(crate) plan: &'static WebhookPlan,
    pub(crate) webhook: Webhook,
    pub(crate) profile: Profile,
    pub(crate) secret: Secret,
}

pub(crate) struct History<'a> {
    store: &'a SqliteStore,
    now: UnixMs,
    dice: Dice,
    maker: KeyMaker,
    tenants: Vec<TenantKey>,
    receivers: Vec<Receiver>,
    outlines: Vec<Arc<Outline>>,
    healths: Vec<Health>,
    /// Webhooks that will be disabled, the last one first.
    disablings: Vec<(UnixMs, usize, DisabledReason)>,
    matchings: BTreeMap<(usize, usize), Arc<Matching>>,
    due: BinaryHeap<Reverse<Due>>,
    batch: Batch,
    commits: usize,
    counted: Counted,
    failed: Vec<DeliveryKey>,
    pub(crate) attempts: u64,
    pub(crate) events: u64,
}

/// An attempt to come.
struct Due {
    at: UnixMs,
    receiver: usize,
    event: Arc<Event>,
    waiting: Waiting,
}

impl<'a> History<'a> {
    pub(crate) fn new(
        store: &'a SqliteStore,
        now: UnixMs,
        (dice, maker): (Dice, KeyMaker),
        tenants: Vec<TenantKey>,
        receivers: Vec<Receiver>,
    ) -> Self {
        let outline = |receiver: &Receiver| {
            Arc::new(Outline {
                url: receiver.webhook.url.as_str().into(),
                header_names: Vec::new(),
                body_form: receiver.profile.signing.body_form,
            })
        };
        let disabling = |(at, receiver): (usize, &Receiver)| match receiver.plan.temper {
            Temper::Paused(hours) => Some((now - hours * HOUR_MS, at, DisabledReason::Requested)),
            Temper::Broken { hours, .. } if hours * HOUR_MS > BORNE_MS => {
                Some((now - hours * HOUR_MS + BORNE_MS, at, DisabledReason::Failing))
            }
            _ => None,
        };
        let mut disablings: Vec<_> = receivers.iter().enumerate().filter_map(disabling).collect();
        disablings.sort_unstable_by_key(|&(at, ..)| Reverse(at));
        Self {
            store,
            now,
            dice,
            maker,
            outlines: receivers.iter().map(outline).collect(),
            healths: vec![Health::default(); receivers.len()],
            disablings,
            matchings: BTreeMap::new(),
            due: BinaryHeap::new(),
            batch: Batch::default(),
            commits: 0,
            counted: Counted::new(now),
            failed: Vec::new(),
            attempts: 0,
            events: 0,
            tenants,
            receivers,
        }
    }

    /// Lives through it all: about so many attempts.
    pub(crate) async fn live(&mut self, attempts: u64) -> anyhow::Result<()> {
        let events = attempts * 100 * 1_000 / (ATTEMPTS_PERCENT * self.fanout_thousandths());
        let begin = self.now - HISTORY_MS;
        let hours: Vec<UnixMs> = (0..HISTORY_MS / HOUR_MS).map(|n| begin + n * HOUR_MS).collect();
        let weights: Vec<u64> = hours.iter().map(|&at| self.weight(at)).collect();
        let whole: u64 = weights.iter().sum();
        let mut passed = 0;
        for (&at, weight) in hours.iter().zip(weights) {
            let until = |passed: u64| u128::from(events) * u128::from(passed) / u128::from(whole);
            let wanted = until(passed + weight) - until(passed);
            passed += weight;
            let hour_ms = HOUR_MS.unsigned_abs();
            let mut times: Vec<u64> = (0..wanted).map(|_| self.dice.below(hour_ms)).collect();
            times.sort_unstable();
            for time in times {
                self.event(at.saturating_add_unsigned(time)).await?;
            }
        }
        self.pass_until(self.now).await?;
        self.retry_some().await?;
        self.commit().await
    }

    /// Keeps what was counted, and how the webhooks are now.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.counted.store(self.store).await.context("storing statistics")?;
        for receiver in self.receivers {
            if receiver.webhook.version > 1 {
                self.store.update_webhook(receiver.webhook).await.context("disabling a webhook")?;
            }
        }
        while self.store.sweep(0).await?.indexed > 0 {}
        Ok(())
    }

    /// Growing, by day and week.
    fn weight(&self, at: UnixMs) -> u64 {
        let day = at.div_euclid(24 * HOUR_MS);
        let hour = usize::try_from(at.rem_euclid(24 * HOUR_MS) / HOUR_MS).unwrap_or(0);
        // 1970 began on a Thursday
        let is_weekend = matches!(day.rem_euclid(7), 2 | 3);
        let percent = if is_weekend { WEEKEND_PERCENT } else { 100 };
        let age_percent = u64::try_from((self.now - at) * 100 / HISTORY_MS).unwrap_or(0);
        DAY_RHYTHM[hour] * percent * (130 - age_percent.min(100))
    }

    /// Deliveries of a thousand events.
    fn fanout_thousandths(&mut self) -> u64 {
        let mut sum = 0;
        let shares = TENANTS.iter().map(|tenant| tenant.share).sum::<u64>();
        for (tenant, plan) in TENANTS.iter().enumerate() {
            let all = plan.types.iter().sum::<u64>();
            for (kind, weight) in plan.types.iter().enumerate() {
                let matched =
                    self.matching(tenant, kind, self.now - HISTORY_MS).matched.len() as u64;
                sum += matched * weight * 1_000 * plan.share / (all * shares);
            }
        }
        sum.max(1)
    }

    async fn event(&mut self, at: UnixMs) -> anyhow::Result<()> {
        self.pass_until(at).await?;
        let tenant = self.dice.weighed(&TENANTS.each_ref().map(|tenant| tenant.share));
        let kind = self.dice.weighed(&TENANTS[tenant].types);
        let event_type = &builtin_types()[kind].name;
        let matching = self.matching(tenant, kind, at);
        let key: EventKey = self.maker.next(at);
        self.events += 1;
        // one of the platforms gives its own ids
        let given_id = (tenant == 1).then(|| format!("gx-{}", 480_000 + self.events));
        let id = given_id.clone().unwrap_or_else(|| key.to_string());
        let occurred_at = at - UnixMs::from(u8::try_from(self.dice.between(4, 250)).unwrap_or(9));
        let data = payloads::data(event_type.as_str(), occurred_at, &mut self.dice);
        let numbers = NumberPolicy::default();
        let body = envelope(
            &id,
            event_type.as_str(),
            occurred_at,
            data.as_bytes(),
            BodyForm::Verbatim,
            numbers,
        )?;
        let event = Arc::new(Event {
            key,
            tenant: self.tenants[tenant],
            given_id: given_id.map(String::into_boxed_str),
            event_type: event_type.clone(),
            occurred_at,
            bodies: Bodies { verbatim: Bytes::from(body), ecma: None, jcs: None },
            numbers,
            matching: matching.key,
        });
        self.counted.accepted(at, event.tenant);
        let Standing::Pending(waiting) = Standing::accepted(event.accepted_at()) else {
            return Ok(());
        };
        for receiver in 0..self.receivers.len() {
            if matching.matched.contains(&self.receivers[receiver].webhook.key) {
                let event = event.clone();
                self.due.push(Reverse(Due { at, receiver, event, waiting }));
            }
        }
        self.batch.accepts.push(Accept { event, matching, fingerprint: [0; 16] });
        self.commit_if_full().await
    }

    /// What a type goes to, with the webhooks as they are now.
    fn matching(&mut self, tenant: usize, kind: usize, at: UnixMs) -> Arc<Matching> {
        if let Some(known) = self.matchings.get(&(tenant, kind)) {
            return known.clone();
        }
        let key: MatchingKey = self.maker.next(at);
        let mine = self.receivers.iter().filter(|receiver| receiver.plan.tenant == tenant);
        let webhooks = mine.map(|receiver| &receiver.webhook);
        let event_type = &builtin_types()[kind].name;
        let made = Arc::new(match_webhooks(key, event_type, webhooks, |_| FilterVerdict::Yes));
        self.matchings.insert((tenant, kind), made.clone());
        made
    }

    /// Everything that was due before `time`.
    async fn pass_until(&mut self, time: UnixMs) -> anyhow::Result<()> {
        loop {
            let next = self.due.peek().map_or(UnixMs::MAX, |Reverse(due)| due.at);
            if let Some(&(at, receiver, reason)) = self.disablings.last()
                && at <= next.min(time)
            {
                self.disablings.pop();
                self.disable(receiver, reason, at);
            } else if next <= time {
                if let Some(Reverse(due)) = self.due.pop() {
                    self.attempt_or_leave(due);
                    self.commit_if_full().await?;
                }
            } else {
                return Ok(());
            }
        }
    }

    fn disable(&mut self, receiver: usize, reason: DisabledReason, at: UnixMs) {
        let webhook = &mut self.receivers[receiver].webhook;
        webhook.state = WebhookState::Disabled(reason);
        webhook.disabled_at = Some(at);
        webhook.updated_at = at;
        webhook.version = 2;
        self.matchings.clear();
    }

    /// An attempt, unless its webhook has none made.
    fn attempt_or_leave(&mut self, due: Due) {
        let receiver = &self.receivers[due.receiver];
        let is_behind =
            matches!(receiver.plan.temper, Temper::Busy(_)) && due.at > self.now - BEHIND_MS;
        match receiver.webhook.state {
            WebhookState::Disabled(DisabledReason::Gone) => self.cancel(&due),
            WebhookState::Enabled if !is_behind => self.attempt(due),
            _ => {}
        }
    }

    fn cancel(&mut self, due: &Due) {
        let what = Happening::Cancelled { at: due.at, reason: CancelReason::WebhookGone };
        if let Ok(standing) = Standing::Pending(due.waiting).after(Trigger::Cancelled) {
            self.record(due, due.at, what, standing, None);
        }
    }

    fn attempt(&mut self, due: Due) {
        let number = due.receiver;
        let started_at = due.at + UnixMs::from(u8::try_from(self.dice.between(1, 30)).unwrap_or(2));
        let temper = self.receivers[number].plan.temper;
        let attempted = temper.ask(number, started_at, self.now, &mut self.dice);
        let ended_at = started_at + i64::from(attempted.timing.total_us) / 1_000;
        if ended_at > self.now {
            return;
        }
        let is_sent = attempted.timing.wait_us > 0;
        let progress = due.waiting.after_attempt();
        let attempt = Attempt {
            number: progress.attempts,
            is_manual: due.waiting.mode != Mode::Scheduled,
            started_at,
            timing: attempted.timing,
            address: (attempted.timing.total_us > attempted.timing.dns_us + 50)
                .then(|| address(number)),
            outline: Some(self.outlines[number].clone()),
            signed_headers: self.signed(&due, started_at),
            result: attempted.result,
        };
        let verdict = self.verdict(&due, &attempt, ended_at);
        let Ok(standing) = Standing::Pending(due.waiting).after(Trigger::Attempted(verdict)) else {
            return;
        };
        self.attempts += 1;
        let webhook = self.receivers[number].webhook.key;
        self.counted.attempted(ended_at, due.event.tenant, webhook, &attempt, standing.state());
        if attempt.result.is_gone() && is_sent {
            self.disable(number, DisabledReason::Gone, ended_at);
        }
        let health = self.health(number, &attempt, ended_at);
        if standing.state() == DeliveryState::Failed {
            self.failed.push(DeliveryKey { event: due.event.key, webhook });
        }
        self.record(&due, ended_at, Happening::Attempt(Box::new(attempt)), standing, health);
        if let Standing::Pending(waiting) = standing {
            self.due.push(Reverse(Due { at: waiting.due, waiting, ..due }));
        }
    }

    fn verdict(&mut self, due: &Due, attempt: &Attempt, ended_at: UnixMs) -> Verdict {
        if attempt.result.is_success() {
            return Verdict::Success;
        }
        if attempt.result.is_gone() {
            return Verdict::Permanent;
        }
        let retry_after = match attempt.result.status() {
            Some(429 | 503) => RetryAfter::parse("30", ended_at),
            _ => None,
        };
        let made = usize::try_from(due.waiting.after_attempt().scheduled).unwrap_or(usize::MAX);
        let schedule = &self.receivers[due.receiver].profile.schedule;
        let retry_at = schedule.next_attempt(made, ended_at, self.dice.next(), retry_after);
        Verdict::Failure { ended_at, retry_at }
    }

    fn health(&mut self, number: usize, attempt: &Attempt, at: UnixMs) -> Option<Health> {
        let outcome = Outcome::of(&attempt.result, true)?;
        let change = self.healths[number].note(outcome, at, &HealthPolicy::default());
        (change != Change::Nothing).then_some(self.healths[number])
    }

    fn signed(&self, due: &Due, now_ms: UnixMs) -> Vec<(String, String)> {
        let receiver = &self.receivers[due.receiver];
        let signing = &receiver.profile.signing;
        let body = sent_body(&due.event, signing.body_form).unwrap_or_default();
        let id = due.event.id();
        let server_host = Some("https://hooks.example.com");
        let event_time_ms = due.event.occurred_at;
        let content = Content { id: &id, event_time_ms, now_ms, body: &body, server_host };
        let signed = sign(signing, &receiver.secret, &[], &content);
        signed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn record(
        &mut self,
        due: &Due,
        at: UnixMs,
        what: Happening,
        standing: Standing,
        health: Option<Health>,
    ) {
        let webhook = self.receivers[due.receiver].webhook.key;
        let delivery = DeliveryKey { event: due.event.key, webhook };
        let entry = HistoryEntry { key: self.maker.next(at), delivery, what, standing };
        self.batch.records.push(Record { was: due.waiting, entry, health });
    }

    /// Somebody retried what had failed.
    async fn retry_some(&mut self) -> anyhow::Result<()> {
        self.commit().await?;
        let last = self.failed.split_off(self.failed.len().saturating_sub(RETRIED_MAX));
        for delivery in last {
            let at = self.now - MINUTE_MS;
            let request = RetryRequest { delivery, at, key: self.maker.next(at) };
            let found = self.store.request_retry(request).await?;
            let event = self.store.event_by_key(delivery.event).await?;
            let receiver = self.receivers.iter().position(|r| r.webhook.key == delivery.webhook);
            if let (Some(found), Some(event), Some(receiver)) = (found, event, receiver)
                && let Standing::Pending(waiting) = found.standing
            {
                self.attempt(Due { at, receiver, event, waiting });
            }
        }
        Ok(())
    }

    async fn commit_if_full(&mut self) -> anyhow::Result<()> {
        if self.batch.accepts.len() + self.batch.records.len() < BATCH {
            return Ok(());
        }
        self.commit().await
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.store.commit(&batch).await.context("committing")?;
        self.commits += 1;
        if self.commits.is_multiple_of(COMMITS_TO_SWEEP) {
            while self.store.sweep(0).await?.indexed > 0 {}
        }
        Ok(())
    }
}

/// Of those that are for documentation (RFC 5737).
fn address(number: usize) -> SocketAddr {
    let last = u8::try_from(number + 10).unwrap_or(u8::MAX);
    SocketAddr::from(([203, 0, 113, last], 443))
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Due {
    fn order(&self) -> (UnixMs, EventKey, usize) {
        (self.at, self.event.key, self.receiver)
    }
}
