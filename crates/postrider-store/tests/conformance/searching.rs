use postrider_core::delivery::{
    Answer, AttemptResult, CancelReason, DeliveryState, ErrorClass, Happening, Standing, Verdict,
};
use postrider_core::event::{Event, test_id};
use postrider_core::event_type::Patterns;
use postrider_core::id::{DeliveryKey, EventKey, TenantKey, WebhookKey};
use postrider_store::{
    Cancelling, DeliveryFilter, DeliverySearch, EventSearch, FoundDelivery, LOOKS_MAX, Order,
    StatusClass,
};

use crate::World;
use crate::world::{BUCKET_MS, accept, delivery, first_waiting, keys_of};

/// Enough to leave some rows of a bucket indexed and some not, in several buckets.
const MANY: usize = 23;

pub(crate) fn events_of(tenant: TenantKey, limit: usize) -> EventSearch {
    EventSearch {
        tenant,
        types: None,
        id_prefix: String::new(),
        after: None,
        before: None,
        beyond: None,
        limit,
    }
}

pub(crate) fn deliveries_of(tenant: TenantKey, limit: usize) -> DeliverySearch {
    DeliverySearch {
        tenant,
        filter: DeliveryFilter::all(),
        with_missed: false,
        order: Order::NewestFirst,
        beyond: None,
        limit,
    }
}

async fn all_events(world: &World, mut search: EventSearch) -> Vec<EventKey> {
    let mut found = Vec::new();
    loop {
        let page = world.store.find_events(search.clone()).await.unwrap();
        assert!(page.events.len() <= search.limit);
        found.extend(keys_of(&page.events));
        let Some(next) = page.next else { return found };
        search.beyond = Some(next);
    }
}

async fn all_deliveries(world: &World, mut search: DeliverySearch) -> Vec<FoundDelivery> {
    let mut found = Vec::new();
    loop {
        let page = world.store.find_deliveries(search.clone()).await.unwrap();
        assert!(page.deliveries.len() <= search.limit);
        found.extend(page.deliveries);
        let Some(next) = page.next else { return found };
        search.beyond = Some(next);
    }
}

fn names(found: &[FoundDelivery]) -> Vec<DeliveryKey> {
    found.iter().map(|found| found.delivery).collect()
}

/// An event of a tenant of a type, with an id of its own.
async fn publish(
    world: &mut World,
    tenant: TenantKey,
    event_type: &str,
    given_id: Option<&str>,
    matched: &[WebhookKey],
) -> Event {
    let matching = world.matching(matched);
    let mut event = world.event(tenant, &matching);
    event.event_type = event_type.parse().unwrap();
    event.given_id = given_id.map(Box::from);
    world.accept(&[&event], &matching).await;
    event
}

pub(crate) async fn events_are_found_by_type_id_and_time(mut world: World) {
    let (tenant, other) = (world.key(), world.key());
    let first = publish(&mut world, tenant, "code.generated", Some("order-1"), &[]).await;
    world.pass(BUCKET_MS);
    let second = publish(&mut world, tenant, "deployment.failed", Some("order-2"), &[]).await;
    publish(&mut world, other, "code.generated", Some("order-3"), &[]).await;
    world.pass(BUCKET_MS);
    let third = publish(&mut world, tenant, "code.merged", None, &[]).await;
    let all = events_of(tenant, 1);
    assert_eq!(all_events(&world, all.clone()).await, [third.key, second.key, first.key]);
    let types = Some(Patterns::parse(&["code.*"]).unwrap());
    let by_type = EventSearch { types, ..all.clone() };
    assert_eq!(all_events(&world, by_type).await, [third.key, first.key]);
    let by_id = EventSearch { id_prefix: "order-".to_owned(), ..all.clone() };
    assert_eq!(all_events(&world, by_id).await, [second.key, first.key]);
    let by_made_id = EventSearch { id_prefix: third.key.to_string(), ..all.clone() };
    assert_eq!(all_events(&world, by_made_id).await, [third.key]);
    let (after, before) = (Some(second.accepted_at()), Some(third.accepted_at()));
    let between = EventSearch { after, before, ..all };
    assert_eq!(all_events(&world, between).await, [second.key]);
}

