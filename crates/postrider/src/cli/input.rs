//! What commands read: ids, times, JSON, secrets, `name=value` pairs. Values are checked where
//! they are given, so that a slip is a usage error before anything is sent.

use std::fmt::Write as _;
use std::io::Read as _;

use postrider_signature::timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::output::printable;
use crate::clock::Clock;

/// Most bytes of JSON: what a server can be set to take at most.
const INPUT_BYTES_MAX: u64 = 16 << 20;
/// Most bytes read as a secret; the server takes fewer.
const SECRET_BYTES_MAX: u64 = 4_096;

const TIME_ERROR: &str =
    "a time is RFC 3339, such as 2026-01-31T12:00:00Z, or how long ago, such as 30s, 15m, 2h or 7d";

/// An id that can stand in a path as it is: 1 to 128 of `[A-Za-z0-9_-]` (wire contract §2).
pub(super) fn plain_id(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_plain && (1..=128).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("an id is 1 to 128 of A-Z, a-z, 0-9, _ and -".to_owned())
    }
}

/// A name of an event type that can stand in a path as it is.
pub(super) fn plain_name(text: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let is_name = text.bytes().all(is_plain) && (1..=128).contains(&text.len());
    // a segment of dots alone would be another path
    if is_name && !text.split('.').any(str::is_empty) {
        Ok(text.to_owned())
    } else {
        Err("the name of an event type is dotted words, such as code.generated".to_owned())
    }
}

/// A time as RFC 3339: one that is given so, or so long ago.
pub(super) fn past(text: &str) -> Result<String, String> {
    match seconds(text) {
        Some(ago) => Ok(timestamp::format_ms(now_ms().saturating_sub(ago.saturating_mul(1_000)))),
        None => timestamp::parse(text).map(|_| text.to_owned()).map_err(|_| TIME_ERROR.to_owned()),
    }
}

/// A time as RFC 3339, so long from now.
pub(super) fn future(text: &str) -> Result<String, String> {
    let ahead = seconds(text).ok_or("a duration is a number with s, m, h or d, such as 90d")?;
    Ok(timestamp::format_ms(now_ms().saturating_add(ahead.saturating_mul(1_000))))
}

/// Whole seconds of a duration such as `90s`, `15m`, `2h` or `7d`.
pub(super) fn duration_s(text: &str) -> Result<i64, String> {
    seconds(text).ok_or_else(|| "a duration is a number with s, m, h or d, such as 24h".to_owned())
}

/// Milliseconds since 1970, UTC.
pub(super) fn now_ms() -> i64 {
    Clock::system().now()
}

fn seconds(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    number.parse::<i64>().ok().filter(|_| is_number)?.checked_mul(unit)
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write NAME=VALUE".to_owned())
}

/// `name: value`, as in a request.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let header = text.split_once(':').filter(|(name, _)| !name.trim().is_empty());
    header
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "write 'NAME: VALUE'".to_owned())
}

/// A path with those query parameters that have a value.
pub(super) fn query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut target = path.to_owned();
    for (name, value) in parameters {
        if let Some(value) = value {
            let sign = if target.contains('?') { '&' } else { '?' };
            let _ = write!(target, "{sign}{name}={}", escaped(value));
        }
    }
    target
}

/// Text with everything escaped that isn't plain (RFC 3986, "unreserved").
pub(super) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// The bytes of a request's body.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value)
        .map_err(|error| Failure::fault(format!("this can't be written as JSON: {error}")))
}

/// JSON that was given as it is, as `@FILE`, or as `-` for stdin.
pub(super) fn given_json(flag: &str, given: &str) -> Result<Box<RawValue>, Failure> {
    let text = match (given, given.strip_prefix('@')) {
        ("-", _) => read_input("-")?,
        (_, Some(path)) => read_input(path)?,
        _ => given.to_owned(),
    };
    json(flag, &text).map(ToOwned::to_owned)
}

/// The bytes that were given as they are, as `@FILE`, or as `-` for stdin.
pub(super) fn given_bytes(given: &str) -> Result<Vec<u8>, Failure> {
    match (given, given.strip_prefix('@')) {
        ("-", _) => read_bytes("-"),
        (_, Some(path)) => read_bytes(path),
        _ => Ok(given.as_bytes().to_vec()),
    }
}

/// The text of a file, or of stdin for `-`.
pub(super) fn read_input(source: &str) -> Result<String, Failure> {
    String::from_utf8(read_bytes(source)?).map_err(|_| {
        Failure::usage(format!("{} is not UTF-8", printable(source))).hint("write it in UTF-8")
    })
}

fn read_bytes(source: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("{} cannot be read: {error}", printable(source)))
            .hint("name a file that is there, or - for stdin")
    };
    let mut bytes = Vec::new();
    if source == "-" {
        std::io::stdin().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(source).map_err(failed)?;
        file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!("{} is longer than 16 MiB", printable(source)))
            .hint("no server takes so much; send less"));
    }
    Ok(bytes)
}

/// The text as JSON, byte for byte but for white space around it.
pub(super) fn json<'a>(flag: &str, text: &'a str) -> Result<&'a RawValue, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!("{flag} is not JSON: {}", printable(&error.to_string())))
            .hint("quote JSON for the shell, such as '{\"files\": 3}', or give @FILE")
    })
}

/// A secret as it is given, or from stdin for `-`.
pub(super) fn secret(given: Option<&str>) -> Result<Option<String>, Failure> {
    match given {
        Some("-") => secret_from_stdin().map(Some),
        given => Ok(given.map(str::to_owned)),
    }
}

/// The first line: an editor or `echo` ends it with a line break that is not meant.
fn secret_from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(|error| {
        Failure::usage(format!("no secret can be read from stdin: {error}"))
            .hint("pipe the secret in as text")
    })?;
    let secret = text.lines().next().unwrap_or_default();
    if secret.is_empty() {
        return Err(Failure::usage("stdin holds no secret")
            .hint("pipe the secret in, or leave --secret out to have one made"));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("2h", Some(7_200)),
            ("7d", Some(604_800)),
            ("0s", Some(0)),
            ("h", None),
            ("-1h", None),
            ("+1h", None),
            ("1w", None),
            ("1é", None),
            ("", None),
            ("9223372036854775807d", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn times_are_given_as_they_are_or_as_how_long_ago() {
        assert_eq!(past("2026-01-31T12:00:00Z").as_deref(), Ok("2026-01-31T12:00:00Z"));
        let ago = timestamp::parse(&past("1h").unwrap()).unwrap();
        assert!((3_590_000..3_610_000).contains(&(now_ms() - ago)), "{ago}");
        assert!(past("yesterday").is_err());
    }

    #[test]
    fn names_and_ids_cannot_become_other_paths() {
        for bad in ["", "..", "a..b", ".", "a/b", "a?b", "a%2e"] {
            assert!(plain_name(bad).is_err(), "{bad}");
        }
        for bad in ["", ".", "../x", "a.b"] {
            assert!(plain_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_parameters_with_a_value_are_asked_for() {
        let target = query("/v1/x?limit=1", &[("a", None), ("b", Some("c d&e")), ("f", Some("é"))]);
        assert_eq!(target, "/v1/x?limit=1&b=c%20d%26e&f=%C3%A9");
    }
}
