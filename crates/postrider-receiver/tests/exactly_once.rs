//! The promise: one effect for each event, whoever crashes when and however many come at once.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postrider_receiver::Event;
use postrider_receiver::inbox::memory::MemoryInbox;
use postrider_receiver::inbox::postgres::PostgresInbox;
use postrider_receiver::inbox::redis::RedisInbox;
use postrider_receiver::inbox::sqlite::SqliteInbox;
use postrider_receiver::inbox::{
    Claimed, Inbox, InboxSettings, InboxStore, Lease, LeaseState, NewEntry, Scope,
};
use support::{Postgres, Redis};

/// Deliveries and kills; `POSTRIDER_CRASH_TEST=full` makes it 20,000 and 100.
fn size() -> (usize, usize) {
    match std::env::var("POSTRIDER_CRASH_TEST").as_deref() {
        Ok("full") => (20_000, 100),
        _ => (3_000, 15),
    }
}

fn scope() -> Scope {
    Scope::new("test", "effects").unwrap()
}

fn event(id: &str) -> Event {
    Event { id: id.to_owned(), timestamp_seconds: 0, body: id.as_bytes().to_vec() }
}

#[test]
fn killed_at_any_moment_on_sqlite_every_effect_happens_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bot.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute_batch("CREATE TABLE effect (id TEXT)").unwrap();
    SqliteInbox::open(&file).unwrap();
    let ids = crash(&["sqlite", file.to_str().unwrap()]);
    let mut select = connection.prepare("SELECT id, count(*) FROM effect GROUP BY id").unwrap();
    let effects = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    check(&ids, &effects.map(Result::unwrap).collect());
}

#[tokio::test]
async fn killed_at_any_moment_on_postgres_every_effect_happens_once() {
    let server = Postgres::start();
    let client = server.client().await;
    client.batch_execute("CREATE TABLE effect (id TEXT)").await.unwrap();
    PostgresInbox::on(server.client().await).create_tables().await.unwrap();
    let config = server.config();
    let ids = tokio::task::spawn_blocking(move || crash(&["postgres", &config])).await.unwrap();
    let rows = client.query("SELECT id, count(*) FROM effect GROUP BY id", &[]).await.unwrap();
    check(&ids, &rows.iter().map(|row| (row.get(0), row.get(1))).collect());
}