pub(crate) async fn found_events_come_in_pages_of_every_size(mut world: World) {
    let tenant = world.key();
    let matching = world.matching(&[]);
    let mut expected = Vec::new();
    for _ in 0..MANY {
        expected.insert(0, world.publish_as(tenant, &matching).await.key);
        world.pass(BUCKET_MS / 7);
    }
    for limit in [1, 2, 5, MANY, MANY + 1] {
        assert_eq!(all_events(&world, events_of(tenant, limit)).await, expected, "{limit}");
    }
}

pub(crate) async fn a_search_looks_at_a_bounded_number(mut world: World) {
    let tenant = world.key();
    let [webhook] = world.webhook_keys();
    let matching = world.matching(&[webhook]);
    let events: Vec<Event> = (0..=LOOKS_MAX).map(|_| world.event(tenant, &matching)).collect();
    let accepts = events.iter().map(|event| accept(event, &matching, 1));
    world.commit(accepts.collect(), vec![]).await;

    let none = EventSearch { id_prefix: "none".to_owned(), ..events_of(tenant, 9) };
    let page = world.store.find_events(none.clone()).await.unwrap();
    assert_eq!((page.events.len(), page.next), (0, Some(events[1].key)));
    let page = world.store.find_events(EventSearch { beyond: page.next, ..none }).await.unwrap();
    assert_eq!((page.events.len(), page.next), (0, None));

    let mut none = deliveries_of(tenant, 9);
    none.filter.status = Some(StatusClass::Hundreds(2));
    none.order = Order::OldestFirst;
    let page = world.store.find_deliveries(none.clone()).await.unwrap();
    // each event and its one delivery: the last event that was looked at has its delivery left
    assert_eq!(page.deliveries, []);
    let half = u64::try_from(LOOKS_MAX / 2).unwrap();
    assert_eq!(page.events, half - 1);
    let last = &events[LOOKS_MAX / 2 - 1];
    assert_eq!(page.next, Some(delivery(last, webhook)));
    none.beyond = page.next;
    let page = world.store.find_deliveries(none).await.unwrap();
    assert!(page.next.is_some());
}

pub(crate) async fn deliveries_come_newest_event_first_in_pages_of_every_size(mut world: World) {
    let (tenant, stranger) = (world.key(), world.key());
    let webhooks: [WebhookKey; 3] = world.webhook_keys();
    let matching = world.matching(&webhooks);
    let mut events = Vec::new();
    for at in 0..MANY {
        let event = world.publish_as(tenant, &matching).await;
        world.attempt_first(&event, webhooks[at % 3], Verdict::Success).await;
        world.publish_as(stranger, &matching).await;
        events.push(event);
        world.pass(BUCKET_MS / 7);
    }
    let of = |event| webhooks.map(|webhook| delivery(event, webhook));
    let newest_first: Vec<_> = events.iter().rev().flat_map(of).collect();
    let oldest_first: Vec<_> = events.iter().flat_map(of).collect();
    for limit in [1, 2, 5, 1_000] {
        let mut search = deliveries_of(tenant, limit);
        let found = all_deliveries(&world, search.clone()).await;
        assert_eq!(names(&found), newest_first, "{limit}");
        for found in found {
            let stands = world.store.delivery(found.delivery).await.unwrap().unwrap();
            assert_eq!(found.standing, Some(stands.standing));
        }
        search.order = Order::OldestFirst;
        assert_eq!(names(&all_deliveries(&world, search).await), oldest_first, "{limit}");
    }
}

