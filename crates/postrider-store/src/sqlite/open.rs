//! Opening the file: the lock, the connections, the version of its tables.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::SqliteOptions;
use super::failure::{Failure, Outcome};
use super::{slots, trouble};
use crate::error::StoreError;

/// Older ones have a bug in resetting the write-ahead log that can corrupt the file.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Each step takes the file from the version of its index to the next one.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_begin.sql"),
    include_str!("migrations/0002_health.sql"),
    include_str!("migrations/0003_event_types.sql"),
    include_str!("migrations/0004_replay.sql"),
    include_str!("migrations/0005_hours.sql"),
    include_str!("migrations/0006_trouble.sql"),
];
/// The version that brought hours.
const HOURS_VERSION: usize = 5;
/// The version that brought the index of what went wrong.
const TROUBLE_VERSION: usize = 6;

/// Pages of 8 KB: a 1 KB event or two fit without overflow, and half the pages to log.
const PAGE_BYTES: u32 = 8192;
/// In kibibytes, negative as SQLite wants it. More made no measurable difference.
const CACHE_KIB: i32 = -8192;
/// After a reset the log file is cut to this, so that one burst doesn't hold the disk for ever.
const WAL_KEPT_BYTES: u32 = 64 << 20;
/// Nobody else writes to the file; a person's `sqlite3` may hold it for a moment.
const BUSY_MS: u64 = 5_000;
/// Statements kept by each connection: about twenty for each of a dozen buckets in use.
const STATEMENTS_KEPT: usize = 256;

/// Takes the lock that keeps a second process, or a second store in this one, off the file.
/// Held until the file handle is dropped; the operating system frees it when a process dies.
pub(super) fn lock(database: &Path) -> Result<File, StoreError> {
    let path = lock_path(database);
    let cannot = |error: &std::io::Error| {
        StoreError::Unavailable(format!("can't open {}: {error}", path.display()))
    };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = options.open(&path).map_err(|error| cannot(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Unavailable(format!(
            "{} is in use by another process; only one may have it open",
            database.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot(&error)),
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}

/// Opens the one connection that writes, and brings the tables up to date.
pub(super) fn open_writer(path: &Path, options: &SqliteOptions) -> Outcome<Connection> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        let found = rusqlite::version();
        return Err(Failure::Store(StoreError::Unavailable(format!(
            "SQLite {found} is too old: 3.51.3 or newer is needed"
        ))));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Failure::Store(StoreError::Unavailable(format!(
            "the file system of {} can't hold a write-ahead log",
            path.display()
        ))));
    }
    let synchronous = if options.danger_skip_sync { "OFF" } else { "FULL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // the log is checkpointed where a failure of it is seen: see `checkpoint`
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    set_up(&connection)?;
    migrate(&mut connection, options.bucket_ms.max(1))?;
    Ok(connection)
}

/// Opens a connection that only reads. The writer must be open.
pub(super) fn open_reader(path: &Path) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    set_up(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Outcome<()> {
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

fn migrate(connection: &mut Connection, bucket_ms: i64) -> Outcome<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (
             version INTEGER PRIMARY KEY
         ) STRICT",
    )?;
    let version: Option<usize> = transaction
        .query_row("SELECT max(version) FROM schema_version", [], |row| {
            row.get::<_, Option<i64>>(0)
        })?
        .and_then(|version| usize::try_from(version).ok());
    let done = version.unwrap_or(0);
    if done > MIGRATIONS.len() {
        return Err(Failure::Store(StoreError::Unavailable(format!(
            "the database was written by a newer Postrider (tables {done}, known {}): \
             start that version, or restore a copy from before the upgrade",
            MIGRATIONS.len()
        ))));
    }
    for (at, step) in MIGRATIONS.iter().enumerate().skip(done) {
        transaction.execute_batch(step)?;
        if at + 1 == HOURS_VERSION {
            slots::fill_hours(&transaction)?;
        }
        if at + 1 == TROUBLE_VERSION {
            trouble::fill_all(&transaction)?;
        }
        let version = i64::try_from(at + 1).unwrap_or(i64::MAX);
        transaction.execute("INSERT INTO schema_version VALUES (?1)", [version])?;
    }
    transaction.execute("INSERT OR IGNORE INTO setting VALUES ('bucket_ms', ?1)", [bucket_ms])?;
    transaction.commit()?;
    Ok(())
}

/// Refuses a file that is not of the version that this program writes.
pub(super) fn expect_present_version(connection: &Connection) -> Outcome<()> {
    let version: i64 =
        connection.query_row("SELECT max(version) FROM schema_version", [], |row| row.get(0))?;
    if usize::try_from(version) == Ok(MIGRATIONS.len()) {
        return Ok(());
    }
    Err(Failure::Store(StoreError::Unavailable(format!(
        "the database was written by another version of Postrider (tables {version}, known {}); \
         look at it with that one",
        MIGRATIONS.len()
    ))))
}

/// A number that the file keeps about itself.
pub(super) fn setting(connection: &Connection, name: &str) -> Outcome<i64> {
    let mut statement = connection.prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
    let value = statement.query_row([name], |row| row.get(0)).optional()?;
    value.ok_or_else(|| Failure::missing("setting", name))
}
