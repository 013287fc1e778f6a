//! What only the store in a file promises.

use std::sync::Arc;

use postrider_core::delivery::Verdict;
use postrider_core::id::WebhookKey;
use postrider_store::{SqliteStore, StoreError};
use tempfile::TempDir;

use crate::World;
use crate::world::{BUCKET_MS, delivery, sqlite_options};

#[tokio::test]
async fn a_file_opened_again_gives_the_same_answers() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, sqlite_options()).unwrap();
    let mut world = World::on(Arc::new(store), None);
    let both: [WebhookKey; 2] = world.webhook_keys();
    let tenant = world.key();
    let matching = world.matching(&both);
    let mut events = Vec::new();
    for _ in 0..9 {
        let event = world.publish_as(tenant, &matching).await;
        world.attempt_first(&event, both[0], Verdict::Success).await;
        events.push(event);
        world.pass(BUCKET_MS / 4);
    }
    let webhook = world.webhook(tenant);
    world.store.insert_webhook(webhook).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut answer = vec![format!(
            "{:?} {:?} {:?} {:?} {:?}",
            world.store.events(tenant, None, 99).await,
            world.store.counts().await,
            world.store.webhooks(None, 99).await,
            world.store.history_of_webhook(both[0], None, 99).await,
            world.store.newest_key_ms().await,
        )];
        for event in &events {
            let history = world.store.history(delivery(event, both[0])).await;
            answer.push(format!("{history:?}"));
        }
        answer.push(format!("{:?}", world.pending(both[1]).await));
        answers.push(answer);
        drop(std::mem::replace(&mut world, World::in_memory()));
        let store = SqliteStore::open(&path, sqlite_options()).unwrap();
        world = World::on(Arc::new(store), None);
    }
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_second_store_on_the_same_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.db");
    let first = SqliteStore::open(&path, sqlite_options()).unwrap();
    let Err(StoreError::Unavailable(text)) = SqliteStore::open(&path, sqlite_options()) else {
        panic!("it is refused");
    };
    assert!(text.contains("in use by another process"), "{text}");
    drop(first);
    SqliteStore::open(&path, sqlite_options()).unwrap();
}

#[test]
fn a_file_of_something_else_is_corrupt() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "this is not a database, and long enough to see it ".repeat(40)).unwrap();
    let refused = SqliteStore::open(&path, sqlite_options());
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
}

#[test]
fn a_file_in_a_missing_folder_is_unavailable() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nowhere").join("store.db");
    let refused = SqliteStore::open(path, sqlite_options());
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
}