fn check(ids: &BTreeSet<String>, effects: &BTreeMap<String, i64>) {
    assert_eq!(effects.keys().cloned().collect::<BTreeSet<_>>(), *ids);
    let doubled: Vec<_> = effects.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

/// Sends deliveries, a tenth of them twice and out of order, to a process that is killed again and
/// again; what it did not acknowledge is sent again. Returns all ids.
fn crash(arguments: &[&str]) -> BTreeSet<String> {
    let (deliveries, kills) = size();
    let mut random = Random(0x5eed);
    let mut queue: Vec<String> = (0..deliveries).map(|number| format!("evt_{number}")).collect();
    let ids: BTreeSet<String> = queue.iter().cloned().collect();
    for number in 0..deliveries / 10 {
        queue.push(format!("evt_{}", number * 7 % deliveries));
    }
    for at in 0..queue.len() {
        // not far: receivers see neighbours change places
        let other = (at + random.below(20)).min(queue.len() - 1);
        queue.swap(at, other);
    }
    let part = queue.len() / (kills + 1);
    for kill in 0..=kills {
        let until = if kill == kills { 0 } else { queue.len().saturating_sub(part) };
        // the kill comes while some of this part are under way
        let acknowledged_max = queue.len() - until;
        let is_last = kill == kills;
        let sent = send(arguments, &queue[until..], (!is_last).then(|| random.below(part)));
        assert!(sent.len() <= acknowledged_max);
        let mut left = queue.split_off(until);
        for id in sent {
            let at = left.iter().position(|waiting| *waiting == id).unwrap();
            left.swap_remove(at);
        }
        queue.extend(left);
    }
    assert!(queue.is_empty(), "{} were never acknowledged", queue.len());
    ids
}

/// Feeds a process, and kills it once it has acknowledged so many. What it acknowledged.
fn send(arguments: &[&str], deliveries: &[String], kill_after: Option<usize>) -> Vec<String> {
    let mut process: Child = Command::new(env!("CARGO_BIN_EXE_effects"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let lines: String = deliveries.iter().flat_map(|id| [id, " ", id, "\n"]).collect();
    let feeding = std::thread::spawn(move || {
        // it fails when the process is killed
        let _ = input.write_all(lines.as_bytes());
    });
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // a line that was cut off by the kill acknowledges nothing
        if let Some((id, status)) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')) {
            assert_eq!(status, "200");
            acknowledged.push(id.to_owned());
        }
        line.clear();
        if kill_after.is_some_and(|count| acknowledged.len() == count.max(1)) {
            process.kill().unwrap();
        }
    }
    feeding.join().unwrap();
    process.wait().unwrap();
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_deliveries_at_once_one_has_an_effect() {
    let folder = tempfile::tempdir().unwrap();
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let tables = PostgresInbox::on(postgres.client().await);
    tables.create_tables().await.unwrap();
    at_once(Inbox::new(MemoryInbox::new(), scope())).await;
    at_once(Inbox::new(SqliteInbox::open(folder.path().join("bot.db")).unwrap(), scope())).await;
    at_once(Inbox::new(tables, scope())).await;
    at_once(Inbox::new(RedisInbox::on(redis.connection().await), scope())).await;
}

async fn at_once(inbox: Inbox) {
    let effects = Arc::new(AtomicUsize::new(0));
    let all_came = Arc::new(tokio::sync::Barrier::new(64));
    let deliveries: Vec<_> = (0..64)
        .map(|_| {
            let (inbox, effects, all_came) = (inbox.clone(), effects.clone(), all_came.clone());
            tokio::spawn(async move {
                all_came.wait().await;
                let event = event("evt_1");
                let handled = inbox.handle(&event, async |_: &Event, _: &Lease| {
                    effects.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok::<_, &str>(204)
                });
                handled.await.unwrap()
            })
        })
        .collect();
    let mut new = 0;
    for delivery in deliveries {
        let answer = delivery.await.unwrap();
        match answer.outcome {
            "new" => new += 1,
            "done" => assert_eq!(answer.status, 204),
            _ => assert_eq!((answer.status, answer.retry_after_seconds.is_some()), (409, true)),
        }
    }
    assert_eq!((new, effects.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_an_event_never_has_two_valid_tokens_and_is_done_in_the_end() {
    const EVENTS: usize = 40;
    const LEASE: Duration = Duration::from_millis(20);
    let server = Redis::start();
    let store = RedisInbox::on(server.connection().await);
    let seen: Arc<Mutex<BTreeMap<String, Vec<_>>>> = Arc::default();
    let takeovers = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..8_u64)
        .map(|worker| {
            let (store, seen, takeovers) = (store.clone(), seen.clone(), takeovers.clone());
            tokio::spawn(async move {
                let mut random = Random(worker + 1);
                let mut done = BTreeSet::new();
                while done.len() < EVENTS {
                    let id = format!("evt_{}", random.below(EVENTS));
                    let entry = NewEntry {
                        id: &id,
                        body: id.as_bytes(),
                        order_key: None,
                        signed_at_seconds: None,
                    };
                    let claim = match store.claim(&scope(), &entry, LEASE, now_ms()).await.unwrap()
                    {
                        Claimed::Claimed(claim) => claim,
                        Claimed::Done { .. } => {
                            done.insert(id);
                            continue;
                        }
                        Claimed::Running { .. } | Claimed::OtherBody => continue,
                    };
                    let earlier = {
                        let mut seen = seen.lock().unwrap();
                        let tokens = seen.entry(id.clone()).or_default();
                        let earlier = tokens.clone();
                        tokens.push(claim.token.clone());
                        earlier
                    };
                    takeovers.fetch_add(usize::from(claim.attempt > 1), Ordering::SeqCst);
                    for token in &earlier {
                        let state = store.heartbeat(token, LEASE, now_ms()).await.unwrap();
                        assert_eq!(state, LeaseState::Lost, "two hold {id}");
                    }
                    // every third holder vanishes
                    if random.below(3) > 0 {
                        store.finish(&claim.token, 200, now_ms()).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let stats = store.stats(&scope()).await.unwrap();
    assert_eq!(stats.done, EVENTS as u64);
    assert!(takeovers.load(Ordering::SeqCst) > 0, "nobody vanished");
}

#[tokio::test]
async fn a_handler_learns_that_its_lease_is_lost_and_a_long_one_keeps_it() {
    let store = MemoryInbox::new();
    let settings = InboxSettings::default().with_lease(Duration::from_millis(60));
    let inbox = Inbox::new(store.clone(), scope()).with_settings(settings);
    let event = event("evt_1");
    let handled = inbox.handle(&event, async |_: &Event, lease: &Lease| {
        let start = Instant::now();
        // longer than a lease: heartbeats keep it
        while start.elapsed() < Duration::from_millis(200) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(!lease.is_lost());
        }
        assert!(store.forget(&scope(), "evt_1").await.unwrap());
        lease.lost().await;
        Ok::<_, &str>(200)
    });
    let answer = handled.await.unwrap();
    assert_eq!((answer.status, answer.outcome), (409, "lost"));
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A small generator (xorshift64*), so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound).unwrap()
    }
}
