use bytes::Bytes;
use postrider_core::delivery::{
    CancelReason, DeliveryState, Happening, Mode, Progress, Standing, Verdict,
};
use postrider_core::event::{Bodies, Event};
use postrider_core::id::{EventKey, HistoryKey, UnixMs, WebhookKey};
use postrider_store::{Cancelling, Counts, DueQuery, LaneStart, Recorded, RetryRequest};

use crate::World;
use crate::world::{BUCKET_MS, accept, delivery, due_query, first_waiting};

/// Events for one webhook, a few milliseconds apart.
async fn several(world: &mut World, webhook: WebhookKey, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(world.publish(&[webhook]).await);
        world.pass(10);
    }
    events
}

fn keys(events: &[Event]) -> Vec<EventKey> {
    events.iter().map(|event| event.key).collect()
}

pub(crate) async fn accepted_deliveries_are_due_when_accepted(mut world: World) {
    let both: [WebhookKey; 2] = world.webhook_keys();
    let event = world.publish(&both).await;
    for webhook in both {
        let query = due_query(webhook, event.accepted_at(), 9);
        let page = world.store.due(query).await.unwrap();
        assert_eq!(page.next_due, None);
        assert_eq!(page.deliveries.len(), 1);
        assert_eq!(*page.deliveries[0].event, event);
        assert_eq!(page.deliveries[0].waiting, first_waiting(&event));
        let standing = world.standing(&event, webhook).await;
        assert_eq!(standing, Standing::accepted(event.accepted_at()));
    }
}

pub(crate) async fn due_pages_are_ordered_and_bounded(mut world: World) {
    let [webhook] = world.webhook_keys();
    let events = several(&mut world, webhook, 5).await;
    let page = world.store.due(due_query(webhook, i64::MAX, 2)).await;
    let page = page.unwrap();
    let found: Vec<EventKey> = page.deliveries.iter().map(|due| due.event.key).collect();
    assert_eq!(found, keys(&events[..2]));
    assert_eq!(page.next_due, Some(events[2].accepted_at()));
}

/// Events for one webhook whose bodies have these sizes.
async fn of_sizes(world: &mut World, webhook: WebhookKey, sizes: &[usize]) -> Vec<Event> {
    let matching = world.matching(&[webhook]);
    let mut events = Vec::new();
    for &size in sizes {
        let tenant = world.key();
        let mut event = world.event(tenant, &matching);
        let verbatim = Bytes::from(vec![b' '; size]);
        // a shared form counts once
        event.bodies = Bodies { ecma: Some(verbatim.clone()), jcs: None, verbatim };
        world.accept(&[&event], &matching).await;
        events.push(event);
        world.pass(10);
    }
    events
}

/// What a page of at most so many bytes holds, and when the next delivery is due.
async fn page_of_bytes(world: &World, query: DueQuery) -> (Vec<EventKey>, Option<UnixMs>) {
    let page = world.store.due(query).await.unwrap();
    (page.deliveries.iter().map(|due| due.event.key).collect(), page.next_due)
}

pub(crate) async fn due_pages_hold_no_more_bytes_than_asked(mut world: World) {
    let [webhook] = world.webhook_keys();
    let events = of_sizes(&mut world, webhook, &[100, 200, 50]).await;
    for (bytes_max, count) in [(100, 1), (299, 1), (300, 2), (349, 2), (350, 3), (usize::MAX, 3)] {
        let query = DueQuery { bytes_max, ..due_query(webhook, i64::MAX, 9) };
        let next_due = events.get(count).map(Event::accepted_at);
        let expected = (keys(&events[..count]), next_due);
        assert_eq!(page_of_bytes(&world, query).await, expected, "{bytes_max} bytes");
    }
    // what is skipped counts nothing
    let query =
        DueQuery { bytes_max: 250, except: vec![events[0].key], ..due_query(webhook, i64::MAX, 9) };
    assert_eq!(page_of_bytes(&world, query).await, (keys(&events[1..]), None));
}

pub(crate) async fn a_due_delivery_greater_than_the_page_comes_alone(mut world: World) {
    let [webhook] = world.webhook_keys();
    let events = of_sizes(&mut world, webhook, &[100, 10]).await;
    let next_due = Some(events[1].accepted_at());
    for bytes_max in [0, 99] {
        let query = DueQuery { bytes_max, ..due_query(webhook, i64::MAX, 9) };
        assert_eq!(page_of_bytes(&world, query).await, (keys(&events[..1]), next_due));
    }
    // but none comes that is not due, nor where none is asked for
    let first_due = events[0].accepted_at();
    for query in [due_query(webhook, first_due - 1, 9), due_query(webhook, i64::MAX, 0)] {
        let query = DueQuery { bytes_max: 0, ..query };
        assert_eq!(page_of_bytes(&world, query).await, (vec![], Some(first_due)));
    }
}

