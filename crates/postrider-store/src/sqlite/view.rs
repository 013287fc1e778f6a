//! The store as one transaction sees it: which buckets there are, and how to look into them.
//! Readers make one from their snapshot; the writer lends its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use postrider_core::event::{Event, Fingerprint};
use postrider_core::id::{EventKey, Key, MatchingKey, TenantKey};
use postrider_core::matching::Matching;
use rusqlite::{Connection, OptionalExtension, Row};

use super::failure::{Failure, Outcome};
use super::{open, queries};
use crate::bucket::{Bucket, Buckets};
use crate::codec::{decode_event, decode_matching};

/// Given ids lie in tables of this many buckets: looking for one looks into few tables.
const BUCKETS_PER_ID_TABLE: i64 = 10;

/// Keys up to a mark are in the list indexes of their bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) event: i64,
    pub(super) history: i64,
}

/// The buckets that are there, ascending.
pub(super) type Live = BTreeMap<Bucket, Marks>;

#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) connection: &'a Connection,
    pub(super) buckets: Buckets,
    pub(super) live: &'a Live,
    /// Buckets before this one may have events among the kept ones.
    pub(super) kept_below: Bucket,
}

/// A key as SQL holds it.
pub(super) fn sql(key: impl Key) -> i64 {
    key.raw().cast_signed()
}

/// A key as SQL gave it.
pub(super) fn key<K: Key>(raw: i64) -> K {
    K::from_raw(raw.cast_unsigned())
}

