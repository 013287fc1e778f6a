use std::sync::Arc;

use postrider_core::event::Event;
use postrider_core::id::WebhookKey;
use postrider_core::matching::{Matching, Reason, Unmatched, UnmatchedCounts};
use postrider_store::{Accepted, Batch, Committed, Counts, DuePage};

use crate::World;
use crate::world::{BUCKET_MS, accept, due_query};

/// An event with an id of its publisher's, and a fan-out of one.
fn named(world: &mut World, id: &str) -> (Event, Arc<Matching>) {
    let [webhook] = world.webhook_keys();
    let matching = world.matching(&[webhook]);
    let tenant = world.key();
    let mut event = world.event(tenant, &matching);
    event.given_id = Some(id.into());
    (event, matching)
}

/// The same event as published once more: only its key is new.
fn again(world: &mut World, event: &Event) -> Event {
    let key = world.key();
    Event { key, ..event.clone() }
}

async fn find(world: &World, event: &Event, id: &str) -> Option<Event> {
    let found = world.store.event(event.tenant, id).await.unwrap();
    found.map(|event| (*event).clone())
}

pub(crate) async fn an_accepted_event_is_found_as_it_was_given(mut world: World) {
    let (named, matching) = named(&mut world, "mine");
    let plain = world.event(named.tenant, &matching);
    world.accept(&[&named, &plain], &matching).await;
    assert_eq!(find(&world, &named, "mine").await, Some(named.clone()));
    assert_eq!(find(&world, &plain, &plain.id()).await, Some(plain.clone()));
    let by_key = world.store.event_by_key(plain.key).await.unwrap();
    assert_eq!(by_key.as_deref(), Some(&plain));
    assert_eq!(find(&world, &plain, "other").await, None);
}

pub(crate) async fn an_event_that_nobody_wants_is_stored(mut world: World) {
    let [webhook] = world.webhook_keys();
    let key = world.key();
    let matching = Arc::new(Matching {
        key,
        matched: vec![],
        unmatched: Unmatched::Named(vec![(webhook, Reason::TypeNotWanted)]),
    });
    let tenant = world.key();
    let event = world.publish_as(tenant, &matching).await;
    assert_eq!(find(&world, &event, &event.id()).await, Some(event.clone()));
    let explained = world.store.matching(event.matching).await.unwrap();
    assert_eq!(explained.as_deref(), Some(&*matching));
    let deliveries = world.store.deliveries_of_event(event.key, None, 9).await;
    assert_eq!(deliveries.unwrap(), []);
    let counts = world.store.counts().await.unwrap();
    let expected = Counts { events: 1, ..Counts::default() };
    assert_eq!(counts, expected);
}

pub(crate) async fn an_empty_batch_answers_empty(world: World) {
    let committed = world.store.commit(&Batch::default()).await.unwrap();
    assert_eq!(committed, Committed::default());
}

pub(crate) async fn an_empty_store_answers_empty(mut world: World) {
    let store = Arc::clone(&world.store);
    let webhook: WebhookKey = world.key();
    assert_eq!(store.events(world.key(), None, 9).await.unwrap(), []);
    assert_eq!(store.event_by_key(world.key()).await.unwrap(), None);
    assert_eq!(store.matching(world.key()).await.unwrap(), None);
    let due = store.due(due_query(webhook, i64::MAX, 9)).await.unwrap();
    assert_eq!(due, DuePage::default());
    assert_eq!(store.lanes(None, 9).await.unwrap(), []);
    let history = store.history_of_webhook(webhook, None, 9).await.unwrap();
    assert_eq!(history, []);
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    assert_eq!(store.newest_key_ms().await.unwrap(), 0);
}

pub(crate) async fn the_same_id_and_content_is_a_repeat_of_the_first(mut world: World) {
    let (event, matching) = named(&mut world, "mine");
    world.accept(&[&event], &matching).await;
    let repeat = again(&mut world, &event);
    // webhooks may have changed meanwhile: the first fan-out counts
    let wider: [WebhookKey; 3] = world.webhook_keys();
    let wider = world.matching(&wider);
    let answer = world.accept(&[&repeat], &wider).await;
    let first = Arc::new(event.clone());
    assert_eq!(answer, [Accepted::Repeat { first, matched: 1 }]);
    assert_eq!(world.store.event_by_key(repeat.key).await.unwrap(), None);
    assert_eq!(world.store.counts().await.unwrap().deliveries_created, 1);
}

pub(crate) async fn the_same_id_with_other_content_conflicts_and_stores_nothing(mut world: World) {
    let (event, matching) = named(&mut world, "mine");
    world.accept(&[&event], &matching).await;
    let other = again(&mut world, &event);
    let committed = world.commit(vec![accept(&other, &matching, 2)], vec![]).await;
    assert_eq!(committed.accepts, [Accepted::IdConflict]);
    assert_eq!(world.store.event_by_key(other.key).await.unwrap(), None);
    assert_eq!(find(&world, &event, "mine").await, Some(event.clone()));
    assert_eq!(world.store.counts().await.unwrap().events, 1);
}

