//! `inbox.json`: scripts of steps with a clock, on every store.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_receiver::Event;
use postrider_receiver::inbox::memory::MemoryInbox;
use postrider_receiver::inbox::postgres::PostgresInbox;
use postrider_receiver::inbox::redis::RedisInbox;
use postrider_receiver::inbox::sqlite::SqliteInbox;
use postrider_receiver::inbox::{
    Accepted, Answer, Claim, Claimed, Failed, InboxStore, LeaseState, NewEntry, ProcessError,
    Reprocessed, Scope, Settled, Token,
};
use serde_json::{Value, json};

use super::support::{Postgres, Redis};
use super::{list, text, vectors};

/// A fresh store.
enum Store {
    Memory(MemoryInbox),
    Sqlite(SqliteInbox),
    Postgres(PostgresInbox, tokio_postgres::Client),
    Redis(RedisInbox),
}

struct Script<'a> {
    store: Store,
    case: &'a Value,
    file: &'a Value,
    tokens: BTreeMap<String, Token>,
}

#[tokio::test]
async fn every_script_runs_in_memory() {
    run_all("memory", &["leased", "queued"], async || Store::Memory(MemoryInbox::new())).await;
}

#[tokio::test]
async fn every_script_runs_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    run_all("sqlite", &["leased", "queued", "transactional"], async || {
        number += 1;
        let path = folder.path().join(format!("{number}.db"));
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE effect (id TEXT)").unwrap();
        Store::Sqlite(SqliteInbox::on(connection).unwrap())
    })
    .await;
}

#[tokio::test]
async fn every_script_runs_on_postgres() {
    let server = Postgres::start();
    run_all("postgres", &["leased", "queued", "transactional"], async || {
        let client = server.client().await;
        client
            .batch_execute(
                "DROP TABLE IF EXISTS postrider_inbox, postrider_lock, effect; \
                 CREATE TABLE effect (at BIGSERIAL, id TEXT)",
            )
            .await
            .unwrap();
        let store = PostgresInbox::on(client);
        store.create_tables().await.unwrap();
        store.create_tables().await.unwrap();
        Store::Postgres(store, server.client().await)
    })
    .await;
}

#[tokio::test]
async fn every_script_runs_on_redis() {
    let server = Redis::start();
    run_all("redis", &["leased", "queued"], async || {
        let mut connection = server.connection().await;
        let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
        Store::Redis(RedisInbox::on(connection))
    })
    .await;
}

async fn run_all(name: &str, modes: &[&str], mut fresh: impl AsyncFnMut() -> Store) {
    let file = vectors("inbox.json");
    let mut ran = 0;
    for case in list(&file, "cases") {
        let is_for_us = case["stores"].as_array().is_none_or(|all| all.contains(&json!(name)));
        if is_for_us && modes.contains(&text(case, "mode")) {
            let store = fresh().await;
            let mut script = Script { store, case, file: &file, tokens: BTreeMap::new() };
            script.run().await;
            ran += 1;
        }
    }
    assert!(ran >= 20, "{ran} scripts ran");
}