/// A limit as SQL holds it.
pub(super) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn read_live(connection: &Connection) -> Outcome<Live> {
    let mut statement =
        connection.prepare_cached("SELECT number, event_mark, history_mark FROM bucket")?;
    let rows = statement.query_map([], |row| {
        let (event, history) = (row.get(1)?, row.get(2)?);
        Ok((row.get(0)?, Marks { event, history }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Runs `read` on one snapshot of the file.
pub(super) fn on_snapshot<T>(
    connection: &Connection,
    buckets: Buckets,
    read: impl FnOnce(View<'_>) -> Outcome<T>,
) -> Outcome<T> {
    let transaction = connection.unchecked_transaction()?;
    let live = read_live(connection)?;
    let kept_below = open::setting(connection, "kept_below")?;
    let outcome = read(View { connection, buckets, live: &live, kept_below });
    transaction.finish()?;
    outcome
}

/// The table of ids that a bucket's events belong to.
pub(super) fn id_table(bucket: Bucket) -> Bucket {
    bucket.div_euclid(BUCKETS_PER_ID_TABLE)
}

impl View<'_> {
    /// The tables of ids that are there, newest first.
    pub(super) fn id_tables(&self) -> Vec<Bucket> {
        let mut tables: Vec<Bucket> = self.live.keys().rev().map(|&n| id_table(n)).collect();
        tables.dedup();
        tables
    }

    pub(super) fn event_by_key(&self, event: EventKey) -> Outcome<Option<Arc<Event>>> {
        let bucket = self.buckets.of(event);
        let live = if self.live.contains_key(&bucket) {
            self.event_from(&queries::event(bucket), event)?
        } else {
            None
        };
        match live {
            None if bucket < self.kept_below => self.event_from(queries::EVENT_KEPT, event),
            found => Ok(found),
        }
    }

    fn event_from(&self, query: &str, event: EventKey) -> Outcome<Option<Arc<Event>>> {
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query([sql(event)])?;
        match rows.next()? {
            Some(row) => decode_event_row(event, row, 0).map(Some),
            None => Ok(None),
        }
    }

    /// The event that goes by an id which its publisher gave.
    pub(super) fn event_by_given_id(
        &self,
        tenant: TenantKey,
        id: &str,
    ) -> Outcome<Option<(Arc<Event>, Fingerprint)>> {
        let tables = self.id_tables().into_iter().map(queries::event_id);
        for query in tables.chain([queries::EVENT_ID_KEPT.to_owned()]) {
            let mut statement = self.connection.prepare_cached(&query)?;
            let found: Option<(i64, Fingerprint)> = statement
                .query_row((sql(tenant), id), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((event, fingerprint)) = found else {
                continue;
            };
            // an id may outlive its event in a wider table: then it is free again
            if let Some(event) = self.event_by_key(key(event))? {
                return Ok(Some((event, fingerprint)));
            }
        }
        Ok(None)
    }

    /// The event without a given id whose key reads like this.
    pub(super) fn event_by_made_id(
        &self,
        tenant: TenantKey,
        id: &str,
    ) -> Outcome<Option<Arc<Event>>> {
        let Some(event) = EventKey::parse(id) else {
            return Ok(None);
        };
        let event = self.event_by_key(event)?;
        Ok(event.filter(|event| event.given_id.is_none() && event.tenant == tenant))
    }

    pub(super) fn event_by_id(&self, tenant: TenantKey, id: &str) -> Outcome<Option<Arc<Event>>> {
        let made = self.event_by_made_id(tenant, id)?;
        if made.is_some() {
            return Ok(made);
        }
        let given = self.event_by_given_id(tenant, id)?;
        Ok(given.map(|(event, _)| event))
    }

    /// Events of a tenant older than `before`, newest first.
    pub(super) fn events(
        &self,
        tenant: TenantKey,
        before: Option<EventKey>,
        limit: usize,
    ) -> Outcome<Vec<Arc<Event>>> {
        let upto = before.map_or(i64::MAX, sql);
        let newest = before.map_or(Bucket::MAX, |before| self.buckets.of(before));
        let mut events = Vec::new();
        for (&n, marks) in self.live.range(..=newest).rev() {
            let left = limit - events.len();
            let (tenant, left) = (sql(tenant), sql_limit(left));
            let tail = queries::events_in_tail(n);
            self.list_events(&tail, (tenant, upto, left, marks.event), &mut events)?;
            let left = sql_limit(limit - events.len());
            let index = queries::events_in_index(n);
            self.list_events(&index, (tenant, upto, left), &mut events)?;
            if events.len() == limit {
                break;
            }
        }
        let kept = (sql(tenant), upto, sql_limit(limit));
        self.list_events(queries::EVENTS_KEPT_OF_TENANT, kept, &mut events)?;
        events.sort_by_key(|event| std::cmp::Reverse(event.key));
        events.truncate(limit);
        Ok(events)
    }

    /// Events of a tenant from `first` on, oldest first.
    pub(super) fn events_from(
        &self,
        tenant: TenantKey,
        first: EventKey,
        limit: usize,
    ) -> Outcome<Vec<Arc<Event>>> {
        let tenant = sql(tenant);
        let mut events = Vec::new();
        for (&n, marks) in self.live.range(self.buckets.of(first)..) {
            let left = sql_limit(limit - events.len());
            let index = queries::events_from_in_index(n);
            self.list_events(&index, (tenant, sql(first), left), &mut events)?;
            let left = sql_limit(limit - events.len());
            let tail = queries::events_from_in_tail(n);
            let above = sql(first).max(marks.event.saturating_add(1));
            self.list_events(&tail, (tenant, above, left), &mut events)?;
            if events.len() == limit {
                break;
            }
        }
        let kept = (tenant, sql(first), sql_limit(limit));
        self.list_events(queries::EVENTS_KEPT_FROM, kept, &mut events)?;
        events.sort_by_key(|event| event.key);
        events.truncate(limit);
        Ok(events)
    }

    fn list_events(
        &self,
        query: &str,
        arguments: impl rusqlite::Params,
        events: &mut Vec<Arc<Event>>,
    ) -> Outcome<()> {
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query(arguments)?;
        while let Some(row) = rows.next()? {
            events.push(decode_event_row(key(row.get(0)?), row, 1)?);
        }
        Ok(())
    }

    /// A matching by its key alone: stored with each bucket whose events name it, the first of
    /// which is most often the bucket in which it was made, or the next one.
    pub(super) fn matching(&self, matching: MatchingKey) -> Outcome<Option<Matching>> {
        let made_in = self.buckets.of(matching);
        let later = self.live.range(made_in..);
        let earlier = self.live.range(..made_in);
        for (&n, _) in later.chain(earlier) {
            let found = self.matching_from(&queries::matching(n), matching)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.matching_from(queries::MATCHING_KEPT, matching)
    }

    /// The matching that an event names, which is always there.
    pub(super) fn matching_of(&self, event: &Event) -> Outcome<Matching> {
        let bucket = self.buckets.of(event.key);
        let live = if self.live.contains_key(&bucket) {
            self.matching_from(&queries::matching(bucket), event.matching)?
        } else {
            None
        };
        let found = match live {
            None => self.matching_from(queries::MATCHING_KEPT, event.matching)?,
            found => found,
        };
        found.ok_or_else(|| Failure::missing("matching", event.matching))
    }

    fn matching_from(&self, query: &str, matching: MatchingKey) -> Outcome<Option<Matching>> {
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query([sql(matching)])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        decode_matching(matching, bytes)
            .map(Some)
            .map_err(|what| Failure::undecodable("matching", matching, what))
    }
}

/// An event from a row with its tenant and its bytes from column `at` on.
fn decode_event_row(event: EventKey, row: &Row<'_>, at: usize) -> Outcome<Arc<Event>> {
    let tenant = key(row.get(at)?);
    let bytes = row.get_ref(at + 1)?.as_blob().map_err(rusqlite::Error::from)?;
    decode_event(event, tenant, bytes)
        .map(Arc::new)
        .map_err(|what| Failure::undecodable("event", event, what))
}
