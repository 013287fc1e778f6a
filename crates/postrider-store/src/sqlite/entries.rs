//! Where the last entries of many deliveries are, for walks over many events.
//!
//! Asked one by one, each delivery costs a look into every bucket since its event, and a scan of
//! the rows that are in no index yet. A walk reads those rows once, and the indexes a range of
//! events at a time.

use std::collections::{BTreeSet, HashMap};

use postrider_core::id::{EventKey, HistoryKey, WebhookKey};

use super::failure::Outcome;
use super::queries;
use super::view::{View, key, sql, sql_limit};
use crate::bucket::Bucket;

/// Index rows of one bucket that are read at once; where the events of others lie in between,
/// there are more, and each event is looked up by itself.
const RANGE_ROWS_MAX: usize = 1_024;

/// By event, ascending by bucket and key.
type ByEvent = HashMap<EventKey, Vec<(Bucket, WebhookKey, HistoryKey)>>;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Entries {
    tails: ByEvent,
    indexed: ByEvent,
    /// Buckets whose index was read for the present range of events.
    covered: BTreeSet<Bucket>,
}

impl Entries {
    /// Reads what is in no index yet.
    pub(super) fn read(view: &View<'_>) -> Outcome<Self> {
        let mut entries = Self::default();
        for (&n, marks) in view.live {
            let query = queries::history_tail(n);
            let mut statement = view.connection.prepare_cached(&query)?;
            let mut rows = statement.query([marks.history])?;
            while let Some(row) = rows.next()? {
                let of_event = entries.tails.entry(key(row.get(0)?)).or_default();
                of_event.push((n, key(row.get(1)?), key(row.get(2)?)));
            }
        }
        Ok(entries)
    }

    /// Every event that something in no index yet is about, in no order.
    pub(super) fn events_in_tails(&self) -> impl Iterator<Item = EventKey> {
        self.tails.keys().copied()
    }

    /// Reads what the indexes say of the events from `first` to `last`, which are asked for next.
    pub(super) fn turn_to(
        &mut self,
        view: &View<'_>,
        first: EventKey,
        last: EventKey,
    ) -> Outcome<()> {
        self.indexed.clear();
        self.covered.clear();
        for (&n, _) in view.live.range(view.buckets.of(first)..) {
            let query = queries::entries_of_range(n);
            let mut statement = view.connection.prepare_cached(&query)?;
            let mut rows = statement.query((sql(first), sql(last), sql_limit(RANGE_ROWS_MAX)))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push((key(row.get(0)?), key(row.get(1)?), key(row.get(2)?)));
            }
            if found.len() < RANGE_ROWS_MAX {
                self.covered.insert(n);
                for (event, webhook, entry) in found {
                    self.indexed.entry(event).or_default().push((n, webhook, entry));
                }
            }
        }
        Ok(())
    }

    /// The entries of an event in one bucket that lead to webhooks of a range; of a webhook named
    /// twice the later naming counts.
    pub(super) fn of(
        &self,
        view: &View<'_>,
        n: Bucket,
        event: EventKey,
        (first, last): (WebhookKey, WebhookKey),
    ) -> Outcome<Vec<(WebhookKey, HistoryKey)>> {
        let within = |known: &ByEvent| -> Vec<(WebhookKey, HistoryKey)> {
            let of_event = known.get(&event).into_iter().flatten();
            let of_bucket = of_event.filter(|(bucket, webhook, _)| {
                *bucket == n && *webhook >= first && *webhook <= last
            });
            of_bucket.map(|&(_, webhook, entry)| (webhook, entry)).collect()
        };
        let mut found = if self.covered.contains(&n) {
            within(&self.indexed)
        } else {
            view.indexed_entries_in(n, event, first, last)?
        };
        found.extend(within(&self.tails));
        Ok(found)
    }
}
