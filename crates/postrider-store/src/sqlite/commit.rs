//! The group commit: the hottest code of the product.
//!
//! An accepted event costs one append and a pending row for each webhook; an outcome deletes
//! that row and appends one. Nothing else is written but what the list indexes take in bulk.

use std::sync::Arc;

use postrider_core::delivery::{HistoryEntry, Standing};
use postrider_core::event::{Event, Fingerprint};
use postrider_core::id::{DeliveryKey, EventKey};
use rusqlite::Connection;

use super::failure::Outcome;
use super::ledger::{HistoryRow, IndexNow, Ledger};
use super::statements::{Each, Statements};
use super::view::{id_table, sql};
use super::{health, index, pending, trouble};
use crate::bucket::Bucket;
use crate::codec::{encode_event, encode_history, encode_matching};
use crate::failpoint;
use crate::records::{Accept, Accepted, Batch, Committed, Record, Recorded};

/// Terms of the accounting identity that a transaction adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    events: i64,
    pub(super) created: i64,
    finished: i64,
}

/// One transaction at work.
pub(super) struct Work<'a> {
    pub(super) connection: &'a Connection,
    pub(super) ledger: &'a mut Ledger,
    scratch: &'a mut Vec<u8>,
    pub(super) statements: Statements<'a>,
    pub(super) tally: Tally,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        ledger: &'a mut Ledger,
        scratch: &'a mut Vec<u8>,
    ) -> Self {
        let statements = Statements::new(connection);
        Self { connection, ledger, scratch, statements, tally: Tally::default() }
    }

    pub(super) fn batch(&mut self, batch: &Batch) -> Outcome<Committed> {
        let accept = |accept| self.accept(accept);
        let accepts = batch.accepts.iter().map(accept).collect::<Outcome<_>>()?;
        let record = |record| self.record(record);
        let records = batch.records.iter().map(record).collect::<Outcome<_>>()?;
        health::keep_all(self.connection, &batch.records)?;
        Ok(Committed { accepts, records })
    }

    /// Ends the transaction's work: the counters, and the indexes where a tail has grown.
    pub(super) fn finish(self, index_at: usize) -> Outcome<()> {
        if self.tally != Tally::default() {
            let mut count = self.connection.prepare_cached(
                "UPDATE counter SET events = events + ?1, \
                 deliveries_created = deliveries_created + ?2, \
                 deliveries_finished = deliveries_finished + ?3",
            )?;
            let Tally { events, created, finished } = self.tally;
            count.execute((events, created, finished))?;
            failpoint!(CountersUpdated);
        }
        index::fill_grown(self.connection, self.ledger, index_at)?;
        Ok(())
    }

    fn accept(&mut self, accept: &Accept) -> Outcome<Accepted> {
        let event = &accept.event;
        if let Some(given) = &event.given_id
            && let Some(answer) = self.id_taken(accept, given)?
        {
            return Ok(answer);
        }
        let n = self.ledger.bucket_of(self.connection, event.key)?;
        if let Some(first) = self.append_event(n, event)? {
            return self.repeat(first);
        }
        if let Some(given) = &event.given_id {
            self.insert_given_id(n, event, given, &accept.fingerprint)?;
            failpoint!(GivenIdInserted);
        }
        if !self.ledger.learn_matching(n, event.matching) {
            self.scratch.clear();
            encode_matching(&accept.matching, self.scratch);
            let insert = format!("INSERT OR IGNORE INTO matching_{n} VALUES (?1, ?2)");
            let mut insert = self.connection.prepare_cached(&insert)?;
            insert.execute((sql(event.matching), &self.scratch[..]))?;
            failpoint!(MatchingInserted);
        }
        let Standing::Pending(waiting) = Standing::accepted(event.accepted_at()) else {
            unreachable!("what is accepted is pending");
        };
        for &webhook in &accept.matching.matched {
            let delivery = DeliveryKey { event: event.key, webhook };
            pending::insert(&mut self.statements, delivery, &waiting)?;
            failpoint!(PendingInserted);
        }
        self.tally.events += 1;
        self.tally.created += i64::try_from(accept.matching.matched.len()).unwrap_or(i64::MAX);
        Ok(Accepted::New)
    }

    /// The answer to a given id that an event of the tenant goes by already.
    fn id_taken(&self, accept: &Accept, given: &str) -> Outcome<Option<Accepted>> {
        let event = &accept.event;
        let view = self.ledger.view(self.connection);
        let (first, is_same) =
            if let Some((first, fingerprint)) = view.event_by_given_id(event.tenant, given)? {
                (first, fingerprint == accept.fingerprint)
            } else if let Some(first) = view.event_by_made_id(event.tenant, given)? {
                // no fingerprint is stored with an id that we made
                let is_same = first.bodies.verbatim == event.bodies.verbatim;
                (first, is_same)
            } else {
                return Ok(None);
            };
        if is_same { self.repeat(first).map(Some) } else { Ok(Some(Accepted::IdConflict)) }
    }

    /// Appends an event; answers with the one that is there already under this key.
    fn append_event(&mut self, n: Bucket, event: &Event) -> Outcome<Option<Arc<Event>>> {
        let is_among_kept = n < self.ledger.kept_below;
        if is_among_kept && let Some(first) = self.stored(event.key)? {
            return Ok(Some(first));
        }
        self.scratch.clear();
        encode_event(event, self.scratch);
        let insert = self.statements.of(Each::InsertEvent(n))?;
        let tenant = sql(event.tenant);
        if insert.execute((sql(event.key), tenant, &self.scratch[..]))? == 0 {
            return self.stored(event.key);
        }
        failpoint!(EventInserted);
        if self.ledger.note_event(n, tenant, event.key) == IndexNow::Yes {
            index::insert_event(self.connection, n, (tenant, sql(event.key)))?;
        }
        Ok(None)
    }

    fn stored(&self, event: EventKey) -> Outcome<Option<Arc<Event>>> {
        self.ledger.view(self.connection).event_by_key(event)
    }

    fn repeat(&self, first: Arc<Event>) -> Outcome<Accepted> {
        let matching = self.ledger.view(self.connection).matching_of(&first)?;
        let matched = matching.matched.len();
        Ok(Accepted::Repeat { first, matched })
    }

    fn insert_given_id(
        &self,
        n: Bucket,
        event: &Event,
        given: &str,
        fingerprint: &Fingerprint,
    ) -> Outcome<()> {
        // what an event left behind that is gone is replaced
        let insert =
            format!("INSERT OR REPLACE INTO event_id_{} VALUES (?1, ?2, ?3, ?4)", id_table(n));
        let mut insert = self.connection.prepare_cached(&insert)?;
        insert.execute((sql(event.tenant), given, sql(event.key), fingerprint))?;
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Outcome<Recorded> {
        let entry = &record.entry;
        if !pending::delete(&mut self.statements, entry.delivery, &record.was)? {
            let is_repeat = self.ledger.view(self.connection).has_entry(entry.key)?;
            return Ok(if is_repeat { Recorded::Done } else { Recorded::NotPending });
        }
        failpoint!(PendingDeleted);
        self.move_on(Standing::Pending(record.was), entry)?;
        Ok(Recorded::Done)
    }

    /// Appends what happened to a delivery and sets how it stands. The caller has deleted its
    /// pending row, where it had one.
    pub(super) fn move_on(&mut self, before: Standing, entry: &HistoryEntry) -> Outcome<()> {
        self.append_history(entry)?;
        if let Standing::Pending(waiting) = &entry.standing {
            pending::insert(&mut self.statements, entry.delivery, waiting)?;
        }
        let ended = i64::from(entry.standing.state().is_final());
        let ended = ended - i64::from(before.state().is_final());
        self.tally.finished += ended;
        self.count_kept(entry.delivery.event, -ended)
    }

    /// Counts what has become pending of an event, where it may be a kept one.
    pub(super) fn count_kept(&self, event: EventKey, added: i64) -> Outcome<()> {
        if added != 0 && self.ledger.buckets.of(event) < self.ledger.kept_below {
            let mut update = self
                .connection
                .prepare_cached("UPDATE event_kept SET pending = pending + ?2 WHERE key = ?1")?;
            update.execute((sql(event), added))?;
        }
        Ok(())
    }

    fn append_history(&mut self, entry: &HistoryEntry) -> Outcome<()> {
        let n = self.ledger.bucket_of(self.connection, entry.key)?;
        let DeliveryKey { event, webhook } = entry.delivery;
        let (event, webhook, key) = (sql(event), sql(webhook), sql(entry.key));
        self.scratch.clear();
        encode_history(entry, self.scratch);
        let insert = self.statements.of(Each::InsertHistory(n))?;
        insert.execute((key, event, webhook, &self.scratch[..]))?;
        failpoint!(HistoryInserted);
        let row = HistoryRow { event, webhook, key, trouble: trouble::of(entry) };
        if self.ledger.note_history(n, row) == IndexNow::Yes {
            index::insert_history(self.connection, n, &row)?;
        }
        Ok(())
    }
}
