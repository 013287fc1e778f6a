//! Strings as JSON writes them: finding their end, reading and writing escapes.

use std::borrow::Cow;

use super::JsonErrorKind;

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);

/// The offset, from `at` on, of the first byte that a string can't simply hold:
/// a quote, a backslash or a control character; or the end of the input.
#[inline]
pub(crate) fn plain_run(input: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = input.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let hits = special_bytes(u64::from_le_bytes(*chunk));
        if hits != 0 {
            // the lowest hit is exact; a borrow can only fake hits above it
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while input.get(at).is_some_and(|&b| b != b'"' && b != b'\\' && b >= b' ') {
        at += 1;
    }
    at
}

/// Sets the high bit of each byte that is a quote, a backslash or below 0x20.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let quote = word ^ QUOTES;
    let backslash = word ^ BACKSLASHES;
    let is_quote = quote.wrapping_sub(ONES) & !quote;
    let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
    let is_control = word.wrapping_sub(SPACES) & !word;
    (is_quote | is_backslash | is_control) & HIGH_BITS
}

/// The length of the escape, or of the pair of surrogate escapes, that `text`
/// starts with.
pub(crate) fn escape_len(text: &[u8]) -> Result<usize, JsonErrorKind> {
    match text.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match unicode_escape(text) {
            None => Err(JsonErrorKind::Syntax("expected four hex digits after `\\u`")),
            Some(0xD800..=0xDBFF) => match unicode_escape(&text[6..]) {
                Some(0xDC00..=0xDFFF) => Ok(12),
                _ => Err(JsonErrorKind::LoneSurrogate),
            },
            Some(0xDC00..=0xDFFF) => Err(JsonErrorKind::LoneSurrogate),
            Some(_) => Ok(6),
        },
        _ => Err(JsonErrorKind::Syntax("an unknown escape")),
    }
}

/// The text that the inside of a checked JSON string stands for.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    let mut text = String::with_capacity(raw.len());
    for piece in Pieces(raw) {
        match piece {
            Piece::Plain(run) => text.push_str(&String::from_utf8_lossy(run)),
            Piece::Escaped(character) => text.push(character),
        }
    }
    Cow::Owned(text)
}

/// Writes the inside of a checked JSON string with the fewest escapes, as
/// ECMAScript's `QuoteJSONString` and RFC 8785 §3.2.2.2 do.
pub(crate) fn write_minimal(out: &mut Vec<u8>, raw: &[u8]) {
    for piece in Pieces(raw) {
        match piece {
            Piece::Plain(run) => out.extend_from_slice(run),
            Piece::Escaped(character) => write_char(out, character),
        }
    }
}

/// Writes `text` as a JSON string, quotes included, with the fewest escapes.
pub(crate) fn write_escaped(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        write_char(out, character);
    }
    out.push(b'"');
}

fn write_char(out: &mut Vec<u8>, character: char) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        '\0'..='\x1f' => {
            out.extend_from_slice(format!("\\u{:04x}", character as u32).as_bytes());
            return;
        }
        _ => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

enum Piece<'a> {
    Plain(&'a [u8]),
    Escaped(char),
}

/// The runs and escapes inside a checked string. An escape that the strict pass
/// would have refused comes out as U+FFFD.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let run = self.0.iter().position(|&b| b == b'\\').unwrap_or(self.0.len());
        if run > 0 {
            let (plain, rest) = self.0.split_at(run);
            self.0 = rest;
            return Some(Piece::Plain(plain));
        }
        if self.0.is_empty() {
            return None;
        }
        let len = escape_len(self.0).unwrap_or(2).min(self.0.len());
        let (escape, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(Piece::Escaped(escaped_char(escape)))
    }
}

fn escaped_char(escape: &[u8]) -> char {
    match escape.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let units = [unicode_escape(escape), escape.get(6..).and_then(unicode_escape)];
            char::decode_utf16(units.into_iter().flatten())
                .next()
                .and_then(Result::ok)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        Some(&b) if b.is_ascii() => char::from(b),
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// The code unit of a `\uXXXX` at the start of `text`.
fn unicode_escape(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, &digit| {
        let value = char::from(digit).to_digit(16)?;
        // four hex digits fill 16 bits exactly
        u16::try_from(u32::from(unit) << 4 | value).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_run_stops_at_every_special_byte_and_no_other() {
        for byte in 0..=255_u8 {
            for place in 0..20 {
                let mut input = vec![b'a'; 20];
                input[place] = byte;
                let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
                let expected = if is_special { place } else { 20 };
                assert_eq!(plain_run(&input, 0), expected, "byte {byte} at {place}");
            }
        }
    }

    #[test]
    fn escapes_are_rewritten_minimally() {
        let check = |raw: &str, expected: &str| {
            let mut out = Vec::new();
            write_minimal(&mut out, raw.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(r"\u00e9\u0041\/", "éA/");
        check(r"\u0022\u005c\u000a\u000A", r#"\"\\\n\n"#);
        check(r"\u001F\u0008\u000b", r"\u001f\b\u000b");
        check(r"\u007f\u2028\u003c", "\u{7f}\u{2028}<");
        check(r"\ud83d\ude00 \uD83D\uDE00", "😀 😀");
    }

    #[test]
    fn broken_escapes_never_panic() {
        for raw in [&b"\\"[..], b"\\u", b"\\u12", b"\\ud800", b"\\ud800\\u12", b"\\\xff", b"a\\q"] {
            assert!(!unescape(raw).is_empty());
        }
    }
}
