use postrider_core::delivery::{DeliveryState, Mode, Progress, Standing, Verdict, Waiting};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, ReplayKey, TenantKey, WebhookKey};
use postrider_store::{
    Accepted, CancelRequest, Cancelled, DeliveryFilter, Replay, ReplayMove, ReplayState,
    ReplayStep, ReplayStepped, StoreError,
};

use crate::World;
use crate::world::{BUCKET_MS, delivery};

impl World {
    pub(crate) fn replay(&mut self, tenant: TenantKey, webhook: Option<WebhookKey>) -> Replay {
        let states =
            vec![DeliveryState::Succeeded, DeliveryState::Failed, DeliveryState::Cancelled];
        Replay {
            key: self.key(),
            tenant,
            filter: DeliveryFilter { webhook, states, ..DeliveryFilter::all() },
            with_missed: webhook.is_some(),
            state: ReplayState::Running,
            position: None,
            considered: 0,
            replayed: 0,
            created_at: self.now,
            finished_at: None,
        }
    }

    /// A step that moves these on and is not the last one.
    pub(crate) fn step(&mut self, replay: &Replay, deliveries: &[DeliveryKey]) -> ReplayStep {
        let moves = deliveries.iter().map(|&delivery| ReplayMove { delivery, key: self.key() });
        ReplayStep {
            replay: replay.key,
            from: replay.position,
            moves: moves.collect(),
            to: deliveries.last().copied(),
            considered: u64::try_from(deliveries.len()).unwrap(),
            at: self.now,
        }
    }
}

async fn insert(world: &mut World, webhook: WebhookKey) -> Replay {
    let tenant = world.key();
    let replay = world.replay(tenant, Some(webhook));
    world.store.insert_replay(replay.clone()).await.unwrap();
    replay
}

async fn step(world: &mut World, replay: &Replay, deliveries: &[DeliveryKey]) -> ReplayStepped {
    let step = world.step(replay, deliveries);
    world.store.step_replay(step).await.unwrap()
}

pub(crate) async fn a_replay_is_found_as_it_was_given(mut world: World) {
    let [webhook] = world.webhook_keys();
    let replay = insert(&mut world, webhook).await;
    assert_eq!(world.store.replay(replay.key).await, Ok(Some(replay.clone())));
    assert_eq!(world.store.insert_replay(replay.clone()).await, Ok(()));
    let other = Replay { considered: 7, ..replay };
    let refused = world.store.insert_replay(other).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    let unknown: ReplayKey = world.key();
    assert_eq!(world.store.replay(unknown).await, Ok(None));
}

pub(crate) async fn replays_are_listed_newest_first_by_tenant_and_webhook(mut world: World) {
    let (tenant, stranger) = (world.key(), world.key());
    let [one, two] = world.webhook_keys();
    let mut keys = Vec::new();
    for webhook in [Some(one), None, Some(two), Some(one)] {
        let replay = world.replay(tenant, webhook);
        world.store.insert_replay(replay.clone()).await.unwrap();
        keys.push(replay.key);
    }
    let foreign = world.replay(stranger, Some(one));
    world.store.insert_replay(foreign.clone()).await.unwrap();
    let list = async |webhook, before, limit| {
        let found = world.store.replays(tenant, webhook, before, limit).await.unwrap();
        found.iter().map(|replay| replay.key).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 9).await, [keys[3], keys[2], keys[1], keys[0]]);
    assert_eq!(list(None, Some(keys[3]), 2).await, [keys[2], keys[1]]);
    assert_eq!(list(Some(one), None, 9).await, [keys[3], keys[0]]);
    assert_eq!(list(Some(one), Some(keys[3]), 9).await, [keys[0]]);
    let running = world.store.running_replays(Some(keys[2]), 9).await.unwrap();
    let running: Vec<_> = running.iter().map(|replay| replay.key).collect();
    assert_eq!(running, [keys[3], foreign.key]);
}

pub(crate) async fn a_step_moves_on_what_is_final_and_leaves_the_rest_alone(mut world: World) {
    let [webhook] = world.webhook_keys();
    let ended = world.publish(&[webhook]).await;
    let pending = world.publish(&[webhook]).await;
    world.attempt_first(&ended, webhook, Verdict::Success).await;
    world.pass(50);
    let replay = insert(&mut world, webhook).await;
    let both = [delivery(&ended, webhook), delivery(&pending, webhook)];
    let stepped = step(&mut world, &replay, &both).await;
    assert_eq!(stepped.moved, both[..1]);
    assert_eq!(stepped.replay.position, Some(both[1]));
    assert_eq!((stepped.replay.considered, stepped.replay.replayed), (2, 1));
    assert_eq!(stepped.replay.state, ReplayState::Running);
    assert_eq!(world.store.replay(replay.key).await, Ok(Some(stepped.replay)));
    let Standing::Pending(waiting) = world.standing(&ended, webhook).await else {
        panic!("it is asked for again");
    };
    assert_eq!(waiting.due, world.now);
    assert_eq!(waiting.mode, Mode::Manual { resume: None });
    let left = world.standing(&pending, webhook).await;
    assert_eq!(left, Standing::accepted(pending.accepted_at()));
    world.check_counts().await;
}