pub(crate) async fn deliveries_are_found_by_what_they_are(mut world: World) {
    let tenant = world.key();
    let [one, two] = world.webhook_keys();
    let early = publish(&mut world, tenant, "code.generated", None, &[one, two]).await;
    world.attempt_first(&early, one, Verdict::Success).await;
    world.attempt_first(&early, two, Verdict::Permanent).await;
    world.pass(2 * BUCKET_MS);
    let late = publish(&mut world, tenant, "deployment.failed", None, &[one]).await;
    let check = async |filter: DeliveryFilter, expected: &[DeliveryKey]| {
        let search = DeliverySearch { filter, ..deliveries_of(tenant, 2) };
        assert_eq!(names(&all_deliveries(&world, search).await), expected);
    };
    let all = DeliveryFilter::all();
    check(all.clone(), &[delivery(&late, one), delivery(&early, one), delivery(&early, two)]).await;
    let by_webhook = DeliveryFilter { webhook: Some(one), ..all.clone() };
    check(by_webhook, &[delivery(&late, one), delivery(&early, one)]).await;
    let by_event = DeliveryFilter { event: Some(early.key), ..all.clone() };
    check(by_event.clone(), &[delivery(&early, one), delivery(&early, two)]).await;
    check(DeliveryFilter { webhook: Some(two), ..by_event }, &[delivery(&early, two)]).await;
    let types = Some(Patterns::parse(&["deployment.*"]).unwrap());
    check(DeliveryFilter { types, ..all.clone() }, &[delivery(&late, one)]).await;
    let ended = vec![DeliveryState::Failed, DeliveryState::Cancelled];
    check(DeliveryFilter { states: ended, ..all.clone() }, &[delivery(&early, two)]).await;
    let after = Some(early.accepted_at() + 1);
    check(DeliveryFilter { after, ..all.clone() }, &[delivery(&late, one)]).await;
    let before = Some(late.accepted_at());
    let both = [delivery(&early, one), delivery(&early, two)];
    check(DeliveryFilter { before, ..all.clone() }, &both).await;
    let stranger = DeliverySearch { filter: all, ..deliveries_of(world.key(), 9) };
    assert_eq!(all_deliveries(&world, stranger).await, []);
}

/// Some go wrong among many that don't, of two tenants, over several buckets of which the oldest
/// are gone but for what is pending.
pub(crate) async fn what_went_wrong_is_found_among_what_went_well(mut world: World) {
    let (tenant, stranger) = (world.key(), world.key());
    let webhooks: [WebhookKey; 2] = world.webhook_keys();
    let matching = world.matching(&webhooks);
    for at in 0..MANY {
        for of in [tenant, stranger] {
            let event = world.publish_as(of, &matching).await;
            world.attempt_first(&event, webhooks[1], Verdict::Success).await;
            let name = delivery(&event, webhooks[0]);
            let verdict = match at % 4 {
                0 => Verdict::Permanent,
                1 | 2 => world.fails_until(60_000),
                _ => Verdict::Success,
            };
            let mut record = world.attempt(name, first_waiting(&event), verdict);
            if let Happening::Attempt(attempt) = &mut record.entry.what
                && let AttemptResult::Answered(answer) = attempt.result.clone()
            {
                attempt.result = match at % 4 {
                    1 => AttemptResult::Answered(Answer { status: 503, ..answer }),
                    2 => AttemptResult::Broke {
                        class: ErrorClass::Truncated,
                        detail: String::new(),
                        answer: Some(answer),
                    },
                    _ => AttemptResult::Answered(answer),
                };
            }
            world.commit(vec![], vec![record]).await;
        }
        world.pass(BUCKET_MS / 7);
    }
    world.sweep(world.now - 2 * BUCKET_MS).await;
    let find = async |filter: DeliveryFilter, limit| {
        let search = DeliverySearch { filter, ..deliveries_of(tenant, limit) };
        all_deliveries(&world, search).await
    };
    let has_failed = |found: &FoundDelivery| {
        found.standing.is_some_and(|standing| standing.state() == DeliveryState::Failed)
    };
    let was_refused =
        |found: &FoundDelivery| found.last_attempt.is_some_and(|last| last.status == Some(503));
    let was_truncated = |found: &FoundDelivery| {
        found.last_attempt.is_some_and(|last| last.broke == Some(ErrorClass::Truncated))
    };
    for webhook in [None, Some(webhooks[0]), Some(webhooks[1])] {
        let all = DeliveryFilter { webhook, ..DeliveryFilter::all() };
        let mut ended = all.clone();
        ended.states = vec![DeliveryState::Failed, DeliveryState::Cancelled];
        let status = Some(StatusClass::Hundreds(5));
        let refused = DeliveryFilter { status, ..all.clone() };
        let error = Some(ErrorClass::Truncated);
        let truncated = DeliveryFilter { error, ..all.clone() };
        let every = find(all, 1_000).await;
        for limit in [1, 2, 1_000] {
            for (filter, is_meant) in [
                (&ended, &has_failed as &dyn Fn(&FoundDelivery) -> bool),
                (&refused, &was_refused),
                (&truncated, &was_truncated),
            ] {
                let expected: Vec<_> = every.iter().filter(|found| is_meant(found)).collect();
                let found = find(filter.clone(), limit).await;
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
                assert_eq!(found.is_empty(), webhook == Some(webhooks[1]), "{filter:?}");
            }
        }
    }
}

