use std::sync::Arc;

use postrider_core::delivery::{Standing, Verdict};
use postrider_core::event::Event;
use postrider_core::id::{EventKey, HistoryKey, WebhookKey};
use postrider_store::{Recorded, Tenant};

use crate::World;
use crate::world::{BUCKET_MS, delivery, first_waiting, keys_of};

/// Enough to leave some rows of a bucket indexed and some not, in several buckets.
const MANY: usize = 23;

fn newest_first(events: &[Event]) -> Vec<EventKey> {
    events.iter().rev().map(|event| event.key).collect()
}

pub(crate) async fn events_of_a_tenant_come_newest_first_in_pages(mut world: World) {
    let (ours, theirs) = (world.key(), world.key());
    let matching = world.matching(&[]);
    let mut events = Vec::new();
    for _ in 0..MANY {
        events.push(world.publish_as(ours, &matching).await);
        world.publish_as(theirs, &matching).await;
        world.pass(BUCKET_MS / 7);
    }
    let all = world.store.events(ours, None, 1_000).await.unwrap();
    assert_eq!(keys_of(&all), newest_first(&events));
    for limit in [1, 2, 3, 5] {
        let mut found: Vec<Arc<Event>> = Vec::new();
        loop {
            let before = found.last().map(|event| event.key);
            let page = world.store.events(ours, before, limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit);
            found.extend(page);
        }
        assert_eq!(keys_of(&found), newest_first(&events), "{limit}");
    }
    assert_eq!(world.store.events(ours, None, 0).await.unwrap(), []);
}

pub(crate) async fn tenants_see_their_own_events_only(mut world: World) {
    let (ours, stranger) = (world.key(), world.key());
    let matching = world.matching(&[]);
    let event = world.publish_as(ours, &matching).await;
    assert_eq!(world.store.events(stranger, None, 9).await.unwrap(), []);
    let found = world.store.event(stranger, &event.id()).await.unwrap();
    assert_eq!(found, None);
}

pub(crate) async fn events_committed_late_are_listed(mut world: World) {
    let tenant = world.key();
    let matching = world.matching(&[]);
    // made first, committed when all after it are indexed
    let late = world.event(tenant, &matching);
    let mut events = vec![late.clone()];
    for _ in 0..7 {
        events.push(world.publish_as(tenant, &matching).await);
    }
    world.accept(&[&late], &matching).await;
    let found = world.store.events(tenant, None, 99).await.unwrap();
    assert_eq!(keys_of(&found), newest_first(&events));
}

pub(crate) async fn deliveries_of_an_event_come_in_pages(mut world: World) {
    let all: [WebhookKey; 7] = world.webhook_keys();
    let event = world.publish(&all).await;
    let mut expected = [Standing::accepted(event.accepted_at()); 7];
    for at in [1, 2, 3, 6] {
        let record = world.attempt_first(&event, all[at], Verdict::Success).await;
        expected[at] = record.entry.standing;
        world.pass(BUCKET_MS / 2);
    }
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|(webhook, _)| *webhook);
        let page = world.store.deliveries_of_event(event.key, after, 3).await;
        let page = page.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.iter().all(|d| d.delivery.event == event.key));
        found.extend(page.iter().map(|d| (d.delivery.webhook, d.standing)));
    }
    let expected: Vec<_> = all.into_iter().zip(expected).collect();
    assert_eq!(found, expected);
}

pub(crate) async fn a_delivery_is_known_only_in_its_fan_out(mut world: World) {
    let [webhook, stranger] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let mut unknown = event.clone();
    unknown.key = world.key();
    let known = world.store.delivery(delivery(&event, webhook)).await;
    assert!(known.unwrap().is_some());
    for name in [delivery(&event, stranger), delivery(&unknown, webhook)] {
        assert_eq!(world.store.delivery(name).await.unwrap(), None);
    }
    let none = world.store.deliveries_of_event(unknown.key, None, 9).await;
    assert_eq!(none.unwrap(), []);
}

