use std::sync::Arc;

use postrider_core::delivery::{Standing, Verdict};
use postrider_core::event::Event;
use postrider_core::id::WebhookKey;
use postrider_core::webhook::WebhookState;
use postrider_store::{Accepted, RetryRequest, Swept};

use crate::World;
use crate::world::{BUCKET_MS, delivery, first_waiting, keys_of};

async fn is_there(world: &World, event: &Event) -> bool {
    let found = world.store.event_by_key(event.key).await.unwrap();
    found.is_some()
}

pub(crate) async fn old_buckets_are_dropped_whole(mut world: World) {
    let [webhook] = world.webhook_keys();
    let tenant = world.key();
    let matching = world.matching(&[webhook]);
    let mut events = Vec::new();
    for _ in 0..4 {
        let event = world.publish_as(tenant, &matching).await;
        world.attempt_first(&event, webhook, Verdict::Success).await;
        events.push(event);
        world.pass(BUCKET_MS);
    }
    let before = world.store.counts().await.unwrap();
    // within the third bucket: it has not ended
    world.sweep(events[2].accepted_at()).await;
    let found = world.store.events(tenant, None, 9).await.unwrap();
    assert_eq!(keys_of(&found), [events[3].key, events[2].key]);
    for (at, event) in events.iter().enumerate() {
        let is_kept = at >= 2;
        assert_eq!(is_there(&world, event).await, is_kept);
        let history = world.store.history(delivery(event, webhook)).await;
        assert_eq!(history.unwrap().len(), usize::from(is_kept));
        let found = world.store.delivery(delivery(event, webhook)).await;
        assert_eq!(found.unwrap().is_some(), is_kept);
    }
    assert!(world.store.matching(matching.key).await.unwrap().is_some());
    let history = world.store.history_of_webhook(webhook, None, 9).await;
    assert_eq!(history.unwrap().len(), 2);
    assert_eq!(world.store.counts().await.unwrap(), before);

    world.sweep(world.now + BUCKET_MS).await;
    assert_eq!(world.store.events(tenant, None, 9).await.unwrap(), []);
    assert_eq!(world.store.matching(matching.key).await.unwrap(), None);
    assert_eq!(world.store.counts().await.unwrap(), before);
}

/// One event long ago that is still pending for the first of two webhooks.
async fn long_pending(world: &mut World) -> (Event, [WebhookKey; 2]) {
    let both: [WebhookKey; 2] = world.webhook_keys();
    let tenant = world.key();
    let matching = world.matching(&both);
    let mut event = world.event(tenant, &matching);
    event.given_id = Some("mine".into());
    world.accept(&[&event], &matching).await;
    world.attempt_first(&event, both[1], Verdict::Success).await;
    world.pass(25 * BUCKET_MS);
    world.sweep(world.now).await;
    (event, both)
}

pub(crate) async fn what_is_pending_keeps_its_event_and_its_explanation(mut world: World) {
    let (event, [webhook, _]) = long_pending(&mut world).await;
    assert!(is_there(&world, &event).await);
    let found = world.store.events(event.tenant, None, 9).await.unwrap();
    assert_eq!(keys_of(&found), [event.key]);
    let explained = world.store.matching(event.matching).await.unwrap();
    assert_eq!(explained.unwrap().matched.len(), 2);
    assert_eq!(world.pending(webhook).await, [event.key]);
    let standing = world.standing(&event, webhook).await;
    assert_eq!(standing, Standing::accepted(event.accepted_at()));
}

pub(crate) async fn what_is_pending_keeps_its_id(mut world: World) {
    let (event, _) = long_pending(&mut world).await;
    let found = world.store.event(event.tenant, "mine").await.unwrap();
    assert_eq!(found.as_deref(), Some(&event));
    let matching = world.store.matching(event.matching).await.unwrap().unwrap();
    let repeat = Event { key: world.key(), ..event.clone() };
    let answer = world.accept(&[&repeat], &matching).await;
    let first = Arc::new(event.clone());
    assert_eq!(answer, [Accepted::Repeat { first, matched: 2 }]);
    let answer = world.accept(&[&event], &matching).await;
    let first = Arc::new(event.clone());
    assert_eq!(answer, [Accepted::Repeat { first, matched: 2 }]);
}

pub(crate) async fn a_kept_event_goes_once_nothing_is_pending(mut world: World) {
    let (event, [webhook, _]) = long_pending(&mut world).await;
    let verdict = world.fails_until(BUCKET_MS);
    world.attempt_first(&event, webhook, verdict).await;
    world.sweep(world.now).await;
    assert!(is_there(&world, &event).await);

    let Standing::Pending(waiting) = world.standing(&event, webhook).await else {
        panic!("it is pending");
    };
    let record = world.attempt(delivery(&event, webhook), waiting, Verdict::Success);
    world.commit(vec![], vec![record]).await;
    assert!(is_there(&world, &event).await);
    world.sweep(world.now).await;
    assert!(!is_there(&world, &event).await);
    assert_eq!(world.store.matching(event.matching).await.unwrap(), None);
    // what happened lately is told as long as all that happened then
    let history = world.store.history_of_webhook(webhook, None, 9).await;
    assert_eq!(history.unwrap().len(), 2);
    world.check_counts().await;
}