impl Script<'_> {
    async fn run(&mut self) {
        for (number, step) in list(self.case, "steps").iter().enumerate() {
            let got = self.step(step).await;
            for (name, expected) in step["expect"].as_object().unwrap() {
                let place = format!("{}, step {number} ({step})", text(self.case, "name"));
                assert_eq!(&got[name], expected, "{name} of {got} in {place}");
            }
        }
    }

    fn store(&self) -> &dyn InboxStore {
        match &self.store {
            Store::Memory(store) => store,
            Store::Sqlite(store) => store,
            Store::Postgres(store, _) => store,
            Store::Redis(store) => store,
        }
    }

    fn scope(&self, step: &Value) -> Scope {
        let part = |name: &str| {
            step[name].as_str().unwrap_or_else(|| text(&self.file["key"], name)).to_owned()
        };
        Scope::new(&part("source"), &part("consumer")).unwrap()
    }

    fn token(&self, step: &Value) -> Token {
        self.tokens[text(step, "token")].clone()
    }

    fn keep(&mut self, step: &Value, claim: &Claim) {
        if let Some(name) = step["as"].as_str() {
            self.tokens.insert(name.to_owned(), claim.token.clone());
        }
    }

    async fn step(&mut self, step: &Value) -> Value {
        let now = step["at_ms"].as_i64().unwrap();
        let scope = self.scope(step);
        let lease = Duration::from_millis(self.case["lease_ms"].as_u64().unwrap());
        let delays: Vec<Duration> = list(self.case, "retry_delays_ms")
            .iter()
            .map(|ms| Duration::from_millis(ms.as_u64().unwrap()))
            .collect();
        let id = step["id"].as_str().unwrap_or_default();
        let entry = NewEntry {
            id,
            body: step["body"].as_str().unwrap_or_default().as_bytes(),
            order_key: step["order_key"].as_str(),
            signed_at_seconds: Some(now / 1_000),
        };
        match text(step, "op") {
            "claim" => match self.store().claim(&scope, &entry, lease, now).await.unwrap() {
                Claimed::Claimed(claim) => {
                    self.keep(step, &claim);
                    json!({"outcome": "claimed", "attempt": claim.attempt, "effect_key": scope.effect_key(id)})
                }
                Claimed::Done { status } => json!({"outcome": "done", "status": status}),
                Claimed::Running { retry_after_seconds } => {
                    json!({"outcome": "running", "retry_after_seconds": retry_after_seconds})
                }
                Claimed::OtherBody => json!({"outcome": "other_body"}),
            },
            "accept" => match self.store().accept(&scope, &entry, now).await.unwrap() {
                Accepted::Accepted => json!({"outcome": "accepted"}),
                Accepted::Done { status } => json!({"outcome": "done", "status": status}),
                Accepted::Dead => json!({"outcome": "dead"}),
                Accepted::OtherBody => json!({"outcome": "other_body"}),
            },
            "take" => {
                let attempts_max = u32::try_from(delays.len()).unwrap() + 1;
                match self.store().take(&scope, attempts_max, lease, now).await.unwrap() {
                    None => json!({"outcome": "empty"}),
                    Some(taken) => {
                        self.keep(step, &taken.claim);
                        assert!(taken.signed_at_seconds.is_some(), "when it was accepted");
                        json!({
                            "outcome": "claimed",
                            "attempt": taken.claim.attempt,
                            "effect_key": scope.effect_key(&taken.id),
                            "id": taken.id,
                            "body": String::from_utf8(taken.body).unwrap(),
                        })
                    }
                }
            }
            "heartbeat" => {
                let state = self.store().heartbeat(&self.token(step), lease, now).await.unwrap();
                json!({"outcome": if state == LeaseState::Held { "held" } else { "lost" }})
            }
            "finish" => {
                let status = step["status"].as_u64().unwrap().try_into().unwrap();
                let settled = self.store().finish(&self.token(step), status, now).await.unwrap();
                json!({"outcome": if settled == Settled::Finished { "finished" } else { "lost" }})
            }
            "fail" => {
                let is_queued = text(self.case, "mode") == "queued";
                let delays = is_queued.then_some(&*delays);
                let token = self.token(step);
                match self.store().fail(&token, text(step, "error"), delays, now).await.unwrap() {
                    Failed::Failed => json!({"outcome": "failed"}),
                    Failed::Pending { due_at_ms } => {
                        json!({"outcome": "pending", "due_at_ms": due_at_ms})
                    }
                    Failed::Dead => json!({"outcome": "dead"}),
                    Failed::Lost => json!({"outcome": "lost"}),
                }
            }
            "process" => self.process(step, &scope, now).await,
            "effects" => json!({"effects": self.effects().await}),
            "stats" => {
                let stats = self.store().stats(&scope).await.unwrap();
                json!({"pending": stats.pending, "running": stats.running, "done": stats.done,
                    "failed": stats.failed, "dead": stats.dead})
            }
            "reprocess" => {
                json!({"outcome": match self.store().reprocess(&scope, id, now).await.unwrap() {
                    Reprocessed::Reprocessed => "reprocessed",
                    Reprocessed::Running => "running",
                    Reprocessed::Absent => "absent",
                }})
            }
            "forget" => {
                let is_known = self.store().forget(&scope, id).await.unwrap();
                json!({"outcome": if is_known { "forgotten" } else { "absent" }})
            }
            "purge" => {
                let until = now - self.case["retention_ms"].as_i64().unwrap();
                json!({"removed": self.store().purge(until).await.unwrap()})
            }
            unknown => panic!("{unknown} is a new step: teach it to this test"),
        }
    }

    async fn process(&self, step: &Value, scope: &Scope, now: i64) -> Value {
        let event = Event {
            id: text(step, "id").to_owned(),
            timestamp_seconds: now / 1_000,
            body: text(step, "body").as_bytes().to_vec(),
        };
        let wanted = step["handler"].as_u64().map(|status| u16::try_from(status).unwrap());
        let ended = |status: Option<u16>| status.ok_or("thrown");
        let answer: Result<Answer, ProcessError<&str>> = match &self.store {
            Store::Sqlite(store) => {
                store
                    .process_at(now, scope, &event, move |transaction, event| {
                        transaction.execute("INSERT INTO effect VALUES (?1)", [&event.id]).unwrap();
                        ended(wanted)
                    })
                    .await
            }
            Store::Postgres(store, _) => {
                store
                    .process_at(now, scope, &event, async |transaction, event| {
                        let insert = "INSERT INTO effect (id) VALUES ($1)";
                        transaction.execute(insert, &[&event.id]).await.unwrap();
                        ended(wanted)
                    })
                    .await
            }
            Store::Memory(_) | Store::Redis(_) => panic!("no transactions here"),
        };
        match answer {
            Ok(answer) => json!({"outcome": answer.outcome, "status": answer.status}),
            Err(ProcessError::Handler(_)) => json!({"outcome": "failed"}),
            Err(ProcessError::Store(error)) => panic!("{error}"),
        }
    }

    async fn effects(&self) -> Vec<String> {
        match &self.store {
            Store::Sqlite(store) => {
                let (scope, event) = (reader(), reader_event());
                let read = store.process_at(0, &scope, &event, |transaction, _| {
                    let mut select = transaction.prepare("SELECT id FROM effect ORDER BY rowid")?;
                    let ids: Result<Vec<String>, _> =
                        select.query_map([], |row| row.get(0))?.collect();
                    // an error takes the reader's own row back
                    Err::<u16, _>(rusqlite::Error::InvalidColumnName(ids?.join(",")))
                });
                match read.await {
                    Err(ProcessError::Handler(rusqlite::Error::InvalidColumnName(ids))) => {
                        ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect()
                    }
                    other => panic!("{other:?}"),
                }
            }
            Store::Postgres(_, client) => {
                let rows = client.query("SELECT id FROM effect ORDER BY at", &[]).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Store::Memory(_) | Store::Redis(_) => panic!("no transactions here"),
        }
    }
}

fn reader() -> Scope {
    Scope::new("test", "reader").unwrap()
}

fn reader_event() -> Event {
    Event { id: "read".to_owned(), timestamp_seconds: 0, body: Vec::new() }
}
