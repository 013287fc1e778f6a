//! Locks for what two different events share, with a fence for what can't be undone.
//!
//! A lock on a store of several machines can always be lost: its holder may sleep through its end.
//! So each holding has a *fence*, a number that rises for ever; give it to whatever is changed
//! under the lock, and let that refuse a lower one than it has seen.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::inbox::{LeaseState, StoreError, Token};
use crate::{UnixMs, now_ms};

/// A place for locks: one atomic step for each verb.
#[async_trait]
pub trait LockStore: fmt::Debug + Send + Sync + 'static {
    /// Takes a lock that is free or has expired.
    async fn acquire(&self, key: &str, ttl: Duration, now: UnixMs) -> Result<Acquired, StoreError>;

    /// Lets a lock end `ttl` from now; lost once another holder has it.
    async fn extend(
        &self,
        token: &Token,
        ttl: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError>;

    /// Gives a lock back; `false` when it was lost before.
    async fn release(&self, token: &Token) -> Result<bool, StoreError>;
}

/// What came of [`LockStore::acquire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    Acquired { token: Token, fence: u64 },
    HeldElsewhere { retry_after_seconds: u64 },
}

/// Why nothing was done under a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("somebody else holds the lock; try again in {retry_after_seconds} s")]
    HeldElsewhere { retry_after_seconds: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Locks on a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Locks {
    store: Arc<dyn LockStore>,
}

impl Locks {
    pub fn new(store: impl LockStore) -> Self {
        Self { store: Arc::new(store) }
    }

    /// Runs `work` under the lock `key`, and gives the lock back. The lock is extended at every third
    /// of `ttl`, and lasts `ttl` at most beyond this process's death. `work` is given the fence.
    ///
    /// When the lock is lost all the same, `work` goes on: only the fence can tell it apart then.
    pub async fn with_lock<T>(
        &self,
        key: &str,
        ttl: Duration,
        work: impl AsyncFnOnce(u64) -> T,
    ) -> Result<T, LockError> {
        let (token, fence) = match self.store.acquire(key, ttl, now_ms()).await? {
            Acquired::Acquired { token, fence } => (token, fence),
            Acquired::HeldElsewhere { retry_after_seconds } => {
                return Err(LockError::HeldElsewhere { retry_after_seconds });
            }
        };
        let extending = async {
            let mut beats = tokio::time::interval((ttl / 3).max(Duration::from_millis(1)));
            beats.tick().await;
            loop {
                beats.tick().await;
                // a store that fails now is asked again at the next beat
                if matches!(self.store.extend(&token, ttl, now_ms()).await, Ok(LeaseState::Lost)) {
                    return std::future::pending::<std::convert::Infallible>().await;
                }
            }
        };
        let done = tokio::select! {
            done = work(fence) => done,
            never = extending => match never {},
        };
        self.store.release(&token).await?;
        Ok(done)
    }
}
