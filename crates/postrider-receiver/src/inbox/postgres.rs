//! An inbox in a PostgreSQL database of yours, beside the tables that your handlers write.
//!
//! Each step is one statement (some two), so any number of processes may share the tables.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, Row, Transaction};

use super::standing::Standing;
use super::store::{
    Accepted, Claim, Claimed, Failed, InboxStore, LeaseState, NewEntry, Reprocessed, Settled,
    Stats, StoreError, Taken, Token,
};
use super::{Answer, ProcessError, Scope, hex, millis, retry_after_seconds, sql};
use crate::lock::{Acquired, LockStore};
use crate::{Event, UnixMs, now_ms};

/// See the module. Clones share the client; use several for parallel work.
#[derive(Clone)]
pub struct PostgresInbox {
    client: Arc<Mutex<Client>>,
}

impl fmt::Debug for PostgresInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresInbox").finish_non_exhaustive()
    }
}

impl PostgresInbox {
    /// Takes over a client (whose connection somebody drives) for itself.
    pub fn on(client: Client) -> Self {
        Self { client: Arc::new(Mutex::new(client)) }
    }

    /// Makes the tables where they are missing: `postrider_inbox` and `postrider_lock`.
    pub async fn create_tables(&self) -> Result<(), StoreError> {
        // two processes that start at once would both find a table missing and one of them fail
        let text = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('postrider_inbox')); {} COMMIT;",
            sql::postgres_tables()
        );
        self.client().await.batch_execute(&text).await.map_err(failed("making the tables"))
    }

    /// Transactional mode: runs `handler` in one transaction with the inbox's row, and commits both
    /// or neither. `handler` gets that transaction for its own writes, and answers with the status
    /// to answer with, now and to repeats. A repeat that comes meanwhile waits for the end.
    ///
    /// Dropped half-way, nothing happened.
    pub async fn process<E>(
        &self,
        scope: &Scope,
        event: &Event,
        handler: impl AsyncFnOnce(&Transaction<'_>, &Event) -> Result<u16, E>,
    ) -> Result<Answer, ProcessError<E>> {
        self.process_at(now_ms(), scope, event, handler).await
    }

    /// The same at a time of one's own.
    pub async fn process_at<E>(
        &self,
        now: UnixMs,
        scope: &Scope,
        event: &Event,
        handler: impl AsyncFnOnce(&Transaction<'_>, &Event) -> Result<u16, E>,
    ) -> Result<Answer, ProcessError<E>> {
        let mut client = self.client().await;
        let transaction = client.transaction().await.map_err(failed("beginning a transaction"))?;
        let entry = NewEntry::of(event, None);
        let (source, consumer) = (scope.source(), scope.consumer());
        let hash = hex(&entry.body_hash());
        let begun = transaction
            .query_opt(sql::BEGIN_EFFECT, &[&source, &consumer, &event.id, &hash, &now])
            .await
            .map_err(failed("claiming an event"))?;
        if begun.is_none() {
            let known = transaction
                .query_opt(sql::STANDING, &[&source, &consumer, &event.id])
                .await
                .map_err(failed("reading how an event stands"))?;
            let known = known.map(|row| read_standing(&row)).transpose()?;
            let claimed = known.map_or(Claimed::OtherBody, |known| known.claimed(&entry, now));
            return Ok(Answer::of_claimed(&claimed));
        }
        // dropping the transaction takes everything back
        let status = handler(&transaction, event).await.map_err(ProcessError::Handler)?;
        transaction
            .execute(sql::END_EFFECT, &[&i64::from(status), &source, &consumer, &event.id])
            .await
            .map_err(failed("recording the effect"))?;
        transaction.commit().await.map_err(failed("committing the effect"))?;
        Ok(Answer::new(status, "new"))
    }

    async fn client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().await
    }

    async fn standing(&self, scope: &Scope, id: &str) -> Result<Option<Standing>, StoreError> {
        let client = self.client().await;
        let found = client
            .query_opt(sql::STANDING, &[&scope.source(), &scope.consumer(), &id])
            .await
            .map_err(failed("reading how an event stands"))?;
        found.map(|row| read_standing(&row)).transpose()
    }
}

