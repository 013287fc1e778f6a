//! What went wrong, in an index of its own for each bucket: a row for each delivery and each way in
//! which it stood otherwise than succeeded at once. Such rows are few, and looked for most.
//!
//! It is filled in bulk with the other list indexes, from the same tail. A row says how a delivery
//! stood at some time, so what it leads to is judged like any other delivery.

use std::collections::BTreeSet;

use postrider_core::delivery::{DeliveryState, Happening, HistoryEntry};
use postrider_core::id::{DeliveryKey, EventKey, HistoryKey};
use rusqlite::Connection;

use super::entries::Entries;
use super::failure::{Failure, Outcome};
use super::queries;
use super::view::{View, key, read_live, sql, sql_limit};
use crate::bucket::Bucket;
use crate::codec::decode_history;
use crate::search::{DeliverySearch, Order, StatusClass};

const TROUBLE_SQL: &str = include_str!("migrations/trouble.sql");

/// How an entry left its delivery: a small number, whose bit is in a [`Wanted`] mask.
pub(super) type What = i64;

/// Classes of answers: none because no attempt was made, five of statuses, and no answer.
const CLASSES: What = 7;
const NO_ANSWER: What = 6;

/// Which rows of the index a search has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted(i64);

impl Wanted {
    /// `None` where deliveries without trouble may be meant too.
    pub(super) fn of(search: &DeliverySearch) -> Option<Self> {
        let filter = &search.filter;
        if search.order != Order::NewestFirst || search.with_missed || filter.event.is_some() {
            return None;
        }
        let is_wrong = |state: &DeliveryState| {
            matches!(state, DeliveryState::Failed | DeliveryState::Cancelled)
        };
        let whats: Vec<What> = if !filter.states.is_empty() && filter.states.iter().all(is_wrong) {
            // the last entry says how a delivery stands
            let classes =
                |&state: &DeliveryState| (0..CLASSES).map(move |class| what(state, class));
            filter.states.iter().flat_map(classes).collect()
        } else {
            // the last attempt's entry says how it was answered, whatever came later
            let classes = match filter.status.filter(|class| *class != StatusClass::Hundreds(2)) {
                Some(class) => class_of(class)..class_of(class) + 1,
                // what broke off may have had a status of any class by then
                None => filter.error.map(|_| 1..CLASSES)?,
            };
            let states = DeliveryState::ALL.into_iter();
            states.flat_map(|state| classes.clone().map(move |class| what(state, class))).collect()
        };
        Some(Self(whats.into_iter().fold(0, |mask, what| mask | 1 << what)))
    }
}

/// What the index has of an entry; `None` for an attempt that succeeded.
pub(super) fn of(entry: &HistoryEntry) -> Option<What> {
    let state = entry.standing.state();
    let class = match &entry.what {
        Happening::Attempt(attempt) => {
            if state == DeliveryState::Succeeded && attempt.result.is_success() {
                return None;
            }
            let first = |status: u16| u8::try_from(status / 100).unwrap_or(0);
            let status = attempt.result.status().map(first);
            status.map_or(NO_ANSWER, |first| class_of(StatusClass::Hundreds(first)))
        }
        Happening::Cancelled { .. } | Happening::RetryRequested { .. } => 0,
    };
    Some(what(state, class))
}

fn what(state: DeliveryState, class: What) -> What {
    let state = match state {
        DeliveryState::Pending => 0,
        DeliveryState::Succeeded => 1,
        DeliveryState::Failed => 2,
        DeliveryState::Cancelled => 3,
    };
    state * CLASSES + class
}

fn class_of(class: StatusClass) -> What {
    match class {
        StatusClass::Hundreds(first) => What::from(first.clamp(1, 5)),
        StatusClass::NoAnswer => NO_ANSWER,
    }
}

pub(super) fn create(connection: &Connection, n: Bucket) -> Outcome<()> {
    connection.execute_batch(&TROUBLE_SQL.replace("{n}", &n.to_string()))?;
    Ok(())
}

/// Event, webhook, what.
pub(super) fn insert(connection: &Connection, n: Bucket, row: (i64, i64, What)) -> Outcome<()> {
    let insert = format!("INSERT OR IGNORE INTO trouble_{n} VALUES (?1, ?2, ?3)");
    connection.prepare_cached(&insert)?.execute(row)?;
    Ok(())
}

/// Makes and fills the index of every bucket that was there before there was any.
pub(super) fn fill_all(connection: &Connection) -> Outcome<()> {
    for (n, marks) in read_live(connection)? {
        create(connection, n)?;
        let query = format!("SELECT key, event, webhook, entry FROM history_{n} WHERE key <= ?1");
        let mut statement = connection.prepare(&query)?;
        let mut rows = statement.query([marks.history])?;
        while let Some(row) = rows.next()? {
            let delivery = DeliveryKey { event: key(row.get(1)?), webhook: key(row.get(2)?) };
            let bytes = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Some(what) = read(key(row.get(0)?), delivery, bytes)? {
                insert(connection, n, (sql(delivery.event), sql(delivery.webhook), what))?;
            }
        }
    }
    Ok(())
}

/// What the index has of an entry at rest.
pub(super) fn read(
    entry: HistoryKey,
    delivery: DeliveryKey,
    bytes: &[u8],
) -> Outcome<Option<What>> {
    let entry = decode_history(entry, delivery, bytes)
        .map_err(|what| Failure::undecodable("history", entry, what))?;
    Ok(of(&entry))
}

impl View<'_> {
    /// The newest events from `first` to before `end` that may have a delivery which is meant,
    /// newest first. All of them, where they are fewer than `limit`.
    pub(super) fn troubled_events(
        &self,
        search: &DeliverySearch,
        wanted: Wanted,
        entries: &Entries,
        (first, end): (EventKey, EventKey),
        limit: usize,
    ) -> Outcome<Vec<EventKey>> {
        let in_tails = entries.events_in_tails().filter(|event| (first..end).contains(event));
        let mut events: BTreeSet<EventKey> = in_tails.collect();
        let oldest = self.buckets.of(first);
        for &n in self.live.range(oldest..).map(|(n, _)| n).rev() {
            // what a bucket tells of is older than its end
            let ends: EventKey = self.buckets.first_key(n + 1);
            if events.range(ends..).count() >= limit {
                break;
            }
            self.troubled_in(n, search, wanted, (first, end), limit, &mut events)?;
        }
        Ok(events.into_iter().rev().take(limit).collect())
    }

    fn troubled_in(
        &self,
        n: Bucket,
        search: &DeliverySearch,
        wanted: Wanted,
        (first, end): (EventKey, EventKey),
        limit: usize,
        events: &mut BTreeSet<EventKey>,
    ) -> Outcome<()> {
        let range = (sql(first), sql(end), wanted.0, sql_limit(limit));
        let (query, webhook) = match search.filter.webhook {
            Some(webhook) => (queries::troubled_of_webhook(n), sql(webhook)),
            None => (queries::troubled(n), 0),
        };
        let mut statement = self.connection.prepare_cached(&query)?;
        let mut rows = match search.filter.webhook {
            Some(_) => statement.query((range.0, range.1, range.2, range.3, webhook))?,
            None => statement.query(range)?,
        };
        while let Some(row) = rows.next()? {
            events.insert(key(row.get(0)?));
        }
        Ok(())
    }
}
