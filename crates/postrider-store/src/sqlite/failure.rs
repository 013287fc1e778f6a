//! What SQLite's errors mean to a caller of the store.

use rusqlite::ErrorCode;

use crate::codec::Undecodable;
use crate::error::StoreError;

/// A failure inside this store, before it is told apart for the caller.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(rusqlite::Error),
    Store(StoreError),
}

pub(super) type Outcome<T> = Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    /// Stored bytes that can't be what was written.
    pub(super) fn undecodable(table: &str, key: impl std::fmt::Debug, what: Undecodable) -> Self {
        Self::Store(StoreError::Corrupt(format!("{table} {key:?}: {what}")))
    }

    /// What SQLite says when a sync of the log fails.
    #[cfg(feature = "failpoints")]
    pub(super) fn sync_failed() -> Self {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Self::Sql(rusqlite::Error::SqliteFailure(code, None))
    }

    /// What SQLite says when there is no room.
    #[cfg(feature = "failpoints")]
    pub(super) fn disk_full() -> Self {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        Self::Sql(rusqlite::Error::SqliteFailure(code, None))
    }

    /// Something that must be there is not.
    pub(super) fn missing(table: &str, key: impl std::fmt::Debug) -> Self {
        Self::Store(StoreError::Corrupt(format!("{table} {key:?} is missing")))
    }

    /// Whether nothing may be written after it. After an I/O error, and above all after a
    /// failed sync, the kernel may have dropped what it could not write and call the next sync
    /// a success: only reading everything again from the disk, by a new process, is sure.
    pub(super) fn ends_writing(&self) -> bool {
        matches!(self, Self::Sql(error) if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ))
    }

    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => store_error(&error),
        }
    }
}

fn store_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt(error.to_string())
        }
        Some(ErrorCode::ConstraintViolation) => StoreError::Conflict("a key was used twice"),
        Some(ErrorCode::DiskFull) => {
            StoreError::Unavailable("the disk is full; nothing was written".to_owned())
        }
        Some(_) => StoreError::Unavailable(error.to_string()),
        None => match error {
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
                StoreError::Corrupt(error.to_string())
            }
            _ => StoreError::Unavailable(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn failed(code: i32) -> Failure {
        Failure::Sql(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn only_io_errors_and_corruption_end_writing() {
        for code in [
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
        ] {
            assert!(failed(code).ends_writing(), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_CONSTRAINT] {
            assert!(!failed(code).ends_writing(), "{code}");
        }
    }

    #[test]
    fn errors_are_told_apart_by_what_the_caller_can_do() {
        let error = |code| failed(code).into_store_error();
        assert!(matches!(error(ffi::SQLITE_FULL), StoreError::Unavailable(_)));
        assert!(matches!(error(ffi::SQLITE_BUSY), StoreError::Unavailable(_)));
        assert!(matches!(error(ffi::SQLITE_CORRUPT), StoreError::Corrupt(_)));
        assert!(matches!(error(ffi::SQLITE_CONSTRAINT_PRIMARYKEY), StoreError::Conflict(_)));
    }
}
