//! How deliveries stand, and what happened to them. There is no row for a delivery: its last
//! history entry says how it stands; without one it stands as it was accepted.

use std::collections::BTreeMap;

use postrider_core::delivery::{HistoryEntry, Standing};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, EventKey, HistoryKey, Key, WebhookKey};
use rusqlite::{OptionalExtension, Row};

use super::failure::{Failure, Outcome};
use super::queries;
use super::view::{View, key, sql, sql_limit};
use crate::bucket::Bucket;
use crate::codec::{decode_history, decode_standing};
use crate::records::DeliveryStanding;

impl View<'_> {
    pub(super) fn delivery(&self, delivery: DeliveryKey) -> Outcome<Option<DeliveryStanding>> {
        let Some(event) = self.event_by_key(delivery.event)? else {
            return Ok(None);
        };
        let matched = self.matching_of(&event)?.matched;
        if matched.binary_search(&delivery.webhook).is_err() {
            return Ok(None);
        }
        let standings = self.standings(&event, &[delivery.webhook])?;
        Ok(standings.first().copied())
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
        let from = matched.partition_point(|&webhook| Some(webhook) <= after);
        let upto = from.saturating_add(limit).min(matched.len());
        self.standings(&event, &matched[from..upto])
    }

    /// How the deliveries of `event` to `webhooks` stand, which ascend and follow one another in
    /// its fan-out.
    fn standings(&self, event: &Event, webhooks: &[WebhookKey]) -> Outcome<Vec<DeliveryStanding>> {
        let (Some(&first), Some(&last)) = (webhooks.first(), webhooks.last()) else {
            return Ok(Vec::new());
        };
        let mut known = self.kept_standings(event.key, first, last)?;
        for (webhook, (bucket, entry)) in self.last_entries(event.key, first, last)? {
            let delivery = DeliveryKey { event: event.key, webhook };
            let standing = self.entry(bucket, entry, delivery)?.standing;
            known.insert(webhook, standing);
        }
        let standing = |&webhook| DeliveryStanding {
            delivery: DeliveryKey { event: event.key, webhook },
            standing: (known.get(&webhook).copied())
                .unwrap_or_else(|| Standing::accepted(event.accepted_at())),
        };
        Ok(webhooks.iter().map(standing).collect())
    }

    fn kept_standings(
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
    ) -> Outcome<BTreeMap<WebhookKey, (Bucket, HistoryKey)>> {
        let mut newest = BTreeMap::new();
        for (&n, marks) in self.live.range(self.buckets.of(event)..) {
            for (webhook, entry) in self.last_entries_in(n, marks.history, event, first, last)? {
                newest.insert(webhook, (n, entry));
            }
        }
        Ok(newest)
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
        let (first, last) = (sql(first), sql(last));
        let mut found = Vec::new();
        let mut read = |row: &Row<'_>| -> Outcome<()> {
            found.push((key(row.get(0)?), key(row.get(1)?)));
            Ok(())
        };
        let mut indexed = (self.connection).prepare_cached(&queries::last_entries_in_index(n))?;
        let mut rows = indexed.query((sql(event), first, last))?;
        while let Some(row) = rows.next()? {
            read(row)?;
        }
        let mut tail = (self.connection).prepare_cached(&queries::last_entries_in_tail(n))?;
        let mut rows = tail.query((sql(event), first, last, tail_after(mark, event)))?;
        while let Some(row) = rows.next()? {
            read(row)?;
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
        let fixed = ["event_kept", "matching_kept", "webhook", "tenant", "api_key"];
        tables.extend(fixed.map(str::to_owned));
        let mut newest: Option<i64> = None;
        for table in tables {
            let query = format!("SELECT max(key) FROM {table}");
            newest = newest.max(self.connection.query_row(&query, [], |row| row.get(0))?);
        }
        Ok(newest.map_or(0, |raw| key::<EventKey>(raw).made_at()))
    }
}

/// What happens to a delivery has a greater key than its event: a young event's tail is short.
fn tail_after(mark: i64, event: EventKey) -> i64 {
    mark.max(sql(event))
}
