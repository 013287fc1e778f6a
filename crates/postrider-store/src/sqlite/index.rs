//! The list indexes, filled in sorted bulk: each page of an index is written once for many
//! rows, where an eager index would write it once for each.

use postrider_core::id::DeliveryKey;
use rusqlite::{Connection, params};

use super::failure::Outcome;
use super::ledger::{HistoryRow, Ledger, Tail};
use super::trouble;
use super::view::{Marks, key};
use crate::bucket::Bucket;
use crate::failpoint;

/// What awaits the indexes of a bucket.
pub(super) fn read_tail(connection: &Connection, n: Bucket, marks: Marks) -> Outcome<Tail> {
    let query = format!("SELECT tenant, key FROM event_{n} WHERE key > ?1");
    let mut statement = connection.prepare(&query)?;
    let events = statement.query_map([marks.event], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let events = events.collect::<Result<_, _>>()?;
    let query = format!("SELECT event, webhook, key, entry FROM history_{n} WHERE key > ?1");
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query([marks.history])?;
    let mut history = Vec::new();
    while let Some(row) = rows.next()? {
        let (event, webhook, entry) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let delivery = DeliveryKey { event: key(event), webhook: key(webhook) };
        let bytes = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        let trouble = trouble::read(key(entry), delivery, bytes)?;
        history.push(HistoryRow { event, webhook, key: entry, trouble });
    }
    Ok(Tail { events, history })
}

/// Indexes every tail that has grown to `at_least` rows. Returns how many rows that were.
pub(super) fn fill_grown(
    connection: &Connection,
    ledger: &mut Ledger,
    at_least: usize,
) -> Outcome<usize> {
    let grown = |tail: &Tail| tail.events.len() >= at_least || tail.history.len() >= at_least;
    let full: Vec<Bucket> =
        (ledger.tails.iter()).filter(|(_, tail)| grown(tail)).map(|(&n, _)| n).collect();
    let mut indexed = 0;
    for n in full {
        indexed += fill(connection, ledger, n)?;
    }
    Ok(indexed)
}

/// Indexes the whole tail of a bucket.
pub(super) fn fill(connection: &Connection, ledger: &mut Ledger, n: Bucket) -> Outcome<usize> {
    let (Some(tail), Some(marks)) = (ledger.tails.get_mut(&n), ledger.live.get_mut(&n)) else {
        return Ok(0);
    };
    let indexed = tail.events.len() + tail.history.len();
    if indexed == 0 {
        return Ok(0);
    }
    marks.event = (tail.events.iter().map(|&(_, event)| event)).fold(marks.event, i64::max);
    marks.history = (tail.history.iter().map(|row| row.key)).fold(marks.history, i64::max);

    tail.events.sort_unstable();
    let mut by_tenant = connection.prepare_cached(&by_tenant_sql(n))?;
    for &row in &tail.events {
        by_tenant.execute(row)?;
    }
    tail.history.sort_unstable();
    let mut by_delivery = connection.prepare_cached(&by_delivery_sql(n))?;
    for row in &tail.history {
        by_delivery.execute((row.event, row.webhook, row.key))?;
        insert_trouble(connection, n, row)?;
    }
    tail.history.sort_unstable_by_key(|row| (row.webhook, row.key));
    let mut by_webhook = connection.prepare_cached(&by_webhook_sql(n))?;
    for row in &tail.history {
        by_webhook.execute((row.webhook, row.key))?;
    }
    tail.events.clear();
    tail.history.clear();
    connection.execute(
        "UPDATE bucket SET event_mark = ?2, history_mark = ?3 WHERE number = ?1",
        params![n, marks.event, marks.history],
    )?;
    failpoint!(IndexFilled);
    Ok(indexed)
}

/// Tenant, event.
pub(super) fn insert_event(connection: &Connection, n: Bucket, row: (i64, i64)) -> Outcome<()> {
    connection.prepare_cached(&by_tenant_sql(n))?.execute(row)?;
    Ok(())
}

pub(super) fn insert_history(connection: &Connection, n: Bucket, row: &HistoryRow) -> Outcome<()> {
    let HistoryRow { event, webhook, key, .. } = *row;
    connection.prepare_cached(&by_delivery_sql(n))?.execute((event, webhook, key))?;
    connection.prepare_cached(&by_webhook_sql(n))?.execute((webhook, key))?;
    insert_trouble(connection, n, row)
}

fn insert_trouble(connection: &Connection, n: Bucket, row: &HistoryRow) -> Outcome<()> {
    match row.trouble {
        Some(what) => trouble::insert(connection, n, (row.event, row.webhook, what)),
        None => Ok(()),
    }
}

fn by_tenant_sql(n: Bucket) -> String {
    format!("INSERT INTO event_by_tenant_{n} VALUES (?1, ?2)")
}

fn by_delivery_sql(n: Bucket) -> String {
    format!("INSERT INTO history_by_delivery_{n} VALUES (?1, ?2, ?3)")
}

fn by_webhook_sql(n: Bucket) -> String {
    format!("INSERT INTO history_by_webhook_{n} VALUES (?1, ?2)")
}
