//! What tenants keep about their event types, at rest.

use postrider_core::catalogue::CatalogueEntry;
use postrider_core::event_type::EventType;
use postrider_core::id::TenantKey;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::{Failure, Outcome};
use super::view::{key, sql, sql_limit};
use crate::codec::{Undecodable, decode_entry, encode_entry};
use crate::error::StoreError;

pub(super) fn put(connection: &Connection, entry: &CatalogueEntry) -> Outcome<()> {
    let changed_meanwhile = StoreError::Conflict("the event type was changed meanwhile");
    let stored = stored(connection, entry)?;
    if stored.as_ref() == Some(entry) {
        return Ok(());
    }
    if stored.map_or(0, |stored| stored.version).checked_add(1) != Some(entry.version) {
        return Err(changed_meanwhile.into());
    }
    let version = i64::try_from(entry.version).map_err(|_| changed_meanwhile)?;
    let mut bytes = Vec::new();
    encode_entry(entry, &mut bytes);
    let mut put =
        connection.prepare_cached("INSERT OR REPLACE INTO event_type VALUES (?1, ?2, ?3, ?4)")?;
    put.execute(params![sql(entry.tenant), entry.name.as_str(), version, bytes])?;
    Ok(())
}

/// All entries after `after`, ascending by tenant and name.
pub(super) fn list(
    connection: &Connection,
    after: Option<&(TenantKey, EventType)>,
    limit: usize,
) -> Outcome<Vec<CatalogueEntry>> {
    let mut statement = connection.prepare_cached(
        "SELECT tenant, name, version, entry FROM event_type \
         WHERE (tenant, name) > (?1, ?2) ORDER BY tenant, name LIMIT ?3",
    )?;
    let (tenant, name) = match after {
        Some((tenant, name)) => (sql(*tenant), name.as_str()),
        None => (-1, ""),
    };
    let mut rows = statement.query(params![tenant, name, sql_limit(limit)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read_row(row)?);
    }
    Ok(entries)
}

fn stored(connection: &Connection, like: &CatalogueEntry) -> Outcome<Option<CatalogueEntry>> {
    let mut statement = connection.prepare_cached(
        "SELECT tenant, name, version, entry FROM event_type WHERE tenant = ?1 AND name = ?2",
    )?;
    let found =
        statement.query_row(params![sql(like.tenant), like.name.as_str()], |row| Ok(read_row(row)));
    found.optional()?.transpose()
}

fn read_row(row: &Row<'_>) -> Outcome<CatalogueEntry> {
    let tenant: TenantKey = key(row.get(0)?);
    let text: String = row.get(1)?;
    let undecodable = |what| Failure::undecodable("event_type", (tenant, &text), what);
    let name: EventType =
        text.parse().map_err(|_| undecodable(Undecodable("a text that is no event type")))?;
    let version: i64 = row.get(2)?;
    let bytes = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
    decode_entry(tenant, name, version.cast_unsigned(), bytes).map_err(undecodable)
}
