//! Looks through a whole file and says what is not as it must be.
//!
//! By a connection of its own that only reads, on one snapshot, so the server may be running. Row
//! by row: what is held in memory is one event's fan-out, and what is in no list index yet.

mod attempts;
mod events;
mod indexes;
mod rows;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};

use super::failure::{Failure, Outcome};
use super::view::{View, on_snapshot};
use super::{SqliteStore, open};
use crate::bucket::Buckets;
use crate::error::StoreError;
use crate::verification::{Checked, Violation, ViolationKind};

/// As long as this looks, the log can't begin anew. The writer stops to make it do so at 256 MB
/// (`writer`); before that, this gives up.
const LOG_BYTES_MAX: u64 = 192 << 20;
/// Rows between two looks at the log.
const ROWS_BETWEEN_LOOKS: u64 = 4_096;
/// SQLite names so many faults in its own structure at most.
const INTEGRITY: &str = "PRAGMA integrity_check(100)";

impl SqliteStore {
    /// Looks through a file, whether a store has it open or not, and changes nothing. Blocks, for
    /// as long as reading everything takes.
    ///
    /// `Unavailable`, with a message for a person, when it can't be looked at: there is none, it
    /// is of another version, or the server writes so much that it can't be held up any longer.
    pub fn verify(
        database: &Path,
        found: &mut dyn FnMut(Violation),
    ) -> Result<Checked, StoreError> {
        match look(database, found).map_err(Failure::into_store_error) {
            Err(StoreError::Corrupt(what)) => {
                let (kind, about) = (ViolationKind::Unreadable, database.display().to_string());
                found(Violation { kind, about, detail: what });
                Ok(Checked { violations: 1, ..Checked::default() })
            }
            other => other,
        }
    }
}

fn look(database: &Path, found: &mut dyn FnMut(Violation)) -> Outcome<Checked> {
    let connection = open::open_reader(database)?;
    open::expect_present_version(&connection)?;
    let buckets = Buckets::of_width(open::setting(&connection, "bucket_ms")?);
    on_snapshot(&connection, buckets, |view| {
        let mut look = Look {
            view,
            checked: Checked::default(),
            found,
            log: log_path(database),
            rows_left: ROWS_BETWEEN_LOOKS,
        };
        look.part("SQLite", integrity)?;
        look.part("the list indexes", indexes::all)?;
        look.part("events", events::all)?;
        look.part("pending deliveries", rows::pending)?;
        look.part("webhooks", rows::webhooks)?;
        look.part("replays", rows::replays)?;
        look.part("what replays added", rows::added)?;
        look.part("the counters", rows::counters)?;
        Ok(look.checked)
    })
}

/// What all parts share.
struct Look<'a> {
    view: View<'a>,
    checked: Checked,
    found: &'a mut dyn FnMut(Violation),
    log: PathBuf,
    rows_left: u64,
}

impl Look<'_> {
    /// One part of the looking; when something in it can't be read, the others go on.
    fn part(&mut self, name: &str, part: fn(&mut Self) -> Outcome<()>) -> Outcome<()> {
        let done = part(self);
        self.or_unreadable(&name, done)
    }

    fn or_unreadable(&mut self, about: &impl ToString, done: Outcome<()>) -> Outcome<()> {
        match done.map_err(Failure::into_store_error) {
            Ok(()) => Ok(()),
            Err(StoreError::Corrupt(what)) => {
                self.violation(ViolationKind::Unreadable, about, what);
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    fn violation(&mut self, kind: ViolationKind, about: &impl ToString, detail: impl Into<String>) {
        self.checked.violations += 1;
        (self.found)(Violation { kind, about: about.to_string(), detail: detail.into() });
    }

    /// A row was looked at.
    fn row(&mut self) -> Outcome<()> {
        self.rows_left -= 1;
        if self.rows_left > 0 {
            return Ok(());
        }
        self.rows_left = ROWS_BETWEEN_LOOKS;
        let log_bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if log_bytes <= LOG_BYTES_MAX {
            return Ok(());
        }
        Err(Failure::Store(StoreError::Unavailable(
            "the server writes more than can be held up while its store is looked through; try a \
             quieter time, or a copy of the data directory"
                .to_owned(),
        )))
    }

    /// Runs a query that finds violations alone.
    fn each(
        &mut self,
        query: &str,
        mut violated: impl FnMut(&Row<'_>) -> Outcome<(ViolationKind, String, String)>,
    ) -> Outcome<()> {
        let connection = self.view.connection;
        let mut statement = connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, about, detail) = violated(row)?;
            self.violation(kind, &about, detail);
        }
        Ok(())
    }
}

fn count(connection: &Connection, table: &str) -> Outcome<u64> {
    let query = format!("SELECT count(*) FROM {table}");
    let count: i64 = connection.query_row(&query, [], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

fn integrity(look: &mut Look<'_>) -> Outcome<()> {
    let connection = look.view.connection;
    let mut statement = connection.prepare(INTEGRITY)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            look.violation(ViolationKind::Integrity, &"", text);
        }
    }
    Ok(())
}

fn log_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    PathBuf::from(path)
}