pub(crate) async fn a_finished_delivery_of_a_kept_event_still_stands_as_it_did(mut world: World) {
    let (event, [_, finished]) = long_pending(&mut world).await;
    let history = world.store.history(delivery(&event, finished)).await;
    assert_eq!(history.unwrap(), []);
    let standing = world.standing(&event, finished).await;
    assert!(standing.state().is_final());
    assert_eq!(standing.progress().attempts, 1);
    let all = world.store.deliveries_of_event(event.key, None, 9).await;
    assert_eq!(all.unwrap().len(), 2);
}

pub(crate) async fn a_kept_event_can_be_retried_and_is_kept_again(mut world: World) {
    let (event, [webhook, finished]) = long_pending(&mut world).await;
    let request =
        RetryRequest { delivery: delivery(&event, finished), at: world.now, key: world.key() };
    let asked = world.store.request_retry(request).await.unwrap();
    assert!(asked.is_some());
    world.attempt_first(&event, webhook, Verdict::Success).await;
    // the request itself is dropped, how the delivery stands since is not
    world.pass(5 * BUCKET_MS);
    world.sweep(world.now).await;
    assert!(is_there(&world, &event).await);
    let standing = world.standing(&event, finished).await;
    assert_eq!(Some(standing), asked.map(|asked| asked.standing));
    world.check_counts().await;
}

pub(crate) async fn an_id_is_free_again_when_its_event_is_gone(mut world: World) {
    let tenant = world.key();
    let matching = world.matching(&[]);
    let mut first = world.event(tenant, &matching);
    first.given_id = Some("mine".into());
    world.accept(&[&first], &matching).await;
    world.pass(2 * BUCKET_MS);
    world.sweep(world.now).await;
    assert_eq!(world.store.event(tenant, "mine").await.unwrap(), None);
    let second = Event { key: world.key(), ..first };
    let answer = world.accept(&[&second], &matching).await;
    assert_eq!(answer, [Accepted::New]);
    let found = world.store.event(tenant, "mine").await.unwrap();
    assert_eq!(found.as_deref(), Some(&second));
}

pub(crate) async fn an_id_that_we_made_is_taken_until_its_event_is_gone(mut world: World) {
    let [webhook] = world.webhook_keys();
    let tenant = world.key();
    let matching = world.matching(&[webhook]);
    let first = world.publish_as(tenant, &matching).await;
    world.pass(2 * BUCKET_MS);
    world.sweep(world.now).await;
    // kept, as a delivery of it is pending
    let mut second = world.event(tenant, &matching);
    second.given_id = Some(first.id().into());
    let answer = world.accept(&[&second], &matching).await;
    assert_eq!(answer, [Accepted::IdConflict]);
    world.attempt_first(&first, webhook, Verdict::Success).await;
    world.pass(2 * BUCKET_MS);
    world.sweep(world.now).await;
    let second = Event { key: world.key(), ..second };
    let answer = world.accept(&[&second], &matching).await;
    assert_eq!(answer, [Accepted::New]);
    let found = world.store.event(tenant, &first.id()).await.unwrap();
    assert_eq!(found.as_deref(), Some(&second));
}

pub(crate) async fn a_late_event_can_bring_its_bucket_back(mut world: World) {
    let [webhook] = world.webhook_keys();
    let tenant = world.key();
    let matching = world.matching(&[webhook]);
    let late = world.event(tenant, &matching);
    let kept = world.publish_as(tenant, &matching).await;
    world.pass(5 * BUCKET_MS);
    world.sweep(world.now).await;
    let answer = world.accept(&[&late], &matching).await;
    assert_eq!(answer, [Accepted::New]);
    assert_eq!(world.pending(webhook).await, [late.key, kept.key]);
    world.sweep(world.now).await;
    let found = world.store.events(tenant, None, 9).await.unwrap();
    assert_eq!(keys_of(&found), [kept.key, late.key]);
    for event in [&kept, &late] {
        let name = delivery(event, webhook);
        let record = world.attempt(name, first_waiting(event), Verdict::Success);
        world.commit(vec![], vec![record]).await;
    }
    world.sweep(world.now).await;
    assert_eq!(world.store.events(tenant, None, 9).await.unwrap(), []);
}

pub(crate) async fn old_tombstones_go_when_nothing_is_pending(mut world: World) {
    let tenant = world.key();
    let [mut idle, mut busy, living] = [(); 3].map(|()| world.webhook(tenant));
    idle.state = WebhookState::Deleted;
    busy.state = WebhookState::Deleted;
    for webhook in [&idle, &busy, &living] {
        world.store.insert_webhook(webhook.clone()).await.unwrap();
    }
    let event = world.publish(&[busy.key]).await;
    world.sweep(world.now).await;
    assert_eq!(world.store.webhooks(None, 9).await.unwrap().len(), 3);
    world.pass(1);
    world.sweep(world.now).await;
    let left = world.store.webhooks(None, 9).await.unwrap();
    assert_eq!(left, [busy.clone(), living.clone()]);
    world.attempt_first(&event, busy.key, Verdict::Success).await;
    world.sweep(world.now).await;
    let left = world.store.webhooks(None, 9).await.unwrap();
    assert_eq!(left, [living]);
}

pub(crate) async fn sweeping_an_empty_store_does_nothing(world: World) {
    let swept = world.store.sweep(world.now).await.unwrap();
    assert_eq!(swept, Swept::default());
}
