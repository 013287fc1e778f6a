//! What looking through a file finds, for each way of damaging one.

use std::path::PathBuf;
use std::sync::Arc;

use postrider_core::delivery::{AttemptResult, DeliveryState, Happening, Mode, Standing, Verdict};
use postrider_core::event::Event;
use postrider_core::health::Health;
use postrider_core::id::{DeliveryKey, Key, TenantKey, WebhookKey};
use postrider_core::matching::Matching;
use postrider_core::webhook::Webhook;
use postrider_store::{
    Accept, Checked, Record, SqliteOptions, SqliteStore, StoreError, Violation, ViolationKind,
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::World;
use crate::world::{BUCKET_MS, accept, delivery, first_waiting, sqlite_options};

/// A store with something of everything, and the tables that it lies in.
struct Ground {
    world: World,
    path: PathBuf,
    tenant: TenantKey,
    webhooks: Vec<Webhook>,
    matching: Arc<Matching>,
    /// Succeeded, waiting for its second attempt, and not tried yet, at the first webhook.
    events: Vec<Event>,
    bucket: i64,
}

impl Ground {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open(&path, sqlite_options()).unwrap();
        let mut world = World::on(Arc::new(store), Some(folder));
        let tenant = world.key();
        let webhooks = vec![world.webhook(tenant), world.webhook(tenant)];
        for webhook in &webhooks {
            world.store.insert_webhook(webhook.clone()).await.unwrap();
        }
        let matching = world.matching(&[webhooks[0].key]);
        let mut events = Vec::new();
        for _ in 0..3 {
            let mut event = world.event(tenant, &matching);
            event.given_id = Some(format!("id-{}", event.key).into());
            world.accept(&[&event], &matching).await;
            events.push(event);
        }
        let webhook = webhooks[0].key;
        world.attempt_first(&events[0], webhook, Verdict::Success).await;
        let retry = world.fails_until(5_000);
        let mut failure =
            world.attempt(delivery(&events[1], webhook), first_waiting(&events[1]), retry);
        fail(&mut failure);
        failure.health = Some(Health { failures_in_a_row: 1, ..Health::default() });
        world.commit(vec![], vec![failure]).await;
        // a replay adds the first event to the second webhook
        let replay = world.replay(tenant, Some(webhooks[1].key));
        world.store.insert_replay(replay.clone()).await.unwrap();
        let step = world.step(&replay, &[delivery(&events[0], webhooks[1].key)]);
        world.store.step_replay(step).await.unwrap();
        let bucket = world.now.div_euclid(BUCKET_MS);
        Self { world, path, tenant, webhooks, matching, events, bucket }
    }

    fn looked(&self) -> (Checked, Vec<Violation>) {
        let mut found = Vec::new();
        let checked = SqliteStore::verify(&self.path, &mut |violation| found.push(violation));
        (checked.unwrap(), found)
    }

    /// Runs SQL on the file behind the store's back. `{n}` stands for the bucket.
    fn sql(&self, text: &str) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute_batch(&text.replace("{n}", &self.bucket.to_string())).unwrap();
    }

    fn first(&self) -> WebhookKey {
        self.webhooks[0].key
    }

    /// A failed first attempt of the event that was not tried yet, after a change to it.
    async fn attempt(&mut self, verdict: Verdict, change: impl FnOnce(&mut Record)) {
        let event = self.events[2].clone();
        let name = delivery(&event, self.first());
        let mut record = self.world.attempt(name, first_waiting(&event), verdict);
        fail(&mut record);
        change(&mut record);
        self.world.commit(vec![], vec![record]).await;
    }

    /// A pending row for a delivery as if it had not been tried.
    fn insert_pending(&self, of: DeliveryKey, due: i64) {
        let (webhook, event) = (of.webhook.raw(), of.event.raw());
        self.sql(&format!("INSERT INTO pending VALUES ({webhook}, {due}, {event}, 0, 0, 0, NULL)"));
    }

    async fn publish(&mut self, change: impl FnOnce(&mut Event, &mut Matching)) {
        let mut matching = Matching { key: self.world.key(), ..(*self.matching).clone() };
        let mut event = self.world.event(self.tenant, &matching);
        change(&mut event, &mut matching);
        let accepts: Vec<Accept> = vec![accept(&event, &Arc::new(matching), 1)];
        self.world.commit(accepts, vec![]).await;
    }

    /// Lets retention take the bucket; what is pending keeps its event.
    async fn grow_old(&mut self) {
        self.world.pass(5 * BUCKET_MS);
        self.world.sweep(self.world.now).await;
    }
}

