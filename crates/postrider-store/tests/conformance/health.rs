use postrider_core::delivery::Verdict;
use postrider_core::health::Health;
use postrider_core::id::{TenantKey, UnixMs, WebhookKey};
use postrider_core::statistics::{
    Grain, HOUR_SLOT_MS, TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at,
};
use postrider_core::webhook::{Webhook, WebhookState};
use postrider_store::{Backlog, Recorded, Slot, Span, Statistics};

use crate::World;
use crate::world::{START, delivery, first_waiting};

async fn registered(world: &mut World) -> Webhook {
    let tenant = world.key();
    let webhook = world.webhook(tenant);
    world.store.insert_webhook(webhook.clone()).await.unwrap();
    webhook
}

async fn deleted(world: &World, webhook: Webhook) {
    let gone = Webhook { state: WebhookState::Deleted, version: webhook.version + 1, ..webhook };
    world.store.update_webhook(gone).await.unwrap();
}

/// Everything in a health differs from its default.
fn ill(failures: u32) -> Health {
    Health {
        counted_from: START,
        failures_in_a_row: failures,
        failing_since: Some(START + 1),
        is_reported: true,
        last_success_at: Some(START + 2),
        last_failure_at: Some(START + 3),
    }
}

async fn healths(world: &World) -> Vec<(WebhookKey, Health)> {
    world.store.healths(None, 99).await.unwrap()
}

fn tally(succeeded: u64, us: u32) -> Tally {
    let mut tally = Tally {
        events: 1,
        succeeded,
        failed: 2,
        retrying: 1,
        status_3xx: 3,
        status_4xx: 4,
        status_5xx: 5,
        ..Tally::default()
    };
    tally.response.record(us);
    tally
}

/// Slots of one webhook.
fn slots(of: WebhookKey, at: &[UnixMs]) -> Statistics {
    let webhooks = at.iter().map(|&at| Slot { of, at, tally: tally(1, 900) }).collect();
    Statistics { webhooks, ..Statistics::default() }
}

pub(crate) const EVER: Span = Span { grain: Grain::Fine, from: 0, until: UnixMs::MAX };
pub(crate) const EVER_BY_HOUR: Span = Span { grain: Grain::Hour, ..EVER };

async fn webhook_slots(world: &World, of: WebhookKey, span: Span) -> Vec<(UnixMs, Tally)> {
    let found = world.store.webhook_slots(vec![of], span).await.unwrap();
    assert!(found.iter().all(|slot| slot.of == of));
    found.into_iter().map(|slot| (slot.at, slot.tally)).collect()
}

async fn tenant_slots(world: &World, of: TenantKey, span: Span) -> Vec<(UnixMs, Tally)> {
    let found = world.store.tenant_slots(of, span).await.unwrap();
    assert!(found.iter().all(|slot| slot.of == of));
    found.into_iter().map(|slot| (slot.at, slot.tally)).collect()
}

fn times(slots: &[(UnixMs, Tally)]) -> Vec<UnixMs> {
    slots.iter().map(|&(at, _)| at).collect()
}

pub(crate) async fn health_is_kept_with_the_outcome_that_it_tells_of(mut world: World) {
    let webhook = registered(&mut world).await.key;
    let event = world.publish(&[webhook]).await;
    let verdict = world.fails_until(60_000);
    let mut record = world.attempt(delivery(&event, webhook), first_waiting(&event), verdict);
    record.health = Some(ill(1));
    assert_eq!(world.commit(vec![], vec![record]).await.records, [Recorded::Done]);
    assert_eq!(healths(&world).await, [(webhook, ill(1))]);
}

pub(crate) async fn the_last_health_of_a_batch_counts(mut world: World) {
    let (one, other) = (registered(&mut world).await.key, registered(&mut world).await.key);
    let event = world.publish(&[one, other]).await;
    let waiting = first_waiting(&event);
    let mut records = Vec::new();
    for (webhook, failures) in [(one, Some(1)), (other, Some(5)), (one, Some(2)), (one, None)] {
        let mut record = world.attempt(delivery(&event, webhook), waiting, Verdict::Success);
        record.health = failures.map(ill);
        records.push(record);
    }
    world.commit(vec![], records).await;
    assert_eq!(healths(&world).await, [(one, ill(2)), (other, ill(5))]);
}

