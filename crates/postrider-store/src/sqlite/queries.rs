//! The text of every query that reads what grows, so that one test can ask SQLite how it would
//! go about each: none may scan a table.

#[cfg(test)]
use super::slots;
use crate::bucket::Bucket;

pub(super) const PENDING_OF_WEBHOOK: &str = "SELECT due, event, attempts, scheduled, mode, resume \
     FROM pending WHERE webhook = ?1 ORDER BY due, event";
pub(super) const BACKLOG: &str =
    "SELECT event FROM pending WHERE webhook = ?1 ORDER BY due, event LIMIT ?2";
/// One step of a skip scan.
pub(super) const NEXT_LANE: &str =
    "SELECT webhook, due FROM pending WHERE webhook > ?1 ORDER BY webhook, due LIMIT 1";
pub(super) const EVENT_KEPT: &str = "SELECT tenant, event FROM event_kept WHERE key = ?1";
pub(super) const EVENT_ID_KEPT: &str =
    "SELECT event, fingerprint FROM event_id_kept WHERE tenant = ?1 AND id = ?2";
pub(super) const EVENTS_KEPT_OF_TENANT: &str = "SELECT key, tenant, event FROM event_kept \
     WHERE tenant = ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3";
pub(super) const MATCHING_KEPT: &str = "SELECT matching FROM matching_kept WHERE key = ?1";
pub(super) const STANDINGS_KEPT: &str = "SELECT webhook, standing FROM standing_kept \
     WHERE event = ?1 AND webhook >= ?2 AND webhook <= ?3";

/// ?1 tenant, ?2 first, ?3 limit.
pub(super) const EVENTS_KEPT_FROM: &str = "SELECT key, tenant, event FROM event_kept \
     WHERE tenant = ?1 AND key >= ?2 ORDER BY key LIMIT ?3";
pub(super) const ADDED: &str = "SELECT webhook, at FROM added WHERE event = ?1";
pub(super) const REPLAY: &str = "SELECT key, tenant, replay FROM replay WHERE key = ?1";
/// ?1 tenant, ?2 before, ?3 limit.
pub(super) const REPLAYS_OF_TENANT: &str = "SELECT key, tenant, replay FROM replay \
     WHERE tenant = ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3";
/// ?1 tenant, ?2 before, ?3 limit, ?4 webhook.
pub(super) const REPLAYS_OF_WEBHOOK: &str = "SELECT key, tenant, replay FROM replay \
     WHERE webhook = ?4 AND key < ?2 AND +tenant = ?1 ORDER BY key DESC LIMIT ?3";
/// ?1 after, ?2 limit.
pub(super) const REPLAYS_RUNNING: &str = "SELECT key, tenant, replay FROM replay \
     WHERE is_running = 1 AND key > ?1 ORDER BY key LIMIT ?2";

pub(super) fn event(n: Bucket) -> String {
    format!("SELECT tenant, event FROM event_{n} WHERE key = ?1")
}

/// `n` is the number of a table of ids, not of a bucket.
pub(super) fn event_id(n: Bucket) -> String {
    format!("SELECT event, fingerprint FROM event_id_{n} WHERE tenant = ?1 AND id = ?2")
}

pub(super) fn matching(n: Bucket) -> String {
    format!("SELECT matching FROM matching_{n} WHERE key = ?1")
}

/// ?1 tenant, ?2 before, ?3 limit, ?4 mark.
pub(super) fn events_in_tail(n: Bucket) -> String {
    format!(
        "SELECT key, tenant, event FROM event_{n} \
         WHERE key > ?4 AND key < ?2 AND tenant = ?1 ORDER BY key DESC LIMIT ?3"
    )
}

/// ?1 tenant, ?2 before, ?3 limit.
pub(super) fn events_in_index(n: Bucket) -> String {
    format!(
        "SELECT e.key, e.tenant, e.event FROM event_by_tenant_{n} i \
         CROSS JOIN event_{n} e ON e.key = i.event \
         WHERE i.tenant = ?1 AND i.event < ?2 ORDER BY i.event DESC LIMIT ?3"
    )
}

/// ?1 tenant, ?2 first, but above the mark, ?3 limit.
pub(super) fn events_from_in_tail(n: Bucket) -> String {
    format!(
        "SELECT key, tenant, event FROM event_{n} \
         WHERE key >= ?2 AND tenant = ?1 ORDER BY key LIMIT ?3"
    )
}

/// ?1 tenant, ?2 first, ?3 limit.
pub(super) fn events_from_in_index(n: Bucket) -> String {
    format!(
        "SELECT e.key, e.tenant, e.event FROM event_by_tenant_{n} i \
         CROSS JOIN event_{n} e ON e.key = i.event \
         WHERE i.tenant = ?1 AND i.event >= ?2 ORDER BY i.event LIMIT ?3"
    )
}

/// ?1 mark.
pub(super) fn history_tail(n: Bucket) -> String {
    format!("SELECT event, webhook, key FROM history_{n} WHERE key > ?1 ORDER BY key")
}

