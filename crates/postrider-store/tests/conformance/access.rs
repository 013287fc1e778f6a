use postrider_core::health::Health;
use postrider_core::webhook::{Webhook, WebhookState};
use postrider_store::{ApiKey, Scope, StoreError, Tenant, TenantEnding};

use crate::World;

fn tenant(world: &mut World, name: &str) -> Tenant {
    Tenant { key: world.key(), name: name.to_owned(), created_at: world.now }
}

fn api_key(world: &mut World, scope: Scope) -> ApiKey {
    ApiKey {
        key: world.key(),
        tenant: (scope != Scope::Admin).then(|| world.key()),
        scope,
        description: Some("ci".to_owned()),
        hash: [7; 32],
        created_at: world.now,
        expires_at: Some(world.now + 1),
        revoked_at: None,
    }
}

pub(crate) async fn a_tenants_name_is_unique(mut world: World) {
    let first = tenant(&mut world, "acme");
    let second = tenant(&mut world, "acme");
    world.store.insert_tenant(first.clone()).await.unwrap();
    let refused = world.store.insert_tenant(second).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    let renamed = Tenant { name: "other".to_owned(), ..first.clone() };
    let refused = world.store.insert_tenant(renamed).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.store.tenants().await.unwrap(), [first]);
}

pub(crate) async fn inserting_the_same_tenant_again_is_harmless(mut world: World) {
    let first = tenant(&mut world, "acme");
    world.store.insert_tenant(first.clone()).await.unwrap();
    world.store.insert_tenant(first.clone()).await.unwrap();
    assert_eq!(world.store.tenants().await.unwrap(), [first]);
}

pub(crate) async fn tenants_are_listed_as_given(mut world: World) {
    let tenants = ["b", "a", "c"].map(|name| tenant(&mut world, name));
    for tenant in &tenants {
        world.store.insert_tenant(tenant.clone()).await.unwrap();
    }
    assert_eq!(world.store.tenants().await.unwrap(), tenants);
}

pub(crate) async fn api_keys_are_listed_until_revoked(mut world: World) {
    let scopes = [Scope::Admin, Scope::Manage, Scope::Publish, Scope::Read];
    let keys = scopes.map(|scope| api_key(&mut world, scope));
    for key in &keys {
        world.store.insert_api_key(key.clone()).await.unwrap();
        world.store.insert_api_key(key.clone()).await.unwrap();
    }
    assert_eq!(world.store.api_keys().await.unwrap(), keys);
    let revoked = world.store.revoke_api_key(keys[1].key, world.now).await;
    assert_eq!(revoked, Ok(true));
    let left = world.store.api_keys().await.unwrap();
    assert_eq!(left, [keys[0].clone(), keys[2].clone(), keys[3].clone()]);
}

pub(crate) async fn a_key_is_revoked_once(mut world: World) {
    let key = api_key(&mut world, Scope::Read);
    let unknown = world.key();
    world.store.insert_api_key(key.clone()).await.unwrap();
    assert_eq!(world.store.revoke_api_key(key.key, 5).await, Ok(true));
    assert_eq!(world.store.revoke_api_key(key.key, 6).await, Ok(false));
    assert_eq!(world.store.revoke_api_key(unknown, 7).await, Ok(false));
}

pub(crate) async fn inserting_another_api_key_under_a_key_conflicts(mut world: World) {
    let key = api_key(&mut world, Scope::Read);
    world.store.insert_api_key(key.clone()).await.unwrap();
    let mut other = key.clone();
    other.scope = Scope::Admin;
    let refused = world.store.insert_api_key(other).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.store.api_keys().await.unwrap(), [key]);
}

fn tombstone(webhook: &Webhook) -> Webhook {
    Webhook { version: webhook.version + 1, state: WebhookState::Deleted, ..webhook.clone() }
}

pub(crate) async fn a_deleted_tenant_leaves_nobody_to_act_for_it(mut world: World) {
    let [first, other] = ["acme", "other"].map(|name| tenant(&mut world, name));
    let mut own_key = api_key(&mut world, Scope::Read);
    own_key.tenant = Some(first.key);
    let keys = [own_key, api_key(&mut world, Scope::Read), api_key(&mut world, Scope::Admin)];
    for tenant in [&first, &other] {
        world.store.insert_tenant(tenant.clone()).await.unwrap();
    }
    for key in &keys {
        world.store.insert_api_key(key.clone()).await.unwrap();
    }
    let webhooks = [first.key, first.key, other.key].map(|tenant| world.webhook(tenant));
    for webhook in &webhooks {
        world.store.insert_webhook(webhook.clone()).await.unwrap();
    }

    let [one, two, three] = webhooks;
    for webhook in [&one, &three] {
        world.store.keep_health(webhook.key, Health::default()).await.unwrap();
    }
    let tombstones = vec![tombstone(&one), tombstone(&two)];
    let ending = TenantEnding { tenant: first.key, at: world.now, tombstones: tombstones.clone() };
    assert_eq!(world.store.delete_tenant(ending.clone()).await, Ok(true));
    assert_eq!(world.store.tenants().await.unwrap(), [other]);
    assert_eq!(world.store.api_keys().await.unwrap(), keys[1..]);
    let left = world.store.webhooks(None, 1_000).await.unwrap();
    assert_eq!(left, [&tombstones[0], &tombstones[1], &three].map(Webhook::clone));
    let healths = world.store.healths(None, 1_000).await.unwrap();
    assert_eq!(healths, [(three.key, Health::default())]);
    assert_eq!(world.store.delete_tenant(ending).await, Ok(false), "there is none any more");
}

pub(crate) async fn the_name_of_a_deleted_tenant_is_free(mut world: World) {
    let first = tenant(&mut world, "acme");
    world.store.insert_tenant(first.clone()).await.unwrap();
    let ending = TenantEnding { tenant: first.key, at: world.now, tombstones: Vec::new() };
    assert_eq!(world.store.delete_tenant(ending).await, Ok(true));
    let second = tenant(&mut world, "acme");
    world.store.insert_tenant(second.clone()).await.unwrap();
    assert_eq!(world.store.tenants().await.unwrap(), [second]);
}

pub(crate) async fn a_tenant_whose_webhook_was_changed_meanwhile_is_not_deleted(mut world: World) {
    let first = tenant(&mut world, "acme");
    let mut key = api_key(&mut world, Scope::Read);
    key.tenant = Some(first.key);
    let webhooks = [world.webhook(first.key), world.webhook(first.key)];
    world.store.insert_tenant(first.clone()).await.unwrap();
    world.store.insert_api_key(key.clone()).await.unwrap();
    for webhook in &webhooks {
        world.store.insert_webhook(webhook.clone()).await.unwrap();
    }
    let [good, mut late] = webhooks.each_ref().map(tombstone);
    late.version += 1;
    let ending = TenantEnding { tenant: first.key, at: world.now, tombstones: vec![good, late] };
    let refused = world.store.delete_tenant(ending).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.store.tenants().await.unwrap(), [first]);
    assert_eq!(world.store.api_keys().await.unwrap(), [key]);
    assert_eq!(world.store.webhooks(None, 1_000).await.unwrap(), webhooks);
}