pub(crate) async fn a_step_takes_only_the_states_that_its_replay_names(mut world: World) {
    let [webhook] = world.webhook_keys();
    let succeeded = world.publish(&[webhook]).await;
    let failed = world.publish(&[webhook]).await;
    world.attempt_first(&succeeded, webhook, Verdict::Success).await;
    world.attempt_first(&failed, webhook, Verdict::Permanent).await;
    let tenant = world.key();
    let mut replay = world.replay(tenant, None);
    replay.filter.states = vec![DeliveryState::Failed];
    world.store.insert_replay(replay.clone()).await.unwrap();
    let both = [delivery(&succeeded, webhook), delivery(&failed, webhook)];
    assert_eq!(step(&mut world, &replay, &both).await.moved, both[1..]);
}

pub(crate) async fn a_step_adds_what_its_webhook_missed(mut world: World) {
    let [one, two, three] = world.webhook_keys();
    let event = world.publish(&[one, three]).await;
    world.pass(70);
    let replay = insert(&mut world, two).await;
    let missed = delivery(&event, two);
    let stepped = step(&mut world, &replay, &[missed]).await;
    assert_eq!(stepped.moved, [missed]);
    assert_eq!(world.standing(&event, two).await, Standing::accepted(world.now));
    assert_eq!(world.pending(two).await, [event.key]);
    let all = world.store.deliveries_of_event(event.key, None, 9).await.unwrap();
    let all: Vec<_> = all.iter().map(|found| found.delivery.webhook).collect();
    assert_eq!(all, [one, two, three]);
    let counts = world.store.counts().await.unwrap();
    assert_eq!((counts.deliveries_created, counts.deliveries_pending), (3, 3));
    // it lives as any other
    let waiting = Waiting { due: world.now, progress: Progress::default(), mode: Mode::Scheduled };
    let record = world.attempt(missed, waiting, Verdict::Success);
    let stands = record.entry.standing;
    world.commit(vec![], vec![record]).await;
    assert_eq!(world.standing(&event, two).await, stands);
    // who matched when the event was accepted is told as it was
    let matching = world.store.matching(event.matching).await.unwrap().unwrap();
    let again = world.accept(&[&event], &matching).await;
    assert!(matches!(again[..], [Accepted::Repeat { matched: 2, .. }]), "{again:?}");
    let untouched = step(&mut world, &stepped.replay, &[delivery(&event, one)]).await;
    assert_eq!(untouched.moved, []);
    world.check_counts().await;
}

pub(crate) async fn nothing_is_added_for_another_webhook_or_an_unknown_event(mut world: World) {
    let [one, two] = world.webhook_keys();
    let event = world.publish(&[]).await;
    let mut unknown = event.clone();
    unknown.key = world.key();
    let replay = insert(&mut world, one).await;
    let strange = [delivery(&event, two), delivery(&unknown, one)];
    assert_eq!(step(&mut world, &replay, &strange).await.moved, []);
    assert_eq!(world.store.delivery(strange[0]).await, Ok(None));
    world.check_counts().await;
}

pub(crate) async fn a_step_from_elsewhere_conflicts_and_changes_nothing(mut world: World) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[webhook]).await;
    world.attempt_first(&event, webhook, Verdict::Success).await;
    let replay = insert(&mut world, webhook).await;
    let first = world.step(&replay, &[delivery(&event, webhook)]);
    world.store.step_replay(first.clone()).await.unwrap();
    let counts = world.store.counts().await.unwrap();
    let again = world.store.step_replay(first).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(world.store.counts().await.unwrap(), counts);
}

pub(crate) async fn the_last_step_ends_a_replay(mut world: World) {
    let [webhook] = world.webhook_keys();
    let replay = insert(&mut world, webhook).await;
    let last = ReplayStep { to: None, considered: 3, ..world.step(&replay, &[]) };
    let ended = world.store.step_replay(last.clone()).await.unwrap().replay;
    assert_eq!((ended.state, ended.finished_at), (ReplayState::Done, Some(world.now)));
    assert_eq!(world.store.running_replays(None, 9).await, Ok(vec![]));
    let again = world.store.step_replay(last).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let cancelled = world.store.end_replay(replay.key, ReplayState::Cancelled, world.now).await;
    assert_eq!(cancelled, Ok(None));
}

