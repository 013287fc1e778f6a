//! An inbox in a SQLite file of yours, beside the tables that your handlers write.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::standing::Standing;
use super::store::{
    Accepted, Claim, Claimed, Failed, InboxStore, LeaseState, NewEntry, Reprocessed, Settled,
    Stats, StoreError, Taken, Token,
};
use super::{Answer, ProcessError, Scope, hex, millis, retry_after_seconds, sql};
use crate::lock::{Acquired, LockStore};
use crate::{Event, UnixMs, now_ms};

/// How long a statement waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// See the module. Clones share the connection; steps of one process follow one another.
#[derive(Clone, Debug)]
pub struct SqliteInbox {
    connection: Arc<Mutex<Connection>>,
}

impl SqliteInbox {
    /// Opens the file and makes the tables where they are missing: `postrider_inbox`
    /// and `postrider_lock`. Blocks. In WAL mode with full syncing, so that
    /// what is committed survives a power cut.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(failed("opening the file"))?;
        Self::on(connection)
    }

    /// The same on a connection of your own, whose settings stay but for the wait for locks, the
    /// journal mode and syncing.
    pub fn on(connection: Connection) -> Result<Self, StoreError> {
        let prepare = || -> rusqlite::Result<()> {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(&sql::sqlite_tables())
        };
        prepare().map_err(failed("making the tables"))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Transactional mode: runs `handler` in one transaction with the inbox's row, and commits both
    /// or neither. `handler` gets that transaction for its own writes, and answers with the status
    /// to answer with, now and to repeats.
    ///
    /// Runs on a thread for blocking work; must be called within a tokio runtime.
    pub async fn process<E: Send + 'static>(
        &self,
        scope: &Scope,
        event: &Event,
        handler: impl FnOnce(&Transaction<'_>, &Event) -> Result<u16, E> + Send + 'static,
    ) -> Result<Answer, ProcessError<E>> {
        self.process_at(now_ms(), scope, event, handler).await
    }

    /// The same at a time of one's own.
    pub async fn process_at<E: Send + 'static>(
        &self,
        now: UnixMs,
        scope: &Scope,
        event: &Event,
        handler: impl FnOnce(&Transaction<'_>, &Event) -> Result<u16, E> + Send + 'static,
    ) -> Result<Answer, ProcessError<E>> {
        let (scope, event) = (scope.clone(), event.clone());
        let done = self.blocking(move |connection| {
            // immediate: two of the same id wait for one another here, not at their commits
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed("beginning a transaction"))?;
            let entry = NewEntry::of(&event, None);
            if let Some(known) = begin_effect(&transaction, &scope, &entry, now)? {
                return Ok(Ok(known));
            }
            let status = match handler(&transaction, &event) {
                Ok(status) => status,
                // dropping the transaction takes everything back
                Err(error) => return Ok(Err(error)),
            };
            let end = || -> rusqlite::Result<()> {
                transaction.execute(
                    sql::END_EFFECT,
                    params![status, scope.source(), scope.consumer(), event.id],
                )?;
                transaction.commit()
            };
            end().map_err(failed("committing the effect"))?;
            Ok(Ok(Answer::new(status, "new")))
        });
        done.await?.map_err(ProcessError::Handler)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        let work = move || work(&mut lock(&connection));
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(StoreError::new("waiting for a thread", error)),
            },
        }
    }

    /// One statement that changes rows; how many.
    async fn change(
        &self,
        doing: &'static str,
        statement: &'static str,
        parameters: impl rusqlite::Params + Send + 'static,
    ) -> Result<usize, StoreError> {
        let work = move |connection: &mut Connection| {
            let mut prepared = connection.prepare_cached(statement).map_err(failed(doing))?;
            prepared.execute(parameters).map_err(failed(doing))
        };
        self.blocking(work).await
    }
}

/// Whether the handler is to run (`None`), or what to answer instead.
fn begin_effect(
    transaction: &Transaction<'_>,
    scope: &Scope,
    entry: &NewEntry<'_>,
    now: UnixMs,
) -> Result<Option<Answer>, StoreError> {
    let begun: Option<u32> = transaction
        .prepare_cached(sql::BEGIN_EFFECT)
        .and_then(|mut begin| {
            let hash = hex(&entry.body_hash());
            let row = params![scope.source(), scope.consumer(), entry.id, hash, now];
            begin.query_row(row, |row| row.get(0)).optional()
        })
        .map_err(failed("claiming an event"))?;
    if begun.is_some() {
        return Ok(None);
    }
    let standing = standing(transaction, scope, entry.id)?;
    let known = standing.map(|standing| standing.claimed(entry, now));
    Ok(Some(Answer::of_claimed(&known.unwrap_or(Claimed::OtherBody))))
}

