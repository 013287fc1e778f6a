//! JSON numbers as doubles, and doubles as ECMAScript writes them.

/// Rust's parser stops counting an exponent beyond 65,535 (and so misreads
/// `0.{700,000 zeros}1e700001`); below this length that can't change the result.
const DIRECT_BYTES_MAX: usize = 32_768;

/// Digits that can decide the rounding of a double: 767, and one that says
/// whether anything follows.
const DIGITS_MAX: usize = 800;

/// Integers of up to this many digits are below 2^53.
const EXACT_DIGITS: usize = 15;

/// Whether a number that is JSON by its grammar fits a double.
pub(crate) fn is_finite(text: &[u8]) -> bool {
    value(text).is_some_and(f64::is_finite)
}

/// The nearest double, ties to even. `None` when the text is no number.
/// Linear in the length of the text.
pub(crate) fn value(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.len() < DIRECT_BYTES_MAX {
        return text.parse().ok();
    }
    shorten(text).parse().ok()
}

/// Writes the double as ECMAScript's `Number::toString` does, and -0 as `0`.
pub(crate) fn write(out: &mut Vec<u8>, value: f64) {
    let mut buffer = ryu_js::Buffer::new();
    out.extend_from_slice(buffer.format_finite(value).as_bytes());
}

/// Whether the text is an integer in plain digits that prints as it stands.
pub(crate) fn is_small_integer(text: &[u8]) -> bool {
    text.len() <= EXACT_DIGITS && text.iter().all(u8::is_ascii_digit)
}

/// Whether the text is an integer in plain digits that `value`, its nearest
/// double, does not equal. What is written with a fraction or an exponent is read
/// as a float everywhere and does not count; nor does 2^64, which a double holds,
/// though it prints as 18446744073709552000.
pub(crate) fn is_inexact_integer(text: &[u8], value: f64) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.len() > EXACT_DIGITS
        && digits.iter().all(u8::is_ascii_digit)
        // `{:.0}` prints every digit of the double's exact value
        && format!("{:.0}", value.abs()).as_bytes() != digits
}

/// The same number with at most [`DIGITS_MAX`] digits and one exponent.
fn shorten(text: &str) -> String {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let is_negative_exponent = exponent.starts_with('-');
    let magnitude = exponent
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    // the number is 0.{digits} × 10^point
    let mut point = if is_negative_exponent { -magnitude } else { magnitude };
    let mut digits = String::new();
    let mut has_more = false;
    let mut is_fraction = false;
    for digit in mantissa.bytes().filter(|&b| b != b'-') {
        let shift = match digit {
            b'.' => {
                is_fraction = true;
                0
            }
            b'0' if digits.is_empty() => -i64::from(is_fraction),
            _ => {
                if digits.len() < DIGITS_MAX {
                    digits.push(char::from(digit));
                } else {
                    has_more |= digit != b'0';
                }
                i64::from(!is_fraction)
            }
        };
        point = point.saturating_add(shift);
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let more = if has_more { "1" } else { "" };
    // beyond ±10,000 the result is 0 or infinity whatever the digits
    format!("{sign}0.{digits}0{more}e{}", point.clamp(-10_000, 10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, value(text.as_bytes()).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_print_as_in_javascript() {
        for (text, expected) in [
            ("1.0", "1"),
            ("1.10", "1.1"),
            ("1e3", "1000"),
            ("1E3", "1000"),
            ("1e21", "1e+21"),
            ("0.0000001", "1e-7"),
            ("1e-6", "0.000001"),
            ("1000000000000000000000", "1e+21"),
            ("100000000000000000000", "100000000000000000000"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0e5", "0"),
            ("1e-400", "0"),
            ("-1e-400", "0"),
            ("0.1234567890123456789", "0.12345678901234568"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ] {
            assert_eq!(printed(text), expected, "{text}");
        }
    }

    #[test]
    fn very_long_numbers_keep_their_value() {
        assert_eq!(printed(&format!("0.{}1e700001", "0".repeat(700_000))), "1");
        assert_eq!(printed(&format!("1{}e-700000", "0".repeat(700_000))), "1");
        assert_eq!(printed(&format!("-1.{}5", "0".repeat(100_000))), "-1");
        // a tie that only the last digit breaks upwards
        let above_tie = format!("9007199254740993.{}1", "0".repeat(50_000));
        assert_eq!(printed(&above_tie), "9007199254740994");
        let tie = format!("9007199254740993.{}", "0".repeat(50_000));
        assert_eq!(printed(&tie), "9007199254740992");
        assert!(!is_finite("9".repeat(1_000_000).as_bytes()));
        assert!(is_finite(format!("0.{}", "9".repeat(1_000_000)).as_bytes()));
        assert!(!is_finite(b"1e99999999999999999999999"));
        assert!(is_finite(format!("{}e-99999999999999999999", "9".repeat(40_000)).as_bytes()));
    }

    #[test]
    fn integers_are_exact_or_not() {
        let check = |text: &str, expected: bool| {
            let value = value(text.as_bytes()).unwrap();
            assert_eq!(is_inexact_integer(text.as_bytes(), value), expected, "{text}");
        };
        check("9007199254740992", false);
        check("9007199254740993", true);
        check("-9007199254740993", true);
        check("9007199254740994", false);
        check("18446744073709551615", true);
        check("18446744073709551616", false);
        check("340282366920938463463374607431768211455", true);
        check("1000000000000000000000", false);
        check("100000000000000000000000", true);
        check("9007199254740993.0", false);
        check("9007199254740993e0", false);
    }
}
