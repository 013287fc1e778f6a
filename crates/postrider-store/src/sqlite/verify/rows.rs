//! What is not in an event's fan-out: pending rows, webhooks, replays, counters.

use postrider_core::id::{DeliveryKey, WebhookKey};

use super::{Look, count};
use crate::replay::{Replay, ReplayState};
use crate::sqlite::failure::Outcome;
use crate::sqlite::view::{key, sql};
use crate::sqlite::{pending, replays, webhooks};
use crate::verification::ViolationKind;

/// Rows read at a time.
const ROWS_AT_ONCE: usize = 256;

/// Each unfinished delivery was met with its event; when there are more, they are looked for.
pub(super) fn pending(look: &mut Look<'_>) -> Outcome<()> {
    without_webhook(look)?;
    if count(look.view.connection, "pending")? == look.checked.pending {
        return Ok(());
    }
    let mut statement = look
        .view
        .connection
        .prepare("SELECT webhook, due, event, attempts, scheduled, mode, resume FROM pending")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        look.row()?;
        let webhook: WebhookKey = key(row.get(0)?);
        let (event, waiting) = pending::read_row(row, 1)?;
        let delivery = DeliveryKey { event, webhook };
        if look.view.event_by_key(event)?.is_none() {
            let detail = format!("due at {}", waiting.due);
            look.violation(ViolationKind::PendingWithoutEvent, &delivery, detail);
            continue;
        }
        let stands = look.view.delivery(delivery)?.map(|stands| stands.standing);
        if stands != Some(postrider_core::delivery::Standing::Pending(waiting)) {
            let detail = match stands {
                Some(stands) => format!("it is {} by its history", stands.state().name()),
                None => "its event does not go to its webhook".to_owned(),
            };
            look.violation(ViolationKind::PendingStray, &delivery, detail);
        }
    }
    Ok(())
}

fn without_webhook(look: &mut Look<'_>) -> Outcome<()> {
    let mut after = None;
    loop {
        let lanes = look.view.lanes(after, ROWS_AT_ONCE)?;
        let Some(last) = lanes.last() else {
            return Ok(());
        };
        after = Some(last.webhook);
        for lane in lanes {
            look.row()?;
            if webhooks::stored(look.view.connection, lane.webhook)?.is_none() {
                let detail = format!("the first is due at {}", lane.first_due);
                look.violation(ViolationKind::PendingWithoutWebhook, &lane.webhook, detail);
            }
        }
    }
}

/// Webhooks can be read, and a health is of one that is there.
pub(super) fn webhooks(look: &mut Look<'_>) -> Outcome<()> {
    let connection = look.view.connection;
    let mut after = None;
    loop {
        let page = webhooks::list(connection, after, ROWS_AT_ONCE)?;
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.key);
        for _ in page {
            look.row()?;
            look.checked.webhooks += 1;
        }
    }
    look.checked.healths += count(connection, "health")?;
    let query = "SELECT webhook FROM health WHERE NOT EXISTS \
         (SELECT 1 FROM webhook WHERE key = health.webhook AND deleted_at IS NULL)";
    look.each(query, |row| {
        let webhook: WebhookKey = key(row.get(0)?);
        let detail = "it was deleted, or never there".to_owned();
        Ok((ViolationKind::HealthWithoutWebhook, webhook.to_string(), detail))
    })
}

pub(super) fn replays(look: &mut Look<'_>) -> Outcome<()> {
    let connection = look.view.connection;
    let query = "SELECT key, tenant, replay, is_running, finished_at, webhook FROM replay";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        look.row()?;
        look.checked.replays += 1;
        let replay = replays::read_row(row)?;
        let is_running = replay.state == ReplayState::Running;
        let says_the_same = row.get::<_, bool>(3)? == is_running
            && row.get::<_, Option<i64>>(4)? == replay.finished_at
            && row.get::<_, Option<i64>>(5)? == replay.filter.webhook.map(sql);
        if !says_the_same {
            let detail = "its columns say other than its content";
            look.violation(ViolationKind::ReplayMiscounted, &replay.key, detail);
        } else if let Some(detail) = miscounted(&replay, is_running) {
            look.violation(ViolationKind::ReplayMiscounted, &replay.key, detail);
        }
    }
    Ok(())
}

fn miscounted(replay: &Replay, is_running: bool) -> Option<String> {
    if is_running != replay.finished_at.is_none() {
        return Some(format!("it is {:?} and finished at {:?}", replay.state, replay.finished_at));
    }
    // with a webhook named, an event has one delivery at most that is moved on
    let is_of_one = replay.filter.webhook.is_some();
    let is_over = is_of_one && replay.replayed > replay.considered;
    is_over.then(|| format!("{} replayed of {} events", replay.replayed, replay.considered))
}

/// What a replay added goes with its event.
pub(super) fn added(look: &mut Look<'_>) -> Outcome<()> {
    let connection = look.view.connection;
    let mut statement = connection.prepare("SELECT event, webhook FROM added")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        look.row()?;
        let delivery = DeliveryKey { event: key(row.get(0)?), webhook: key(row.get(1)?) };
        if look.view.event_by_key(delivery.event)?.is_none() {
            let detail = format!("{} is not there", delivery.event);
            look.violation(ViolationKind::AddedWithoutEvent, &delivery, detail);
        }
    }
    Ok(())
}

/// Created = pending + finished.
pub(super) fn counters(look: &mut Look<'_>) -> Outcome<()> {
    let counts = look.view.counts()?;
    let accounted = counts.deliveries_pending + counts.deliveries_finished;
    if accounted != counts.deliveries_created {
        let detail = format!(
            "{} created, {} pending, {} finished",
            counts.deliveries_created, counts.deliveries_pending, counts.deliveries_finished
        );
        look.violation(ViolationKind::Unaccounted, &"", detail);
    }
    Ok(())
}