fn standing(
    connection: &Connection,
    scope: &Scope,
    id: &str,
) -> Result<Option<Standing>, StoreError> {
    let read = || -> rusqlite::Result<Option<Standing>> {
        let mut select = connection.prepare_cached(sql::STANDING)?;
        let found = select.query_row(params![scope.source(), scope.consumer(), id], |row| {
            Ok(Standing {
                hash: row.get(0)?,
                state: row.get(1)?,
                status: row.get(2)?,
                lease_until: row.get(3)?,
            })
        });
        found.optional()
    };
    read().map_err(failed("reading how an event stands"))
}

#[async_trait]
impl InboxStore for SqliteInbox {
    async fn claim(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Claimed, StoreError> {
        let token = Token::random()?;
        let (scope, id, body) = (scope.clone(), entry.id.to_owned(), entry.body.to_owned());
        let claim = move |connection: &mut Connection| {
            let entry = NewEntry { id: &id, body: &body, order_key: None, signed_at_seconds: None };
            let until = now + millis(lease);
            let (source, consumer) = (scope.source(), scope.consumer());
            let hash = hex(&entry.body_hash());
            let attempt: Option<u32> = connection
                .prepare_cached(sql::CLAIM)
                .and_then(|mut claim| {
                    let row = params![source, consumer, id, hash, token.as_str(), until, now];
                    claim.query_row(row, |row| row.get(0)).optional()
                })
                .map_err(failed("claiming an event"))?;
            if let Some(attempt) = attempt {
                return Ok(Claimed::Claimed(Claim { token, attempt }));
            }
            // gone in between: forgotten; it may come again at once
            let gone = Claimed::Running { retry_after_seconds: 1 };
            let standing = standing(connection, &scope, &id)?;
            Ok(standing.map_or(gone, |standing| standing.claimed(&entry, now)))
        };
        self.blocking(claim).await
    }

    async fn accept(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        now: UnixMs,
    ) -> Result<Accepted, StoreError> {
        let (scope, id, body) = (scope.clone(), entry.id.to_owned(), entry.body.to_owned());
        let order_key = entry.order_key.map(str::to_owned);
        let signed_at_seconds = entry.signed_at_seconds;
        let accept = move |connection: &mut Connection| {
            let entry = NewEntry { id: &id, body: &body, order_key: None, signed_at_seconds };
            let (source, consumer) = (scope.source(), scope.consumer());
            let hash = hex(&entry.body_hash());
            let row = params![source, consumer, id, hash, now, order_key, body, signed_at_seconds];
            let stored = connection
                .prepare_cached(sql::ACCEPT)
                .and_then(|mut insert| insert.execute(row))
                .map_err(failed("storing an event"))?;
            if stored == 1 {
                return Ok(Accepted::Accepted);
            }
            // gone in between: forgotten; it may come again at once
            let standing = standing(connection, &scope, &id)?;
            Ok(standing.map_or(Accepted::Accepted, |standing| standing.accepted(&entry)))
        };
        self.blocking(accept).await
    }

    async fn take(
        &self,
        scope: &Scope,
        attempts_max: u32,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Option<Taken>, StoreError> {
        let token = Token::random()?;
        let scope = scope.clone();
        let take = move |connection: &mut Connection| {
            let mut next = || -> rusqlite::Result<Option<(String, Vec<u8>, u32, Option<i64>)>> {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let (source, consumer) = (scope.source(), scope.consumer());
                transaction.execute(sql::BURY, params![now, source, consumer, attempts_max])?;
                let until = now + millis(lease);
                let row = params![token.as_str(), until, now, source, consumer];
                let found = transaction
                    .prepare_cached(&sql::take(""))?
                    .query_row(row, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                    .optional()?;
                transaction.commit()?;
                Ok(found)
            };
            let found = next().map_err(failed("taking an event"))?;
            Ok(found.map(|(id, body, attempt, signed_at_seconds)| Taken {
                claim: Claim { token, attempt },
                id,
                body,
                signed_at_seconds,
            }))
        };
        self.blocking(take).await
    }

    async fn heartbeat(
        &self,
        token: &Token,
        lease: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let row = (now + millis(lease), now, token.as_str().to_owned());
        let changed = self.change("extending a lease", sql::HEARTBEAT, row).await?;
        Ok(if changed == 1 { LeaseState::Held } else { LeaseState::Lost })
    }

    async fn finish(&self, token: &Token, status: u16, now: UnixMs) -> Result<Settled, StoreError> {
        let row = (status, now, token.as_str().to_owned());
        let changed = self.change("finishing an event", sql::FINISH, row).await?;
        Ok(if changed == 1 { Settled::Finished } else { Settled::Lost })
    }

    async fn fail(
        &self,
        token: &Token,
        error: &str,
        retry_delays: Option<&[Duration]>,
        now: UnixMs,
    ) -> Result<Failed, StoreError> {
        let (token, error) = (token.as_str().to_owned(), error.to_owned());
        let delays = retry_delays.map(<[Duration]>::to_vec);
        let record = move |connection: &mut Connection| {
            let mut record = || -> rusqlite::Result<Failed> {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let attempt: Option<u32> =
                    transaction.query_row(sql::ATTEMPT, [&token], |row| row.get(0)).optional()?;
                let Some(attempt) = attempt else {
                    return Ok(Failed::Lost);
                };
                let failed = Failed::after(attempt, delays.as_deref(), now);
                let (state, due) = failed.columns();
                transaction.execute(sql::FAIL, params![state, error, due, now, token])?;
                transaction.commit()?;
                Ok(failed)
            };
            record().map_err(failed("recording a failure"))
        };
        self.blocking(record).await
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats, StoreError> {
        let scope = scope.clone();
        let count = move |connection: &mut Connection| {
            let count = || -> rusqlite::Result<Stats> {
                let mut counted = Stats::default();
                let mut select = connection.prepare_cached(sql::STATS)?;
                let mut rows = select.query([scope.source(), scope.consumer()])?;
                while let Some(row) = rows.next()? {
                    let (name, rows_of_it): (String, i64) = (row.get(0)?, row.get(1)?);
                    counted.add(&name, u64::try_from(rows_of_it).unwrap_or(0));
                }
                Ok(counted)
            };
            count().map_err(failed("counting events"))
        };
        self.blocking(count).await
    }

    async fn reprocess(
        &self,
        scope: &Scope,
        id: &str,
        now: UnixMs,
    ) -> Result<Reprocessed, StoreError> {
        let (scope, id) = (scope.clone(), id.to_owned());
        let reprocess = move |connection: &mut Connection| {
            let row = params![now, scope.source(), scope.consumer(), id];
            let changed = connection
                .execute(sql::REPROCESS, row)
                .map_err(failed("making an event ready again"))?;
            Ok(match changed {
                1 => Reprocessed::Reprocessed,
                _ if standing(connection, &scope, &id)?.is_some() => Reprocessed::Running,
                _ => Reprocessed::Absent,
            })
        };
        self.blocking(reprocess).await
    }

    async fn forget(&self, scope: &Scope, id: &str) -> Result<bool, StoreError> {
        let row = (scope.source().to_owned(), scope.consumer().to_owned(), id.to_owned());
        Ok(self.change("forgetting an event", sql::FORGET, row).await? == 1)
    }

    async fn purge(&self, until: UnixMs) -> Result<u64, StoreError> {
        let purged = self.change("purging", sql::PURGE, (until,)).await?;
        Ok(u64::try_from(purged).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl LockStore for SqliteInbox {
    async fn acquire(&self, key: &str, ttl: Duration, now: UnixMs) -> Result<Acquired, StoreError> {
        let token = Token::random()?;
        let key = key.to_owned();
        let acquire = move |connection: &mut Connection| {
            let acquire = || -> rusqlite::Result<Acquired> {
                let row = params![key, token.as_str(), now + millis(ttl), now];
                let fence: Option<i64> =
                    connection.query_row(sql::ACQUIRE, row, |row| row.get(0)).optional()?;
                if let Some(fence) = fence {
                    let fence = u64::try_from(fence).unwrap_or(u64::MAX);
                    return Ok(Acquired::Acquired { token, fence });
                }
                let until = connection.query_row(sql::LOCKED_UNTIL, [&key], |row| row.get(0))?;
                let retry_after_seconds = retry_after_seconds(now, until);
                Ok(Acquired::HeldElsewhere { retry_after_seconds })
            };
            acquire().map_err(failed("acquiring a lock"))
        };
        self.blocking(acquire).await
    }

    async fn extend(
        &self,
        token: &Token,
        ttl: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let row = (now + millis(ttl), token.as_str().to_owned());
        let changed = self.change("extending a lock", sql::EXTEND, row).await?;
        Ok(if changed == 1 { LeaseState::Held } else { LeaseState::Lost })
    }

    async fn release(&self, token: &Token) -> Result<bool, StoreError> {
        let row = (token.as_str().to_owned(),);
        Ok(self.change("releasing a lock", sql::RELEASE, row).await? == 1)
    }
}

/// A panic while it was held has rolled back its transaction.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |error| StoreError::new(doing, error)
}