pub(crate) async fn a_cancelled_replay_takes_no_more_steps(mut world: World) {
    let [webhook] = world.webhook_keys();
    let replay = insert(&mut world, webhook).await;
    let cancelled = world.store.end_replay(replay.key, ReplayState::Cancelled, world.now).await;
    let cancelled = cancelled.unwrap().unwrap();
    assert_eq!(cancelled.state, ReplayState::Cancelled);
    assert_eq!(cancelled.finished_at, Some(world.now));
    let step = world.step(&replay, &[]);
    let refused = world.store.step_replay(step).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}

/// An event that nothing is pending for but what a replay added, long ago.
async fn long_added(world: &mut World) -> (Event, WebhookKey) {
    let [webhook] = world.webhook_keys();
    let event = world.publish(&[]).await;
    let replay = insert(world, webhook).await;
    assert_eq!(step(world, &replay, &[delivery(&event, webhook)]).await.moved.len(), 1);
    world.pass(3 * BUCKET_MS);
    world.sweep(world.now).await;
    (event, webhook)
}

pub(crate) async fn what_was_added_keeps_its_event_and_goes_with_it(mut world: World) {
    let (event, webhook) = long_added(&mut world).await;
    assert_eq!(world.pending(webhook).await, [event.key]);
    let stands = world.standing(&event, webhook).await;
    let Standing::Pending(waiting) = stands else { panic!("it is pending") };
    let record = world.attempt(delivery(&event, webhook), waiting, Verdict::Success);
    world.commit(vec![], vec![record]).await;
    world.check_counts().await;
    world.sweep(world.now).await;
    let found = world.store.delivery(delivery(&event, webhook)).await;
    assert_eq!(found, Ok(None));
    assert_eq!(world.store.deliveries_of_event(event.key, None, 9).await, Ok(vec![]));
}

pub(crate) async fn a_kept_event_can_have_deliveries_added(mut world: World) {
    let (event, first) = long_added(&mut world).await;
    let [second] = world.webhook_keys();
    let replay = insert(&mut world, second).await;
    let added = delivery(&event, second);
    assert_eq!(step(&mut world, &replay, &[added]).await.moved, [added]);
    // the first one ends; the second keeps the event
    let Standing::Pending(waiting) = world.standing(&event, first).await else {
        panic!("it is pending");
    };
    let record = world.attempt(delivery(&event, first), waiting, Verdict::Success);
    world.commit(vec![], vec![record]).await;
    world.pass(3 * BUCKET_MS);
    world.sweep(world.now).await;
    assert_eq!(world.pending(second).await, [event.key]);
    let stands = world.standing(&event, first).await;
    assert_eq!(stands.state(), DeliveryState::Succeeded);
    world.check_counts().await;
}

pub(crate) async fn old_replays_go_once_they_have_ended(mut world: World) {
    let [webhook] = world.webhook_keys();
    let (running, ended) = (insert(&mut world, webhook).await, insert(&mut world, webhook).await);
    let end = world.store.end_replay(ended.key, ReplayState::Cancelled, world.now);
    assert!(end.await.unwrap().is_some());
    world.sweep(world.now).await;
    assert!(world.store.replay(ended.key).await.unwrap().is_some());
    world.pass(1);
    world.sweep(world.now).await;
    assert_eq!(world.store.replay(ended.key).await, Ok(None));
    assert_eq!(world.store.replay(running.key).await, Ok(Some(running)));
}

pub(crate) async fn one_delivery_is_cancelled_on_request(mut world: World) {
    let [one, two] = world.webhook_keys();
    let event = world.publish(&[one, two]).await;
    let request =
        CancelRequest { delivery: delivery(&event, one), at: world.now, key: world.key() };
    for _ in 0..2 {
        let answer = world.store.request_cancel(request).await.unwrap();
        let Some(Cancelled::Now(found)) = answer else { panic!("{answer:?}") };
        assert_eq!(found.standing.state(), DeliveryState::Cancelled);
    }
    let history = world.store.history(request.delivery).await.unwrap();
    assert_eq!(history.len(), 1, "the same request twice is one");
    assert_eq!(world.pending(one).await, []);
    assert_eq!(world.pending(two).await, [event.key]);
    let again = CancelRequest { key: world.key(), ..request };
    let refused = world.store.request_cancel(again).await;
    assert_eq!(refused, Ok(Some(Cancelled::AlreadyFinal(DeliveryState::Cancelled))));
    let stranger = DeliveryKey { webhook: world.key(), ..request.delivery };
    let none = CancelRequest { delivery: stranger, key: world.key(), ..request };
    assert_eq!(world.store.request_cancel(none).await, Ok(None));
    world.check_counts().await;
}