/// ?1 webhook, ?2 before, ?3 limit, ?4 mark.
pub(super) fn history_of_webhook_in_tail(n: Bucket) -> String {
    format!(
        "SELECT key, event, webhook, entry FROM history_{n} \
         WHERE key > ?4 AND key < ?2 AND webhook = ?1 ORDER BY key DESC LIMIT ?3"
    )
}

/// ?1 webhook, ?2 before, ?3 limit.
pub(super) fn history_of_webhook_in_index(n: Bucket) -> String {
    format!(
        "SELECT h.key, h.event, h.webhook, h.entry FROM history_by_webhook_{n} i \
         CROSS JOIN history_{n} h ON h.key = i.history \
         WHERE i.webhook = ?1 AND i.history < ?2 ORDER BY i.history DESC LIMIT ?3"
    )
}

/// ?1 event, ?2 webhook, ?3 mark.
pub(super) fn history_of_delivery_in_tail(n: Bucket) -> String {
    format!(
        "SELECT key, event, webhook, entry FROM history_{n} \
         WHERE key > ?3 AND event = ?1 AND webhook = ?2 ORDER BY key"
    )
}

/// ?1 event, ?2 webhook.
pub(super) fn history_of_delivery_in_index(n: Bucket) -> String {
    format!(
        "SELECT h.key, h.event, h.webhook, h.entry FROM history_by_delivery_{n} i \
         CROSS JOIN history_{n} h ON h.key = i.history \
         WHERE i.event = ?1 AND i.webhook = ?2 ORDER BY i.history"
    )
}

/// The last entry of each delivery of an event: ?1 event, ?2 and ?3 first and last webhook,
/// ?4 mark.
pub(super) fn last_entries_in_tail(n: Bucket) -> String {
    format!(
        "SELECT webhook, key FROM history_{n} \
         WHERE key > ?4 AND event = ?1 AND webhook >= ?2 AND webhook <= ?3 ORDER BY key"
    )
}

/// The last entry of each delivery of an event: ?1 event, ?2 and ?3 first and last webhook.
pub(super) fn last_entries_in_index(n: Bucket) -> String {
    format!(
        "SELECT webhook, max(history) FROM history_by_delivery_{n} \
         WHERE event = ?1 AND webhook >= ?2 AND webhook <= ?3 GROUP BY webhook"
    )
}

/// ?1 and ?2 first and last event, ?3 limit.
pub(super) fn entries_of_range(n: Bucket) -> String {
    format!(
        "SELECT event, webhook, history FROM history_by_delivery_{n} \
         WHERE event >= ?1 AND event <= ?2 ORDER BY event, webhook, history LIMIT ?3"
    )
}

/// ?1 first, ?2 end, ?3 mask, ?4 limit.
pub(super) fn troubled(n: Bucket) -> String {
    format!(
        "SELECT event FROM trouble_{n} WHERE event >= ?1 AND event < ?2 \
         AND (?3 >> what) & 1 = 1 GROUP BY event ORDER BY event DESC LIMIT ?4"
    )
}

/// The same of ?5 webhook.
pub(super) fn troubled_of_webhook(n: Bucket) -> String {
    format!(
        "SELECT event FROM trouble_{n} WHERE webhook = ?5 AND event >= ?1 AND event < ?2 \
         AND (?3 >> what) & 1 = 1 GROUP BY event ORDER BY event DESC LIMIT ?4"
    )
}

pub(super) fn entry(n: Bucket) -> String {
    format!("SELECT entry FROM history_{n} WHERE key = ?1")
}

#[cfg(test)]
pub(super) fn all(n: Bucket, ids: Bucket) -> Vec<String> {
    let fixed = [
        PENDING_OF_WEBHOOK,
        BACKLOG,
        NEXT_LANE,
        EVENT_KEPT,
        EVENT_ID_KEPT,
        EVENTS_KEPT_OF_TENANT,
        MATCHING_KEPT,
        STANDINGS_KEPT,
        EVENTS_KEPT_FROM,
        ADDED,
        REPLAY,
        REPLAYS_OF_TENANT,
        REPLAYS_OF_WEBHOOK,
        REPLAYS_RUNNING,
    ];
    let bucketed = [
        event,
        matching,
        events_in_tail,
        events_in_index,
        events_from_in_tail,
        events_from_in_index,
        history_tail,
        history_of_webhook_in_tail,
        history_of_webhook_in_index,
        history_of_delivery_in_tail,
        history_of_delivery_in_index,
        last_entries_in_tail,
        last_entries_in_index,
        entries_of_range,
        troubled,
        troubled_of_webhook,
        entry,
    ];
    let slots = slots::ALL.map(|kind| [kind.find, kind.oldest, kind.newest, kind.drop]);
    (fixed.into_iter().chain(slots.into_iter().flatten()).map(str::to_owned))
        .chain(bucketed.into_iter().map(|text| text(n)))
        .chain([event_id(ids)])
        .collect()
}
