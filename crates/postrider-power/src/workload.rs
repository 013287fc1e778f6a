//! What a server asks of its store, made up: events with their fan-out, outcomes, changes of
//! webhooks, retries, replays, and what a server does from time to time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use postrider_core::catalogue::{CatalogueEntry, Validation};
use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, CancelReason, DeliveryState, Happening, HistoryEntry, Mode,
    Outline, Standing, Timing, Trigger, Verdict,
};
use postrider_core::event::{Bodies, Event};
use postrider_core::event_type::Patterns;
use postrider_core::health::Health;
use postrider_core::id::{DeliveryKey, EventKey, Key, KeyMaker, TenantKey, UnixMs, WebhookKey};
use postrider_core::matching::{Matching, Unmatched};
use postrider_core::statistics::{HOUR_SLOT_MS, TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at};
use postrider_core::webhook::{Webhook, WebhookKind, WebhookState};
use postrider_signature::{BodyForm, NumberPolicy};
use postrider_store::{
    Accept, ApiKey, Batch, CancelRequest, Cancelling, DeliveryFilter, DueDelivery, DueQuery,
    Record, Replay, ReplayMove, ReplayState, ReplayStep, RetryRequest, Scope, Slot, Statistics,
    Store, StoreError, Tenant, TenantEnding,
};

use crate::dice::Dice;
use crate::step::Step;

/// Small, so that its edges are crossed often.
pub(crate) const BUCKET_MS: i64 = 2_000;
/// How long events are kept.
const KEPT_MS: i64 = 2 * BUCKET_MS;
const START: UnixMs = 1_795_000_000_000;
const TENANTS: usize = 2;
const WEBHOOKS_MAX: usize = 8;
/// Waiting for one webhook, beyond which its receiver is looked after first.
const PENDING_MAX: usize = 8;

