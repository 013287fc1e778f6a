//! Timestamps between milliseconds since 1970 (UTC) and RFC 3339 text.
//!
//! Proleptic Gregorian, years 0000 to 9999, no leap seconds.

use thiserror::Error;

/// `0000-01-01T00:00:00.000Z`
pub const MIN_MS: i64 = -62_167_219_200_000;
/// `9999-12-31T23:59:59.999Z`
pub const MAX_MS: i64 = 253_402_300_799_999;

const DAY_MS: i64 = 86_400_000;
/// Days of the 400-year cycle of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// A text that is no RFC 3339 timestamp in the years 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected an RFC 3339 timestamp such as 2025-07-28T04:58:00.999Z, years 0000 to 9999")]
pub struct TimestampError;

/// Writes `YYYY-MM-DDTHH:MM:SS.mmmZ`. A time outside [`MIN_MS`]..=[`MAX_MS`] is
/// written as the nearest one inside.
pub fn format_ms(ms: i64) -> String {
    let ms = ms.clamp(MIN_MS, MAX_MS);
    let (year, month, day) = date_of(ms.div_euclid(DAY_MS));
    let in_day = ms.rem_euclid(DAY_MS);
    let (seconds, millis) = (in_day / 1_000, in_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Reads RFC 3339 with `Z` or an offset; digits beyond milliseconds are cut off.
pub fn parse(text: &str) -> Result<i64, TimestampError> {
    parse_bytes(text.as_bytes()).ok_or(TimestampError)
}

fn parse_bytes(text: &[u8]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T' | b't' | b' ', ref time @ ..] = text
    else {
        return None;
    };
    let &[h1, h2, b':', mi1, mi2, b':', s1, s2, ref rest @ ..] = time else {
        return None;
    };
    let year = digits(&[y1, y2, y3, y4])?;
    let month = digits(&[mo1, mo2]).filter(|m| (1..=12).contains(m))?;
    let day = digits(&[d1, d2]).filter(|d| (1..=days_in_month(year, month)).contains(d))?;
    let hour = digits(&[h1, h2]).filter(|&h| h < 24)?;
    let minute = digits(&[mi1, mi2]).filter(|&m| m < 60)?;
    let second = digits(&[s1, s2]).filter(|&s| s < 60)?;
    let (millis, zone) = fraction_ms(rest)?;
    let offset_minutes = offset_minutes(zone)?;
    let minutes = hour * 60 + minute - offset_minutes;
    let ms = days_to(year, month, day) * DAY_MS + minutes * 60_000 + second * 1_000 + millis;
    (MIN_MS..=MAX_MS).contains(&ms).then_some(ms)
}

/// The milliseconds of a fraction, if there is one, and what follows it.
fn fraction_ms(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let len = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let (fraction, zone) = fraction.split_at(len);
    let digit = |place: usize| fraction.get(place).map_or(0, |b| i64::from(b - b'0'));
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), zone))
}

fn offset_minutes(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = digits(&[h1, h2]).filter(|&h| h < 24)?;
            let minutes = digits(&[m1, m2]).filter(|&m| m < 60)?;
            let offset = hours * 60 + minutes;
            Some(if sign == b'-' { -offset } else { offset })
        }
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date. Years are counted from March, so that the leap
/// day is the last of its year.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

/// The date that is `days` after 1970-01-01: the inverse of [`days_to`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_survives_a_round_trip() {
        let (mut year, mut month, mut day) = (0, 1, 1);
        for ms in (MIN_MS..=MAX_MS).step_by(usize::try_from(DAY_MS).unwrap()) {
            let text = format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z");
            assert_eq!(format_ms(ms), text);
            assert_eq!(parse(&text), Ok(ms));
            day += 1;
            if day > days_in_month(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
    }

    #[test]
    fn rfc_3339_is_read_in_all_its_spellings() {
        let check = |text: &str, expected: &str| {
            assert_eq!(format_ms(parse(text).expect(text)), expected, "{text}");
        };
        check("2025-07-28T04:58:00.999Z", "2025-07-28T04:58:00.999Z");
        check("2025-07-28t04:58:00z", "2025-07-28T04:58:00.000Z");
        check("2025-07-28 04:58:00.9999999999999999999Z", "2025-07-28T04:58:00.999Z");
        check("2025-07-28T04:58:00.5+05:30", "2025-07-27T23:28:00.500Z");
        check("2025-07-28T04:58:00-23:59", "2025-07-29T04:57:00.000Z");
        check("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z");
        check("0000-02-29T00:00:00Z", "0000-02-29T00:00:00.000Z");
        check("9999-12-31T23:59:59.999-00:00", "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn odd_and_far_dates_are_refused() {
        for text in [
            "",
            "2025-07-28",
            "2025-07-28T04:58:00",
            "2025-07-28T04:58Z",
            "2025-07-28T04:58:00.Z",
            "2025-07-28T04:58:00,5Z",
            "2025-07-28T04:58:00+0530",
            "2025-07-28T04:58:00+24:00",
            "2025-07-28T04:58:00Z ",
            "2025-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-04-31T00:00:00Z",
            "9999-99-99T00:00:00Z",
            "2025-07-28T24:00:00Z",
            "2025-07-28T23:59:60Z",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "+292278994-08-17T07:12:55Z",
            "-001-01-01T00:00:00Z",
            "２０２５-07-28T04:58:00Z",
        ] {
            assert_eq!(parse(text), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn far_times_are_written_as_the_nearest_possible() {
        assert_eq!(format_ms(i64::MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(format_ms(i64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
