//! The `Retry-After` answer header (RFC 9110 §10.2.3): how long a receiver asks to be left alone.
//!
//! The value comes from strangers. Whatever it says, parsing ends with a wait between nothing and
//! [`RETRY_AFTER_MAX_MS`], or with no answer at all; it never panics and never shortens a wait.
//! Whether the header counts (it does on 429 and 503) is the caller's to know.

use std::time::Duration;

/// Longest wait that a receiver can ask for: 24 hours, in milliseconds (wire contract §3).
pub const RETRY_AFTER_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// Longest header value looked at. The longest legitimate one is an RFC 850 date of 33 bytes.
const VALUE_BYTES_MAX: usize = 64;

/// A wait that a receiver asked for, counted from the moment it was parsed against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetryAfter {
    wait_ms: u64,
}

impl RetryAfter {
    /// Parses a header value at the time `now_ms` (Unix milliseconds).
    ///
    /// Accepts seconds and the three date forms of RFC 9110 §5.6.7. Beyond the grammar it takes any
    /// decimal number, for `1e18` and `inf` plainly ask for a long wait: too long ones are cut to
    /// [`RETRY_AFTER_MAX_MS`]. A date in the past asks for no wait. `None` for everything else.
    pub fn parse(value: &str, now_ms: i64) -> Option<Self> {
        if value.len() > VALUE_BYTES_MAX {
            return None;
        }
        let value = value.trim_matches([' ', '\t']);
        let wait_ms = parse_seconds(value).or_else(|| {
            let date_ms = parse_http_date(value, now_ms)?;
            Some(u64::try_from(date_ms.saturating_sub(now_ms)).unwrap_or(0))
        })?;
        Some(Self { wait_ms: wait_ms.min(RETRY_AFTER_MAX_MS) })
    }

    /// 0 to [`RETRY_AFTER_MAX_MS`].
    pub fn wait_ms(self) -> u64 {
        self.wait_ms
    }
}

/// Seconds as milliseconds; `None` for what is no number, NaN or negative.
fn parse_seconds(value: &str) -> Option<u64> {
    let seconds: f64 = value.parse().ok()?;
    if seconds.is_nan() {
        return None; // `min` below would take it for the longest wait
    }
    // a duration cannot hold what an f64 can, so the cut comes first
    let longest = Duration::from_millis(RETRY_AFTER_MAX_MS).as_secs_f64();
    let wait = Duration::try_from_secs_f64(seconds.min(longest)).ok()?;
    u64::try_from(wait.as_millis()).ok()
}

/// Unix milliseconds of an HTTP date (RFC 9110 §5.6.7), in any of its three forms.
///
/// The name of the weekday must be one, but need not be the right one.
fn parse_http_date(value: &str, now_ms: i64) -> Option<i64> {
    let (weekday, rest) = value.split_once(' ')?;
    let words: Vec<_> = rest.split(' ').collect();
    let date = match (weekday.strip_suffix(','), words.as_slice()) {
        // Sun, 06 Nov 1994 08:49:37 GMT
        (Some(day_name), [day, month, year, time, "GMT"]) if is_in(&DAYS_SHORT, day_name) => {
            (number(year, 4)?, *month, number(day, 2)?, *time)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        (Some(day_name), [date, time, "GMT"]) if is_in(&DAYS_LONG, day_name) => {
            let [day, month, year] = date.split('-').collect::<Vec<_>>()[..] else {
                return None;
            };
            let year = full_year(number(year, 2)?, now_ms);
            (year, month, number(day, 2)?, *time)
        }
        // Sun Nov  6 08:49:37 1994: a day below 10 has a space before it, hence the empty word
        (None, [month, "", day, time, year]) if is_in(&DAYS_SHORT, weekday) => {
            (number(year, 4)?, *month, number(day, 1)?, *time)
        }
        (None, [month, day, time, year]) if is_in(&DAYS_SHORT, weekday) => {
            (number(year, 4)?, *month, number(day, 2)?, *time)
        }
        _ => return None,
    };
    let (year, month, day, time) = date;
    let month_index = MONTHS.iter().position(|name| *name == month)?;
    let days = days_since_epoch(year, month_index, day)?;
    let seconds = days * SECONDS_PER_DAY + parse_time_of_day(time)?;
    // two digits of a year are completed near to now, which may be the end of time
    Some(seconds.saturating_mul(1000))
}

/// `HH:MM:SS` in seconds; 60 is a leap second.
fn parse_time_of_day(time: &str) -> Option<i64> {
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else {
        return None;
    };
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 60 + minute) * 60 + second)
}

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

const DAYS_SHORT: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAYS_LONG: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTH_LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

