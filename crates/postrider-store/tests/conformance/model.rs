//! Random sequences of verbs, applied to the memory store and to SQLite, must answer alike.
//!
//! Buckets and index thresholds are tiny, so that every boundary is crossed, and the file is
//! closed and opened again now and then. A failure prints its seed; run that one alone with
//! `POSTRIDER_SEED`.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use postrider_core::delivery::{CancelReason, DeliveryState, ErrorClass, Verdict};
use postrider_core::event::Event;
use postrider_core::health::Health;
use postrider_core::id::{DeliveryKey, EventKey, TenantKey, UnixMs, WebhookKey};
use postrider_core::matching::Matching;
use postrider_core::statistics::{HOUR_SLOT_MS, TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at};
use postrider_core::webhook::{Webhook, WebhookState};
use postrider_store::{
    Accept, Accepted, Batch, CancelRequest, Cancelling, DeliveryFilter, DeliverySearch,
    DueDelivery, DueQuery, EventSearch, Order, Record, ReplayState, RetryRequest, Slot,
    SqliteOptions, SqliteStore, Statistics, StatusClass, Store,
};
use tempfile::TempDir;

use crate::health::{EVER, EVER_BY_HOUR};
use crate::world::{BUCKET_MS, accept, due_query, sqlite_options};
use crate::{World, searching};

/// In four parts, so that they run side by side.
const SEQUENCES_OF_PART: u64 = 50;
const STEPS: usize = 200;

macro_rules! parts {
    ($($name:ident: $part:literal)+) => {
        $(#[tokio::test]
        async fn $name() {
            answer_alike($part).await;
        })+
    };
}

parts! {
    random_sequences_answer_alike_1: 0
    random_sequences_answer_alike_2: 1
    random_sequences_answer_alike_3: 2
    random_sequences_answer_alike_4: 3
}

async fn answer_alike(part: u64) {
    let first = part * SEQUENCES_OF_PART;
    let seeds = match std::env::var("POSTRIDER_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (first..first + SEQUENCES_OF_PART).collect(),
    };
    for seed in seeds {
        let guard = SeedOnPanic(seed);
        let mut model = Model::new(seed);
        for _ in 0..STEPS {
            model.step().await;
        }
        model.compare_all().await;
        drop(guard);
    }
}

struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with POSTRIDER_SEED={}", self.0);
        }
    }
}

/// `SplitMix64`: small, and good enough to choose with.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap()
    }

    fn ms_below(&mut self, bound: i64) -> i64 {
        let bound = usize::try_from(bound).unwrap();
        i64::try_from(self.below(bound)).unwrap()
    }

    fn is_one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

struct Model {
    dice: Dice,
    /// Holds the memory store, the clock and the keys.
    world: World,
    sqlite: Option<Arc<dyn Store>>,
    folder: TempDir,
    tenants: Vec<TenantKey>,
    receivers: Vec<WebhookKey>,
    webhooks: Vec<Webhook>,
    events: Vec<(Event, Arc<Matching>)>,
    accepted: BTreeSet<EventKey>,
    /// Made, but committed only later, when younger keys are stored.
    late: Batch,
}

fn same<T: PartialEq + Debug>(expected: &T, found: &T) {
    assert_eq!(expected, found, "memory is left, SQLite right");
}

/// Asks both stores the same and compares.
macro_rules! both {
    ($model:ident, $verb:ident ( $($argument:expr),* )) => {{
        let expected = $model.world.store.$verb($($argument.clone()),*).await;
        let found = $model.sqlite().$verb($($argument.clone()),*).await;
        same(&expected, &found);
        expected
    }};
}

impl Model {
    fn new(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let mut world = World::in_memory();
        let receivers: [WebhookKey; 4] = world.webhook_keys();
        let tenants = vec![world.key(), world.key()];
        let mut model = Self {
            dice: Dice(seed),
            world,
            sqlite: None,
            folder,
            tenants,
            receivers: receivers.to_vec(),
            webhooks: vec![],
            events: vec![],
            accepted: BTreeSet::new(),
            late: Batch::default(),
        };
        model.reopen();
        model
    }

    fn sqlite(&self) -> &dyn Store {
        self.sqlite.as_deref().unwrap()
    }

