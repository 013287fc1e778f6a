//! The health of webhooks at rest.

use std::collections::BTreeMap;

use postrider_core::health::Health;
use postrider_core::id::{UnixMs, WebhookKey};
use rusqlite::{Connection, Row, params};

use super::failure::Outcome;
use super::view::{key, sql, sql_limit};
use crate::records::Record;

/// A row only for a webhook that is there, so that none is left behind by one that was deleted;
/// and never one that was counted from an earlier time than the stored one.
const KEEP: &str = "INSERT INTO health SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
     WHERE EXISTS (SELECT 1 FROM webhook WHERE key = ?1 AND deleted_at IS NULL) \
     ON CONFLICT (webhook) DO UPDATE SET counted_from = ?2, failures_in_a_row = ?3, \
     failing_since = ?4, is_reported = ?5, last_success_at = ?6, last_failure_at = ?7 \
     WHERE counted_from <= ?2";
const SUCCEEDED: &str = "INSERT INTO health SELECT ?1, 0, 0, NULL, 0, ?2, NULL \
     WHERE EXISTS (SELECT 1 FROM webhook WHERE key = ?1 AND deleted_at IS NULL) \
     ON CONFLICT (webhook) DO UPDATE SET last_success_at = ?2 \
     WHERE last_success_at IS NULL OR last_success_at < ?2";

/// Keeps what the records of a batch say: one row at most for each webhook.
pub(super) fn keep_all(connection: &Connection, records: &[Record]) -> Outcome<()> {
    let told = records.iter().filter_map(|record| Some((record, record.health.as_ref()?)));
    let last: BTreeMap<WebhookKey, &Health> =
        told.map(|(record, health)| (record.entry.delivery.webhook, health)).collect();
    for (webhook, health) in last {
        keep(connection, webhook, health)?;
    }
    Ok(())
}

pub(super) fn keep(connection: &Connection, webhook: WebhookKey, health: &Health) -> Outcome<()> {
    connection.prepare_cached(KEEP)?.execute(params![
        sql(webhook),
        health.counted_from,
        health.failures_in_a_row,
        health.failing_since,
        health.is_reported,
        health.last_success_at,
        health.last_failure_at,
    ])?;
    Ok(())
}

pub(super) fn note_success(
    connection: &Connection,
    webhook: WebhookKey,
    at: UnixMs,
) -> Outcome<()> {
    connection.prepare_cached(SUCCEEDED)?.execute((sql(webhook), at))?;
    Ok(())
}

pub(super) fn forget(connection: &Connection, webhook: WebhookKey) -> Outcome<()> {
    connection.prepare_cached("DELETE FROM health WHERE webhook = ?1")?.execute([sql(webhook)])?;
    Ok(())
}

pub(super) fn list(
    connection: &Connection,
    after: Option<WebhookKey>,
    limit: usize,
) -> Outcome<Vec<(WebhookKey, Health)>> {
    let mut statement = connection
        .prepare_cached("SELECT * FROM health WHERE webhook > ?1 ORDER BY webhook LIMIT ?2")?;
    let rows = statement.query_map((after.map_or(-1, sql), sql_limit(limit)), read_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<(WebhookKey, Health)> {
    let health = Health {
        counted_from: row.get(1)?,
        failures_in_a_row: row.get(2)?,
        failing_since: row.get(3)?,
        is_reported: row.get(4)?,
        last_success_at: row.get(5)?,
        last_failure_at: row.get(6)?,
    };
    Ok((key(row.get(0)?), health))
}
