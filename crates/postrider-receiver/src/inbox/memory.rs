//! Best effort: what this process has seen since it started. For tests, and for handlers that can
//! bear a repeat after each restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::store::{
    Accepted, BodyHash, Claim, Claimed, Failed, InboxStore, LeaseState, NewEntry, Reprocessed,
    Settled, Stats, StoreError, Taken, Token,
};
use super::{Scope, millis, retry_after_seconds};
use crate::UnixMs;
use crate::lock::{Acquired, LockStore};

/// Rows in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryInbox {
    rows: Arc<Mutex<Rows>>,
}

/// Locks within this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryLocks {
    locks: Arc<Mutex<BTreeMap<String, Held>>>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    fence: u64,
    until: UnixMs,
}

#[derive(Debug, Default)]
struct Rows {
    by_id: BTreeMap<(Scope, String), Row>,
    next_place: u64,
}

#[derive(Debug)]
struct Row {
    hash: BodyHash,
    state: State,
    attempt: u32,
    changed_at: UnixMs,
    /// In the order of accepting. Queued only, as the three below.
    place: u64,
    order_key: Option<String>,
    body: Option<Vec<u8>>,
    signed_at_seconds: Option<i64>,
}

#[derive(Debug)]
enum State {
    Pending { due: UnixMs },
    Running { token: Token, until: UnixMs },
    Done { status: u16 },
    Failed,
    Dead,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Running { .. } => "running",
            Self::Done { .. } => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }

    fn is_unfinished(&self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Running { .. })
    }
}

impl Row {
    fn new(entry: &NewEntry<'_>, state: State, now: UnixMs) -> Self {
        Self {
            hash: entry.body_hash(),
            state,
            attempt: 0,
            changed_at: now,
            place: 0,
            order_key: entry.order_key.map(str::to_owned),
            body: None,
            signed_at_seconds: entry.signed_at_seconds,
        }
    }

    fn start(&mut self, lease: Duration, now: UnixMs) -> Result<Claim, StoreError> {
        let token = Token::random()?;
        self.attempt += 1;
        self.enter(State::Running { token: token.clone(), until: now + millis(lease) }, now);
        Ok(Claim { token, attempt: self.attempt })
    }

    fn enter(&mut self, state: State, now: UnixMs) {
        self.state = state;
        self.changed_at = now;
    }
}

impl Rows {
    fn held(&mut self, token: &Token) -> Option<&mut Row> {
        self.by_id.values_mut().find(
            |row| matches!(&row.state, State::Running { token: current, .. } if current == token),
        )
    }
}