pub(crate) async fn history_is_told_oldest_first_across_buckets(mut world: World) {
    let [webhook, other] = world.webhook_keys();
    let event = world.publish(&[webhook, other]).await;
    let mut expected = Vec::new();
    let mut waiting = first_waiting(&event);
    for _ in 0..9 {
        let verdict = world.fails_until(BUCKET_MS / 3);
        let record = world.attempt(delivery(&event, webhook), waiting, verdict);
        let Standing::Pending(next) = record.entry.standing else {
            panic!("it goes on");
        };
        waiting = next;
        expected.push(record.entry.clone());
        let done = world.commit(vec![], vec![record]).await;
        assert_eq!(done.records, [Recorded::Done]);
        assert_eq!(world.standing(&event, webhook).await, Standing::Pending(waiting));
        world.pass(BUCKET_MS / 3);
    }
    let history = world.store.history(delivery(&event, webhook)).await;
    assert_eq!(history.unwrap(), expected);
    let history = world.store.history(delivery(&event, other)).await;
    assert_eq!(history.unwrap(), []);
}

pub(crate) async fn history_of_a_webhook_comes_newest_first_in_pages(mut world: World) {
    let [webhook, other] = world.webhook_keys();
    let mut expected: Vec<HistoryKey> = Vec::new();
    for _ in 0..MANY {
        let event = world.publish(&[webhook, other]).await;
        let record = world.attempt_first(&event, webhook, Verdict::Success).await;
        world.attempt_first(&event, other, Verdict::Permanent).await;
        expected.insert(0, record.entry.key);
        world.pass(BUCKET_MS / 7);
    }
    for limit in [1, 2, 5, 99] {
        let mut found: Vec<HistoryKey> = Vec::new();
        loop {
            let before = found.last().copied();
            let page = world.store.history_of_webhook(webhook, before, limit).await;
            let page = page.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit);
            assert!(page.iter().all(|entry| entry.delivery.webhook == webhook));
            found.extend(page.iter().map(|entry| entry.key));
        }
        assert_eq!(found, expected, "{limit}");
    }
}

pub(crate) async fn history_committed_late_is_listed(mut world: World) {
    let [webhook] = world.webhook_keys();
    let mut events = Vec::new();
    for _ in 0..7 {
        events.push(world.publish(&[webhook]).await);
    }
    let late = delivery(&events[0], webhook);
    let late = world.attempt(late, first_waiting(&events[0]), Verdict::Success);
    let mut expected = vec![late.entry.key];
    for event in &events[1..] {
        let record = world.attempt_first(event, webhook, Verdict::Success).await;
        expected.insert(0, record.entry.key);
    }
    world.commit(vec![], vec![late.clone()]).await;
    let page = world.store.history_of_webhook(webhook, None, 99).await;
    let found: Vec<HistoryKey> = page.unwrap().iter().map(|entry| entry.key).collect();
    assert_eq!(found, expected);
    let history = world.store.history(late.entry.delivery).await.unwrap();
    let standing = world.standing(&events[0], webhook).await;
    assert_eq!(standing, late.entry.standing);
    assert_eq!(history, [late.entry]);
}

pub(crate) async fn the_newest_key_is_found_wherever_it_is(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    assert_eq!(world.store.newest_key_ms().await, Ok(world.now));
    world.pass(3 * BUCKET_MS);
    world.attempt_first(&event, webhook, Verdict::Success).await;
    assert_eq!(world.store.newest_key_ms().await, Ok(world.now));
    world.pass(7);
    let tenant = world.key();
    let webhook = world.webhook(tenant);
    world.store.insert_webhook(webhook).await.unwrap();
    assert_eq!(world.store.newest_key_ms().await, Ok(world.now));
    world.pass(7);
    let tenant = Tenant { key: world.key(), name: "acme".to_owned(), created_at: 0 };
    world.store.insert_tenant(tenant).await.unwrap();
    assert_eq!(world.store.newest_key_ms().await, Ok(world.now));
}
