//! Tests that look inside: plans, a full disk, a broken writer, tables of a newer version.

use std::sync::Arc;

use bytes::Bytes;
use postrider_core::delivery::DeliveryState;
use postrider_core::event::{Bodies, Event};
use postrider_core::id::{DeliveryKey, EventKey, KeyMaker, WebhookKey};
use postrider_core::matching::{Matching, Unmatched};
use postrider_core::statistics::{Grain, HOUR_SLOT_MS, TENANT_SLOT_MS, Tally, slot_at};
use postrider_signature::NumberPolicy;
use rusqlite::{Connection, ffi};
use tempfile::TempDir;

use super::view::{id_table, sql};
use super::{Failure, SqliteOptions, SqliteStore, open, queries, writer};
use crate::error::StoreError;
use crate::records::{Accept, Accepted, Batch, CancelRequest, DueQuery, Slot, Span, Statistics};
use crate::search::{DeliveryFilter, DeliverySearch, Order};
use crate::store::{DeliveryStore, EventStore, HealthStore, MaintenanceStore};

const NOW: i64 = 1_795_000_000_000;

struct Ground {
    folder: TempDir,
    maker: KeyMaker,
}

impl Ground {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), maker: KeyMaker::new(0, 0) }
    }

    fn open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(self.folder.path().join("store.db"), SqliteOptions::default())
    }

    /// One event with a fan-out of one and a body of so many bytes.
    fn batch(&mut self, bytes: usize) -> Batch {
        let webhook: WebhookKey = self.maker.next(NOW);
        let matching = Matching {
            key: self.maker.next(NOW),
            matched: vec![webhook],
            unmatched: Unmatched::Named(vec![]),
        };
        let event = Event {
            key: self.maker.next(NOW),
            tenant: self.maker.next(NOW),
            given_id: None,
            event_type: "code.generated".parse().unwrap(),
            occurred_at: NOW,
            bodies: Bodies { verbatim: Bytes::from(vec![b'x'; bytes]), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: matching.key,
        };
        Batch {
            accepts: vec![Accept {
                event: Arc::new(event),
                matching: Arc::new(matching),
                fingerprint: [0; 16],
            }],
            records: vec![],
        }
    }
}

#[tokio::test]
async fn no_query_scans_a_table() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    let batch = ground.batch(10);
    let event: EventKey = batch.accepts[0].event.key;
    store.commit(&batch).await.unwrap();
    let writer = store.shared.writer();
    let n = store.shared.buckets.of(event);
    for query in queries::all(n, id_table(n)) {
        let plan = plan_of(&writer.connection, &query);
        assert!(!plan.is_empty(), "{query}");
        for step in plan {
            let is_scan = step.contains("SCAN") || step.contains("TEMP B-TREE");
            assert!(!is_scan, "{query}: {step}");
        }
    }
}

#[test]
fn a_scan_would_be_seen() {
    let ground = Ground::new();
    let store = ground.open().unwrap();
    let writer = store.shared.writer();
    let plan = plan_of(&writer.connection, "SELECT due FROM pending WHERE event = 1");
    assert!(plan.iter().any(|step| step.contains("SCAN")), "{plan:?}");
}

fn plan_of(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    for at in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(at, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get("detail").unwrap());
    }
    plan
}

#[tokio::test]
async fn a_full_disk_rolls_back_and_can_be_written_again() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    store.commit(&ground.batch(10)).await.unwrap();
    limit_pages(&store, 60);
    let refused = store.commit(&ground.batch(1 << 20)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    assert!(!store.is_broken());
    assert_eq!(store.counts().await.unwrap().events, 1);
    limit_pages(&store, 1 << 20);
    let committed = store.commit(&ground.batch(1 << 20)).await.unwrap();
    assert_eq!(committed.accepts, [Accepted::New]);
    assert_eq!(store.counts().await.unwrap().deliveries_pending, 2);
}

fn limit_pages(store: &SqliteStore, pages: i64) {
    let writer = store.shared.writer();
    let set = format!("PRAGMA max_page_count = {pages}");
    let set: rusqlite::Result<i64> = writer.connection.query_row(&set, [], |row| row.get(0));
    set.unwrap();
}

