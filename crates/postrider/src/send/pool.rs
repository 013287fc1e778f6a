//! Idle connections, by where they lead.
//!
//! The newest is taken first, so that what a quiet hour doesn't need grows old and is closed.
//! When the pool is full the returning connection is closed, not an older one: with more
//! receivers than places, taking turns would leave nobody with a connection.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postrider_core::target::{Scheme, Target};

use super::connection::Connection;
use super::limits::{IDLE_MAX, IDLE_PER_ORIGIN_MAX};

/// Requests of different identities never share a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity(pub u64);

pub(super) struct Pool {
    idle_time: Duration,
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    /// By scheme, then by host and port as in the URL.
    origins: [HashMap<Box<str>, Vec<Idle>>; 2],
    count: usize,
    swept: Option<Instant>,
}

struct Idle {
    identity: Identity,
    until: Instant,
    connection: Box<Connection>,
}

impl Pool {
    pub(super) fn new(idle_time: Duration) -> Self {
        Self { idle_time, shelves: Mutex::default() }
    }

    /// A connection to the target's origin that seems open. Closed ones met on the way go.
    pub(super) fn take(
        &self,
        target: &Target,
        identity: Identity,
        now: Instant,
    ) -> Option<Box<Connection>> {
        loop {
            let mut idle = self.pop(target, identity)?;
            if now < idle.until && idle.connection.is_fresh(now) {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection for later, at most `limit` where the receiver said how long.
    pub(super) fn put(
        &self,
        target: &Target,
        identity: Identity,
        connection: Box<Connection>,
        limit: Option<Duration>,
        now: Instant,
    ) {
        let idle_time = limit.map_or(self.idle_time, |limit| limit.min(self.idle_time));
        if idle_time.is_zero() {
            return;
        }
        let idle = Idle { identity, until: now + idle_time, connection };
        if self.lock().count >= IDLE_MAX {
            self.sweep_when_due(now);
        }
        let mut shelves = self.lock();
        if shelves.count >= IDLE_MAX {
            return;
        }
        let origins = &mut shelves.origins[shelf(target)];
        let authority = target.authority();
        match origins.get_mut(authority) {
            Some(stack) if stack.len() >= IDLE_PER_ORIGIN_MAX => return,
            Some(stack) => stack.push(idle),
            None => {
                origins.insert(authority.into(), vec![idle]);
            }
        }
        shelves.count += 1;
    }

    /// Closes what lay too long or was closed by its receiver.
    pub(super) fn sweep(&self, now: Instant) {
        let mut closed = Vec::new();
        let mut shelves = self.lock();
        shelves.swept = Some(now);
        for origins in &mut shelves.origins {
            origins.retain(|_, stack| {
                let gone = stack
                    .extract_if(.., |idle| now >= idle.until || !idle.connection.is_fresh(now));
                closed.extend(gone);
                !stack.is_empty()
            });
        }
        shelves.count -= closed.len();
        // closing is a system call each, which nobody should wait for
        drop(shelves);
    }

    /// How many connections lie idle.
    pub(super) fn len(&self) -> usize {
        self.lock().count
    }

    fn pop(&self, target: &Target, identity: Identity) -> Option<Idle> {
        let mut shelves = self.lock();
        // An emptied stack stays until the next sweep: its connection usually comes back at once.
        let stack = shelves.origins[shelf(target)].get_mut(target.authority())?;
        let newest = stack.iter().rposition(|idle| idle.identity == identity)?;
        let idle = stack.remove(newest);
        shelves.count -= 1;
        Some(idle)
    }

    /// A full pool looks for what has grown old, but not at every return.
    fn sweep_when_due(&self, now: Instant) {
        let swept = self.lock().swept;
        if swept.is_none_or(|at| now.saturating_duration_since(at) >= SWEEP_EVERY) {
            self.sweep(now);
        }
    }

    /// No panic can leave the shelves half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SWEEP_EVERY: Duration = Duration::from_secs(1);

fn shelf(target: &Target) -> usize {
    match target.scheme() {
        Scheme::Http => 0,
        Scheme::Https => 1,
    }
}
