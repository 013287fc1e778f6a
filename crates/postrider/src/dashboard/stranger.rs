//! Text and bytes that strangers wrote, shown exactly and inert.
//!
//! Whatever would be invisible, or would change how the text around it reads, is shown as a mark
//! instead: controls, marks of direction (which can make `"admin": false` read as something
//! else), characters without width, and bytes that are no UTF-8. All else goes through maud's
//! escaping.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

/// Bytes that a page shows of one text: whoever needs more has the API.
pub(super) const SHOWN_BYTES_MAX: usize = 256 << 10;
/// The same of bytes in hexadecimal, which take five times the room.
const HEX_BYTES_MAX: usize = 32 << 10;
const HEX_LINE_BYTES: usize = 16;

/// A piece of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a str),
    Hidden(char),
    /// Not UTF-8.
    Byte(u8),
}

/// Bytes as text, with marks for what can't be seen.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl Render for Text<'_> {
    fn render(&self) -> Markup {
        html! {
            @for piece in pieces(self.0) {
                @match piece {
                    Piece::Plain(text) => (text),
                    Piece::Hidden(char) => {
                        span.seen title=(format!("U+{:04X}", u32::from(char))) { (mark(char)) }
                    },
                    Piece::Byte(byte) => {
                        span.seen title="not UTF-8" { (format!("\\x{byte:02x}")) }
                    },
                }
            }
        }
    }
}

/// Whether bytes hold anything that [`Text`] has a mark for.
pub(super) fn has_hidden(bytes: &[u8]) -> bool {
    pieces(bytes).any(|piece| !matches!(piece, Piece::Plain(_)))
}

/// A text in a box of its own, as far as a page shows it.
pub(super) fn block(bytes: &[u8], label: &str) -> Markup {
    let shown = first(bytes, SHOWN_BYTES_MAX);
    html! {
        @if bytes.is_empty() {
            p.none { "Empty." }
        } @else {
            // the element within keeps a first line feed, which `pre` alone would swallow
            pre tabindex="0" role="region" aria-label=(label) { code { (Text(shown)) } }
        }
        (cut(bytes.len() - shown.len()))
    }
}

/// Bytes as hexadecimal numbers, with what of them is ASCII beside.
pub(super) fn hex(bytes: &[u8], label: &str) -> Markup {
    let shown = bytes.get(..HEX_BYTES_MAX).unwrap_or(bytes);
    let mut text = String::with_capacity(shown.len() * 5);
    for (line, bytes) in shown.chunks(HEX_LINE_BYTES).enumerate() {
        // writing to a string can't fail
        let _ = write!(text, "{:06x} ", line * HEX_LINE_BYTES);
        for at in 0..HEX_LINE_BYTES {
            let gap = if at % 8 == 0 { " " } else { "" };
            let _ = match bytes.get(at) {
                Some(byte) => write!(text, "{gap}{byte:02x} "),
                None => write!(text, "{gap}   "),
            };
        }
        text.push(' ');
        text.extend(bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        text.push('\n');
    }
    html! {
        pre.hex tabindex="0" role="region" aria-label=(label) { code { (text) } }
        (cut(bytes.len() - shown.len()))
    }
}

/// Says that there was more.
pub(super) fn cut(bytes: usize) -> Markup {
    html! {
        @if bytes > 0 {
            p.cut { "Cut here: " (super::elements::count(bytes as u64)) " bytes more." }
        }
    }
}

/// At most so many bytes, never through the middle of a character.
fn first(bytes: &[u8], max: usize) -> &[u8] {
    let is_inside = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let lowest = max.saturating_sub(3);
    let end = (lowest..=max).rev().find(|at| !is_inside(at)).unwrap_or(max);
    bytes.get(..end).unwrap_or(bytes)
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let lost = chunk.invalid().iter().map(|byte| Piece::Byte(*byte));
        pieces_of_text(chunk.valid()).chain(lost)
    })
}

fn pieces_of_text(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        let at = rest.find(is_hidden).unwrap_or(rest.len());
        if at > 0 {
            let (plain, after) = rest.split_at(at);
            rest = after;
            return Some(Piece::Plain(plain));
        }
        let mut chars = rest.chars();
        let char = chars.next()?;
        rest = chars.as_str();
        Some(Piece::Hidden(char))
    })
}

/// Line feeds and tabs are as they are; joiners stay, for words and emoji need them.
fn is_hidden(char: char) -> bool {
    match char {
        '\n' | '\t' => false,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        char => char.is_control(),
    }
}

/// The picture of a control that has one, else its number.
fn mark(char: char) -> String {
    match u32::from(char) {
        control @ 0..=0x1f => char::from_u32(0x2400 + control).unwrap_or('\u{fffd}').to_string(),
        0x7f => '\u{2421}'.to_string(),
        other => format!("U+{other:04X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        Text(bytes).render().into_string()
    }

    #[test]
    fn markup_is_text() {
        let told = shown(b"<script>alert(1)</script><img src=x onerror=\"a\">&amp;{{7*7}}");
        assert!(!told.contains("<script") && !told.contains("<img"), "{told}");
        assert!(told.starts_with("&lt;script&gt;") && told.contains("&amp;amp;"), "{told}");
    }

    #[test]
    fn what_can_not_be_seen_is_marked() {
        for (bytes, expected) in [
            ("\u{202e}".as_bytes(), "U+202E"),
            ("\u{2066}".as_bytes(), "U+2066"),
            ("\u{200b}".as_bytes(), "U+200B"),
            ("\u{85}".as_bytes(), "U+0085"),
            ("\u{e0041}".as_bytes(), "U+E0041"),
            (b"\0", "\u{2400}"),
            (b"\x1b", "\u{241b}"),
            (b"\r", "\u{240d}"),
            (b"\x7f", "\u{2421}"),
            (b"\xff", "\\xff"),
            (b"\xed\xa0\x80", "\\xed"),
        ] {
            let told = shown(bytes);
            assert!(told.contains(&format!(">{expected}</span>")), "{told}");
            assert!(has_hidden(bytes));
            let is_raw = std::str::from_utf8(bytes).is_ok_and(|text| told.contains(text));
            assert!(!is_raw, "{told}");
        }
    }

    #[test]
    fn what_can_be_seen_is_left_alone() {
        let text = "é 漢字\n\t👩\u{200d}👩 \u{5d0}";
        assert_eq!(shown(text.as_bytes()), text);
        assert!(!has_hidden(text.as_bytes()));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(SHOWN_BYTES_MAX);
        let kept = first(text.as_bytes(), 101);
        assert_eq!((kept.len(), std::str::from_utf8(kept).is_ok()), (100, true));
        assert_eq!(first(b"ab", 101), b"ab");
        assert_eq!(first(&[0x80; 9], 5).len(), 5, "no character begins here");
        let told = block(text.as_bytes(), "body").into_string();
        assert!(told.contains("bytes more"), "{}", told.len());
    }

    #[test]
    fn hexadecimal_has_sixteen_bytes_a_line() {
        let told = hex(b"0123456789abcdefg<\0", "body").into_string();
        assert!(told.contains("000000  30 31 32 33 34 35 36 37  38"), "{told}");
        assert!(told.contains("66  0123456789abcdef\n000010  67 3c 00"), "{told}");
        assert!(told.contains("g&lt;.\n"), "{told}");
    }
}