pub(crate) async fn a_repeat_in_the_same_batch_is_one(mut world: World) {
    let (event, matching) = named(&mut world, "mine");
    let repeat = again(&mut world, &event);
    let answers = world.accept(&[&event, &repeat], &matching).await;
    let first = Arc::new(event);
    assert_eq!(answers, [Accepted::New, Accepted::Repeat { first, matched: 1 }]);
}

pub(crate) async fn a_conflict_in_the_same_batch_is_one(mut world: World) {
    let (event, matching) = named(&mut world, "mine");
    let other = again(&mut world, &event);
    let plain = world.event(event.tenant, &matching);
    let accepts = vec![
        accept(&event, &matching, 1),
        accept(&other, &matching, 2),
        accept(&plain, &matching, 3),
    ];
    let committed = world.commit(accepts, vec![]).await;
    assert_eq!(committed.accepts, [Accepted::New, Accepted::IdConflict, Accepted::New]);
}

pub(crate) async fn the_same_key_again_is_a_repeat(mut world: World) {
    let [webhook] = world.webhook_keys();
    let matching = world.matching(&[webhook]);
    let tenant = world.key();
    let event = world.publish_as(tenant, &matching).await;
    let answer = world.accept(&[&event], &matching).await;
    let first = Arc::new(event);
    assert_eq!(answer, [Accepted::Repeat { first, matched: 1 }]);
    assert_eq!(world.store.counts().await.unwrap().events, 1);
    assert_eq!(world.pending(webhook).await.len(), 1);
}

pub(crate) async fn an_id_belongs_to_its_tenant(mut world: World) {
    let (ours, matching) = named(&mut world, "mine");
    let mut theirs = again(&mut world, &ours);
    theirs.tenant = world.key();
    let accepts = vec![accept(&ours, &matching, 1), accept(&theirs, &matching, 2)];
    let committed = world.commit(accepts, vec![]).await;
    assert_eq!(committed.accepts, [Accepted::New, Accepted::New]);
    assert_eq!(find(&world, &ours, "mine").await, Some(ours.clone()));
    assert_eq!(find(&world, &theirs, "mine").await, Some(theirs.clone()));
    let plain = world.event(ours.tenant, &matching);
    world.accept(&[&plain], &matching).await;
    assert_eq!(find(&world, &theirs, &plain.id()).await, None);
}

pub(crate) async fn an_id_is_unique_across_buckets(mut world: World) {
    let (event, matching) = named(&mut world, "mine");
    world.accept(&[&event], &matching).await;
    for _ in 0..3 {
        world.pass(7 * BUCKET_MS);
        let repeat = again(&mut world, &event);
        let answer = world.accept(&[&repeat], &matching).await;
        let first = Arc::new(event.clone());
        assert_eq!(answer, [Accepted::Repeat { first, matched: 1 }]);
    }
}

pub(crate) async fn an_id_that_looks_like_a_key_finds_its_own_event(mut world: World) {
    let (mut event, matching) = named(&mut world, "mine");
    let absent = world.event(event.tenant, &matching);
    event.given_id = Some(absent.id().into());
    world.accept(&[&event], &matching).await;
    assert_eq!(find(&world, &event, &absent.id()).await, Some(event));
}

/// An accepted event without a given id, and another whose given id is the id that we made.
async fn given_back(world: &mut World) -> (Event, Event, Arc<Matching>) {
    let [webhook] = world.webhook_keys();
    let matching = world.matching(&[webhook]);
    let tenant = world.key();
    let first = world.publish_as(tenant, &matching).await;
    let mut other = world.event(tenant, &matching);
    other.given_id = Some(first.id().into());
    (first, other, matching)
}

pub(crate) async fn an_id_that_we_made_with_the_same_body_is_a_repeat(mut world: World) {
    let (first, mut other, matching) = given_back(&mut world).await;
    other.bodies.verbatim = first.bodies.verbatim.clone();
    // webhooks may have changed meanwhile: the first fan-out counts
    let wider: [WebhookKey; 3] = world.webhook_keys();
    let wider = world.matching(&wider);
    // nor does it matter in which bucket it is said
    for _ in 0..2 {
        let repeat = Event { key: world.key(), matching: wider.key, ..other.clone() };
        let answer = world.commit(vec![accept(&repeat, &wider, 7)], vec![]).await.accepts;
        let first = Arc::new(first.clone());
        assert_eq!(answer, [Accepted::Repeat { first, matched: 1 }]);
        assert_eq!(world.store.event_by_key(repeat.key).await.unwrap(), None);
        world.pass(3 * BUCKET_MS);
    }
    let counts = world.store.counts().await.unwrap();
    assert_eq!((counts.events, counts.deliveries_created), (1, 1));
    // in one batch as well
    let plain = world.event(first.tenant, &matching);
    let mut repeat = again(&mut world, &plain);
    repeat.given_id = Some(plain.id().into());
    let answers = world.accept(&[&plain, &repeat], &matching).await;
    let first = Arc::new(plain);
    assert_eq!(answers, [Accepted::New, Accepted::Repeat { first, matched: 1 }]);
}

