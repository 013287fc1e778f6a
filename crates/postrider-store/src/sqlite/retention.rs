//! Letting go of what is old: whole buckets at once, but what is pending keeps its event.
//!
//! A bucket goes in two steps. One transaction copies what must outlive it and takes it away
//! from every reader; then its tables are dropped one by one, each in a transaction of its own,
//! so that commits get their turn in between.

use std::collections::BTreeMap;

use postrider_core::id::{DeliveryKey, EventKey, Key, UnixMs, WebhookKey};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::{Failure, Outcome};
use super::ledger::{Ledger, id_table_name};
use super::view::{key, sql};
use super::{index, replays};
use crate::bucket::Bucket;
use crate::codec::encode_standing;
use crate::failpoint;
use crate::records::Swept;

/// Kept events let go of in one transaction.
const UNKEPT_MAX: i64 = 4_096;

/// One step of a sweep, but for the dropping of tables.
pub(super) fn sweep(
    connection: &Connection,
    ledger: &mut Ledger,
    scratch: &mut Vec<u8>,
    keep_from: UnixMs,
    index_at: usize,
) -> Outcome<Swept> {
    let mut swept =
        Swept { indexed: index_tails(connection, ledger, index_at)?, dropped_buckets: 0 };
    let first_kept = ledger.buckets.first_not_ended(keep_from);
    let oldest = ledger.live.keys().next().copied();
    if let Some(n) = oldest.filter(|&n| n < first_kept) {
        drop_bucket(connection, ledger, scratch, n)?;
        failpoint!(BucketDropped);
        swept.dropped_buckets = 1;
    }
    let ended: EventKey = ledger.buckets.first_key(first_kept);
    let_go_of_finished(connection, ledger, ended)?;
    forget_deleted_webhooks(connection, keep_from)?;
    replays::forget_finished(connection, keep_from)?;
    Ok(swept)
}

/// Drops one table of a bucket that is gone. `false` when there was none.
pub(super) fn drop_one_table(connection: &Connection) -> Outcome<bool> {
    let doomed: Option<String> =
        connection.query_row("SELECT name FROM doomed LIMIT 1", [], |row| row.get(0)).optional()?;
    let Some(name) = doomed else {
        return Ok(false);
    };
    connection.execute_batch(&format!("DROP TABLE {name}"))?;
    failpoint!(TableDropped);
    connection.execute("DELETE FROM doomed WHERE name = ?1", [name])?;
    Ok(true)
}

/// Old buckets to their last row; the newest one when it is worth a bulk.
fn index_tails(connection: &Connection, ledger: &mut Ledger, index_at: usize) -> Outcome<usize> {
    let newest = ledger.live.keys().next_back().copied();
    let old: Vec<Bucket> = (ledger.tails.iter())
        .filter(|(n, tail)| {
            Some(**n) != newest && !(tail.events.is_empty() && tail.history.is_empty())
        })
        .map(|(&n, _)| n)
        .collect();
    let mut indexed = 0;
    for n in old {
        indexed += index::fill(connection, ledger, n)?;
    }
    indexed += index::fill_grown(connection, ledger, index_at)?;
    Ok(indexed)
}

fn drop_bucket(
    connection: &Connection,
    ledger: &mut Ledger,
    scratch: &mut Vec<u8>,
    n: Bucket,
) -> Outcome<()> {
    index::fill(connection, ledger, n)?;
    keep_pending_events(connection, ledger, n)?;
    keep_standings(connection, ledger, scratch, n)?;
    let_go_of_added(connection, ledger, n)?;
    if let Some(table) = ledger.id_table_only_of(n) {
        let table = id_table_name(table);
        connection.execute_batch(&format!(
            "INSERT OR REPLACE INTO event_id_kept \
             SELECT i.* FROM {table} i JOIN event_kept k ON k.key = i.event;
             INSERT INTO doomed VALUES ('{table}')"
        ))?;
    }
    ledger.remove(connection, n)
}

