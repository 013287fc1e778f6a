//! How deliveries stand, and what happened to them. There is no row for a delivery: its last
//! history entry says how it stands; without one it stands as it was accepted.

use std::collections::BTreeMap;

use postrider_core::delivery::{HistoryEntry, Standing};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, EventKey, HistoryKey, Key, WebhookKey};
use rusqlite::OptionalExtension;

use super::entries::Entries;
use super::failure::{Failure, Outcome};
use super::queries;
use super::view::{View, key, sql, sql_limit};
use crate::bucket::Bucket;
use crate::codec::{decode_history, decode_standing};
use crate::records::DeliveryStanding;
use crate::search::Target;

/// How a delivery stands, and the entry that says so, where there is one.
#[derive(Clone, Debug)]
pub(super) struct Stood {
    pub(super) delivery: DeliveryKey,
    pub(super) standing: Standing,
    pub(super) last: Option<HistoryEntry>,
}

impl View<'_> {
    pub(super) fn delivery(&self, delivery: DeliveryKey) -> Outcome<Option<DeliveryStanding>> {
        let Some(event) = self.event_by_key(delivery.event)? else {
            return Ok(None);
        };
        let matched = self.matching_of(&event)?.matched;
        let mut targets = self.targets(&event, &matched)?;
        targets.retain(|target| target.webhook == delivery.webhook);
        let standings = self.standings(&event, &targets, None)?;
        Ok(standings.first().map(Stood::standing))
    }

    pub(super) fn deliveries_of_event(
        &self,
        event: EventKey,
        after: Option<WebhookKey>,
        limit: usize,
    ) -> Outcome<Vec<DeliveryStanding>> {
        let Some(event) = self.event_by_key(event)? else {
            return Ok(Vec::new());
        };
        let matched = self.matching_of(&event)?.matched;
        let targets = self.targets(&event, &matched)?;
        let from = targets.partition_point(|target| Some(target.webhook) <= after);
        let upto = from.saturating_add(limit).min(targets.len());
        let standings = self.standings(&event, &targets[from..upto], None)?;
        Ok(standings.iter().map(Stood::standing).collect())
    }

    /// To whom an event goes, and since when, ascending: who matched, and whom a replay added.
    pub(super) fn targets(&self, event: &Event, matched: &[WebhookKey]) -> Outcome<Vec<Target>> {
        let since = event.accepted_at();
        let mut targets: Vec<Target> =
            matched.iter().map(|&webhook| Target { webhook, since }).collect();
        let mut statement = self.connection.prepare_cached(queries::ADDED)?;
        let mut rows = statement.query([sql(event.key)])?;
        while let Some(row) = rows.next()? {
            targets.push(Target { webhook: key(row.get(0)?), since: row.get(1)? });
        }
        if targets.len() > matched.len() {
            targets.sort_unstable_by_key(|target| target.webhook);
        }
        Ok(targets)
    }

    /// How the deliveries of `event` to `targets` stand, which ascend.
    pub(super) fn standings(
        &self,
        event: &Event,
        targets: &[Target],
        entries: Option<&Entries>,
    ) -> Outcome<Vec<Stood>> {
        let (Some(first), Some(last)) = (targets.first(), targets.last()) else {
            return Ok(Vec::new());
        };
        let (first, last) = (first.webhook, last.webhook);
        let kept = self.kept_standings(event.key, first, last)?;
        let last_entries = self.last_entries(event.key, first, last, entries)?;
        let stood = |&Target { webhook, since }| {
            let delivery = DeliveryKey { event: event.key, webhook };
            let last = match last_entries.get(&webhook) {
                Some(&(bucket, entry)) => Some(self.entry(bucket, entry, delivery)?),
                None => None,
            };
            let standing = match (&last, kept.get(&webhook)) {
                (Some(entry), _) => entry.standing,
                (None, Some(&standing)) => standing,
                (None, None) => Standing::accepted(since),
            };
            Ok(Stood { delivery, standing, last })
        };
        targets.iter().map(stood).collect()
    }

    pub(super) fn kept_standings(
        &self,
        event: EventKey,
        first: WebhookKey,
        last: WebhookKey,
    ) -> Outcome<BTreeMap<WebhookKey, Standing>> {
        let mut known = BTreeMap::new();
        if self.buckets.of(event) >= self.kept_below {
            return Ok(known);
        }
        let mut statement = self.connection.prepare_cached(queries::STANDINGS_KEPT)?;
        let mut rows = statement.query((sql(event), sql(first), sql(last)))?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let standing = decode_standing(bytes)
                .map_err(|what| Failure::undecodable("standing_kept", event, what))?;
            known.insert(key(row.get(0)?), standing);
        }
        Ok(known)
    }

    /// The last entry of each delivery of an event within a range of webhooks, and its bucket.
    fn last_entries(
        &self,
        event: EventKey,
        first: WebhookKey,
        last: WebhookKey,
        entries: Option<&Entries>,
    ) -> Outcome<BTreeMap<WebhookKey, (Bucket, HistoryKey)>> {
        let mut newest = BTreeMap::new();
        for (&n, marks) in self.live.range(self.buckets.of(event)..) {
            let found = match entries {
                None => self.last_entries_in(n, marks.history, event, first, last)?,
                Some(entries) => entries.of(self, n, event, (first, last))?,
            };
            for (webhook, entry) in found {
                newest.insert(webhook, (n, entry));
            }
        }
        Ok(newest)
    }

    /// The last entry of each delivery of an event, as far as the list index of a bucket says.
    pub(super) fn indexed_entries_in(
        &self,
        n: Bucket,
        event: EventKey,
        first: WebhookKey,
        last: WebhookKey,
    ) -> Outcome<Vec<(WebhookKey, HistoryKey)>> {
        let mut statement = (self.connection).prepare_cached(&queries::last_entries_in_index(n))?;
        let mut rows = statement.query((sql(event), sql(first), sql(last)))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((key(row.get(0)?), key(row.get(1)?)));
        }
        Ok(found)
    }

    /// The same within one bucket. Of a webhook named twice the later naming counts.
    pub(super) fn last_entries_in(
        &self,
        n: Bucket,
        mark: i64,
        event: EventKey,
        first: WebhookKey,
        last: WebhookKey,
    ) -> Outcome<Vec<(WebhookKey, HistoryKey)>> {
        let mut found = self.indexed_entries_in(n, event, first, last)?;
        let mut tail = (self.connection).prepare_cached(&queries::last_entries_in_tail(n))?;
        let after = tail_after(mark, event);
        let mut rows = tail.query((sql(event), sql(first), sql(last), after))?;
        while let Some(row) = rows.next()? {
            found.push((key(row.get(0)?), key(row.get(1)?)));
        }
        Ok(found)
    }

    pub(super) fn entry(
        &self,
        n: Bucket,
        entry: HistoryKey,
        delivery: DeliveryKey,
    ) -> Outcome<HistoryEntry> {
        let mut statement = self.connection.prepare_cached(&queries::entry(n))?;
        let mut rows = statement.query([sql(entry)])?;
        let row = rows.next()?;
        let row = row.ok_or_else(|| Failure::missing("history", entry))?;
        let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        decode_history(entry, delivery, bytes)
            .map_err(|what| Failure::undecodable("history", entry, what))
    }

    pub(super) fn has_entry(&self, entry: HistoryKey) -> Outcome<bool> {
        let n = self.buckets.of(entry);
        if !self.live.contains_key(&n) {
            return Ok(false);
        }
        let mut statement = self.connection.prepare_cached(&queries::entry(n))?;
        let found = statement.query_row([sql(entry)], |_| Ok(())).optional()?;
        Ok(found.is_some())
    }

    /// What happened to a delivery, oldest first.
    pub(super) fn history(&self, delivery: DeliveryKey) -> Outcome<Vec<HistoryEntry>> {
        let (event, webhook) = (sql(delivery.event), sql(delivery.webhook));
        let mut history = Vec::new();
        for (&n, marks) in self.live.range(self.buckets.of(delivery.event)..) {
            let index = queries::history_of_delivery_in_index(n);
            self.list_history(&index, (event, webhook), &mut history)?;
            let tail = queries::history_of_delivery_in_tail(n);
            let after = tail_after(marks.history, delivery.event);
            self.list_history(&tail, (event, webhook, after), &mut history)?;
        }
        Ok(history)
    }

    /// What happened to the deliveries of a webhook before `before`, newest first.
    pub(super) fn history_of_webhook(
        &self,
        webhook: WebhookKey,
        before: Option<HistoryKey>,
        limit: usize,
    ) -> Outcome<Vec<HistoryEntry>> {
        let upto = before.map_or(i64::MAX, sql);
        let newest = before.map_or(Bucket::MAX, |before| self.buckets.of(before));
        let webhook = sql(webhook);
        let mut history = Vec::new();
        for (&n, marks) in self.live.range(..=newest).rev() {
            let left = sql_limit(limit - history.len());
            let tail = queries::history_of_webhook_in_tail(n);
            self.list_history(&tail, (webhook, upto, left, marks.history), &mut history)?;
            let left = sql_limit(limit - history.len());
            let index = queries::history_of_webhook_in_index(n);
            self.list_history(&index, (webhook, upto, left), &mut history)?;
            if history.len() == limit {
                break;
            }
        }
        Ok(history)
    }

    fn list_history(
        &self,
        query: &str,
        arguments: impl rusqlite::Params,
        history: &mut Vec<HistoryEntry>,
    ) -> Outcome<()> {
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query(arguments)?;
        while let Some(row) = rows.next()? {
            let entry: HistoryKey = key(row.get(0)?);
            let delivery = DeliveryKey { event: key(row.get(1)?), webhook: key(row.get(2)?) };
            let bytes = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
            let entry = decode_history(entry, delivery, bytes)
                .map_err(|what| Failure::undecodable("history", entry, what))?;
            history.push(entry);
        }
        Ok(())
    }

    /// The greatest time part of all keys that are there; zero when there is none.
    pub(super) fn newest_key_ms(&self) -> Outcome<i64> {
        let mut tables: Vec<String> = (self.live.keys())
            .flat_map(|n| ["event", "history", "matching"].map(|kind| format!("{kind}_{n}")))
            .collect();
        let fixed = ["event_kept", "matching_kept", "webhook", "tenant", "api_key", "replay"];
        tables.extend(fixed.map(str::to_owned));
        let mut newest: Option<i64> = None;
        for table in tables {
            let query = format!("SELECT max(key) FROM {table}");
            newest = newest.max(self.connection.query_row(&query, [], |row| row.get(0))?);
        }
        Ok(newest.map_or(0, |raw| key::<EventKey>(raw).made_at()))
    }
}

impl Stood {
    fn standing(&self) -> DeliveryStanding {
        DeliveryStanding { delivery: self.delivery, standing: self.standing }
    }
}

/// What happens to a delivery has a greater key than its event: a young event's tail is short.
fn tail_after(mark: i64, event: EventKey) -> i64 {
    mark.max(sql(event))
}
