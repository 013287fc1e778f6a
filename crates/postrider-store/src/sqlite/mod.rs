//! The embedded store: one SQLite file, one process.
//!
//! One connection writes, behind a mutex; a few others read, each on a snapshot of its own.
//! What grows with time lies in buckets of append-only tables that retention drops whole;
//! `pending` holds exactly the unfinished deliveries. See `docs/adr/` for why.

mod access;
mod catalogue;
mod commit;
mod entries;
mod failure;
mod health;
mod index;
mod ledger;
mod moves;
mod open;
mod pending;
mod queries;
mod readers;
mod recent;
mod replays;
mod retention;
mod search;
mod slots;
mod standings;
mod statements;
mod trouble;
mod verbs;
mod verify;
mod view;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use self::commit::Work;
use self::failure::{Failure, Outcome};
use self::readers::Readers;
use self::recent::Recent;
use self::view::{View, on_snapshot};
use self::writer::{CHECKPOINT_PAGES, Writer};
use crate::bucket::{BUCKET_MS_DEFAULT, Buckets};
use crate::error::StoreError;

/// How to open a [`SqliteStore`]. The defaults are for production; tests use small numbers.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// The width of a bucket of time. Only counts when the file is made.
    pub bucket_ms: i64,
    /// Rows that a bucket gathers before they go into its list indexes in one bulk.
    pub index_rows: usize,
    /// Connections that read.
    pub readers: usize,
    /// Pages in the log after which a commit also moves them into the database file.
    pub checkpoint_pages: u32,
    /// Doesn't wait for the disk: a power cut may lose or corrupt what was acknowledged.
    /// For tests of long sequences and for benchmarks.
    pub danger_skip_sync: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            bucket_ms: BUCKET_MS_DEFAULT,
            index_rows: 4_096,
            readers: 3,
            checkpoint_pages: CHECKPOINT_PAGES,
            danger_skip_sync: false,
        }
    }
}

/// The store in one SQLite file. Cheap to clone; the file is let go of with the last clone.
///
/// All verbs but `commit` must be called within a tokio runtime: they do their work on its
/// blocking threads. `commit` does it on the caller's.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    readers: Readers,
    writer: Mutex<Writer>,
    buckets: Buckets,
    recent: Recent,
    index_rows: usize,
    /// Keeps other processes off the file; dropped last.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, making it and its tables where they are missing. Blocks.
    ///
    /// `Unavailable`, with a message for a person, when another process has it open, when a
    /// newer version wrote it, or when it can't be opened; `Corrupt` when it is no database.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let lock = open::lock(path)?;
        let opened = || -> Outcome<(Readers, Writer, Buckets)> {
            let connection = open::open_writer(path, &options)?;
            let width = open::setting(&connection, "bucket_ms")?;
            let readers = Readers::open(path, options.readers)?;
            let writer = Writer::new(connection, options.checkpoint_pages);
            Ok((readers, writer, Buckets::of_width(width)))
        };
        let (readers, writer, buckets) = opened().map_err(Failure::into_store_error)?;
        Ok(Self {
            shared: Arc::new(Shared {
                readers,
                writer: Mutex::new(writer),
                buckets,
                recent: Recent::default(),
                index_rows: options.index_rows.max(1),
                _lock: lock,
            }),
        })
    }
}

impl Shared {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        // after a panic the writer rolls back and reads its ledger again
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on one snapshot.
    fn read<T>(&self, read: impl FnOnce(View<'_>) -> Outcome<T>) -> Result<T, StoreError> {
        let outcome = (self.readers).with(|connection| on_snapshot(connection, self.buckets, read));
        outcome.map_err(Failure::into_store_error)
    }

    /// Writes what has to do with events and deliveries.
    fn work<T>(&self, work: impl FnOnce(&mut Work<'_>) -> Outcome<T>) -> Result<T, StoreError> {
        let mut writer = self.writer();
        let done = writer.write(|connection, ledger, scratch| {
            let mut transaction = Work::new(connection, ledger, scratch);
            let done = work(&mut transaction)?;
            transaction.finish(self.index_rows)?;
            Ok(done)
        });
        writer.checkpoint_when_grown(&self.readers);
        done
    }

    /// Writes one of the tables that hold few rows.
    fn write<T>(&self, write: impl FnOnce(&Connection) -> Outcome<T>) -> Result<T, StoreError> {
        let mut writer = self.writer();
        let done = writer.write(|connection, _, _| write(connection));
        writer.checkpoint_when_grown(&self.readers);
        done
    }
}
