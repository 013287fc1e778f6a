//! What was counted, at rest: a row for each slot of time of a webhook or tenant.
//!
//! Rows of one time lie together, so a flush writes few pages however many webhooks there are.
//! Reading one webhook's slots looks each of them up by its time, which the width of slots names.

use postrider_core::id::{Key, UnixMs};
use postrider_core::statistics::{TENANT_SLOT_MS, Tally, WEBHOOK_SLOT_MS};
use rusqlite::{Connection, OptionalExtension};

use super::failure::{Failure, Outcome};
use super::health;
use super::view::sql;
use crate::codec::{decode_tally, encode_tally};
use crate::records::{Slot, Statistics};

/// One kind of slots.
pub(super) struct Kind {
    name: &'static str,
    width_ms: UnixMs,
    pub(super) find: &'static str,
    put: &'static str,
    pub(super) oldest: &'static str,
    pub(super) newest: &'static str,
    pub(super) drop: &'static str,
}

pub(super) const WEBHOOKS: Kind = Kind {
    name: "webhook_slot",
    width_ms: WEBHOOK_SLOT_MS,
    find: "SELECT tally FROM webhook_slot WHERE at = ?1 AND webhook = ?2",
    put: "INSERT OR REPLACE INTO webhook_slot VALUES (?1, ?2, ?3)",
    oldest: "SELECT min(at) FROM webhook_slot",
    newest: "SELECT max(at) FROM webhook_slot",
    drop: "DELETE FROM webhook_slot WHERE at = ?1",
};

pub(super) const TENANTS: Kind = Kind {
    name: "tenant_slot",
    width_ms: TENANT_SLOT_MS,
    find: "SELECT tally FROM tenant_slot WHERE at = ?1 AND tenant = ?2",
    put: "INSERT OR REPLACE INTO tenant_slot VALUES (?1, ?2, ?3)",
    oldest: "SELECT min(at) FROM tenant_slot",
    newest: "SELECT max(at) FROM tenant_slot",
    drop: "DELETE FROM tenant_slot WHERE at = ?1",
};

pub(super) fn add(
    connection: &Connection,
    statistics: &Statistics,
    scratch: &mut Vec<u8>,
) -> Outcome<()> {
    for slot in &statistics.webhooks {
        WEBHOOKS.add(connection, slot, scratch)?;
    }
    for slot in &statistics.tenants {
        TENANTS.add(connection, slot, scratch)?;
    }
    for &(webhook, at) in &statistics.successes {
        health::note_success(connection, webhook, at)?;
    }
    WEBHOOKS.drop_oldest(connection, statistics.keep_webhooks_from)?;
    TENANTS.drop_oldest(connection, statistics.keep_tenants_from)
}

impl Kind {
    /// Slots from `from`, where one begins, and before `until`.
    pub(super) fn range(
        &self,
        connection: &Connection,
        of: impl Key,
        from: UnixMs,
        until: UnixMs,
    ) -> Outcome<Vec<(UnixMs, Tally)>> {
        let mut found = Vec::new();
        let (oldest, newest) = (end(connection, self.oldest)?, end(connection, self.newest)?);
        let (Some(oldest), Some(newest)) = (oldest, newest) else {
            return Ok(found);
        };
        let mut at = from.max(oldest);
        while at < until && at <= newest {
            if let Some(tally) = self.find(connection, of, at)? {
                found.push((at, tally));
            }
            at += self.width_ms;
        }
        Ok(found)
    }

    fn add<K: Key>(
        &self,
        connection: &Connection,
        slot: &Slot<K>,
        scratch: &mut Vec<u8>,
    ) -> Outcome<()> {
        let mut tally = self.find(connection, slot.of, slot.at)?.unwrap_or_default();
        tally.merge(&slot.tally);
        scratch.clear();
        encode_tally(&tally, scratch);
        connection.prepare_cached(self.put)?.execute((slot.at, sql(slot.of), &scratch[..]))?;
        Ok(())
    }

    fn find(&self, connection: &Connection, of: impl Key, at: UnixMs) -> Outcome<Option<Tally>> {
        let mut statement = connection.prepare_cached(self.find)?;
        let found =
            statement.query_row((at, sql(of)), |row| Ok(decode_tally(row.get_ref(0)?.as_blob()?)));
        let found = found.optional()?.transpose();
        found.map_err(|what| Failure::undecodable(self.name, (at, of.raw()), what))
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
