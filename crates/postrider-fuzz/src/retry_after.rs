//! `Retry-After`, read at any moment.

use postrider_core::retry_after::{RETRY_AFTER_MAX_MS, RetryAfter};
use postrider_core::schedule::RetrySchedule;

use crate::NOW_MS;

/// Whatever is asked for, the wait is bounded and never shorter than the schedule's.
pub fn retry_after(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for now_ms in [0, NOW_MS, -NOW_MS, i64::MAX, i64::MIN] {
        let Some(wait) = RetryAfter::parse(&text, now_ms) else { continue };
        assert!(wait.wait_ms() <= RETRY_AFTER_MAX_MS, "{text:?} at {now_ms}");
        let schedule = RetrySchedule::automa();
        let without = schedule.next_attempt(1, NOW_MS, 0, None);
        let with = schedule.next_attempt(1, NOW_MS, 0, Some(wait));
        assert!(with >= without, "{text:?}");
        assert!(with <= Some(NOW_MS.saturating_add_unsigned(RETRY_AFTER_MAX_MS)), "{text:?}");
    }
    let padded = format!(" {text}\t");
    let (read, read_padded) =
        (RetryAfter::parse(&text, NOW_MS), RetryAfter::parse(&padded, NOW_MS));
    assert!(read_padded.is_none() || read == read_padded, "white space around says nothing");
}
