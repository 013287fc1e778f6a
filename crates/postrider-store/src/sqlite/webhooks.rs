//! Webhooks at rest.

use postrider_core::id::WebhookKey;
use postrider_core::webhook::{Webhook, WebhookState};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::{Failure, Outcome};
use super::health;
use super::view::{key, sql, sql_limit};
use crate::codec::{decode_webhook, encode_webhook};
use crate::error::StoreError;

pub(super) fn insert(connection: &Connection, webhook: &Webhook) -> Outcome<()> {
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO webhook VALUES (?1, ?2, ?3, ?4)")?;
    let (version, deleted_at, bytes) = columns(webhook)?;
    if insert.execute(params![sql(webhook.key), version, deleted_at, bytes])? == 1 {
        return Ok(());
    }
    if stored(connection, webhook.key)?.as_ref() == Some(webhook) {
        Ok(())
    } else {
        Err(StoreError::Conflict("another webhook has this key").into())
    }
}

pub(super) fn update(connection: &Connection, webhook: &Webhook) -> Outcome<()> {
    let mut update = connection.prepare_cached(
        "UPDATE webhook SET version = ?2, deleted_at = ?3, webhook = ?4 \
         WHERE key = ?1 AND version = ?2 - 1",
    )?;
    let (version, deleted_at, bytes) = columns(webhook)?;
    if update.execute(params![sql(webhook.key), version, deleted_at, bytes])? != 1 {
        return Err(StoreError::Conflict("the webhook was changed meanwhile").into());
    }
    if deleted_at.is_some() {
        health::forget(connection, webhook.key)?;
    }
    Ok(())
}

/// All webhooks after `after`, ascending.
pub(super) fn list(
    connection: &Connection,
    after: Option<WebhookKey>,
    limit: usize,
) -> Outcome<Vec<Webhook>> {
    let mut statement = connection.prepare_cached(
        "SELECT key, version, webhook FROM webhook WHERE key > ?1 ORDER BY key LIMIT ?2",
    )?;
    let mut rows = statement.query((after.map_or(-1, sql), sql_limit(limit)))?;
    let mut webhooks = Vec::new();
    while let Some(row) = rows.next()? {
        webhooks.push(read_row(row)?);
    }
    Ok(webhooks)
}

pub(super) fn stored(connection: &Connection, webhook: WebhookKey) -> Outcome<Option<Webhook>> {
    let mut statement =
        connection.prepare_cached("SELECT key, version, webhook FROM webhook WHERE key = ?1")?;
    let found = statement.query_row([sql(webhook)], |row| Ok(read_row(row)));
    found.optional()?.transpose()
}

fn columns(webhook: &Webhook) -> Outcome<(i64, Option<i64>, Vec<u8>)> {
    let version = i64::try_from(webhook.version)
        .map_err(|_| StoreError::Conflict("no webhook has a version like this"))?;
    let is_deleted = webhook.state == WebhookState::Deleted;
    let deleted_at = is_deleted.then_some(webhook.updated_at);
    let mut bytes = Vec::new();
    encode_webhook(webhook, &mut bytes);
    Ok((version, deleted_at, bytes))
}

fn read_row(row: &Row<'_>) -> Outcome<Webhook> {
    let webhook: WebhookKey = key(row.get(0)?);
    let version: i64 = row.get(1)?;
    let bytes = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    decode_webhook(webhook, version.cast_unsigned(), bytes)
        .map_err(|what| Failure::undecodable("webhook", webhook, what))
}