pub(crate) async fn due_skips_what_is_in_hand(mut world: World) {
    let [webhook] = world.webhook_keys();
    let events = several(&mut world, webhook, 5).await;
    let query =
        DueQuery { except: vec![events[0].key, events[3].key], ..due_query(webhook, i64::MAX, 2) };
    let page = world.store.due(query).await.unwrap();
    let found: Vec<EventKey> = page.deliveries.iter().map(|due| due.event.key).collect();
    assert_eq!(found, [events[1].key, events[2].key]);
    assert_eq!(page.next_due, Some(events[4].accepted_at()));
    let query = DueQuery { except: keys(&events), ..due_query(webhook, i64::MAX, 2) };
    let page = world.store.due(query).await.unwrap();
    assert_eq!((page.deliveries.len(), page.next_due), (0, None));
}

pub(crate) async fn what_is_not_due_yet_is_announced(mut world: World) {
    let [webhook] = world.webhook_keys();
    let events = several(&mut world, webhook, 3).await;
    let until = events[1].accepted_at();
    let page = world.store.due(due_query(webhook, until, 9)).await.unwrap();
    assert_eq!(page.deliveries.len(), 2);
    assert_eq!(page.next_due, Some(events[2].accepted_at()));
    let none = world.store.due(due_query(webhook, until, 0)).await.unwrap();
    assert_eq!(none.deliveries.len(), 0);
    assert_eq!(none.next_due, Some(events[0].accepted_at()));
}

pub(crate) async fn due_looks_at_one_webhook_only(mut world: World) {
    let [first, second, third] = world.webhook_keys();
    let ours = several(&mut world, second, 2).await;
    several(&mut world, first, 2).await;
    several(&mut world, third, 2).await;
    assert_eq!(world.pending(second).await, keys(&ours));
}

pub(crate) async fn lanes_name_each_webhook_once_with_its_first_due_time(mut world: World) {
    let [first, second] = world.webhook_keys();
    let late = several(&mut world, second, 3).await;
    let early = several(&mut world, first, 3).await;
    let lanes = world.store.lanes(None, 9).await.unwrap();
    let starts = |webhook, event: &Event| LaneStart { webhook, first_due: event.accepted_at() };
    assert_eq!(lanes, [starts(first, &early[0]), starts(second, &late[0])]);
    for event in &early {
        world.attempt_first(event, first, Verdict::Success).await;
    }
    let lanes = world.store.lanes(None, 9).await.unwrap();
    assert_eq!(lanes, [starts(second, &late[0])]);
}

pub(crate) async fn lanes_come_in_pages(mut world: World) {
    let all: [WebhookKey; 5] = world.webhook_keys();
    world.publish(&all).await;
    let page = world.store.lanes(None, 2).await.unwrap();
    assert_eq!([page[0].webhook, page[1].webhook], all[..2]);
    let page = world.store.lanes(Some(all[1]), 9).await.unwrap();
    let found: Vec<WebhookKey> = page.iter().map(|lane| lane.webhook).collect();
    assert_eq!(found, all[2..]);
    assert_eq!(world.store.lanes(Some(all[4]), 9).await.unwrap(), []);
}

pub(crate) async fn a_success_ends_a_delivery(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let record = world.attempt_first(&event, webhook, Verdict::Success).await;
    assert_eq!(world.pending(webhook).await, []);
    let standing = world.standing(&event, webhook).await;
    assert_eq!(standing, record.entry.standing);
    assert_eq!(standing.state(), DeliveryState::Succeeded);
    let history = world.store.history(delivery(&event, webhook)).await;
    assert_eq!(history.unwrap(), [record.entry]);
    let counts = world.store.counts().await.unwrap();
    let expected =
        Counts { events: 1, deliveries_created: 1, deliveries_pending: 0, deliveries_finished: 1 };
    assert_eq!(counts, expected);
}

pub(crate) async fn a_failure_moves_its_due_time(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let verdict = world.fails_until(5_000);
    world.attempt_first(&event, webhook, verdict).await;
    let page = world.store.due(due_query(webhook, world.now, 9)).await;
    assert_eq!(page.unwrap().next_due, Some(world.now + 5_000));
    let until = world.now + 5_000;
    let page = world.store.due(due_query(webhook, until, 9)).await.unwrap();
    let waiting = page.deliveries[0].waiting;
    let tried = Progress { attempts: 1, scheduled: 1 };
    assert_eq!((waiting.due, waiting.progress), (until, tried));
    let standing = world.standing(&event, webhook).await;
    assert_eq!(standing, Standing::Pending(waiting));
}