impl MemoryInbox {
    pub fn new() -> Self {
        Self::default()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // each verb changes one row, whole, so a panic leaves nothing half done
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl InboxStore for MemoryInbox {
    async fn claim(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Claimed, StoreError> {
        let mut rows = self.rows();
        let name = (scope.clone(), entry.id.to_owned());
        let row = rows.by_id.entry(name).or_insert_with(|| Row::new(entry, State::Failed, now));
        if row.hash != entry.body_hash() {
            return Ok(Claimed::OtherBody);
        }
        match row.state {
            State::Done { status } => Ok(Claimed::Done { status }),
            State::Running { until, .. } if now < until => {
                Ok(Claimed::Running { retry_after_seconds: retry_after_seconds(now, until) })
            }
            State::Running { .. } | State::Pending { .. } | State::Failed | State::Dead => {
                row.start(lease, now).map(Claimed::Claimed)
            }
        }
    }

    async fn accept(
        &self,
        scope: &Scope,
        entry: &NewEntry<'_>,
        now: UnixMs,
    ) -> Result<Accepted, StoreError> {
        let mut rows = self.rows();
        let name = (scope.clone(), entry.id.to_owned());
        if let Some(row) = rows.by_id.get(&name) {
            return Ok(match row.state {
                _ if row.hash != entry.body_hash() => Accepted::OtherBody,
                State::Done { status } => Accepted::Done { status },
                State::Dead => Accepted::Dead,
                State::Pending { .. } | State::Running { .. } | State::Failed => Accepted::Accepted,
            });
        }
        let place = rows.next_place;
        rows.next_place += 1;
        let row = Row {
            place,
            body: Some(entry.body.to_owned()),
            ..Row::new(entry, State::Pending { due: now }, now)
        };
        rows.by_id.insert(name, row);
        Ok(Accepted::Accepted)
    }

    async fn take(
        &self,
        scope: &Scope,
        attempts_max: u32,
        lease: Duration,
        now: UnixMs,
    ) -> Result<Option<Taken>, StoreError> {
        let mut rows = self.rows();
        let mut in_order: Vec<(&String, &mut Row)> = rows
            .by_id
            .iter_mut()
            .filter(|((of, _), row)| of == scope && row.body.is_some())
            .map(|((_, id), row)| (id, row))
            .collect();
        in_order.sort_by_key(|(_, row)| row.place);
        let mut unfinished: Vec<String> = Vec::new();
        for (id, row) in in_order {
            let is_free = match row.state {
                State::Pending { due } => due <= now,
                State::Running { until, .. } => until <= now,
                State::Done { .. } | State::Failed | State::Dead => continue,
            };
            if is_free && row.attempt >= attempts_max {
                row.enter(State::Dead, now);
                continue;
            }
            let is_behind = row.order_key.as_ref().is_some_and(|key| unfinished.contains(key));
            if is_free && !is_behind {
                let claim = row.start(lease, now)?;
                let body = row.body.clone().unwrap_or_default();
                let signed_at_seconds = row.signed_at_seconds;
                return Ok(Some(Taken { claim, id: id.clone(), body, signed_at_seconds }));
            }
            if row.state.is_unfinished() {
                unfinished.extend(row.order_key.clone());
            }
        }
        Ok(None)
    }

    async fn heartbeat(
        &self,
        token: &Token,
        lease: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let mut rows = self.rows();
        let Some(row) = rows.held(token) else {
            return Ok(LeaseState::Lost);
        };
        row.enter(State::Running { token: token.clone(), until: now + millis(lease) }, now);
        Ok(LeaseState::Held)
    }

    async fn finish(&self, token: &Token, status: u16, now: UnixMs) -> Result<Settled, StoreError> {
        let mut rows = self.rows();
        let Some(row) = rows.held(token) else {
            return Ok(Settled::Lost);
        };
        row.enter(State::Done { status }, now);
        Ok(Settled::Finished)
    }

    async fn fail(
        &self,
        token: &Token,
        _error: &str,
        retry_delays: Option<&[Duration]>,
        now: UnixMs,
    ) -> Result<Failed, StoreError> {
        let mut rows = self.rows();
        let Some(row) = rows.held(token) else {
            return Ok(Failed::Lost);
        };
        let failed = Failed::after(row.attempt, retry_delays, now);
        let state = match failed {
            Failed::Failed => State::Failed,
            Failed::Pending { due_at_ms } => State::Pending { due: due_at_ms },
            Failed::Dead | Failed::Lost => State::Dead,
        };
        row.enter(state, now);
        Ok(failed)
    }

    async fn stats(&self, scope: &Scope) -> Result<Stats, StoreError> {
        let rows = self.rows();
        let mut stats = Stats::default();
        for (_, row) in rows.by_id.iter().filter(|((of, _), _)| of == scope) {
            stats.add(row.state.name(), 1);
        }
        Ok(stats)
    }

    async fn reprocess(
        &self,
        scope: &Scope,
        id: &str,
        now: UnixMs,
    ) -> Result<Reprocessed, StoreError> {
        let mut rows = self.rows();
        let Some(row) = rows.by_id.get_mut(&(scope.clone(), id.to_owned())) else {
            return Ok(Reprocessed::Absent);
        };
        if matches!(row.state, State::Running { until, .. } if now < until) {
            return Ok(Reprocessed::Running);
        }
        row.attempt = 0;
        let is_stored = row.body.is_some();
        row.enter(if is_stored { State::Pending { due: now } } else { State::Failed }, now);
        Ok(Reprocessed::Reprocessed)
    }

    async fn forget(&self, scope: &Scope, id: &str) -> Result<bool, StoreError> {
        Ok(self.rows().by_id.remove(&(scope.clone(), id.to_owned())).is_some())
    }

    async fn purge(&self, until: UnixMs) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let before = rows.by_id.len();
        rows.by_id.retain(|_, row| row.state.is_unfinished() || row.changed_at > until);
        Ok(u64::try_from(before - rows.by_id.len()).unwrap_or(u64::MAX))
    }
}

impl MemoryLocks {
    pub fn new() -> Self {
        Self::default()
    }

    fn locks(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LockStore for MemoryLocks {
    async fn acquire(&self, key: &str, ttl: Duration, now: UnixMs) -> Result<Acquired, StoreError> {
        let mut locks = self.locks();
        let held = locks.entry(key.to_owned()).or_default();
        if held.token.is_some() && now < held.until {
            let retry_after_seconds = retry_after_seconds(now, held.until);
            return Ok(Acquired::HeldElsewhere { retry_after_seconds });
        }
        let token = Token::random()?;
        let fence = held.fence + 1;
        *held = Held { token: Some(token.clone()), fence, until: now + millis(ttl) };
        Ok(Acquired::Acquired { token, fence })
    }

    async fn extend(
        &self,
        token: &Token,
        ttl: Duration,
        now: UnixMs,
    ) -> Result<LeaseState, StoreError> {
        let mut locks = self.locks();
        let mut held = locks.values_mut().filter(|held| held.token.as_ref() == Some(token));
        let Some(held) = held.next() else {
            return Ok(LeaseState::Lost);
        };
        held.until = now + millis(ttl);
        Ok(LeaseState::Held)
    }

    async fn release(&self, token: &Token) -> Result<bool, StoreError> {
        let mut locks = self.locks();
        let held = locks.values_mut().find(|held| held.token.as_ref() == Some(token));
        Ok(held.map(|held| held.token = None).is_some())
    }
}