pub(crate) async fn a_found_delivery_tells_its_last_attempt(mut world: World) {
    let tenant = world.key();
    let [webhook] = world.webhook_keys();
    let matching = world.matching(&[webhook]);
    let event = world.publish_as(tenant, &matching).await;
    let verdict = world.fails_until(10);
    let mut record = world.attempt(delivery(&event, webhook), first_waiting(&event), verdict);
    let Happening::Attempt(attempt) = &mut record.entry.what else { panic!("an attempt") };
    let class = ErrorClass::ConnectRefused;
    attempt.result = AttemptResult::Broke { class, detail: String::new(), answer: None };
    world.commit(vec![], vec![record]).await;
    let find = async |status| {
        let filter = DeliveryFilter { status, ..DeliveryFilter::all() };
        let search = DeliverySearch { filter, ..deliveries_of(tenant, 9) };
        all_deliveries(&world, search).await
    };
    let last = find(None).await[0].last_attempt.unwrap();
    assert_eq!((last.status, last.broke), (None, Some(class)));
    assert_eq!(last.started_at, world.now);
    assert_eq!(find(Some(StatusClass::NoAnswer)).await.len(), 1);
    assert_eq!(find(Some(StatusClass::Hundreds(2))).await, []);
    for (error, expected) in [(class, 1), (ErrorClass::Timeout, 0)] {
        let filter = DeliveryFilter { error: Some(error), ..DeliveryFilter::all() };
        let search = DeliverySearch { filter, ..deliveries_of(tenant, 9) };
        assert_eq!(all_deliveries(&world, search).await.len(), expected, "{error:?}");
    }
    // what is cancelled was attempted before
    let cancelling = Cancelling {
        webhook,
        at: world.now,
        reason: CancelReason::WebhookDisabled,
        keys: vec![world.key()],
        except: vec![],
    };
    assert_eq!(world.store.cancel_pending(cancelling).await, Ok(1));
    let filter = DeliveryFilter::all();
    let found = all_deliveries(&world, DeliverySearch { filter, ..deliveries_of(tenant, 9) }).await;
    assert_eq!(found[0].last_attempt, Some(last));
    assert_eq!(found[0].standing.map(|standing| standing.state()), Some(DeliveryState::Cancelled));
}

pub(crate) async fn what_a_webhook_missed_is_found_on_request(mut world: World) {
    let tenant = world.key();
    let before = publish(&mut world, tenant, "code.generated", None, &[]).await;
    let [webhook, other] = world.webhook_keys();
    let missed = publish(&mut world, tenant, "code.generated", None, &[other]).await;
    let went = publish(&mut world, tenant, "code.generated", None, &[webhook]).await;
    let matching = world.matching(&[other]);
    let mut test = world.event(tenant, &matching);
    test.given_id = Some(test_id(test.key).into());
    world.accept(&[&test], &matching).await;
    let filter = DeliveryFilter { webhook: Some(webhook), ..DeliveryFilter::all() };
    let search = DeliverySearch {
        filter,
        with_missed: true,
        order: Order::OldestFirst,
        ..deliveries_of(tenant, 1)
    };
    let found = all_deliveries(&world, search.clone()).await;
    assert_eq!(names(&found), [delivery(&missed, webhook), delivery(&went, webhook)]);
    assert_eq!(found[0].standing, None);
    assert_eq!(found[0].event_id.as_ref(), missed.id());
    assert_eq!(found[1].standing, Some(Standing::accepted(went.accepted_at())));
    let mut only_missed = search;
    only_missed.filter.states.clear();
    let found = all_deliveries(&world, only_missed).await;
    assert_eq!(names(&found), [delivery(&missed, webhook)]);
    assert!(before.key < missed.key, "accepted before the webhook was there");
    let events = all_events(&world, events_of(tenant, 9)).await;
    assert_eq!(events.len(), 4);
}