fn is_in(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

/// Exactly `width` ASCII digits.
fn number(digits: &str, width: usize) -> Option<i64> {
    let is_number = digits.len() == width && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// The year nearest to now that ends in `two_digits`; at most 50 years ahead (RFC 9110 §5.6.7).
fn full_year(two_digits: i64, now_ms: i64) -> i64 {
    // a mean year is exact enough: no wait of interest begins on New Year's Eve 50 years away
    let year_now = 1970 + now_ms.div_euclid(1000 * SECONDS_PER_DAY) * 400 / 146_097;
    let earliest = year_now - 49;
    earliest + (two_digits - earliest).rem_euclid(100)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; `None` if the month has no such day.
fn days_since_epoch(year: i64, month_index: usize, day: i64) -> Option<i64> {
    let is_after_leap_day = month_index > 1 && is_leap(year);
    let leap_day_of_month = i64::from(month_index == 1 && is_leap(year));
    let length = MONTH_LENGTHS.get(month_index)? + leap_day_of_month;
    if !(1..=length).contains(&day) {
        return None;
    }
    let leap_days_before = |year: i64| {
        let last = year - 1;
        last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400)
    };
    let days_before_year = (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
    let days_before_month: i64 = MONTH_LENGTHS[..month_index].iter().sum();
    Some(days_before_year + days_before_month + i64::from(is_after_leap_day) + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 1994-11-06T08:49:37Z, the moment of RFC 9110's examples.
    const EXAMPLE_MS: i64 = 784_111_777_000;

    fn check(value: &str, now_ms: i64, expected_ms: Option<u64>) {
        let found = RetryAfter::parse(value, now_ms).map(RetryAfter::wait_ms);
        assert_eq!(found, expected_ms, "{value:?}");
    }

    #[test]
    fn seconds_are_a_wait() {
        check("0", 0, Some(0));
        check("120", 0, Some(120_000));
        check(" 120\t", 0, Some(120_000));
        check("1.5", 0, Some(1500));
        check("86400", 0, Some(RETRY_AFTER_MAX_MS));
        check("86401", 0, Some(RETRY_AFTER_MAX_MS));
    }

    #[test]
    fn the_three_date_forms_are_the_same_moment() {
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            check(value, EXAMPLE_MS - 60_000, Some(60_000));
            check(value, EXAMPLE_MS, Some(0));
            check(value, EXAMPLE_MS + 60_000, Some(0));
            check(value, EXAMPLE_MS - 1_000_000_000, Some(RETRY_AFTER_MAX_MS));
        }
        // 2026-11-22T14:00:00Z
        check("Sun Nov 22 14:00:10 2026", 1_795_356_000_000, Some(10_000));
    }

    #[test]
    fn the_calendar_is_gregorian() {
        for (value, expected_ms) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400_000)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800_000)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400_000)),
            ("Fri, 31 Dec 9999 23:59:60 GMT", Some(253_402_300_800_000)),
            ("Sat, 01 Jan 0000 00:00:00 GMT", Some(-62_167_219_200_000)),
            ("Mon, 29 Feb 2100 00:00:00 GMT", None),
            ("Tue, 31 Apr 2030 00:00:00 GMT", None),
            ("Tue, 00 Apr 2030 00:00:00 GMT", None),
            ("Tue, 01 Apr 2030 24:00:00 GMT", None),
        ] {
            assert_eq!(parse_http_date(value, 0), expected_ms, "{value}");
        }
    }

    #[test]
    fn two_digit_years_are_the_nearest() {
        let in_2026 = 1_795_356_000_000;
        assert_eq!(full_year(26, in_2026), 2026);
        assert_eq!(full_year(76, in_2026), 2076);
        assert_eq!(full_year(77, in_2026), 1977);
        assert_eq!(full_year(0, 4_086_000_000_000), 2100); // in 2099
    }

    /// Rows H186 and H187 of the hostile cases. They ignore `inf` where the wire contract (§3)
    /// clamps it; the contract wins. A negative wait, clamped or ignored, is no wait.
    #[test]
    fn hostile_values_are_clamped_or_ignored() {
        let longest = Some(RETRY_AFTER_MAX_MS);
        for value in ["1e18", "1e999", "inf", "99999999999999999999999999"] {
            check(value, EXAMPLE_MS, longest);
        }
        check("Fri, 31 Dec 9999 23:59:59 GMT", EXAMPLE_MS, longest);
        check("Fri, 31 Dec 9999 23:59:59 GMT", i64::MIN, longest);
        check("Fri, 31 Dec 9999 23:59:59 GMT", i64::MAX, Some(0));
        // the nearest such year is the last that milliseconds reach, but not its November
        check("Sunday, 06-Nov-94 08:49:37 GMT", i64::MAX, Some(0));
        let long = "1".repeat(10 * 1024);
        for value in [
            "NaN",
            "-5",
            "-inf",
            "",
            " ",
            long.as_str(),
            "soon",
            "120s",
            "0x10",
            "\u{661}\u{662}",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            check(value, EXAMPLE_MS, None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_values_never_panic_and_waits_are_bounded(
            value in prop_oneof![
                any::<String>(),
                "[-+0-9.eEinfNa]{0,24}",
                "(Sun|Mon),? [0-9]{2}[ -](Feb|Nov|Xxx)[ -][0-9]{2,5} [0-9:]{8} (GMT)?",
                "Sun Nov ( [0-9]|[0-9]{2}) [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}",
                "(Sunday|Monday), [0-3][0-9]-Feb-[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-9]{2} GMT",
            ],
            now_ms: i64,
        ) {
            if let Some(retry_after) = RetryAfter::parse(&value, now_ms) {
                prop_assert!(retry_after.wait_ms() <= RETRY_AFTER_MAX_MS);
            }
        }

        #[test]
        fn whole_seconds_up_to_a_day_are_exact(seconds in 0_u64..=86_400) {
            let parsed = RetryAfter::parse(&seconds.to_string(), 0).unwrap();
            prop_assert_eq!(parsed.wait_ms(), seconds * 1000);
        }
    }
}