pub(crate) async fn a_counting_begins_anew_and_what_came_before_is_out_of_date(mut world: World) {
    let webhook = registered(&mut world).await.key;
    world.store.keep_health(webhook, ill(9)).await.unwrap();
    let anew = Health::counted_from(START + 100);
    world.store.keep_health(webhook, anew).await.unwrap();
    world.store.keep_health(webhook, ill(10)).await.unwrap();
    assert_eq!(healths(&world).await, [(webhook, anew)]);
    let failed = Health { failures_in_a_row: 1, ..anew };
    world.store.keep_health(webhook, failed).await.unwrap();
    assert_eq!(healths(&world).await, [(webhook, failed)]);
}

pub(crate) async fn a_deleted_webhook_leaves_no_health_behind(mut world: World) {
    let webhook = registered(&mut world).await;
    let key = webhook.key;
    world.store.keep_health(key, ill(1)).await.unwrap();
    deleted(&world, webhook).await;
    assert_eq!(healths(&world).await, []);
    world.store.keep_health(key, ill(2)).await.unwrap();
    let successes = vec![(key, START)];
    let late = Statistics { successes, ..Statistics::default() };
    world.store.add_statistics(late).await.unwrap();
    let unknown: WebhookKey = world.key();
    world.store.keep_health(unknown, ill(3)).await.unwrap();
    assert_eq!(healths(&world).await, []);
}

pub(crate) async fn healths_come_in_pages(mut world: World) {
    let mut kept = Vec::new();
    for failures in 1..=5 {
        let webhook = registered(&mut world).await.key;
        world.store.keep_health(webhook, ill(failures)).await.unwrap();
        kept.push((webhook, ill(failures)));
    }
    let mut found: Vec<(WebhookKey, Health)> = Vec::new();
    loop {
        let after = found.last().map(|&(webhook, _)| webhook);
        let page = world.store.healths(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, kept);
}

pub(crate) async fn a_last_success_only_moves_forward_and_changes_nothing_else(mut world: World) {
    let (well, failing) = (registered(&mut world).await.key, registered(&mut world).await.key);
    world.store.keep_health(failing, ill(4)).await.unwrap();
    for at in [START + 50, START + 40] {
        let successes = vec![(well, at), (failing, at)];
        let statistics = Statistics { successes, ..Statistics::default() };
        world.store.add_statistics(statistics).await.unwrap();
    }
    let last_success_at = Some(START + 50);
    let well_now = Health { last_success_at, ..Health::default() };
    let failing_now = Health { last_success_at, ..ill(4) };
    assert_eq!(healths(&world).await, [(well, well_now), (failing, failing_now)]);
}

pub(crate) async fn what_is_counted_apart_adds_up(mut world: World) {
    let [one, other]: [WebhookKey; 2] = world.webhook_keys();
    let tenant: TenantKey = world.key();
    let (at, minute) = (slot_at(START, WEBHOOK_SLOT_MS), slot_at(START, TENANT_SLOT_MS));
    for us in [900, 40_000] {
        let statistics = Statistics {
            webhooks: vec![
                Slot { of: one, at, tally: tally(3, us) },
                Slot { of: other, at, tally: tally(1, 7) },
            ],
            tenants: vec![Slot { of: tenant, at: minute, tally: tally(4, us) }],
            ..Statistics::default()
        };
        world.store.add_statistics(statistics).await.unwrap();
    }
    let sum = |succeeded| {
        let mut sum = tally(succeeded, 900);
        sum.merge(&tally(succeeded, 40_000));
        sum
    };
    assert_eq!(webhook_slots(&world, one, EVER).await, [(at, sum(3))]);
    assert_eq!(tenant_slots(&world, tenant, EVER).await, [(minute, sum(4))]);
    let nobody: TenantKey = world.key();
    assert_eq!(tenant_slots(&world, nobody, EVER).await, []);
}

pub(crate) async fn slots_are_read_by_a_range_of_time(mut world: World) {
    let [webhook] = world.webhook_keys();
    let begin = slot_at(START, WEBHOOK_SLOT_MS);
    let at = [0, 1, 2, 5].map(|n| begin + n * WEBHOOK_SLOT_MS);
    world.store.add_statistics(slots(webhook, &at)).await.unwrap();
    for (from, until, expected) in [
        (at[0], at[3] + 1, &at[..]),
        (at[1], at[3], &at[1..3]),
        (at[3] + WEBHOOK_SLOT_MS, UnixMs::MAX, &[]),
        (0, at[0], &[]),
    ] {
        let found = webhook_slots(&world, webhook, Span { from, until, ..EVER }).await;
        assert_eq!(times(&found), expected);
    }
}

pub(crate) async fn hours_hold_all_that_was_counted_in_them(mut world: World) {
    let [webhook] = world.webhook_keys();
    let tenant: TenantKey = world.key();
    let hour = slot_at(START, HOUR_SLOT_MS);
    let next = hour + HOUR_SLOT_MS;
    for minutes in [[5, 10, 60], [10, 55, 119]] {
        let tenants =
            minutes.map(|n| Slot { of: tenant, at: hour + n * 60_000, tally: tally(1, 7) });
        let at = minutes.map(|n| slot_at(hour + n * 60_000, WEBHOOK_SLOT_MS));
        let statistics = Statistics { tenants: tenants.to_vec(), ..slots(webhook, &at) };
        world.store.add_statistics(statistics).await.unwrap();
    }
    let sum = |times: usize, one: &Tally| {
        let mut sum = Tally::default();
        (0..times).for_each(|_| sum.merge(one));
        sum
    };
    let of_webhook = tally(1, 900);
    let expected = [(hour, sum(4, &of_webhook)), (next, sum(2, &of_webhook))];
    assert_eq!(webhook_slots(&world, webhook, EVER_BY_HOUR).await, expected);
    let of_tenant = tally(1, 7);
    let expected = [(hour, sum(4, &of_tenant)), (next, sum(2, &of_tenant))];
    assert_eq!(tenant_slots(&world, tenant, EVER_BY_HOUR).await, expected);
    let later = Span { from: next, ..EVER_BY_HOUR };
    assert_eq!(tenant_slots(&world, tenant, later).await, expected[1..]);
}

pub(crate) async fn slots_of_many_webhooks_come_by_time_and_webhook(mut world: World) {
    let [one, other, third]: [WebhookKey; 3] = world.webhook_keys();
    let at = [1, 2].map(|n| n * WEBHOOK_SLOT_MS);
    for webhook in [third, other, one] {
        world.store.add_statistics(slots(webhook, &at)).await.unwrap();
    }
    let found = world.store.webhook_slots(vec![third, one], EVER).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|slot| (slot.at, slot.of)).collect();
    assert_eq!(found, [(at[0], one), (at[0], third), (at[1], one), (at[1], third)]);
    assert_eq!(world.store.webhook_slots(vec![], EVER).await.unwrap(), []);
}

