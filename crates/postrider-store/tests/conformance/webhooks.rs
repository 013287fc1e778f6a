use postrider_core::id::WebhookKey;
use postrider_core::webhook::{DisabledReason, Webhook, WebhookState};
use postrider_store::StoreError;

use crate::World;

async fn all(world: &World) -> Vec<Webhook> {
    world.store.webhooks(None, 1_000).await.unwrap()
}

pub(crate) async fn an_inserted_webhook_is_listed_as_it_was_given(mut world: World) {
    let tenant = world.key();
    let mut webhook = world.webhook(tenant);
    webhook.description = Some("first".to_owned());
    webhook.headers = vec![("x-a".to_owned(), vec![1, 2])];
    world.store.insert_webhook(webhook.clone()).await.unwrap();
    assert_eq!(all(&world).await, [webhook]);
}

pub(crate) async fn inserting_the_same_webhook_again_is_harmless(mut world: World) {
    let tenant = world.key();
    let webhook = world.webhook(tenant);
    world.store.insert_webhook(webhook.clone()).await.unwrap();
    world.store.insert_webhook(webhook.clone()).await.unwrap();
    assert_eq!(all(&world).await, [webhook]);
}

pub(crate) async fn inserting_another_webhook_under_a_key_conflicts(mut world: World) {
    let tenant = world.key();
    let webhook = world.webhook(tenant);
    world.store.insert_webhook(webhook.clone()).await.unwrap();
    let other = Webhook { url: "https://example.org".to_owned(), ..webhook.clone() };
    let refused = world.store.insert_webhook(other).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(all(&world).await, [webhook]);
}

pub(crate) async fn an_update_replaces_the_version_before_it(mut world: World) {
    let tenant = world.key();
    let mut webhook = world.webhook(tenant);
    world.store.insert_webhook(webhook.clone()).await.unwrap();
    webhook.version = 2;
    webhook.state = WebhookState::Disabled(DisabledReason::Gone);
    world.store.update_webhook(webhook.clone()).await.unwrap();
    assert_eq!(all(&world).await, [webhook]);
}

pub(crate) async fn an_update_from_another_version_conflicts_and_changes_nothing(mut world: World) {
    let tenant = world.key();
    let webhook = world.webhook(tenant);
    world.store.insert_webhook(webhook.clone()).await.unwrap();
    for version in [0, 1, 3, u64::MAX] {
        let mut other = webhook.clone();
        other.version = version;
        let refused = world.store.update_webhook(other).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{version}");
    }
    assert_eq!(all(&world).await, [webhook]);
}

pub(crate) async fn an_update_of_an_unknown_webhook_conflicts(mut world: World) {
    let tenant = world.key();
    let webhook = world.webhook(tenant);
    let refused = world.store.update_webhook(webhook).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(all(&world).await, []);
}

pub(crate) async fn webhooks_are_listed_in_pages_with_tombstones(mut world: World) {
    let mut keys: Vec<WebhookKey> = Vec::new();
    for at in 0..5 {
        let tenant = world.key();
        let mut webhook = world.webhook(tenant);
        if at == 2 {
            webhook.state = WebhookState::Deleted;
        }
        keys.push(webhook.key);
        world.store.insert_webhook(webhook).await.unwrap();
    }
    let mut found = Vec::new();
    loop {
        let page = world.store.webhooks(found.last().copied(), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page.iter().map(|webhook| webhook.key));
    }
    assert_eq!(found, keys);
}