/// Copies the events of a bucket that have pending deliveries, and the matchings they name.
fn keep_pending_events(connection: &Connection, ledger: &Ledger, n: Bucket) -> Outcome<()> {
    // the one place that reads all that is pending: once for each bucket, a day by default
    let mut pending: BTreeMap<i64, i64> = BTreeMap::new();
    let mut statement =
        connection.prepare("SELECT event FROM pending WHERE event BETWEEN ?1 AND ?2")?;
    let mut rows = statement.query(ledger.range_of(n))?;
    while let Some(row) = rows.next()? {
        *pending.entry(row.get(0)?).or_default() += 1;
    }
    let view = ledger.view(connection);
    let mut keep = connection.prepare(&format!(
        "INSERT OR IGNORE INTO event_kept \
         SELECT key, tenant, ?2, ?3, event FROM event_{n} WHERE key = ?1"
    ))?;
    let mut keep_matching = connection.prepare(&format!(
        "INSERT OR IGNORE INTO matching_kept SELECT * FROM matching_{n} WHERE key = ?1"
    ))?;
    for (event, count) in pending {
        let name: EventKey = key(event);
        let found = view.event_by_key(name)?;
        let found = found.ok_or_else(|| Failure::missing("event of pending", name))?;
        keep.execute(params![event, sql(found.matching), count])?;
        keep_matching.execute([sql(found.matching)])?;
    }
    Ok(())
}

/// Notes how the deliveries of kept events stand by the history that is about to go.
fn keep_standings(
    connection: &Connection,
    ledger: &Ledger,
    scratch: &mut Vec<u8>,
    n: Bucket,
) -> Outcome<()> {
    let Some(marks) = ledger.live.get(&n) else {
        return Ok(());
    };
    let view = ledger.view(connection);
    let mut keep =
        connection.prepare("INSERT OR REPLACE INTO standing_kept VALUES (?1, ?2, ?3)")?;
    let mut kept = connection.prepare("SELECT key FROM event_kept")?;
    let mut rows = kept.query([])?;
    while let Some(row) = rows.next()? {
        let event: EventKey = key(row.get(0)?);
        let (first, last) = (WebhookKey::from_raw(0), WebhookKey::from_raw(u64::MAX >> 1));
        for (webhook, entry) in view.last_entries_in(n, marks.history, event, first, last)? {
            let standing = view.entry(n, entry, DeliveryKey { event, webhook })?.standing;
            scratch.clear();
            encode_standing(&standing, scratch);
            keep.execute((sql(event), sql(webhook), &scratch[..]))?;
        }
    }
    Ok(())
}

/// Removes what was added to the events of a bucket, but to those that are kept.
fn let_go_of_added(connection: &Connection, ledger: &Ledger, n: Bucket) -> Outcome<()> {
    connection
        .prepare_cached(
            "DELETE FROM added WHERE event BETWEEN ?1 AND ?2 \
             AND NOT EXISTS (SELECT 1 FROM event_kept WHERE event_kept.key = added.event)",
        )?
        .execute(ledger.range_of(n))?;
    Ok(())
}

/// Removes kept events that nothing is pending for any more.
fn let_go_of_finished(connection: &Connection, ledger: &Ledger, ended: EventKey) -> Outcome<()> {
    let view = ledger.view(connection);
    let finished: Vec<i64> = connection
        .prepare_cached("SELECT key FROM event_kept WHERE pending = 0 AND key < ?1 LIMIT ?2")?
        .query_map((sql(ended), UNKEPT_MAX), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for event in finished {
        let name: EventKey = key(event);
        let found = view.event_by_key(name)?;
        let found = found.ok_or_else(|| Failure::missing("event_kept", name))?;
        connection.execute("DELETE FROM event_kept WHERE key = ?1", [event])?;
        connection.execute("DELETE FROM standing_kept WHERE event = ?1", [event])?;
        connection.execute("DELETE FROM added WHERE event = ?1", [event])?;
        connection.execute(
            "DELETE FROM event_id_kept WHERE tenant = ?1 AND id = ?2 AND event = ?3",
            params![sql(found.tenant), found.given_id, event],
        )?;
        connection.execute(
            "DELETE FROM matching_kept WHERE key = ?1 \
             AND NOT EXISTS (SELECT 1 FROM event_kept WHERE matching = ?1)",
            [sql(found.matching)],
        )?;
    }
    Ok(())
}

/// Removes tombstones that nothing is pending for any more.
fn forget_deleted_webhooks(connection: &Connection, keep_from: UnixMs) -> Outcome<()> {
    connection
        .prepare_cached(
            "DELETE FROM webhook WHERE deleted_at IS NOT NULL AND deleted_at < ?1 \
             AND NOT EXISTS (SELECT 1 FROM pending WHERE pending.webhook = webhook.key)",
        )?
        .execute([keep_from])?;
    Ok(())
}