/// Makes up steps. What it needs to know it asks the memory store, which is told all of them.
#[derive(Debug)]
pub(crate) struct Workload {
    dice: Dice,
    now: UnixMs,
    maker: KeyMaker,
    /// Every tenant and webhook that ever was.
    pub(crate) tenants: Vec<TenantKey>,
    pub(crate) webhooks: Vec<WebhookKey>,
    /// What a webhook's deletion leaves to do.
    next: Vec<Step>,
    names: usize,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            now: START,
            maker: KeyMaker::new(0, 0),
            tenants: Vec::new(),
            webhooks: Vec::new(),
            next: Vec::new(),
            names: 0,
        }
    }

    pub(crate) async fn step(&mut self, model: &dyn Store) -> Result<Step, StoreError> {
        self.now += self.dice.ms_below(60);
        if let Some(step) = self.next.pop() {
            return Ok(step);
        }
        let live = live_webhooks(model).await?;
        let tenants: Vec<TenantKey> =
            model.tenants().await?.iter().map(|tenant| tenant.key).collect();
        if tenants.len() < TENANTS {
            return Ok(self.new_tenant());
        }
        if live.len() < 2 {
            let tenant = self.dice.pick(&tenants);
            return Ok(self.new_webhook(tenant));
        }
        let webhook = self.dice.pick(&live);
        let step = match self.dice.below(100) {
            0..40 => self.publish(&tenants, &live, Vec::new()),
            40..64 => {
                let records = self.attempts(model, &webhook).await?;
                let also_publishes = records.is_empty() || self.dice.once_in(2);
                if also_publishes {
                    self.publish(&tenants, &live, records)
                } else {
                    Step::Commit(Batch { accepts: Vec::new(), records })
                }
            }
            64..68 => self.retry_or_cancel(model, &webhook).await?,
            68..71 => self.cancel_pending(webhook.key, CancelReason::WebhookDisabled),
            71..77 => self.replay(model, &webhook).await?,
            77..82 => self.change(webhook, live.len()),
            82..86 => self.fare(&webhook),
            86..88 => self.event_type(model, webhook.tenant).await?,
            88..90 => self.api_key(model, webhook.tenant).await?,
            90 => self.delete_tenant(&live, webhook.tenant),
            _ => {
                self.now += self.dice.ms_below(400);
                Step::Sweep { keep_from: self.now - KEPT_MS }
            }
        };
        Ok(step)
    }

    fn key<K: Key>(&mut self) -> K {
        self.maker.next(self.now)
    }

    fn name(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    fn new_tenant(&mut self) -> Step {
        let tenant =
            Tenant { key: self.key(), name: format!("t{}", self.name()), created_at: self.now };
        self.tenants.push(tenant.key);
        Step::InsertTenant(tenant)
    }

    fn new_webhook(&mut self, tenant: TenantKey) -> Step {
        let key = self.key();
        self.webhooks.push(key);
        Step::InsertWebhook(Webhook {
            key,
            tenant,
            version: 1,
            kind: WebhookKind::Url,
            url: "https://example.com/in".to_owned(),
            patterns: Patterns::parse(&["code.*"]).expect("a pattern"),
            filter: None,
            // of no known schedule, for how long one lasts is made up too
            profile: "made-up".to_owned(),
            description: Some("x".repeat(self.dice.below(200))),
            metadata: BTreeMap::new(),
            headers: Vec::new(),
            timeout_ms: None,
            concurrency: None,
            rate_per_s: None,
            schedule: None,
            secrets: Vec::new(),
            state: WebhookState::Enabled,
            disabled_at: None,
            created_at: self.now,
            updated_at: self.now,
        })
    }

    /// Some events of one tenant, which share a matching, together with what else is committed.
    fn publish(&mut self, tenants: &[TenantKey], live: &[Webhook], records: Vec<Record>) -> Step {
        let tenant = self.dice.pick(tenants);
        let mut matched: Vec<WebhookKey> =
            live.iter().filter(|webhook| webhook.tenant == tenant).map(|w| w.key).collect();
        matched.retain(|_| self.dice.percent(75));
        let unmatched = Unmatched::Named(Vec::new());
        let matching = Arc::new(Matching { key: self.key(), matched, unmatched });
        let accepts = (0..=self.dice.below(3)).map(|_| self.accept(tenant, &matching)).collect();
        Step::Commit(Batch { accepts, records })
    }

    fn accept(&mut self, tenant: TenantKey, matching: &Arc<Matching>) -> Accept {
        let key: EventKey = self.key();
        let filling = match self.dice.below(10) {
            // over several pages
            0 => self.dice.below(20_000),
            _ => self.dice.below(700),
        };
        let letter = char::from(b'a' + u8::try_from(self.dice.below(26)).expect("a letter"));
        let data = letter.to_string().repeat(filling);
        let verbatim = Bytes::from(format!("{{\"id\":\"{key}\",\"data\":\"{data}\"}}"));
        let given_id = self.dice.once_in(3).then(|| format!("id-{}", self.name()).into());
        let jcs = self.dice.once_in(4).then(|| Bytes::from(format!("{{\"data\":\"{letter}\"}}")));
        let event = Event {
            key,
            tenant,
            given_id,
            event_type: "code.generated".parse().expect("a type"),
            occurred_at: self.now,
            bodies: Bodies { ecma: self.dice.once_in(4).then(|| verbatim.clone()), jcs, verbatim },
            numbers: NumberPolicy::Refuse,
            matching: matching.key,
        };
        Accept { event: Arc::new(event), matching: Arc::clone(matching), fingerprint: [7; 16] }
    }

    /// Outcomes of some of what is pending for a webhook; of all when it has grown long.
    async fn attempts(
        &mut self,
        model: &dyn Store,
        webhook: &Webhook,
    ) -> Result<Vec<Record>, StoreError> {
        let pending = pending(model, webhook.key).await?;
        let percent = if pending.len() > PENDING_MAX { 90 } else { 50 };
        let mut records = Vec::new();
        for DueDelivery { event, waiting } in pending {
            if !self.dice.percent(percent) {
                continue;
            }
            // no attempt starts before its time
            self.now = self.now.max(waiting.due);
            let (verdict, status) = match self.dice.below(8) {
                0 => (Verdict::Permanent, 410),
                1 => (Verdict::Failure { ended_at: self.now, retry_at: None }, 500),
                2 | 3 => {
                    let retry_at = Some(self.now + self.dice.ms_below(900));
                    (Verdict::Failure { ended_at: self.now, retry_at }, 503)
                }
                _ => (Verdict::Success, 200),
            };
            let standing = Standing::Pending(waiting).after(Trigger::Attempted(verdict));
            let attempt = Attempt {
                number: waiting.progress.attempts + 1,
                is_manual: waiting.mode != Mode::Scheduled,
                started_at: self.now,
                timing: Timing::default(),
                address: None,
                outline: Some(Arc::new(Outline {
                    url: "https://example.com/in".into(),
                    header_names: Vec::new(),
                    body_form: BodyForm::Verbatim,
                })),
                signed_headers: vec![("webhook-id".to_owned(), event.id().into_owned())],
                result: AttemptResult::Answered(Answer {
                    status,
                    headers: Vec::new(),
                    body: Bytes::from(vec![b'.'; self.dice.below(300)]),
                    is_body_cut: false,
                }),
            };
            let entry = HistoryEntry {
                key: self.key(),
                delivery: DeliveryKey { event: event.key, webhook: webhook.key },
                what: Happening::Attempt(Box::new(attempt)),
                standing: standing.expect("it is pending"),
            };
            let health = self.dice.once_in(3).then(|| self.health());
            records.push(Record { was: waiting, entry, health });
        }
        Ok(records)
    }

    async fn retry_or_cancel(
        &mut self,
        model: &dyn Store,
        webhook: &Webhook,
    ) -> Result<Step, StoreError> {
        let events = model.events(webhook.tenant, None, 50).await?;
        let Some(event) = (!events.is_empty()).then(|| self.dice.pick(&events)) else {
            return Ok(self.new_webhook(webhook.tenant));
        };
        let delivery = DeliveryKey { event: event.key, webhook: webhook.key };
        let (at, key) = (self.now, self.key());
        Ok(if self.dice.percent(60) {
            Step::Retry(RetryRequest { delivery, at, key })
        } else {
            Step::CancelOne(CancelRequest { delivery, at, key })
        })
    }

    fn cancel_pending(&mut self, webhook: WebhookKey, reason: CancelReason) -> Step {
        let keys = (0..20).map(|_| self.key()).collect();
        let at = self.now;
        Step::CancelPending(Cancelling { webhook, at, reason, keys, except: Vec::new() })
    }

    async fn replay(&mut self, model: &dyn Store, webhook: &Webhook) -> Result<Step, StoreError> {
        let running = model.running_replays(None, 10).await?;
        let Some(replay) = running.first().filter(|_| running.len() > 1) else {
            let states = DeliveryState::ALL.into_iter().filter(|state| state.is_final());
            return Ok(Step::InsertReplay(Replay {
                key: self.key(),
                tenant: webhook.tenant,
                filter: DeliveryFilter {
                    webhook: Some(webhook.key),
                    states: states.collect(),
                    ..DeliveryFilter::all()
                },
                with_missed: true,
                state: ReplayState::Running,
                position: None,
                considered: 0,
                replayed: 0,
                created_at: self.now,
                finished_at: None,
            }));
        };
        if self.dice.once_in(6) {
            return Ok(Step::EndReplay { key: replay.key, at: self.now });
        }
        let wanted = replay.filter.webhook.unwrap_or(webhook.key);
        let of_deleted = !live_webhooks(model).await?.iter().any(|webhook| webhook.key == wanted);
        let mut events = model.events(replay.tenant, None, 50).await?;
        events.retain(|_| !of_deleted && self.dice.once_in(3));
        let chosen: BTreeSet<EventKey> = events.iter().map(|event| event.key).collect();
        let moves: Vec<ReplayMove> = (chosen.into_iter())
            .map(|event| ReplayMove {
                delivery: DeliveryKey { event, webhook: wanted },
                key: self.key(),
            })
            .collect();
        let last = moves.last().map(|last| last.delivery);
        Ok(Step::MoveReplay(ReplayStep {
            replay: replay.key,
            from: replay.position,
            to: last.filter(|_| self.dice.percent(70)),
            considered: u64::try_from(moves.len()).unwrap_or(u64::MAX),
            moves,
            at: self.now,
        }))
    }

    /// Another webhook, or a change of this one; what is pending for a deleted one is cancelled.
    fn change(&mut self, mut webhook: Webhook, live: usize) -> Step {
        if live < WEBHOOKS_MAX && self.dice.once_in(2) {
            return self.new_webhook(webhook.tenant);
        }
        webhook.version += 1;
        webhook.updated_at = self.now;
        if self.dice.once_in(3) {
            let cancelling = self.cancel_pending(webhook.key, CancelReason::WebhookDeleted);
            self.next = vec![cancelling; 3];
            webhook.state = WebhookState::Deleted;
        } else {
            webhook.url = format!("https://example.com/{}", webhook.version);
        }
        Step::UpdateWebhook(webhook)
    }

    fn health(&mut self) -> Health {
        Health {
            failures_in_a_row: 1,
            failing_since: Some(self.now),
            last_failure_at: Some(self.now),
            ..Health::default()
        }
    }

    fn fare(&mut self, webhook: &Webhook) -> Step {
        if self.dice.once_in(3) {
            return Step::KeepHealth { webhook: webhook.key, health: self.health() };
        }
        let tally = Tally { succeeded: 1, ..Tally::default() };
        Step::AddStatistics(Statistics {
            webhooks: vec![Slot {
                of: webhook.key,
                at: slot_at(self.now, WEBHOOK_SLOT_MS),
                tally: tally.clone(),
            }],
            tenants: vec![Slot {
                of: webhook.tenant,
                at: slot_at(self.now, TENANT_SLOT_MS),
                tally,
            }],
            successes: vec![(webhook.key, self.now)],
            keep_webhooks_from: self.now - 3 * WEBHOOK_SLOT_MS,
            keep_tenants_from: self.now - 3 * TENANT_SLOT_MS,
            keep_hours_from: self.now - 3 * HOUR_SLOT_MS,
        })
    }

    async fn event_type(
        &mut self,
        model: &dyn Store,
        tenant: TenantKey,
    ) -> Result<Step, StoreError> {
        let known = model.event_types(None, 1_000).await?;
        let version = (known.iter().find(|entry| entry.tenant == tenant))
            .map_or(1, |entry| entry.version + 1);
        Ok(Step::PutEventType(CatalogueEntry {
            tenant,
            name: "invoice.paid".parse().expect("a type"),
            version,
            description: Some("y".repeat(self.dice.below(2_000))),
            schema: None,
            example: None,
            validation: Validation::Off,
            large_integers: NumberPolicy::Refuse,
            archived_at: None,
            created_at: self.now,
            updated_at: self.now,
        }))
    }

    async fn api_key(&mut self, model: &dyn Store, tenant: TenantKey) -> Result<Step, StoreError> {
        let known = model.api_keys().await?;
        if known.len() > 3 {
            return Ok(Step::RevokeApiKey { key: self.dice.pick(&known).key, at: self.now });
        }
        Ok(Step::InsertApiKey(ApiKey {
            key: self.key(),
            tenant: Some(tenant),
            scope: Scope::Publish,
            description: None,
            hash: [5; 32],
            created_at: self.now,
            expires_at: None,
            revoked_at: None,
        }))
    }

    fn delete_tenant(&mut self, live: &[Webhook], tenant: TenantKey) -> Step {
        let of_tenant = live.iter().filter(|webhook| webhook.tenant == tenant);
        let tombstones: Vec<Webhook> = of_tenant
            .map(|webhook| Webhook {
                version: webhook.version + 1,
                state: WebhookState::Deleted,
                updated_at: self.now,
                ..webhook.clone()
            })
            .collect();
        for tombstone in &tombstones {
            let cancelling = self.cancel_pending(tombstone.key, CancelReason::WebhookDeleted);
            self.next.extend([cancelling.clone(), cancelling]);
        }
        Step::DeleteTenant(TenantEnding { tenant, at: self.now, tombstones })
    }
}

async fn live_webhooks(model: &dyn Store) -> Result<Vec<Webhook>, StoreError> {
    let mut webhooks = model.webhooks(None, 1_000).await?;
    webhooks.retain(|webhook| webhook.state != WebhookState::Deleted);
    Ok(webhooks)
}

async fn pending(model: &dyn Store, webhook: WebhookKey) -> Result<Vec<DueDelivery>, StoreError> {
    let all = DueQuery {
        webhook,
        until: UnixMs::MAX,
        limit: 1_000,
        bytes_max: usize::MAX,
        except: Vec::new(),
    };
    Ok(model.due(all).await?.deliveries)
}
