//! The one connection that writes, and what a failure leaves it able to do.

use rusqlite::{Connection, TransactionState};

use super::failure::Outcome;
use super::ledger::Ledger;
use super::readers::Readers;
use crate::error::StoreError;
use crate::failpoint;

/// Pages in the log after which a commit also moves them into the database file: 4 MB, some thousand
/// events. Nobody is answered meanwhile, so it is what the slowest wait for; larger saves no CPU.
pub(super) const CHECKPOINT_PAGES: u32 = 512;

/// Pages in the log beyond which readers are held off until it begins anew: 256 MB. Passive
/// checkpoints never get here unless readers overlap without a gap.
const RESTART_PAGES: i64 = 32_768;

/// What stands in every refusal after a failure that ends writing.
const BROKEN: &str = "writing failed and this process may write no more; restart it";

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// `None` after a failure: read again before the next transaction.
    ledger: Option<Ledger>,
    /// Why nothing may be written any more.
    broken: Option<String>,
    /// Encoded records pass through here, so that each needs no allocation of its own.
    scratch: Vec<u8>,
    checkpoint_pages: i64,
}

impl Writer {
    pub(super) fn new(connection: Connection, checkpoint_pages: u32) -> Self {
        Self {
            connection,
            ledger: None,
            broken: None,
            scratch: Vec::new(),
            checkpoint_pages: i64::from(checkpoint_pages),
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Runs `work` in a transaction of its own: all of it or nothing, durable when this returns.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Ledger, &mut Vec<u8>) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        if let Some(reason) = &self.broken {
            return Err(StoreError::Unavailable(format!("{BROKEN} ({reason})")));
        }
        let outcome = self.transact(work);
        outcome.map_err(|failure| {
            self.ledger = None;
            let ends_writing = failure.ends_writing();
            let error = failure.into_store_error();
            if !ends_writing {
                return error;
            }
            self.broken = Some(error.to_string());
            match error {
                StoreError::Unavailable(text) => {
                    StoreError::Unavailable(format!("{BROKEN} ({text})"))
                }
                other => other,
            }
        })
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Ledger, &mut Vec<u8>) -> Outcome<T>,
    ) -> Outcome<T> {
        let connection = &self.connection;
        if !connection.is_autocommit() {
            // a panic left the last transaction open
            self.ledger = None;
            connection.execute_batch("ROLLBACK")?;
        }
        failpoint!(BeforeBegin);
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        failpoint!(AfterBegin);
        let ledger = match self.ledger.take() {
            Some(ledger) => Ok(ledger),
            None => Ledger::load(connection),
        };
        let done = ledger.and_then(|mut ledger| {
            let done = work(connection, &mut ledger, &mut self.scratch)?;
            failpoint!(BeforeCommit, return Err(super::failure::Failure::sync_failed()));
            failpoint!(WithoutRoom, return Err(super::failure::Failure::disk_full()));
            connection.prepare_cached("COMMIT")?.execute([])?;
            failpoint!(AfterCommit, return Err(super::failure::Failure::sync_failed()));
            Ok((done, ledger))
        });
        match done {
            Ok((done, ledger)) => {
                self.ledger = Some(ledger);
                self.scratch.clear();
                Ok(done)
            }
            Err(failure) => {
                // some errors have rolled back already; of the others only the first counts
                if connection.transaction_state(None::<&str>).ok() != Some(TransactionState::None) {
                    let _ = connection.execute_batch("ROLLBACK");
                }
                Err(failure)
            }
        }
    }

    /// Moves the log into the database file once it has grown.
    ///
    /// Not left to SQLite's automatic one, which would try a failed sync again at the next
    /// commit and tell nobody. What readers still need stays in the log and goes next time.
    pub(super) fn checkpoint_when_grown(&mut self, readers: &Readers) {
        if self.broken.is_some() {
            return;
        }
        if let Err(failure) = checkpoint(&self.connection, self.checkpoint_pages, readers)
            && failure.ends_writing()
        {
            self.broken = Some(failure.into_store_error().to_string());
        }
    }
}

fn checkpoint(connection: &Connection, at_pages: i64, readers: &Readers) -> Outcome<()> {
    let (pages, moved) = run_checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    if pages >= RESTART_PAGES {
        return restart_log(connection, readers);
    }
    if pages - moved >= at_pages {
        failpoint!(BeforeCheckpoint);
        run_checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
        failpoint!(AfterCheckpoint);
    }
    Ok(())
}

/// Moves all of the log into the database file, so that it begins anew.
pub(super) fn restart_log(connection: &Connection, readers: &Readers) -> Outcome<()> {
    let restart = || run_checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)");
    readers.while_all_are_idle(restart)?;
    Ok(())
}

/// Pages in the log, and how many of them are in the database file too.
pub(super) fn run_checkpoint(connection: &Connection, pragma: &str) -> Outcome<(i64, i64)> {
    let mut statement = connection.prepare_cached(pragma)?;
    Ok(statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?)
}
