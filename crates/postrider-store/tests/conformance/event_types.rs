use postrider_core::catalogue::{CatalogueEntry, Validation};
use postrider_core::id::{Key, TenantKey};
use postrider_signature::NumberPolicy;
use postrider_store::{StoreError, Tenant, TenantEnding};

use crate::World;

fn entry(world: &World, tenant: TenantKey, name: &str) -> CatalogueEntry {
    CatalogueEntry {
        tenant,
        name: name.parse().unwrap(),
        version: 1,
        description: Some("an é".to_owned()),
        schema: Some(r#"{"type":"object"}"#.to_owned()),
        example: None,
        validation: Validation::Warn,
        large_integers: NumberPolicy::Stringify,
        archived_at: None,
        created_at: world.now,
        updated_at: world.now,
    }
}

fn conflicts(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

pub(crate) async fn an_event_type_is_listed_as_it_was_given(world: World) {
    let first = entry(&world, TenantKey::from_raw(1), "a.b");
    world.store.put_event_type(first.clone()).await.unwrap();
    world.store.put_event_type(first.clone()).await.unwrap();
    assert_eq!(world.store.event_types(None, 10).await.unwrap(), [first]);
}

pub(crate) async fn a_changed_event_type_replaces_the_version_before_it(world: World) {
    let first = entry(&world, TenantKey::from_raw(1), "a.b");
    world.store.put_event_type(first.clone()).await.unwrap();
    let second = CatalogueEntry {
        version: 2,
        archived_at: Some(world.now),
        validation: Validation::Reject,
        large_integers: NumberPolicy::Round,
        schema: None,
        ..first.clone()
    };
    world.store.put_event_type(second.clone()).await.unwrap();
    assert!(conflicts(&world.store.put_event_type(first).await), "an old version");
    let skipping = CatalogueEntry { version: 4, ..second.clone() };
    assert!(conflicts(&world.store.put_event_type(skipping).await));
    let other = CatalogueEntry { description: None, ..second.clone() };
    assert!(conflicts(&world.store.put_event_type(other).await), "other content");
    assert_eq!(world.store.event_types(None, 10).await.unwrap(), [second]);
}

pub(crate) async fn an_event_type_begins_at_version_1(world: World) {
    let late = CatalogueEntry { version: 2, ..entry(&world, TenantKey::from_raw(1), "a.b") };
    assert!(conflicts(&world.store.put_event_type(late).await));
    assert_eq!(world.store.event_types(None, 10).await.unwrap(), []);
}

pub(crate) async fn event_types_come_in_pages_by_tenant_and_name(world: World) {
    let [one, two] = [1, 2].map(TenantKey::from_raw);
    // by bytes: capitals first, and a dot before letters
    let sorted = [(one, "Z"), (one, "a"), (one, "a.b"), (one, "aa"), (two, "a")];
    for (tenant, name) in [sorted[3], sorted[0], sorted[4], sorted[2], sorted[1]] {
        world.store.put_event_type(entry(&world, tenant, name)).await.unwrap();
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = world.store.event_types(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.tenant, last.name.clone()));
        found.extend(page.into_iter().map(|entry| (entry.tenant, entry.name.to_string())));
    }
    assert_eq!(found, sorted.map(|(tenant, name)| (tenant, name.to_owned())));
}

pub(crate) async fn a_deleted_tenant_takes_its_event_types_along(mut world: World) {
    let (key, other): (TenantKey, TenantKey) = (world.key(), world.key());
    let tenant = Tenant { key, name: "acme".to_owned(), created_at: world.now };
    world.store.insert_tenant(tenant).await.unwrap();
    for tenant in [key, other] {
        world.store.put_event_type(entry(&world, tenant, "a.b")).await.unwrap();
    }
    let ending = TenantEnding { tenant: key, at: world.now, tombstones: Vec::new() };
    assert_eq!(world.store.delete_tenant(ending).await, Ok(true));
    let left = world.store.event_types(None, 10).await.unwrap();
    assert_eq!(left, [entry(&world, other, "a.b")]);
}
