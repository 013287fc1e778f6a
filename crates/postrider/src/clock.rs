//! Where time enters: the system's clock, with an offset that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postrider_core::id::UnixMs;
use tokio::sync::Notify;

/// Longest sleep without a look at the time. Timers count by a clock that is never set, so whoever
/// slept on would miss what the machine's clock has made due by being put forward. A look costs
/// microseconds.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The time as the server sees it. Clones share their offset.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    offset_ms: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// Milliseconds since 1970, UTC.
    pub fn now(&self) -> UnixMs {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let system = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        system.saturating_add(self.inner.offset_ms.load(Ordering::Relaxed))
    }

    /// Puts the clock forward, so that a test sees a retry hours later without waiting for it.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.inner.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
        self.inner.moved.notify_waiters();
    }

    /// Puts the clock off by so much, and wakes nobody.
    #[cfg(feature = "failpoints")]
    pub(crate) fn set_offset_unnoticed(&self, offset_ms: i64) {
        self.inner.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// Returns at `time`, when the clock was moved, or after [`LOOK_AGAIN`]: look at the time again.
    pub async fn sleep_until(&self, time: UnixMs) {
        let moved = self.inner.moved.notified();
        let wait_ms = u64::try_from(time.saturating_sub(self.now())).unwrap_or(0);
        tokio::select! {
            () = moved => {}
            () = tokio::time::sleep(Duration::from_millis(wait_ms).min(LOOK_AGAIN)) => {}
        }
    }
}
