//! `locks.json`: the same for locks.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_receiver::inbox::memory::MemoryLocks;
use postrider_receiver::inbox::postgres::PostgresInbox;
use postrider_receiver::inbox::redis::RedisInbox;
use postrider_receiver::inbox::sqlite::SqliteInbox;
use postrider_receiver::inbox::{LeaseState, Token};
use postrider_receiver::lock::{Acquired, LockStore};
use serde_json::{Value, json};

use super::support::{Postgres, Redis};
use super::{list, text, vectors};

#[tokio::test]
async fn every_script_runs_in_memory_and_on_sqlite() {
    for case in list(&vectors("locks.json"), "cases") {
        run(&MemoryLocks::new(), case).await;
        run(&SqliteInbox::open(":memory:").unwrap(), case).await;
    }
}

#[tokio::test]
async fn every_script_runs_on_postgres() {
    let server = Postgres::start();
    let client = server.client().await;
    let store = PostgresInbox::on(server.client().await);
    store.create_tables().await.unwrap();
    for case in list(&vectors("locks.json"), "cases") {
        client.batch_execute("TRUNCATE postrider_lock").await.unwrap();
        run(&store, case).await;
    }
}

#[tokio::test]
async fn every_script_runs_on_redis() {
    let server = Redis::start();
    let mut connection = server.connection().await;
    let store = RedisInbox::on(server.connection().await);
    for case in list(&vectors("locks.json"), "cases") {
        let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
        run(&store, case).await;
    }
}

async fn run(store: &dyn LockStore, case: &Value) {
    let mut held: BTreeMap<String, (Token, u64)> = BTreeMap::new();
    for step in list(case, "steps") {
        let now = step["at_ms"].as_i64().unwrap();
        let ttl = Duration::from_millis(step["ttl_ms"].as_u64().unwrap_or_default());
        let token = step["token"].as_str().map(|name| held[name].0.clone());
        let expected = &step["expect"];
        let got = match (text(step, "op"), token) {
            ("acquire", _) => match store.acquire(text(step, "key"), ttl, now).await.unwrap() {
                Acquired::Acquired { token, fence } => {
                    if let Some(earlier) = expected["fence_above"].as_str() {
                        assert!(fence > held[earlier].1, "{step}");
                    }
                    if let Some(name) = step["as"].as_str() {
                        held.insert(name.to_owned(), (token, fence));
                    }
                    json!({"outcome": "acquired", "fence_above": expected["fence_above"]})
                }
                Acquired::HeldElsewhere { retry_after_seconds } => {
                    json!({"outcome": "held_elsewhere", "retry_after_seconds": retry_after_seconds})
                }
            },
            ("extend", Some(token)) => {
                let state = store.extend(&token, ttl, now).await.unwrap();
                json!({"outcome": if state == LeaseState::Held { "held" } else { "lost" }})
            }
            ("release", Some(token)) => {
                let is_held = store.release(&token).await.unwrap();
                json!({"outcome": if is_held { "released" } else { "lost" }})
            }
            (unknown, _) => panic!("{unknown} is a new step: teach it to this test"),
        };
        assert_eq!(&got, expected, "{} in {}", step, text(case, "name"));
    }
}