/// Makes an attempt one that was answered 500.
fn fail(record: &mut Record) {
    if let Happening::Attempt(attempt) = &mut record.entry.what
        && let AttemptResult::Answered(answer) = &mut attempt.result
    {
        answer.status = 500;
    }
}

/// Damages a store in this way.
async fn damage(ground: &mut Ground, kind: ViolationKind) {
    use ViolationKind as Kind;
    let (first, second) = (ground.first(), ground.webhooks[1].key);
    let succeeded = delivery(&ground.events[0], first);
    let untried = delivery(&ground.events[2], first);
    let in_a_minute = ground.world.fails_until(60_000);
    match kind {
        // an index of SQLite's own that has other columns than it says
        Kind::Integrity => ground.sql(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX replay_by_tenant ON replay (finished_at)' \
                 WHERE name = 'replay_by_tenant'",
        ),
        Kind::Unreadable => ground.sql("UPDATE event_{n} SET event = x'00'"),
        Kind::Unaccounted => ground.sql("UPDATE counter SET deliveries_created = 99"),
        Kind::BodyMissing => {
            ground.publish(|event, _| event.bodies.verbatim = bytes::Bytes::new()).await;
        }
        Kind::IdLost => {
            let ids = ground.bucket.div_euclid(10);
            ground.sql(&format!("DELETE FROM event_id_{ids}"));
        }
        Kind::FanOutTwice => ground.sql(&format!(
            "INSERT INTO added VALUES ({}, {}, 0)",
            succeeded.event.raw(),
            succeeded.webhook.raw()
        )),
        Kind::AddedWithoutEvent => ground.sql("INSERT INTO added VALUES (7, 7, 0)"),
        Kind::WrongTenant => {
            let stranger: TenantKey = ground.world.key();
            ground.publish(|event, _| event.tenant = stranger).await;
        }
        Kind::PendingMissing => {
            ground.sql(&format!("DELETE FROM pending WHERE event = {}", untried.event.raw()));
        }
        Kind::PendingStray => ground.insert_pending(succeeded, 5),
        Kind::PendingWithoutEvent => {
            let event = ground.world.key();
            ground.insert_pending(DeliveryKey { event, webhook: first }, 5);
        }
        Kind::PendingWithoutWebhook => {
            ground.sql(&format!("DELETE FROM webhook WHERE key = {}", first.raw()));
        }
        Kind::KeptMiscounted => {
            ground.grow_old().await;
            ground.sql("UPDATE event_kept SET pending = 9");
        }
        Kind::HistoryWithoutDelivery => ground.sql(&format!(
            "UPDATE history_{{n}} SET webhook = {0}; UPDATE history_by_delivery_{{n}} SET webhook = {0}",
            second.raw() + 1
        )),
        Kind::AttemptsNotDense => {
            let skip = |record: &mut Record| {
                if let Happening::Attempt(attempt) = &mut record.entry.what {
                    attempt.number = 2;
                }
            };
            ground.attempt(in_a_minute, skip).await;
        }
        Kind::AttemptAfterEnd => {
            ground.insert_pending(succeeded, ground.events[0].accepted_at());
            let was = first_waiting(&ground.events[0]);
            let again = ground.world.attempt(succeeded, was, Verdict::Success);
            ground.world.commit(vec![], vec![again]).await;
        }
        Kind::AttemptEarly => {
            let early = |record: &mut Record| {
                if let Happening::Attempt(attempt) = &mut record.entry.what {
                    attempt.started_at -= 1;
                }
            };
            ground.attempt(in_a_minute, early).await;
        }
        Kind::ScheduleNotKept => {
            let now = ground.world.now;
            let given_up = Verdict::Failure { ended_at: now, retry_at: None };
            ground.attempt(given_up, |_| ()).await;
        }
        Kind::StandingDoesNotFollow => {
            let manual = |record: &mut Record| {
                if let Standing::Pending(waiting) = &mut record.entry.standing {
                    waiting.mode = Mode::Manual { resume: None };
                }
            };
            ground.attempt(in_a_minute, manual).await;
        }
        Kind::IndexMissing => ground.sql("DELETE FROM event_by_tenant_{n}"),
        Kind::IndexStray => ground.sql("INSERT INTO history_by_webhook_{n} VALUES (7, 7)"),
        Kind::HealthWithoutWebhook => {
            ground.sql("INSERT INTO health VALUES (7, 0, 0, NULL, 0, NULL, NULL)");
        }
        Kind::ReplayMiscounted => ground.sql("UPDATE replay SET finished_at = 5"),
    }
}

