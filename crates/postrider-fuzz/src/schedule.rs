//! Retry schedules, as a line of words: `list PERCENT MS,MS,…` or
//! `exponential PERCENT FIRST_MS FACTOR ATTEMPTS CAP_MS`.

use postrider_core::retry_after::RetryAfter;
use postrider_core::schedule::{ATTEMPTS_MAX, DELAY_MAX_MS, Jitter, RetrySchedule};

use crate::NOW_MS;

/// A schedule that is accepted ends, and none of its attempts is due early or late.
pub fn schedule(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(schedule) = read(&text) else { return };
    let delays_ms = schedule.delays_ms();
    assert!((1..=ATTEMPTS_MAX).contains(&delays_ms.len()), "{text:?}");
    assert_eq!(delays_ms.len(), schedule.attempts_max());
    assert_eq!(delays_ms[0], 0, "the first attempt is made at once");
    let percent = match schedule.jitter() {
        Jitter::None => 0,
        Jitter::Proportional { percent } => u64::from(percent),
    };
    let asked = RetryAfter::parse("3600", NOW_MS);
    for (made, &delay_ms) in delays_ms.iter().enumerate() {
        assert!(delay_ms <= DELAY_MAX_MS, "{text:?}");
        for finished_at_ms in [0, NOW_MS, i64::MIN, i64::MAX] {
            for random in [0, 0x9E37_79B9_7F4A_7C15, u64::MAX] {
                let due = |retry_after| {
                    let due = schedule.next_attempt(made, finished_at_ms, random, retry_after);
                    due.expect("an attempt of the schedule")
                };
                let latest_ms = delay_ms + delay_ms * percent / 100;
                let earliest = finished_at_ms.saturating_add_unsigned(delay_ms);
                let latest = finished_at_ms.saturating_add_unsigned(latest_ms);
                assert!((earliest..=latest).contains(&due(None)), "{text:?}: attempt {made}");
                assert!(due(asked) >= due(None), "asking lengthens a wait, if anything");
            }
        }
    }
    assert_eq!(schedule.next_attempt(delays_ms.len(), NOW_MS, 0, asked), None, "{text:?}");
    assert_eq!(schedule.next_attempt(usize::MAX, NOW_MS, 0, None), None);
}

fn read(text: &str) -> Option<RetrySchedule> {
    let mut words = text.split_ascii_whitespace();
    let kind = words.next()?;
    let jitter = match words.next()?.parse().ok()? {
        0 => Jitter::None,
        percent => Jitter::Proportional { percent },
    };
    match kind {
        "list" => {
            let delays_ms: Option<Vec<i64>> =
                words.next()?.split(',').map(|delay| delay.parse().ok()).collect();
            RetrySchedule::list(&delays_ms?, jitter).ok()
        }
        "exponential" => {
            let first_ms = words.next()?.parse().ok()?;
            let factor = words.next()?.parse().ok()?;
            let attempts = words.next()?.parse().ok()?;
            let cap_ms = words.next()?.parse().ok()?;
            RetrySchedule::exponential(first_ms, factor, attempts, cap_ms, jitter).ok()
        }
        _ => None,
    }
}