pub(crate) async fn an_outcome_from_an_old_standing_is_refused(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let stands = first_waiting(&event);
    let mut others = [stands; 4];
    others[0].due += 1;
    others[1].progress.attempts = 1;
    others[2].progress.scheduled = 1;
    others[3].mode = Mode::Manual { resume: None };
    for other in others {
        let record = world.attempt(delivery(&event, webhook), other, Verdict::Success);
        let done = world.commit(vec![], vec![record]).await;
        assert_eq!(done.records, [Recorded::NotPending], "{other:?}");
    }
    let history = world.store.history(delivery(&event, webhook)).await;
    assert_eq!(history.unwrap(), []);
    assert_eq!(world.pending(webhook).await, [event.key]);
    world.check_counts().await;
}

pub(crate) async fn an_outcome_recorded_twice_counts_once(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let name = delivery(&event, webhook);
    let first = world.attempt(name, first_waiting(&event), Verdict::Success);
    let second = world.attempt(name, first_waiting(&event), Verdict::Success);
    let done = world.commit(vec![], vec![first.clone(), second]).await;
    assert_eq!(done.records, [Recorded::Done, Recorded::NotPending]);
    assert_eq!(world.store.history(name).await.unwrap(), [first.entry]);
    world.check_counts().await;
}

pub(crate) async fn an_outcome_whose_answer_was_lost_is_done_when_it_comes_again(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let name = delivery(&event, webhook);
    let retry_at = Some(world.now + 5_000);
    let verdict = Verdict::Failure { ended_at: world.now, retry_at };
    let record = world.attempt(name, first_waiting(&event), verdict);
    for _ in 0..2 {
        let done = world.commit(vec![], vec![record.clone()]).await;
        assert_eq!(done.records, [Recorded::Done]);
    }
    assert_eq!(world.store.history(name).await.unwrap(), [record.entry]);
    assert_eq!(world.pending(webhook).await, [event.key]);
    world.check_counts().await;
}

pub(crate) async fn an_event_and_its_outcome_can_share_a_batch(mut world: World) {
    let [webhook] = world.webhook_keys();
    let matching = world.matching(&[webhook]);
    let tenant = world.key();
    let event = world.event(tenant, &matching);
    let name = delivery(&event, webhook);
    let record = world.attempt(name, first_waiting(&event), Verdict::Success);
    let done = world.commit(vec![accept(&event, &matching, 1)], vec![record]).await;
    assert_eq!(done.records, [Recorded::Done]);
    assert_eq!(world.pending(webhook).await, []);
}

async fn retry(world: &mut World, event: &Event, webhook: WebhookKey) -> Standing {
    world.pass(10);
    let request =
        RetryRequest { delivery: delivery(event, webhook), at: world.now, key: world.key() };
    let answer = world.store.request_retry(request).await.unwrap().unwrap();
    assert_eq!(answer.standing, world.standing(event, webhook).await);
    assert_eq!(answer.standing.due(), Some(world.now));
    assert_eq!(world.pending(webhook).await, [event.key]);
    let history = world.store.history(delivery(event, webhook)).await.unwrap();
    let last = history.last().unwrap();
    assert_eq!(last.what, Happening::RetryRequested { at: world.now });
    assert_eq!((last.key, last.standing), (request.key, answer.standing));
    world.check_counts().await;
    answer.standing
}

pub(crate) async fn a_retry_moves_every_state_on(mut world: World) {
    let exhausted = Verdict::Failure { ended_at: world.now, retry_at: None };
    let waits = world.fails_until(900_000);
    let verdicts = [Verdict::Success, Verdict::Permanent, exhausted, waits];
    for verdict in verdicts {
        let [webhook] = world.webhook_keys();
        let event = world.publish(&[webhook]).await;
        let before = world.attempt_first(&event, webhook, verdict).await;
        let asked = retry(&mut world, &event, webhook).await;
        assert_eq!(asked.progress(), before.entry.standing.progress());
        let again = retry(&mut world, &event, webhook).await;
        assert_eq!(again.state(), DeliveryState::Pending);
    }
    let [untried, cancelled] = world.webhook_keys();
    let event = world.publish(&[untried, cancelled]).await;
    retry(&mut world, &event, untried).await;
    cancel(&mut world, cancelled, 1, vec![]).await;
    retry(&mut world, &event, cancelled).await;
}

pub(crate) async fn a_retry_of_what_is_not_there_is_none(mut world: World) {
    let [webhook, stranger] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let mut unknown = event.clone();
    unknown.key = world.key();
    for name in [delivery(&event, stranger), delivery(&unknown, webhook)] {
        let request = RetryRequest { delivery: name, at: world.now, key: world.key() };
        assert_eq!(world.store.request_retry(request).await.unwrap(), None);
        assert_eq!(world.store.history(name).await.unwrap(), []);
    }
}

