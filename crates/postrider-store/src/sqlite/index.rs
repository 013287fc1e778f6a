//! The list indexes, filled in sorted bulk: each page of an index is written once for many
//! rows, where an eager index would write it once for each.

use rusqlite::{Connection, params};

use super::failure::Outcome;
use super::ledger::{Ledger, Tail};
use super::view::Marks;
use crate::bucket::Bucket;
use crate::failpoint;

/// What awaits the indexes of a bucket.
pub(super) fn read_tail(connection: &Connection, n: Bucket, marks: Marks) -> Outcome<Tail> {
    let query = format!("SELECT tenant, key FROM event_{n} WHERE key > ?1");
    let mut statement = connection.prepare(&query)?;
    let events = statement.query_map([marks.event], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let events = events.collect::<Result<_, _>>()?;
    let query = format!("SELECT event, webhook, key FROM history_{n} WHERE key > ?1");
    let mut statement = connection.prepare(&query)?;
    let history =
        statement.query_map([marks.history], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let history = history.collect::<Result<_, _>>()?;
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
    marks.history = (tail.history.iter().map(|&(_, _, key)| key)).fold(marks.history, i64::max);

    tail.events.sort_unstable();
    for &row in &tail.events {
        insert_event(connection, n, row)?;
    }
    tail.history.sort_unstable();
    let mut by_delivery = connection.prepare_cached(&by_delivery_sql(n))?;
    for &row in &tail.history {
        by_delivery.execute(row)?;
    }
    tail.history.sort_unstable_by_key(|&(_, webhook, key)| (webhook, key));
    let mut by_webhook = connection.prepare_cached(&by_webhook_sql(n))?;
    for &(_, webhook, key) in &tail.history {
        by_webhook.execute((webhook, key))?;
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
    let insert = format!("INSERT INTO event_by_tenant_{n} VALUES (?1, ?2)");
    connection.prepare_cached(&insert)?.execute(row)?;
    Ok(())
}

/// Event, webhook, history.
pub(super) fn insert_history(
    connection: &Connection,
    n: Bucket,
    row: (i64, i64, i64),
) -> Outcome<()> {
    connection.prepare_cached(&by_delivery_sql(n))?.execute(row)?;
    let (_, webhook, key) = row;
    connection.prepare_cached(&by_webhook_sql(n))?.execute((webhook, key))?;
    Ok(())
}

fn by_delivery_sql(n: Bucket) -> String {
    format!("INSERT INTO history_by_delivery_{n} VALUES (?1, ?2, ?3)")
}

fn by_webhook_sql(n: Bucket) -> String {
    format!("INSERT INTO history_by_webhook_{n} VALUES (?1, ?2)")
}