fn read_standing(row: &Row) -> Result<Standing, StoreError> {
    let read = || -> Result<Standing, tokio_postgres::Error> {
        Ok(Standing {
            hash: row.try_get(0)?,
            state: row.try_get(1)?,
            status: row.try_get(2)?,
            lease_until: row.try_get(3)?,
        })
    };
    read().map_err(failed("reading how an event stands"))
}

#[async_trait]
impl InboxStore for PostgresInbox {
    async fn claim(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Claimed, StoreError> {
        let token = Token::random()?;
        let (source, consumer) = (scope.source(), scope.consumer());
        let hash = hex(&entry.body_hash());
        let until = now + millis(lease);
        let row = self
            .client()
            .await
            .query_opt(
                sql::CLAIM,
                &[&source, &consumer, &entry.id, &hash, &token.as_str(), &until, &now],
            )
            .await
            .map_err(failed("claiming an event"))?;
        if let Some(row) = row {
            let attempt = attempt_of(&row, 0, "claiming an event")?;
            return Ok(Claimed::Claimed(Claim { token, attempt }));
        }
        // gone in between: forgotten; it may come again at once
        let gone = Claimed::Running { retry_after_seconds: 1 };
        let standing = self.standing(scope, entry.id).await?;
        Ok(standing.map_or(gone, |standing| standing.claimed(entry, now)))
    }

    async fn accept(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        now: UnixMs,
    ) -> Result<Accepted, StoreError> {
        let (source, consumer) = (scope.source(), scope.consumer());
        let hash = hex(&entry.body_hash());
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
            &source,
            &consumer,
            &entry.id,
            &hash,
            &now,
            &entry.order_key,
            &entry.body,
            &entry.signed_at_seconds,
        ];
        let stored = self.client().await.execute(sql::ACCEPT, &row).await;
        if stored.map_err(failed("storing an event"))? == 1 {
            return Ok(Accepted::Accepted);
        }
        // gone in between: forgotten; it may come again at once
        let standing = self.standing(scope, entry.id).await?;
        Ok(standing.map_or(Accepted::Accepted, |standing| standing.accepted(entry)))
    }

    async fn take(
        &self,
        scope: &Scope,
        attempts_max: u32,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Option<Taken>, StoreError> {
        let token = Token::random()?;
        let (source, consumer) = (scope.source(), scope.consumer());
        let attempts_max = i64::from(attempts_max);
        let until = now + millis(lease);
        let client = self.client().await;
        let take = async {
            client.execute(sql::BURY, &[&now, &source, &consumer, &attempts_max]).await?;
            let text = sql::take("FOR UPDATE SKIP LOCKED");
            let row: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&token.as_str(), &until, &now, &source, &consumer];
            let Some(row) = client.query_opt(&text, &row).await? else {
                return Ok(None);
            };
            Ok(Some((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)))
        };
        let found: Option<(String, Vec<u8>, i64, Option<i64>)> =
            take.await.map_err(failed("taking an event"))?;
        Ok(found.map(|(id, body, attempt, signed_at_seconds)| {
            let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
            Taken { claim: Claim { token, attempt }, id, body, signed_at_seconds }
        }))
    }

    async fn heartbeat(
        &self,
        token: &Token,
        lease: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let until = now + millis(lease);
        let client = self.client().await;
        let changed = client.execute(sql::HEARTBEAT, &[&until, &now, &token.as_str()]).await;
        let changed = changed.map_err(failed("extending a lease"))?;
        Ok(if changed == 1 { LeaseState::Held } else { LeaseState::Lost })
    }

