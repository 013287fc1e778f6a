//! An inbox in Redis, for the leased and the queued mode.
//!
//! **What Redis can forget.** Its answer comes before its disk: with `appendfsync everysec` a crash
//! loses about a second, without `appendonly` all since the last snapshot, and a failover what the
//! replica had not got yet. What is forgotten is new again when it comes again, and what was queued
//! is gone. Where that must not be, use a database and the transactional mode. Don't let Redis
//! evict (`maxmemory-policy noeviction`): an evicted row is a forgotten one.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Script, Value};

use super::store::{
    Accepted, Claim, Claimed, Failed, InboxStore, LeaseState, NewEntry, Reprocessed, Settled,
    Stats, StoreError, Taken, Token,
};
use super::{
    RETENTION_DEFAULT, RETENTION_MIN, RetentionTooShort, Scope, hex, millis, retry_after_seconds,
};
use crate::UnixMs;
use crate::lock::{Acquired, LockStore};

/// In braces: a cluster keeps what belongs together in one place by them.
const PREFIX: &str = "{postrider}:";

/// See the module. Clones share the connection.
#[derive(Clone)]
pub struct RedisInbox {
    connection: MultiplexedConnection,
    steps: Script,
    locks: Script,
    retention: Duration,
}

impl fmt::Debug for RedisInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisInbox").finish_non_exhaustive()
    }
}

impl RedisInbox {
    pub fn on(connection: MultiplexedConnection) -> Self {
        Self {
            connection,
            steps: Script::new(include_str!("redis/inbox.lua")),
            locks: Script::new(include_str!("redis/lock.lua")),
            retention: RETENTION_DEFAULT,
        }
    }

    /// How long settled rows are kept; Redis lets them expire by itself, so there is no purging.
    pub fn with_retention(self, retention: Duration) -> Result<Self, RetentionTooShort> {
        if retention < RETENTION_MIN {
            return Err(RetentionTooShort);
        }
        Ok(Self { retention, ..self })
    }

    async fn step(
        &self,
        doing: &'static str,
        step: &str,
        now: UnixMs,
        arguments: &[&[u8]],
    ) -> Result<Reply, StoreError> {
        let mut invocation = self.steps.key(PREFIX);
        invocation.arg(step).arg(now).arg(millis(self.retention));
        for argument in arguments {
            invocation.arg(*argument);
        }
        let mut connection = self.connection.clone();
        let answer = invocation.invoke_async(&mut connection).await;
        Ok(Reply { doing, values: answer.map_err(|error| StoreError::new(doing, error))? })
    }

    async fn lock_step(
        &self,
        doing: &'static str,
        step: &str,
        now: UnixMs,
        arguments: &[&[u8]],
    ) -> Result<Reply, StoreError> {
        let mut invocation = self.locks.key(PREFIX);
        invocation.arg(step).arg(now);
        for argument in arguments {
            invocation.arg(*argument);
        }
        let mut connection = self.connection.clone();
        let answer = invocation.invoke_async(&mut connection).await;
        Ok(Reply { doing, values: answer.map_err(|error| StoreError::new(doing, error))? })
    }
}

/// What a script answered: a word, and what belongs to it.
struct Reply {
    doing: &'static str,
    values: Vec<Value>,
}

impl Reply {
    fn get<T: FromRedisValue>(&self, at: usize) -> Result<T, StoreError> {
        let value = self.values.get(at).cloned().unwrap_or(Value::Nil);
        T::from_redis_value(value).map_err(|error| StoreError::new(self.doing, error))
    }

    fn word(&self) -> Result<String, StoreError> {
        self.get(0)
    }

    fn is(&self, word: &str) -> Result<bool, StoreError> {
        Ok(self.word()? == word)
    }

    fn unknown<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::new(self.doing, "the script gave an unknown answer"))
    }
}

fn name_of(scope: &Scope) -> String {
    format!("{}|{}", scope.source(), scope.consumer())
}