pub(crate) async fn an_id_that_we_made_with_another_body_conflicts(mut world: World) {
    let (first, other, matching) = given_back(&mut world).await;
    let answer = world.accept(&[&other], &matching).await;
    assert_eq!(answer, [Accepted::IdConflict]);
    assert_eq!(world.store.event_by_key(other.key).await.unwrap(), None);
    assert_eq!(find(&world, &first, &first.id()).await, Some(first.clone()));
    let counts = world.store.counts().await.unwrap();
    assert_eq!((counts.events, counts.deliveries_created), (1, 1));
}

pub(crate) async fn an_id_that_we_made_is_like_any_other_in_another_tenant(mut world: World) {
    let (first, mut other, matching) = given_back(&mut world).await;
    other.tenant = world.key();
    other.bodies = first.bodies.clone();
    let answer = world.accept(&[&other], &matching).await;
    assert_eq!(answer, [Accepted::New]);
    for event in [first, other] {
        assert_eq!(find(&world, &event, &event.id()).await, Some(event.clone()));
    }
}

pub(crate) async fn the_key_text_of_an_event_with_a_given_id_can_be_given(mut world: World) {
    let (event, matching) = named(&mut world, "mine");
    world.accept(&[&event], &matching).await;
    let mut other = again(&mut world, &event);
    other.given_id = Some(event.key.to_string().into());
    let answer = world.accept(&[&other], &matching).await;
    assert_eq!(answer, [Accepted::New]);
    assert_eq!(find(&world, &other, &other.id()).await, Some(other.clone()));
}

pub(crate) async fn a_given_id_that_we_make_later_still_repeats_its_own_event(mut world: World) {
    let (mut event, matching) = named(&mut world, "mine");
    let made = world.event(event.tenant, &matching);
    event.given_id = Some(made.id().into());
    let repeat = again(&mut world, &event);
    let answers = world.accept(&[&event, &made, &repeat], &matching).await;
    let first = Arc::new(event);
    let repeat = Accepted::Repeat { first, matched: 1 };
    assert_eq!(answers, [Accepted::New, Accepted::New, repeat]);
}

pub(crate) async fn an_event_with_a_given_id_is_not_found_by_its_key_text(mut world: World) {
    let (event, matching) = named(&mut world, "mine");
    world.accept(&[&event], &matching).await;
    assert_eq!(find(&world, &event, &event.key.to_string()).await, None);
}

pub(crate) async fn an_event_is_found_by_key_in_whichever_tenant(mut world: World) {
    let matching = world.matching(&[]);
    for _ in 0..2 {
        let tenant = world.key();
        let event = world.publish_as(tenant, &matching).await;
        let found = world.store.event_by_key(event.key).await.unwrap();
        assert_eq!(found.as_deref(), Some(&event));
    }
}

pub(crate) async fn one_batch_may_span_buckets(mut world: World) {
    let [webhook] = world.webhook_keys();
    let matching = world.matching(&[webhook]);
    let tenant = world.key();
    let mut events = Vec::new();
    for _ in 0..5 {
        events.push(world.event(tenant, &matching));
        world.pass(BUCKET_MS);
    }
    let answers = world.accept(&events.iter().collect::<Vec<_>>(), &matching).await;
    assert_eq!(answers, vec![Accepted::New; 5]);
    for event in &events {
        let found = world.store.event_by_key(event.key).await.unwrap();
        assert_eq!(found.as_deref(), Some(event));
    }
    assert_eq!(world.pending(webhook).await.len(), 5);
}

pub(crate) async fn a_matching_is_stored_with_the_first_event_that_names_it(mut world: World) {
    let keys: [WebhookKey; 3] = world.webhook_keys();
    let matching = world.matching(&keys);
    assert_eq!(world.store.matching(matching.key).await.unwrap(), None);
    let tenant = world.key();
    // named by events of several buckets, long after it was made
    for _ in 0..3 {
        world.pass(4 * BUCKET_MS);
        world.publish_as(tenant, &matching).await;
        let found = world.store.matching(matching.key).await.unwrap();
        assert_eq!(found.as_deref(), Some(&*matching));
    }
}

pub(crate) async fn a_matching_that_counts_survives(mut world: World) {
    let key = world.key();
    let matching = Arc::new(Matching {
        key,
        matched: vec![],
        unmatched: Unmatched::Counted(UnmatchedCounts {
            disabled: 1,
            type_not_wanted: 1_000_000,
            deleted: 3,
            filter_said_no: 4,
            filter_failed: 5,
        }),
    });
    let tenant = world.key();
    world.publish_as(tenant, &matching).await;
    let found = world.store.matching(matching.key).await.unwrap();
    assert_eq!(found.as_deref(), Some(&*matching));
}