    async fn finish(&self, token: &Token, status: u16, now: UnixMs) -> Result<Settled, StoreError> {
        let client = self.client().await;
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&i64::from(status), &now, &token.as_str()];
        let changed = client.execute(sql::FINISH, &row).await;
        let changed = changed.map_err(failed("finishing an event"))?;
        Ok(if changed == 1 { Settled::Finished } else { Settled::Lost })
    }

    async fn fail(
        &self,
        token: &Token,
        error: &str,
        retry_delays: Option<&[Duration]>,
        now: UnixMs,
    ) -> Result<Failed, StoreError> {
        let client = self.client().await;
        let row = client.query_opt(sql::ATTEMPT, &[&token.as_str()]).await;
        let Some(row) = row.map_err(failed("recording a failure"))? else {
            return Ok(Failed::Lost);
        };
        let outcome = Failed::after(attempt_of(&row, 0, "recording a failure")?, retry_delays, now);
        let (state, due) = outcome.columns();
        let changed =
            client.execute(sql::FAIL, &[&state, &error, &due, &now, &token.as_str()]).await;
        match changed.map_err(failed("recording a failure"))? {
            1 => Ok(outcome),
            _ => Ok(Failed::Lost),
        }
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats, StoreError> {
        let client = self.client().await;
        let rows = client.query(sql::STATS, &[&scope.source(), &scope.consumer()]).await;
        let mut counted = Stats::default();
        for row in rows.map_err(failed("counting events"))? {
            let name: &str = row.try_get(0).map_err(failed("counting events"))?;
            let rows_of_it: i64 = row.try_get(1).map_err(failed("counting events"))?;
            counted.add(name, u64::try_from(rows_of_it).unwrap_or(0));
        }
        Ok(counted)
    }

    async fn reprocess(
        &self,
        scope: &Scope,
        id: &str,
        now: UnixMs,
    ) -> Result<Reprocessed, StoreError> {
        let (source, consumer) = (scope.source(), scope.consumer());
        let changed = self
            .client()
            .await
            .execute(sql::REPROCESS, &[&now, &source, &consumer, &id])
            .await
            .map_err(failed("making an event ready again"))?;
        Ok(match changed {
            1 => Reprocessed::Reprocessed,
            _ if self.standing(scope, id).await?.is_some() => Reprocessed::Running,
            _ => Reprocessed::Absent,
        })
    }

    async fn forget(&self, scope: &Scope, id: &str) -> Result<bool, StoreError> {
        let client = self.client().await;
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&scope.source(), &scope.consumer(), &id];
        let changed = client.execute(sql::FORGET, &row).await;
        Ok(changed.map_err(failed("forgetting an event"))? == 1)
    }

    async fn purge(&self, until: UnixMs) -> Result<u64, StoreError> {
        let client = self.client().await;
        client.execute(sql::PURGE, &[&until]).await.map_err(failed("purging"))
    }
}

#[async_trait]
impl LockStore for PostgresInbox {
    async fn acquire(&self, key: &str, ttl: Duration, now: UnixMs) -> Result<Acquired, StoreError> {
        let token = Token::random()?;
        let until = now + millis(ttl);
        let client = self.client().await;
        let acquire = async {
            let acquired =
                client.query_opt(sql::ACQUIRE, &[&key, &token.as_str(), &until, &now]).await?;
            if let Some(row) = acquired {
                let fence = u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(u64::MAX);
                return Ok(Acquired::Acquired { token, fence });
            }
            let held = client.query_one(sql::LOCKED_UNTIL, &[&key]).await?;
            let retry_after_seconds = retry_after_seconds(now, held.try_get(0)?);
            Ok(Acquired::HeldElsewhere { retry_after_seconds })
        };
        acquire.await.map_err(failed("acquiring a lock"))
    }

    async fn extend(
        &self,
        token: &Token,
        ttl: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let until = now + millis(ttl);
        let client = self.client().await;
        let changed = client.execute(sql::EXTEND, &[&until, &token.as_str()]).await;
        let changed = changed.map_err(failed("extending a lock"))?;
        Ok(if changed == 1 { LeaseState::Held } else { LeaseState::Lost })
    }

    async fn release(&self, token: &Token) -> Result<bool, StoreError> {
        let client = self.client().await;
        let changed = client.execute(sql::RELEASE, &[&token.as_str()]).await;
        Ok(changed.map_err(failed("releasing a lock"))? == 1)
    }
}

fn attempt_of(row: &Row, at: usize, doing: &'static str) -> Result<u32, StoreError> {
    let attempt: i64 = row.try_get(at).map_err(failed(doing))?;
    Ok(u32::try_from(attempt).unwrap_or(u32::MAX))
}

fn failed(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> StoreError {
    move |error| StoreError::new(doing, error)
}