    fn reopen(&mut self) {
        self.sqlite = None;
        let path = self.folder.path().join("store.db");
        let options = SqliteOptions {
            // no power is cut here
            danger_skip_sync: true,
            ..sqlite_options()
        };
        let store = SqliteStore::open(path, options).unwrap();
        self.sqlite = Some(Arc::new(store));
    }

    async fn step(&mut self) {
        let ms = self.dice.ms_below(BUCKET_MS / 9);
        self.world.pass(ms);
        match self.dice.below(100) {
            0..30 => self.publish().await,
            30..60 => self.attempt().await,
            60..66 => self.retry().await,
            66..68 => self.cancel_one().await,
            68..72 => self.cancel().await,
            72..76 => self.replay().await,
            76..80 => self.change_webhook().await,
            80..84 => self.sweep().await,
            84..87 => self.commit_late().await,
            87..90 => {
                let ms = self.dice.ms_below(3 * BUCKET_MS);
                self.world.pass(ms);
            }
            90..92 => self.reopen(),
            92..94 => self.compare_all().await,
            94..97 => self.fare().await,
            _ => self.read().await,
        }
    }

    async fn publish(&mut self) {
        let mut accepts: Vec<Accept> = Vec::new();
        for _ in 0..=self.dice.below(4) {
            let (event, matching) = self.any_event();
            let fingerprint = if self.dice.is_one_in(4) { 2 } else { 1 };
            let accept = accept(&event, &matching, fingerprint);
            self.events.push((event, matching));
            if self.dice.is_one_in(6) {
                self.late.accepts.push(accept);
            } else {
                accepts.push(accept);
            }
        }
        self.commit(accepts, vec![]).await;
    }

    /// A new event, or now and then an old one once more.
    fn any_event(&mut self) -> (Event, Arc<Matching>) {
        if !self.events.is_empty() && self.dice.is_one_in(10) {
            return self.dice.pick(&self.events);
        }
        let matching = if self.events.is_empty() || self.dice.is_one_in(4) {
            let mut matched = self.receivers.clone();
            matched.retain(|_| self.dice.below(3) > 0);
            self.world.matching(&matched)
        } else {
            self.dice.pick(&self.events).1
        };
        let tenant = self.dice.pick(&self.tenants);
        let mut event = self.world.event(tenant, &matching);
        event.bodies.ecma = match self.dice.below(3) {
            0 => None,
            1 => Some(event.bodies.verbatim.clone()),
            _ => Some(vec![b' '; self.dice.below(100)].into()),
        };
        if self.dice.is_one_in(3) {
            event.given_id = Some(format!("id-{}", self.dice.below(8)).into());
        } else if !self.events.is_empty() && self.dice.is_one_in(8) {
            // an id that we made, given back: in either tenant, with either body
            let (first, _) = self.dice.pick(&self.events);
            event.given_id = Some(first.key.to_string().into());
            if self.dice.is_one_in(2) {
                event.bodies = first.bodies;
            }
        }
        (event, matching)
    }

    async fn commit(&mut self, mut accepts: Vec<Accept>, records: Vec<Record>) {
        // what the verb demands: the key of an event that retention took comes never again
        let mut gone = Vec::new();
        for accept in &accepts {
            let key = accept.event.key;
            let found = self.world.store.event_by_key(key).await.unwrap();
            if found.is_none() && self.accepted.contains(&key) {
                gone.push(key);
            }
        }
        accepts.retain(|accept| !gone.contains(&accept.event.key));
        let keys: Vec<EventKey> = accepts.iter().map(|accept| accept.event.key).collect();
        let batch = Batch { accepts, records };
        let committed = self.world.store.commit(&batch).await;
        same(&committed, &self.sqlite().commit(&batch).await);
        let committed = committed.unwrap();
        let answers = keys.into_iter().zip(committed.accepts);
        let new = answers.filter(|(_, answer)| *answer == Accepted::New);
        self.accepted.extend(new.map(|(key, _)| key));
    }