pub(crate) async fn the_oldest_slots_go_one_time_after_the_other(mut world: World) {
    let [webhook] = world.webhook_keys();
    let at = [1, 2, 3].map(|n| n * HOUR_SLOT_MS);
    world.store.add_statistics(slots(webhook, &at)).await.unwrap();
    for left in [&at[1..], &at[2..], &at[2..]] {
        let keep = Statistics { keep_webhooks_from: at[2], ..Statistics::default() };
        world.store.add_statistics(keep).await.unwrap();
        assert_eq!(times(&webhook_slots(&world, webhook, EVER).await), left);
    }
    assert_eq!(times(&webhook_slots(&world, webhook, EVER_BY_HOUR).await), at);
    let keep = Statistics { keep_hours_from: at[1], ..Statistics::default() };
    world.store.add_statistics(keep).await.unwrap();
    assert_eq!(times(&webhook_slots(&world, webhook, EVER_BY_HOUR).await), at[1..]);
}

pub(crate) async fn a_backlog_is_counted_up_to_a_bound(mut world: World) {
    let all: [WebhookKey; 3] = world.webhook_keys();
    let [one, other, idle] = all;
    let oldest_at = Some(world.now);
    world.publish(&[one]).await;
    world.pass(10);
    world.publish(&[one, other]).await;
    let cases = [
        (vec![one], 9, 2, false, oldest_at),
        (vec![one], 2, 2, false, oldest_at),
        (vec![one], 1, 1, true, oldest_at),
        (vec![idle, other, one], 2, 2, true, oldest_at),
        (vec![other], 9, 1, false, Some(world.now)),
        (vec![idle], 9, 0, false, None),
        (vec![one], 0, 0, true, None),
        (vec![], 9, 0, false, None),
    ];
    for (webhooks, max, count, is_more, oldest_at) in cases {
        let found = world.store.backlog(webhooks.clone(), max).await.unwrap();
        assert_eq!(found, Backlog { count, is_more, oldest_at }, "{webhooks:?} {max}");
    }
}