fn number(value: impl fmt::Display) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[async_trait]
impl InboxStore for RedisInbox {
    async fn claim(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Claimed, StoreError> {
        let token = Token::random()?;
        let (scope, hash) = (name_of(scope), hex(&entry.body_hash()));
        let lease = number(millis(lease));
        let arguments: [&[u8]; 5] = [
            scope.as_bytes(),
            entry.id.as_bytes(),
            hash.as_bytes(),
            token.as_str().as_bytes(),
            &lease,
        ];
        let reply = self.step("claiming an event", "claim", now, &arguments).await?;
        Ok(match &*reply.word()? {
            "claimed" => Claimed::Claimed(Claim { token, attempt: reply.get(1)? }),
            "done" => Claimed::Done { status: reply.get(1)? },
            "running" => {
                Claimed::Running { retry_after_seconds: retry_after_seconds(now, reply.get(1)?) }
            }
            "other_body" => Claimed::OtherBody,
            _ => return reply.unknown(),
        })
    }

    async fn accept(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        now: UnixMs,
    ) -> Result<Accepted, StoreError> {
        let (scope, hash) = (name_of(scope), hex(&entry.body_hash()));
        let order_key = entry.order_key.unwrap_or_default();
        let signed_at = entry.signed_at_seconds.map(number).unwrap_or_default();
        let arguments: [&[u8]; 6] = [
            scope.as_bytes(),
            entry.id.as_bytes(),
            hash.as_bytes(),
            entry.body,
            order_key.as_bytes(),
            &signed_at,
        ];
        let reply = self.step("storing an event", "accept", now, &arguments).await?;
        Ok(match &*reply.word()? {
            "accepted" => Accepted::Accepted,
            "done" => Accepted::Done { status: reply.get(1)? },
            "dead" => Accepted::Dead,
            "other_body" => Accepted::OtherBody,
            _ => return reply.unknown(),
        })
    }

    async fn take(
        &self,
        scope: &Scope,
        attempts_max: u32,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Option<Taken>, StoreError> {
        let token = Token::random()?;
        let scope = name_of(scope);
        let (lease, attempts_max) = (number(millis(lease)), number(attempts_max));
        let arguments: [&[u8]; 4] =
            [scope.as_bytes(), token.as_str().as_bytes(), &lease, &attempts_max];
        let reply = self.step("taking an event", "take", now, &arguments).await?;
        if reply.is("empty")? {
            return Ok(None);
        }
        let claim = Claim { token, attempt: reply.get(1)? };
        let signed_at: String = reply.get(4)?;
        let signed_at_seconds = signed_at.parse().ok();
        Ok(Some(Taken { claim, id: reply.get(2)?, body: reply.get(3)?, signed_at_seconds }))
    }

    async fn heartbeat(
        &self,
        token: &Token,
        lease: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let lease = number(millis(lease));
        let arguments: [&[u8]; 2] = [token.as_str().as_bytes(), &lease];
        let reply = self.step("extending a lease", "heartbeat", now, &arguments).await?;
        Ok(if reply.is("held")? { LeaseState::Held } else { LeaseState::Lost })
    }

    async fn finish(&self, token: &Token, status: u16, now: UnixMs) -> Result<Settled, StoreError> {
        let status = number(status);
        let arguments: [&[u8]; 2] = [token.as_str().as_bytes(), &status];
        let reply = self.step("finishing an event", "finish", now, &arguments).await?;
        Ok(if reply.is("finished")? { Settled::Finished } else { Settled::Lost })
    }

    async fn fail(
        &self,
        token: &Token,
        error: &str,
        retry_delays: Option<&[Duration]>,
        now: UnixMs,
    ) -> Result<Failed, StoreError> {
        let delays = retry_delays.map_or_else(String::new, |delays| {
            let delays: Vec<String> =
                delays.iter().map(|&delay| millis(delay).to_string()).collect();
            format!("[{}]", delays.join(","))
        });
        let arguments: [&[u8]; 3] =
            [token.as_str().as_bytes(), error.as_bytes(), delays.as_bytes()];
        let reply = self.step("recording a failure", "fail", now, &arguments).await?;
        Ok(match &*reply.word()? {
            "failed" => Failed::Failed,
            "pending" => Failed::Pending { due_at_ms: reply.get(1)? },
            "dead" => Failed::Dead,
            "lost" => Failed::Lost,
            _ => return reply.unknown(),
        })
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats, StoreError> {
        let reply = self.step("counting events", "stats", 0, &[name_of(scope).as_bytes()]).await?;
        let mut counted = Stats::default();
        for at in (0..reply.values.len()).step_by(2) {
            counted.add(&reply.get::<String>(at)?, reply.get(at + 1)?);
        }
        Ok(counted)
    }

    async fn reprocess(
        &self,
        scope: &Scope,
        id: &str,
        now: UnixMs,
    ) -> Result<Reprocessed, StoreError> {
        let scope = name_of(scope);
        let arguments: [&[u8]; 2] = [scope.as_bytes(), id.as_bytes()];
        let doing = "making an event ready again";
        let reply = self.step(doing, "reprocess", now, &arguments).await?;
        Ok(match &*reply.word()? {
            "reprocessed" => Reprocessed::Reprocessed,
            "running" => Reprocessed::Running,
            "absent" => Reprocessed::Absent,
            _ => return reply.unknown(),
        })
    }

    async fn forget(&self, scope: &Scope, id: &str) -> Result<bool, StoreError> {
        let scope = name_of(scope);
        let arguments: [&[u8]; 2] = [scope.as_bytes(), id.as_bytes()];
        self.step("forgetting an event", "forget", 0, &arguments).await?.is("forgotten")
    }

    /// Nothing to do: rows expire by themselves.
    async fn purge(&self, _until: UnixMs) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl LockStore for RedisInbox {
    async fn acquire(&self, key: &str, ttl: Duration, now: UnixMs) -> Result<Acquired, StoreError> {
        let token = Token::random()?;
        let ttl = number(millis(ttl));
        let arguments: [&[u8]; 3] = [key.as_bytes(), token.as_str().as_bytes(), &ttl];
        let reply = self.lock_step("acquiring a lock", "acquire", now, &arguments).await?;
        Ok(match &*reply.word()? {
            "acquired" => Acquired::Acquired { token, fence: reply.get(1)? },
            "held_elsewhere" => Acquired::HeldElsewhere {
                retry_after_seconds: retry_after_seconds(now, reply.get(1)?),
            },
            _ => return reply.unknown(),
        })
    }

    async fn extend(
        &self,
        token: &Token,
        ttl: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let ttl = number(millis(ttl));
        let arguments: [&[u8]; 2] = [token.as_str().as_bytes(), &ttl];
        let reply = self.lock_step("extending a lock", "extend", now, &arguments).await?;
        Ok(if reply.is("held")? { LeaseState::Held } else { LeaseState::Lost })
    }

    async fn release(&self, token: &Token) -> Result<bool, StoreError> {
        let arguments: [&[u8]; 1] = [token.as_str().as_bytes()];
        self.lock_step("releasing a lock", "release", 0, &arguments).await?.is("released")
    }
}