#[tokio::test]
async fn after_an_io_error_nothing_is_written_any_more() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    store.commit(&ground.batch(10)).await.unwrap();
    let failed = store.shared.writer().write(|_, _, _| -> super::Outcome<()> {
        let error = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
        Err(rusqlite::Error::SqliteFailure(error, None).into())
    });
    let says_restart =
        |error| matches!(error, StoreError::Unavailable(text) if text.contains("restart"));
    assert!(says_restart(failed.unwrap_err()));
    assert!(store.is_broken());
    let refused = store.commit(&ground.batch(10)).await;
    assert!(says_restart(refused.unwrap_err()));
    let swept = store.sweep(NOW).await;
    assert!(says_restart(swept.unwrap_err()));
    // reading goes on until the process ends
    assert_eq!(store.counts().await.unwrap().events, 1);
    drop(store);
    let store = ground.open().unwrap();
    store.commit(&ground.batch(10)).await.unwrap();
    assert_eq!(store.counts().await.unwrap().events, 2);
}

#[tokio::test]
async fn a_panic_in_a_transaction_leaves_nothing_behind() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    store.commit(&ground.batch(10)).await.unwrap();
    let shared = Arc::clone(&store.shared);
    let panicked = std::thread::spawn(move || {
        let _ = shared.work(|work| -> super::Outcome<()> {
            work.connection.execute("DELETE FROM pending", [])?;
            panic!("on purpose");
        });
    });
    assert!(panicked.join().is_err());
    store.commit(&ground.batch(10)).await.unwrap();
    assert_eq!(store.counts().await.unwrap().deliveries_pending, 2);
}

#[test]
fn tables_of_a_newer_version_are_refused() {
    let ground = Ground::new();
    let store = ground.open().unwrap();
    let written = (store.shared.writer().connection)
        .execute("INSERT INTO schema_version VALUES (1000)", [])
        .unwrap();
    assert_eq!(written, 1);
    drop(store);
    let Err(StoreError::Unavailable(text)) = ground.open() else {
        panic!("it is refused");
    };
    assert!(text.contains("newer Postrider"), "{text}");
}

#[tokio::test]
async fn tables_of_the_first_version_are_brought_up_to_date() {
    let mut ground = Ground::new();
    let path = ground.folder.path().join("store.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch("CREATE TABLE schema_version (version INTEGER PRIMARY KEY) STRICT").unwrap();
    old.execute_batch(include_str!("migrations/0001_begin.sql")).unwrap();
    let began =
        "INSERT INTO schema_version VALUES (1); INSERT INTO setting VALUES ('bucket_ms', 7)";
    old.execute_batch(began).unwrap();
    drop(old);
    let store = ground.open().unwrap();
    store.commit(&ground.batch(10)).await.unwrap();
    assert_eq!(store.healths(None, 9).await, Ok(vec![]));
    assert_eq!(open::setting(&store.shared.writer().connection, "bucket_ms").unwrap(), 7);
}

#[tokio::test]
async fn hours_are_filled_from_what_was_counted_before_there_were_any() {
    let mut ground = Ground::new();
    let (webhook, tenant) = (ground.maker.next(NOW), ground.maker.next(NOW));
    let (at, tally) = (slot_at(NOW, HOUR_SLOT_MS), Tally { events: 7, ..Tally::default() });
    let store = ground.open().unwrap();
    let statistics = Statistics {
        webhooks: vec![Slot { of: webhook, at, tally: tally.clone() }],
        tenants: vec![Slot { of: tenant, at: at + TENANT_SLOT_MS, tally: tally.clone() }],
        ..Statistics::default()
    };
    store.add_statistics(statistics).await.unwrap();
    let undo = "DROP TABLE webhook_hour; DROP TABLE tenant_hour; \
         DELETE FROM schema_version WHERE version >= 5";
    store.shared.writer().connection.execute_batch(undo).unwrap();
    drop(store);
    let store = ground.open().unwrap();
    let span = Span { grain: Grain::Hour, from: 0, until: i64::MAX };
    let of_webhook = store.webhook_slots(vec![webhook], span).await.unwrap();
    assert_eq!(of_webhook, [Slot { of: webhook, at, tally: tally.clone() }]);
    let of_tenant = store.tenant_slots(tenant, span).await.unwrap();
    assert_eq!(of_tenant, [Slot { of: tenant, at, tally }]);
}

#[tokio::test]
async fn what_went_wrong_before_there_was_an_index_of_it_is_in_it() {
    let mut ground = Ground::new();
    let options = SqliteOptions { index_rows: 1, ..SqliteOptions::default() };
    let open = |ground: &Ground| SqliteStore::open(ground.folder.path().join("store.db"), options);
    let store = open(&ground).unwrap();
    let batch = ground.batch(10);
    let (event, webhook) = (&batch.accepts[0].event, batch.accepts[0].matching.matched[0]);
    store.commit(&batch).await.unwrap();
    let delivery = DeliveryKey { event: event.key, webhook };
    let request = CancelRequest { delivery, at: NOW, key: ground.maker.next(NOW) };
    store.request_cancel(request).await.unwrap();
    let n = store.shared.buckets.of(event.key);
    let undo = format!("DROP TABLE trouble_{n}; DELETE FROM schema_version WHERE version >= 6");
    store.shared.writer().connection.execute_batch(&undo).unwrap();
    drop(store);
    let store = open(&ground).unwrap();
    let states = vec![DeliveryState::Cancelled];
    let search = DeliverySearch {
        tenant: event.tenant,
        filter: DeliveryFilter { states, ..DeliveryFilter::all() },
        with_missed: false,
        order: Order::NewestFirst,
        beyond: None,
        limit: 9,
    };
    let found = store.find_deliveries(search).await.unwrap().deliveries;
    assert_eq!(found.iter().map(|found| found.delivery).collect::<Vec<_>>(), [delivery]);
}

#[tokio::test]
async fn undecodable_bytes_name_their_table_and_key() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    let batch = ground.batch(10);
    let event = Arc::clone(&batch.accepts[0].event);
    store.commit(&batch).await.unwrap();
    let n = store.shared.buckets.of(event.key);
    let spoil = format!("UPDATE event_{n} SET event = x'01ff'");
    store.shared.writer().connection.execute(&spoil, []).unwrap();
    let Err(StoreError::Corrupt(text)) = store.event_by_key(event.key).await else {
        panic!("it is corrupt");
    };
    assert!(text.starts_with(&format!("event {}", event.key)), "{text}");
}