pub(crate) async fn a_retry_asked_for_twice_with_one_key_is_one(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    world.attempt_first(&event, webhook, Verdict::Success).await;
    let request =
        RetryRequest { delivery: delivery(&event, webhook), at: world.now, key: world.key() };
    let first = world.store.request_retry(request).await.unwrap();
    let second = world.store.request_retry(request).await.unwrap();
    assert_eq!(first, second);
    let history = world.store.history(request.delivery).await.unwrap();
    assert_eq!(history.len(), 2);
    world.check_counts().await;
}

pub(crate) async fn a_manual_attempt_that_fails_resumes_the_schedule(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    let verdict = world.fails_until(900_000);
    let resume = world.now + 900_000;
    world.attempt_first(&event, webhook, verdict).await;
    let Standing::Pending(waiting) = retry(&mut world, &event, webhook).await else {
        panic!("a retry makes it pending");
    };
    let verdict = world.fails_until(1);
    let record = world.attempt(delivery(&event, webhook), waiting, verdict);
    let done = world.commit(vec![], vec![record]).await;
    assert_eq!(done.records, [Recorded::Done]);
    assert_eq!(world.standing(&event, webhook).await.due(), Some(resume));
    let page = world.store.due(due_query(webhook, resume - 1, 9)).await;
    assert_eq!(page.unwrap().next_due, Some(resume));
}

async fn cancel(
    world: &mut World,
    webhook: WebhookKey,
    count: usize,
    except: Vec<EventKey>,
) -> (usize, Vec<HistoryKey>) {
    let keys: Vec<HistoryKey> = (0..count).map(|_| world.key()).collect();
    let cancelling = Cancelling {
        webhook,
        at: world.now,
        reason: CancelReason::WebhookDeleted,
        keys: keys.clone(),
        except,
    };
    let done = world.store.cancel_pending(cancelling).await.unwrap();
    world.check_counts().await;
    (done, keys)
}

pub(crate) async fn cancelling_takes_no_more_than_its_keys(mut world: World) {
    let [webhook, other] = world.webhook_keys();
    let events = several(&mut world, webhook, 5).await;
    several(&mut world, other, 2).await;
    let (done, used) = cancel(&mut world, webhook, 3, vec![]).await;
    assert_eq!(done, 3);
    assert_eq!(world.pending(webhook).await, keys(&events[3..]));
    let history = world.store.history(delivery(&events[1], webhook)).await;
    let history = history.unwrap();
    let what = Happening::Cancelled { at: world.now, reason: CancelReason::WebhookDeleted };
    assert_eq!((history[0].key, &history[0].what), (used[1], &what));
    let standing = world.standing(&events[1], webhook).await;
    assert_eq!(standing.state(), DeliveryState::Cancelled);
    assert_eq!(cancel(&mut world, webhook, 3, vec![]).await.0, 2);
    assert_eq!(cancel(&mut world, webhook, 3, vec![]).await.0, 0);
    assert_eq!(world.pending(other).await.len(), 2);
}

pub(crate) async fn cancelling_leaves_what_is_in_flight(mut world: World) {
    let [webhook] = world.webhook_keys();
    let events = several(&mut world, webhook, 4).await;
    let in_flight = vec![events[1].key];
    assert_eq!(cancel(&mut world, webhook, 9, in_flight).await.0, 3);
    assert_eq!(world.pending(webhook).await, [events[1].key]);
}

pub(crate) async fn cancelling_again_with_the_same_keys_cancels_nothing_more(mut world: World) {
    let [webhook] = world.webhook_keys();
    let events = several(&mut world, webhook, 4).await;
    let (_, keys) = cancel(&mut world, webhook, 2, vec![]).await;
    let again = Cancelling {
        webhook,
        at: world.now,
        reason: CancelReason::WebhookDeleted,
        keys,
        except: vec![],
    };
    assert_eq!(world.store.cancel_pending(again).await.unwrap(), 2);
    let left = world.pending(webhook).await;
    assert_eq!(left, [events[2].key, events[3].key]);
}

pub(crate) async fn counts_always_add_up(mut world: World) {
    let all: [WebhookKey; 3] = world.webhook_keys();
    let event = world.publish(&all).await;
    world.check_counts().await;
    let verdict = world.fails_until(5);
    world.attempt_first(&event, all[0], verdict).await;
    world.attempt_first(&event, all[1], Verdict::Success).await;
    world.check_counts().await;
    cancel(&mut world, all[2], 9, vec![]).await;
    world.pass(BUCKET_MS);
    retry(&mut world, &event, all[1]).await;
    let counts = world.store.counts().await.unwrap();
    let expected =
        Counts { events: 1, deliveries_created: 3, deliveries_pending: 2, deliveries_finished: 1 };
    assert_eq!(counts, expected);
}
