//! What the writer knows by heart: the buckets, and which rows await the list indexes.
//!
//! It is a copy of what the file says, thrown away with every transaction that fails and read
//! again before the next.

use std::collections::{BTreeMap, HashSet};

use postrider_core::id::{EventKey, HistoryKey, Key, MatchingKey};
use rusqlite::{Connection, params};

use super::failure::Outcome;
use super::trouble::{self, What};
use super::view::{Live, Marks, View, id_table, read_live, sql};
use super::{index, open};
use crate::bucket::{Bucket, Buckets};

const BUCKET_SQL: &str = include_str!("migrations/bucket.sql");
const EVENT_ID_SQL: &str = include_str!("migrations/event_id.sql");

/// Matchings remembered as stored; beyond it they are forgotten, and stored in vain once more.
const MATCHINGS_KNOWN_MAX: usize = 65_536;

/// Rows of one bucket with keys above its marks.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Tenant, event.
    pub(super) events: Vec<(i64, i64)>,
    pub(super) history: Vec<HistoryRow>,
}

/// What the indexes have of an entry of a history. Ordered as the index by delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HistoryRow {
    pub(super) event: i64,
    pub(super) webhook: i64,
    pub(super) key: i64,
    /// What went wrong, if anything.
    pub(super) trouble: Option<What>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) buckets: Buckets,
    pub(super) live: Live,
    pub(super) tails: BTreeMap<Bucket, Tail>,
    pub(super) kept_below: Bucket,
    matchings_known: HashSet<(Bucket, MatchingKey)>,
}

impl Ledger {
    pub(super) fn load(connection: &Connection) -> Outcome<Self> {
        let live = read_live(connection)?;
        let mut tails = BTreeMap::new();
        for (&n, &marks) in &live {
            tails.insert(n, index::read_tail(connection, n, marks)?);
        }
        Ok(Self {
            buckets: Buckets::of_width(open::setting(connection, "bucket_ms")?),
            live,
            tails,
            kept_below: open::setting(connection, "kept_below")?,
            matchings_known: HashSet::new(),
        })
    }

    pub(super) fn view<'a>(&'a self, connection: &'a Connection) -> View<'a> {
        View { connection, buckets: self.buckets, live: &self.live, kept_below: self.kept_below }
    }

    /// The bucket of a key, with its tables.
    pub(super) fn bucket_of(&mut self, connection: &Connection, key: impl Key) -> Outcome<Bucket> {
        let n = self.buckets.of(key);
        if !self.live.contains_key(&n) {
            self.create(connection, n)?;
        }
        Ok(n)
    }

    fn create(&mut self, connection: &Connection, n: Bucket) -> Outcome<()> {
        // a late key can bring a bucket back whose old tables are not dropped yet
        for table in tables_of(n).into_iter().chain([id_table_name(id_table(n))]) {
            let mut doomed = connection.prepare_cached("DELETE FROM doomed WHERE name = ?1")?;
            if doomed.execute([&table])? == 1 {
                connection.execute_batch(&format!("DROP TABLE {table}"))?;
            }
        }
        connection.execute_batch(&BUCKET_SQL.replace("{n}", &n.to_string()))?;
        trouble::create(connection, n)?;
        connection.execute_batch(&EVENT_ID_SQL.replace("{n}", &id_table(n).to_string()))?;
        let marks = Marks {
            event: sql(self.buckets.first_key::<EventKey>(n)) - 1,
            history: sql(self.buckets.first_key::<HistoryKey>(n)) - 1,
        };
        connection.execute(
            "INSERT INTO bucket VALUES (?1, ?2, ?3)",
            params![n, marks.event, marks.history],
        )?;
        self.live.insert(n, marks);
        self.tails.insert(n, Tail::default());
        Ok(())
    }

    /// Takes a bucket away for every reader and leaves its tables to be dropped.
    pub(super) fn remove(&mut self, connection: &Connection, n: Bucket) -> Outcome<()> {
        self.live.remove(&n);
        self.tails.remove(&n);
        self.matchings_known.retain(|&(bucket, _)| bucket != n);
        connection.execute("DELETE FROM bucket WHERE number = ?1", [n])?;
        for table in tables_of(n) {
            connection.execute("INSERT INTO doomed VALUES (?1)", [table])?;
        }
        self.kept_below = self.kept_below.max(n + 1);
        connection.execute(
            "UPDATE setting SET value = ?1 WHERE name = 'kept_below'",
            [self.kept_below],
        )?;
        Ok(())
    }

    /// Whether a matching is known to be stored in a bucket; from now on it is.
    pub(super) fn learn_matching(&mut self, n: Bucket, matching: MatchingKey) -> bool {
        if self.matchings_known.len() >= MATCHINGS_KNOWN_MAX {
            self.matchings_known.clear();
        }
        !self.matchings_known.insert((n, matching))
    }

    /// Notes a stored event for the next bulk, unless its key lies below the mark.
    pub(super) fn note_event(&mut self, n: Bucket, tenant: i64, event: EventKey) -> IndexNow {
        let event = sql(event);
        if self.live.get(&n).is_some_and(|marks| event <= marks.event) {
            return IndexNow::Yes;
        }
        self.tails.entry(n).or_default().events.push((tenant, event));
        IndexNow::No
    }

    /// The same for an entry of a history.
    pub(super) fn note_history(&mut self, n: Bucket, row: HistoryRow) -> IndexNow {
        if self.live.get(&n).is_some_and(|marks| row.key <= marks.history) {
            return IndexNow::Yes;
        }
        self.tails.entry(n).or_default().history.push(row);
        IndexNow::No
    }

    /// The first and the last key that an event of a bucket can have.
    pub(super) fn range_of(&self, n: Bucket) -> (i64, i64) {
        let first = sql(self.buckets.first_key::<EventKey>(n));
        let after: EventKey = self.buckets.first_key(n + 1);
        (first, sql(after) - 1)
    }

    /// The number of the table of ids of bucket `n`, when no other bucket shares it.
    pub(super) fn id_table_only_of(&self, n: Bucket) -> Option<Bucket> {
        let table = id_table(n);
        let mut others = self.live.keys().filter(|&&other| other != n);
        others.all(|&other| id_table(other) != table).then_some(table)
    }
}

/// Whether a row's key lies below its bucket's mark, so that the bulk will not come by again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexNow {
    Yes,
    No,
}

pub(super) fn id_table_name(table: Bucket) -> String {
    format!("event_id_{table}")
}

fn tables_of(n: Bucket) -> [String; 7] {
    let indexes = ["event_by_tenant", "history_by_delivery", "history_by_webhook", "trouble"];
    let [by_tenant, by_delivery, by_webhook, trouble] = indexes;
    ["event", "history", "matching", by_tenant, by_delivery, by_webhook, trouble]
        .map(|kind| format!("{kind}_{n}"))
}