#[tokio::test]
async fn a_full_page_reads_one_event_beyond_it_at_most() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    let matching = Arc::clone(&ground.batch(10).accepts[0].matching);
    let mut events = Vec::new();
    for _ in 0..3 {
        let mut batch = ground.batch(10);
        batch.accepts[0].matching = Arc::clone(&matching);
        Arc::make_mut(&mut batch.accepts[0].event).matching = matching.key;
        store.commit(&batch).await.unwrap();
        events.push(batch.accepts[0].event.key);
    }
    let n = store.shared.buckets.of(events[2]);
    let spoil = format!("UPDATE event_{n} SET event = x'01ff' WHERE key = ?1");
    store.shared.writer().connection.execute(&spoil, [sql(events[2])]).unwrap();
    let webhook = matching.matched[0];
    let query = DueQuery { webhook, until: NOW, limit: 9, bytes_max: 19, except: vec![] };
    let page = store.due(query.clone()).await.unwrap();
    assert_eq!(page.deliveries.len(), 1);
    assert_eq!(page.next_due, Some(NOW));
    // the third one would have been noticed
    let refused = store.due(DueQuery { bytes_max: 20, ..query }).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}

#[tokio::test]
async fn a_log_that_readers_hold_begins_anew_once_they_are_idle() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    store.commit(&ground.batch(1 << 20)).await.unwrap();
    let pages = || {
        let writer = store.shared.writer();
        writer::run_checkpoint(&writer.connection, "PRAGMA wal_checkpoint(NOOP)").unwrap()
    };
    let (before, moved) = pages();
    assert!(before > 100 && moved == 0, "{before} {moved}");
    let (began, begins) = std::sync::mpsc::channel();
    let (goes, go) = std::sync::mpsc::channel();
    let shared = Arc::clone(&store.shared);
    let reading = std::thread::spawn(move || {
        shared.read(|_| {
            began.send(()).unwrap();
            go.recv().unwrap();
            Ok(())
        })
    });
    begins.recv().unwrap();
    let shared = Arc::clone(&store.shared);
    let restarting = std::thread::spawn(move || {
        let writer = shared.writer();
        writer::restart_log(&writer.connection, &shared.readers).map_err(Failure::into_store_error)
    });
    goes.send(()).unwrap();
    assert_eq!(reading.join().unwrap(), Ok(()));
    assert_eq!(restarting.join().unwrap(), Ok(()));
    store.commit(&ground.batch(10)).await.unwrap();
    assert!(pages().0 < 50, "{:?}", pages());
}

#[tokio::test]
async fn the_log_moves_into_the_file_once_it_has_grown() {
    let mut ground = Ground::new();
    let store = ground.open().unwrap();
    for _ in 0..24 {
        store.commit(&ground.batch(2 << 20)).await.unwrap();
    }
    let size = |name: &str| std::fs::metadata(ground.folder.path().join(name)).unwrap().len();
    // 48 MB were written through a log that holds about 16
    assert!(size("store.db-wal") < 24 << 20, "{}", size("store.db-wal"));
    assert!(size("store.db") > 24 << 20, "{}", size("store.db"));
}
