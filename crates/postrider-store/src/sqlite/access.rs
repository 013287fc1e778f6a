//! Tenants and API keys at rest: few rows, plain columns.

use postrider_core::id::{ApiKeyKey, UnixMs};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::{Failure, Outcome};
use super::view::{key, sql};
use super::webhooks;
use crate::error::StoreError;
use crate::records::{ApiKey, Scope, Tenant, TenantEnding};

pub(super) fn insert_tenant(connection: &Connection, tenant: &Tenant) -> Outcome<()> {
    let mut same_key = connection.prepare_cached("SELECT * FROM tenant WHERE key = ?1")?;
    let stored = same_key.query_row([sql(tenant.key)], read_tenant).optional()?;
    match stored {
        Some(stored) if stored == *tenant => return Ok(()),
        Some(_) => return Err(StoreError::Conflict("another tenant has this key").into()),
        None => {}
    }
    let inserted = connection.execute(
        "INSERT INTO tenant VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
        params![sql(tenant.key), tenant.name, tenant.created_at],
    )?;
    match inserted {
        0 => Err(StoreError::Conflict("the tenant's name is taken").into()),
        _ => Ok(()),
    }
}

pub(super) fn tenants(connection: &Connection) -> Outcome<Vec<Tenant>> {
    let mut statement = connection.prepare_cached("SELECT * FROM tenant ORDER BY key")?;
    let rows = statement.query_map([], read_tenant)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn delete_tenant(connection: &Connection, ending: &TenantEnding) -> Outcome<bool> {
    let tenant = sql(ending.tenant);
    if connection.execute("DELETE FROM tenant WHERE key = ?1", [tenant])? == 0 {
        return Ok(false);
    }
    connection.execute(
        "UPDATE api_key SET revoked_at = ?2 WHERE tenant = ?1 AND revoked_at IS NULL",
        [tenant, ending.at],
    )?;
    connection.execute("DELETE FROM event_type WHERE tenant = ?1", [tenant])?;
    for tombstone in &ending.tombstones {
        webhooks::update(connection, tombstone)?;
    }
    Ok(true)
}

fn read_tenant(row: &Row<'_>) -> rusqlite::Result<Tenant> {
    Ok(Tenant { key: key(row.get(0)?), name: row.get(1)?, created_at: row.get(2)? })
}

pub(super) fn insert_api_key(connection: &Connection, api_key: &ApiKey) -> Outcome<()> {
    let mut same_key = connection.prepare_cached("SELECT * FROM api_key WHERE key = ?1")?;
    let stored = same_key.query_row([sql(api_key.key)], |row| Ok(read_api_key(row)));
    match stored.optional()?.transpose()? {
        Some(stored) if stored == *api_key => return Ok(()),
        Some(_) => return Err(StoreError::Conflict("another API key has this key").into()),
        None => {}
    }
    connection.execute(
        "INSERT INTO api_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            sql(api_key.key),
            api_key.tenant.map(sql),
            scope_code(api_key.scope),
            api_key.description,
            api_key.hash,
            api_key.created_at,
            api_key.expires_at,
            api_key.revoked_at,
        ],
    )?;
    Ok(())
}

pub(super) fn api_keys(connection: &Connection) -> Outcome<Vec<ApiKey>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM api_key WHERE revoked_at IS NULL ORDER BY key")?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read_api_key(row)?);
    }
    Ok(keys)
}

pub(super) fn revoke_api_key(
    connection: &Connection,
    api_key: ApiKeyKey,
    at: UnixMs,
) -> Outcome<bool> {
    let revoked = connection.execute(
        "UPDATE api_key SET revoked_at = ?2 WHERE key = ?1 AND revoked_at IS NULL",
        [sql(api_key), at],
    )?;
    Ok(revoked == 1)
}

fn read_api_key(row: &Row<'_>) -> Outcome<ApiKey> {
    let api_key: ApiKeyKey = key(row.get(0)?);
    let scope = match row.get(2)? {
        0 => Scope::Admin,
        1 => Scope::Manage,
        2 => Scope::Publish,
        3 => Scope::Read,
        code => {
            let text = format!("api_key {api_key}: an unknown scope {code}");
            return Err(Failure::Store(StoreError::Corrupt(text)));
        }
    };
    Ok(ApiKey {
        key: api_key,
        tenant: row.get::<_, Option<i64>>(1)?.map(key),
        scope,
        description: row.get(3)?,
        hash: row.get(4)?,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
        revoked_at: row.get(7)?,
    })
}

fn scope_code(scope: Scope) -> i64 {
    match scope {
        Scope::Admin => 0,
        Scope::Manage => 1,
        Scope::Publish => 2,
        Scope::Read => 3,
    }
}