    async fn attempt(&mut self) {
        let webhook = self.dice.pick(&self.receivers);
        let mut due = self.due(webhook).await;
        let mut records = Vec::new();
        for _ in 0..=self.dice.below(4) {
            if due.is_empty() {
                break;
            }
            // now and then one delivery twice: the second is refused
            let DueDelivery { event, waiting } = if self.dice.is_one_in(8) {
                self.dice.pick(&due)
            } else {
                due.remove(self.dice.below(due.len()))
            };
            let verdict = match self.dice.below(6) {
                0 | 1 => Verdict::Success,
                2 => Verdict::Permanent,
                3 => Verdict::Failure { ended_at: self.world.now, retry_at: None },
                _ => {
                    let ms = self.dice.ms_below(3 * BUCKET_MS);
                    self.world.fails_until(ms)
                }
            };
            let name = DeliveryKey { event: event.key, webhook };
            let mut record = self.world.attempt(name, waiting, verdict);
            record.health = self.dice.is_one_in(2).then(|| self.health());
            if self.dice.is_one_in(6) {
                self.late.records.push(record);
            } else {
                records.push(record);
            }
        }
        self.commit(vec![], records).await;
    }

    async fn due(&mut self, webhook: WebhookKey) -> Vec<DueDelivery> {
        let query = due_query(webhook, i64::MAX, 100);
        both!(self, due(query)).unwrap().deliveries
    }

    async fn commit_late(&mut self) {
        let Batch { accepts, records } = std::mem::take(&mut self.late);
        self.commit(accepts, records).await;
    }

    async fn retry(&mut self) {
        let Some(event) = self.any_key() else {
            return;
        };
        let delivery = DeliveryKey { event, webhook: self.dice.pick(&self.receivers) };
        // what the verb demands: no attempt under way
        (self.late.records).retain(|record| record.entry.delivery != delivery);
        let request = RetryRequest { delivery, at: self.world.now, key: self.world.key() };
        both!(self, request_retry(request)).unwrap();
        if self.dice.is_one_in(4) {
            both!(self, request_retry(request)).unwrap();
        }
    }

    async fn cancel(&mut self) {
        let webhook = self.dice.pick(&self.receivers);
        let late = |record: &Record| record.entry.delivery.webhook != webhook;
        self.late.records.retain(late);
        let except = self.any_key().into_iter().collect();
        let cancelling = Cancelling {
            webhook,
            at: self.world.now,
            reason: CancelReason::WebhookDisabled,
            keys: (0..self.dice.below(5)).map(|_| self.world.key()).collect(),
            except,
        };
        both!(self, cancel_pending(cancelling)).unwrap();
        if self.dice.is_one_in(4) {
            both!(self, cancel_pending(cancelling)).unwrap();
        }
    }

    async fn cancel_one(&mut self) {
        let Some(event) = self.any_key() else {
            return;
        };
        let delivery = DeliveryKey { event, webhook: self.dice.pick(&self.receivers) };
        (self.late.records).retain(|record| record.entry.delivery != delivery);
        let request = CancelRequest { delivery, at: self.world.now, key: self.world.key() };
        both!(self, request_cancel(request)).unwrap();
    }

    /// A step of a replay, over deliveries that are there or not.
    async fn replay(&mut self) {
        let running = both!(self, running_replays(None::<_>, 100)).unwrap();
        if running.len() < 3 {
            let webhook = self.dice.pick(&self.receivers);
            let tenant = self.dice.pick(&self.tenants);
            let wanted = (self.dice.below(3) > 0).then_some(webhook);
            let mut replay = self.world.replay(tenant, wanted);
            replay.filter.states.retain(|_| self.dice.below(3) > 0);
            both!(self, insert_replay(replay)).unwrap();
            return;
        }
        let replay = self.dice.pick(&running);
        let mut deliveries = BTreeSet::new();
        for _ in 0..self.dice.below(5) {
            let Some(event) = self.any_key() else { break };
            let webhook = self.dice.pick(&self.receivers);
            deliveries.insert(DeliveryKey { event, webhook });
        }
        (self.late.records).retain(|record| !deliveries.contains(&record.entry.delivery));
        let mut step = self.world.step(&replay, &deliveries.into_iter().collect::<Vec<_>>());
        if self.dice.is_one_in(8) {
            step.from = None;
        }
        let _ = both!(self, step_replay(step));
        if self.dice.is_one_in(12) {
            let (state, at) = (ReplayState::Cancelled, self.world.now);
            both!(self, end_replay(replay.key, state, at)).unwrap();
        }
    }