#[tokio::test]
async fn every_kind_of_damage_is_found_and_nothing_where_there_is_none() {
    for &kind in ViolationKind::ALL {
        let mut ground = Ground::new().await;
        let (checked, found) = ground.looked();
        assert_eq!((checked.violations, found), (0, vec![]));
        damage(&mut ground, kind).await;
        let (checked, found) = ground.looked();
        assert!(found.iter().any(|found| found.kind == kind), "{kind:?} in {found:#?}");
        assert_eq!(checked.violations, u64::try_from(found.len()).unwrap());
    }
}

#[tokio::test]
async fn what_was_looked_at_is_counted() {
    let ground = Ground::new().await;
    let (checked, _) = ground.looked();
    let expected = Checked {
        events: 3,
        deliveries: 4,
        pending: 3,
        attempts: 2,
        history: 2,
        index_rows: 3,
        webhooks: 2,
        healths: 1,
        replays: 1,
        violations: 0,
    };
    assert_eq!(checked, expected);
}

#[tokio::test]
async fn what_outlived_its_history_is_in_order_too() {
    let mut ground = Ground::new().await;
    ground.grow_old().await;
    let (checked, found) = ground.looked();
    assert_eq!(found, []);
    assert_eq!((checked.events, checked.pending, checked.history), (3, 3, 0));
    let webhook = ground.first();
    let due = ground.world.pending(webhook).await;
    assert_eq!(due, [ground.events[2].key, ground.events[1].key]);
    let standing = ground.world.standing(&ground.events[0], webhook).await;
    assert_eq!(standing.state(), DeliveryState::Succeeded);
}

#[tokio::test]
async fn what_is_not_there_or_of_another_version_is_not_looked_at() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.db");
    let look = || SqliteStore::verify(&path, &mut |_| ());
    assert!(matches!(look(), Err(StoreError::Unavailable(_))));
    assert!(!path.exists(), "looking makes nothing");
    drop(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
    assert_eq!(look().unwrap(), Checked::default());
    let connection = Connection::open(&path).unwrap();
    connection.execute("INSERT INTO schema_version VALUES (999)", []).unwrap();
    drop(connection);
    assert!(matches!(look(), Err(StoreError::Unavailable(text)) if text.contains("999")));
    std::fs::write(&path, vec![b'x'; 20_000]).unwrap();
    let mut found = Vec::new();
    SqliteStore::verify(&path, &mut |violation| found.push(violation.kind)).unwrap();
    assert_eq!(found, [ViolationKind::Unreadable], "what is no database is damaged");
}
