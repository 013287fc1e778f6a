//! A few connections that only read, lent out one by one.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use super::failure::Outcome;
use super::open;

#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
    count: usize,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Outcome<Self> {
        let open = |_| open::open_reader(path);
        let count = count.max(1);
        let idle = (0..count).map(open).collect::<Outcome<_>>()?;
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new(), count })
    }

    /// Waits until nobody reads and lets nobody begin meanwhile. A reader must never wait for
    /// who calls this.
    pub(super) fn while_all_are_idle<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.len() < self.count {
            let woken = self.returned.wait(idle);
            idle = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let done = work();
        drop(idle);
        self.returned.notify_all();
        done
    }

    /// Waits for a connection; every reader gives its own back after one bounded query.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> T) -> T {
        let loan = Loan { connection: Some(self.take()), readers: self };
        let connection = loan.connection.as_ref();
        read(connection.expect("given back only on drop"))
    }

    fn take(&self) -> Connection {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = idle.pop() {
                return connection;
            }
            let woken = self.returned.wait(idle);
            idle = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Gives the connection back even when the reader panics.
struct Loan<'a> {
    connection: Option<Connection>,
    readers: &'a Readers,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut idle = (self.readers.idle.lock()).unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
        drop(idle);
        self.readers.returned.notify_all();
    }
}