    /// Looks for events and deliveries by random filters, page by page.
    async fn search(&mut self) {
        let tenant = self.dice.pick(&self.tenants);
        let limit = self.dice.below(6) + 1;
        let bound = |dice: &mut Dice, now: UnixMs| {
            (dice.below(3) == 0).then(|| now - dice.ms_below(4 * BUCKET_MS))
        };
        let (after, before) =
            (bound(&mut self.dice, self.world.now), bound(&mut self.dice, self.world.now));
        let id_prefix = self.dice.pick(&["", "id-", "id-3", "evt_"]).to_owned();
        let mut search =
            EventSearch { after, before, id_prefix, ..searching::events_of(tenant, limit) };
        while let Some(next) = both!(self, find_events(search)).unwrap().next {
            search.beyond = Some(next);
        }
        let mut filter = DeliveryFilter { after, before, ..DeliveryFilter::all() };
        let webhook = self.dice.pick(&self.receivers);
        filter.webhook = (self.dice.below(2) == 0).then_some(webhook);
        filter.event = if self.dice.is_one_in(4) { self.any_key() } else { None };
        filter.states.retain(|_| self.dice.below(4) > 0);
        if self.dice.is_one_in(3) {
            filter.states =
                vec![self.dice.pick(&[DeliveryState::Failed, DeliveryState::Cancelled])];
        }
        let status = self.dice.pick(&[StatusClass::Hundreds(2), StatusClass::NoAnswer]);
        filter.status = self.dice.is_one_in(4).then_some(status);
        filter.error = self.dice.is_one_in(4).then_some(ErrorClass::Timeout);
        let mut search = DeliverySearch {
            filter,
            with_missed: self.dice.below(2) == 0,
            order: self.dice.pick(&[Order::NewestFirst, Order::OldestFirst]),
            ..searching::deliveries_of(tenant, limit)
        };
        while let Some(next) = both!(self, find_deliveries(search)).unwrap().next {
            search.beyond = Some(next);
        }
    }

    async fn change_webhook(&mut self) {
        if self.webhooks.is_empty() || self.dice.is_one_in(3) {
            let tenant = self.dice.pick(&self.tenants);
            let mut webhook = self.world.webhook(tenant);
            // receivers' own keys too, so that tombstones with pending deliveries exist
            if self.webhooks.len() < self.receivers.len() {
                webhook.key = self.receivers[self.webhooks.len()];
            }
            let _ = both!(self, insert_webhook(webhook));
            self.webhooks.push(webhook);
            return;
        }
        let at = self.dice.below(self.webhooks.len());
        let mut webhook = self.webhooks[at].clone();
        webhook.version += u64::try_from(self.dice.below(3)).unwrap();
        webhook.updated_at = self.world.now;
        if self.dice.is_one_in(3) {
            webhook.state = WebhookState::Deleted;
        }
        if both!(self, update_webhook(webhook)).is_ok() {
            self.webhooks[at] = webhook;
        }
    }

    fn health(&mut self) -> Health {
        Health {
            counted_from: self.dice.ms_below(3),
            failures_in_a_row: 1,
            failing_since: Some(self.dice.ms_below(100)),
            ..Health::default()
        }
    }

    async fn fare(&mut self) {
        let webhook = self.dice.pick(&self.receivers);
        if self.dice.is_one_in(3) {
            let health = self.health();
            both!(self, keep_health(webhook, health)).unwrap();
        }
        let tenant = self.dice.pick(&self.tenants);
        // some slots ago, so that some are added to and some are out of date
        let some = self.dice.ms_below(5);
        let now = self.world.now;
        let at = slot_at(now, WEBHOOK_SLOT_MS) - some * WEBHOOK_SLOT_MS;
        let minute = slot_at(now, TENANT_SLOT_MS) - some * TENANT_SLOT_MS;
        let tally = Tally { succeeded: 1, ..Tally::default() };
        let statistics = Statistics {
            webhooks: vec![Slot { of: webhook, at, tally: tally.clone() }],
            tenants: vec![Slot { of: tenant, at: minute, tally }],
            successes: vec![(webhook, now - some)],
            keep_webhooks_from: now - 3 * WEBHOOK_SLOT_MS,
            keep_tenants_from: now - 3 * TENANT_SLOT_MS,
            keep_hours_from: now - some * HOUR_SLOT_MS,
        };
        both!(self, add_statistics(statistics)).unwrap();
    }

