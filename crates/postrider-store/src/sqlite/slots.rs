//! What was counted, at rest: a row for each slot of time of a webhook or tenant, and one for each
//! hour.
//!
//! Rows of one time lie together, so a flush writes few pages however many webhooks there are.
//! Reading looks each wanted slot up by its time, which the width of slots names.

use postrider_core::id::{Key, TenantKey, UnixMs, WebhookKey};
use postrider_core::statistics::{
    Grain, HOUR_SLOT_MS, TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS, slot_at,
};
use rusqlite::{Connection, OptionalExtension};

use super::failure::{Failure, Outcome};
use super::health;
use super::view::{key, sql};
use crate::codec::{decode_tally, encode_tally};
use crate::records::{Slot, Span, Statistics};

/// One kind of slots.
pub(super) struct Kind {
    name: &'static str,
    width_ms: UnixMs,
    all: &'static str,
    pub(super) find: &'static str,
    put: &'static str,
    pub(super) oldest: &'static str,
    pub(super) newest: &'static str,
    pub(super) drop: &'static str,
}

macro_rules! kind {
    ($table:literal of $of:literal, $width_ms:expr) => {
        Kind {
            name: $table,
            width_ms: $width_ms,
            all: concat!("SELECT at, ", $of, ", tally FROM ", $table),
            find: concat!("SELECT tally FROM ", $table, " WHERE at = ?1 AND ", $of, " = ?2"),
            put: concat!("INSERT OR REPLACE INTO ", $table, " VALUES (?1, ?2, ?3)"),
            oldest: concat!("SELECT min(at) FROM ", $table),
            newest: concat!("SELECT max(at) FROM ", $table),
            drop: concat!("DELETE FROM ", $table, " WHERE at = ?1"),
        }
    };
}

const WEBHOOKS: Kind = kind!("webhook_slot" of "webhook", WEBHOOK_SLOT_MS);
const WEBHOOK_HOURS: Kind = kind!("webhook_hour" of "webhook", HOUR_SLOT_MS);
const TENANTS: Kind = kind!("tenant_slot" of "tenant", TENANT_SLOT_MS);
const TENANT_HOURS: Kind = kind!("tenant_hour" of "tenant", HOUR_SLOT_MS);

#[cfg(test)]
pub(super) const ALL: [Kind; 4] = [WEBHOOKS, WEBHOOK_HOURS, TENANTS, TENANT_HOURS];

pub(super) fn of_webhooks(
    connection: &Connection,
    mut webhooks: Vec<WebhookKey>,
    span: Span,
) -> Outcome<Vec<Slot<WebhookKey>>> {
    webhooks.sort_unstable();
    match span.grain {
        Grain::Fine => WEBHOOKS.range(connection, &webhooks, span),
        Grain::Hour => WEBHOOK_HOURS.range(connection, &webhooks, span),
    }
}

pub(super) fn of_tenant(
    connection: &Connection,
    tenant: TenantKey,
    span: Span,
) -> Outcome<Vec<Slot<TenantKey>>> {
    match span.grain {
        Grain::Fine => TENANTS.range(connection, &[tenant], span),
        Grain::Hour => TENANT_HOURS.range(connection, &[tenant], span),
    }
}

pub(super) fn add(
    connection: &Connection,
    statistics: &Statistics,
    scratch: &mut Vec<u8>,
) -> Outcome<()> {
    for slot in &statistics.webhooks {
        WEBHOOKS.add(connection, slot, scratch)?;
        WEBHOOK_HOURS.add(connection, slot, scratch)?;
    }
    for slot in &statistics.tenants {
        TENANTS.add(connection, slot, scratch)?;
        TENANT_HOURS.add(connection, slot, scratch)?;
    }
    for &(webhook, at) in &statistics.successes {
        health::note_success(connection, webhook, at)?;
    }
    WEBHOOKS.drop_oldest(connection, statistics.keep_webhooks_from)?;
    TENANTS.drop_oldest(connection, statistics.keep_tenants_from)?;
    WEBHOOK_HOURS.drop_oldest(connection, statistics.keep_hours_from)?;
    TENANT_HOURS.drop_oldest(connection, statistics.keep_hours_from)
}

/// Counts what was counted before there were hours.
pub(super) fn fill_hours(connection: &Connection) -> Outcome<()> {
    WEBHOOK_HOURS.fill_from::<WebhookKey>(connection, &WEBHOOKS)?;
    TENANT_HOURS.fill_from::<TenantKey>(connection, &TENANTS)
}

impl Kind {
    /// `of` ascends.
    fn range<K: Key>(
        &self,
        connection: &Connection,
        of: &[K],
        span: Span,
    ) -> Outcome<Vec<Slot<K>>> {
        let mut found = Vec::new();
        let (oldest, newest) = (end(connection, self.oldest)?, end(connection, self.newest)?);
        let (Some(oldest), Some(newest)) = (oldest, newest) else {
            return Ok(found);
        };
        let mut at = span.from.max(oldest);
        while at < span.until && at <= newest {
            for &of in of {
                if let Some(tally) = self.find(connection, of, at)? {
                    found.push(Slot { of, at, tally });
                }
            }
            at += self.width_ms;
        }
        Ok(found)
    }

    /// Adds to the slot that holds the time of another, narrower one.
    fn add<K: Key>(
        &self,
        connection: &Connection,
        slot: &Slot<K>,
        scratch: &mut Vec<u8>,
    ) -> Outcome<()> {
        let at = slot_at(slot.at, self.width_ms);
        let mut tally = self.find(connection, slot.of, at)?.unwrap_or_default();
        tally.merge(&slot.tally);
        scratch.clear();
        encode_tally(&tally, scratch);
        connection.prepare_cached(self.put)?.execute((at, sql(slot.of), &scratch[..]))?;
        Ok(())
    }

    fn find(&self, connection: &Connection, of: impl Key, at: UnixMs) -> Outcome<Option<Tally>> {
        let mut statement = connection.prepare_cached(self.find)?;
        let found =
            statement.query_row((at, sql(of)), |row| Ok(decode_tally(row.get_ref(0)?.as_blob()?)));
        let found = found.optional()?.transpose();
        found.map_err(|what| Failure::undecodable(self.name, (at, of.raw()), what))
    }

    fn fill_from<K: Key>(&self, connection: &Connection, finer: &Self) -> Outcome<()> {
        let mut statement = connection.prepare(finer.all)?;
        let mut rows = statement.query([])?;
        let mut scratch = Vec::new();
        while let Some(row) = rows.next()? {
            let (at, of): (UnixMs, K) = (row.get(0)?, key(row.get(1)?));
            let tally = decode_tally(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?);
            let tally =
                tally.map_err(|what| Failure::undecodable(finer.name, (at, of.raw()), what))?;
            self.add(connection, &Slot { of, at, tally }, &mut scratch)?;
        }
        Ok(())
    }

    fn drop_oldest(&self, connection: &Connection, keep_from: UnixMs) -> Outcome<()> {
        if let Some(oldest) = end(connection, self.oldest)?.filter(|&at| at < keep_from) {
            connection.prepare_cached(self.drop)?.execute([oldest])?;
        }
        Ok(())
    }
}

/// The first or the last time that there is a slot of.
fn end(connection: &Connection, query: &str) -> Outcome<Option<UnixMs>> {
    Ok(connection.prepare_cached(query)?.query_row([], |row| row.get(0))?)
}