    async fn sweep(&mut self) {
        let keep_from = self.world.now - self.dice.ms_below(6 * BUCKET_MS);
        self.world.sweep(keep_from).await;
        loop {
            let swept = self.sqlite().sweep(keep_from).await.unwrap();
            if swept.indexed == 0 && swept.dropped_buckets == 0 {
                break;
            }
        }
        self.compare_all().await;
    }

    fn any_key(&mut self) -> Option<EventKey> {
        if self.events.is_empty() {
            return None;
        }
        Some(self.dice.pick(&self.events).0.key)
    }

    /// One question with random bounds.
    async fn read(&mut self) {
        let (Some(event), Some(other)) = (self.any_key(), self.any_key()) else {
            return;
        };
        let limit = self.dice.below(7);
        let webhook = self.dice.pick(&self.receivers);
        let after = (self.dice.below(2) == 0).then_some(webhook);
        let tenant = self.dice.pick(&self.tenants);
        match self.dice.below(8) {
            0 => self.search().await,
            6 => drop(both!(self, events(tenant, Some(event), limit))),
            1 => drop(both!(self, deliveries_of_event(event, after, limit))),
            2 => drop(both!(self, lanes(after, limit))),
            3 => drop(both!(self, webhooks(after, limit))),
            5 => {
                let webhooks = self.receivers.clone();
                drop(both!(self, backlog(webhooks, limit)));
            }
            4 => {
                let query = DueQuery {
                    webhook,
                    until: self.world.now + self.dice.ms_below(BUCKET_MS),
                    limit,
                    bytes_max: self.dice.below(300),
                    except: vec![event, other],
                };
                drop(both!(self, due(query)));
            }
            _ => {
                let history = both!(self, history_of_webhook(webhook, None::<_>, 1_000)).unwrap();
                if !history.is_empty() {
                    let before = Some(self.dice.pick(&history).key);
                    drop(both!(self, history_of_webhook(webhook, before, limit)));
                }
            }
        }
    }

    /// Every reading verb, about everything.
    async fn compare_all(&mut self) {
        let counts = both!(self, counts()).unwrap();
        let accounted = counts.deliveries_pending + counts.deliveries_finished;
        assert_eq!(counts.deliveries_created, accounted);
        drop(both!(self, newest_key_ms()));
        drop(both!(self, lanes(None::<_>, 100)));
        drop(both!(self, webhooks(None::<_>, 1_000)));
        drop(both!(self, healths(None::<_>, 1_000)));
        drop(both!(self, running_replays(None::<_>, 100)));
        for tenant in self.tenants.clone() {
            for span in [EVER, EVER_BY_HOUR] {
                drop(both!(self, tenant_slots(tenant, span)));
            }
            drop(both!(self, replays(tenant, None::<_>, None::<_>, 100)));
            let search = searching::deliveries_of(tenant, 10_000);
            drop(both!(self, find_deliveries(search)));
            drop(both!(self, events(tenant, None::<_>, 10_000)));
            for id in 0..8 {
                let id = format!("id-{id}");
                let id = id.as_str();
                drop(both!(self, event(tenant, id)));
            }
        }
        for span in [EVER, EVER_BY_HOUR] {
            let receivers = self.receivers.clone();
            drop(both!(self, webhook_slots(receivers, span)));
        }
        for webhook in self.receivers.clone() {
            drop(both!(self, history_of_webhook(webhook, None::<_>, 10_000)));
            let query = due_query(webhook, self.world.now, 10_000);
            drop(both!(self, due(query)));
        }
        for _ in 0..self.events.len().min(4) {
            let (event, matching) = self.dice.pick(&self.events);
            drop(both!(self, event_by_key(event.key)));
            let id = event.key.to_string();
            let id = id.as_str();
            drop(both!(self, event(event.tenant, id)));
            drop(both!(self, matching(matching.key)));
            drop(both!(self, deliveries_of_event(event.key, None::<_>, 100)));
            for &webhook in &self.receivers {
                let delivery = DeliveryKey { event: event.key, webhook };
                drop(both!(self, delivery(delivery)));
                drop(both!(self, history(delivery)));
            }
        }
    }
}
