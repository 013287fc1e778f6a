//! JSON made readable: lines, indentation and colours over the text as it is.
//!
//! Numbers, escapes, order and duplicate keys stay as they were written, because this reads tokens
//! and no values. It goes on whatever the text is, in one pass and without recursion.

use maud::{Markup, Render, html};

use super::stranger::{Text, cut};

/// Bytes of markup that are made of one text: a page that a browser still scrolls smoothly.
const MADE_BYTES_MAX: usize = 1 << 20;
/// Deeper than this, lines are indented no further: their spaces would outgrow the text.
const INDENTED_DEPTH_MAX: usize = 32;
const INDENT: &str = "  ";
/// Of markup around one token.
const TOKEN_BYTES: usize = 32;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Comma,
    Colon,
    Text,
    Number,
    Word,
}

/// A token with what stands before it.
#[derive(Clone, Copy, Debug)]
struct Placed<'a> {
    gap: Gap,
    class: Option<&'static str>,
    bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum Gap {
    None,
    Space,
    /// A new line, so deep.
    Line(usize),
}

/// A JSON text in a box of its own.
pub(super) fn block(json: &[u8], label: &str) -> Markup {
    let (placed, rest) = placed(json);
    html! {
        pre tabindex="0" role="region" aria-label=(label) { code {
            @for token in &placed { (token) }
        } }
        (cut(rest))
    }
}

/// A JSON text with lines and indentation alone, to be edited; as it is where it is very long.
pub(super) fn text(json: &str) -> String {
    let (placed, rest) = placed(json.as_bytes());
    if rest > 0 {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len() * 2);
    for token in placed {
        match token.gap {
            Gap::None => {}
            Gap::Space => text.push(' '),
            Gap::Line(depth) => {
                text.push('\n');
                text.extend(std::iter::repeat_n(INDENT, depth));
            }
        }
        text.push_str(&String::from_utf8_lossy(token.bytes));
    }
    text
}

impl Render for Placed<'_> {
    fn render(&self) -> Markup {
        let text = Text(self.bytes);
        html! {
            @match self.gap {
                Gap::None => {},
                Gap::Space => " ",
                Gap::Line(depth) => { "\n" @for _ in 0..depth { (INDENT) } },
            }
            @match self.class {
                Some(class) => span class=(class) { (text) },
                None => (text),
            }
        }
    }
}

/// The tokens with their places, and how many bytes at the end are left out.
fn placed(json: &[u8]) -> (Vec<Placed<'_>>, usize) {
    let mut placed = Vec::new();
    let (mut depth, mut rest, mut room) = (0_usize, json, MADE_BYTES_MAX);
    let mut last = None;
    while room > 0
        && let Some((token, bytes, after)) = next(rest)
    {
        if token == Token::Close {
            depth = depth.saturating_sub(1);
        }
        let line = Gap::Line(depth.min(INDENTED_DEPTH_MAX));
        let gap = match (last, token) {
            (None, _) | (Some(Token::Open), Token::Close) => Gap::None,
            (_, Token::Close) | (Some(Token::Open | Token::Comma), _) => line,
            (Some(Token::Colon), _) => Gap::Space,
            _ => Gap::None,
        };
        if token == Token::Open {
            depth += 1;
        }
        placed.push(Placed { gap, class: class(token, after), bytes });
        let indented = if let Gap::Line(depth) = gap { depth * INDENT.len() } else { 0 };
        room = room.saturating_sub(TOKEN_BYTES + indented + bytes.len());
        (last, rest) = (Some(token), after);
    }
    (placed, rest.trim_ascii_start().len())
}

fn class(token: Token, after: &[u8]) -> Option<&'static str> {
    match token {
        Token::Text if is_before_colon(after) => Some("j-key"),
        Token::Text => Some("j-text"),
        Token::Number => Some("j-number"),
        Token::Word => Some("j-word"),
        Token::Open | Token::Close | Token::Comma | Token::Colon => None,
    }
}

/// The next token, its bytes, and what follows.
fn next(json: &[u8]) -> Option<(Token, &[u8], &[u8])> {
    let json = json.trim_ascii_start();
    let (token, length) = match json.first()? {
        b'{' | b'[' => (Token::Open, 1),
        b'}' | b']' => (Token::Close, 1),
        b',' => (Token::Comma, 1),
        b':' => (Token::Colon, 1),
        b'"' => (Token::Text, text_length(json)),
        b'-' | b'0'..=b'9' => (Token::Number, word_length(json)),
        _ => (Token::Word, word_length(json)),
    };
    let (bytes, after) = json.split_at_checked(length)?;
    Some((token, bytes, after))
}

/// Up to and with the quotation mark that ends it.
fn text_length(json: &[u8]) -> usize {
    let mut is_escaped = false;
    for (at, byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

fn word_length(json: &[u8]) -> usize {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"{}[],:\"".contains(byte);
    json.iter().position(is_end).unwrap_or(json.len())
}

fn is_before_colon(after: &[u8]) -> bool {
    after.trim_ascii_start().first() == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: &str) -> String {
        block(json.as_bytes(), "data").into_string()
    }

    /// Without the markup around tokens.
    fn lines(json: &str) -> String {
        let made = made(json);
        let (_, code) = made.split_once("<code>").unwrap();
        let (code, _) = code.split_once("</code>").unwrap();
        let mut text = String::new();
        for (at, piece) in code.split('<').enumerate() {
            let shown = if at == 0 { piece } else { piece.split_once('>').unwrap().1 };
            text.push_str(shown);
        }
        text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">")
    }

    #[test]
    fn numbers_escapes_and_order_stay_as_they_were_written() {
        let json =
            r#"{"b":1.50,"a":1e3,"b":-0,"long":123456789012345678901234567890,"t":"\u003c\"x"}"#;
        assert_eq!(
            lines(json),
            "{\n  \"b\": 1.50,\n  \"a\": 1e3,\n  \"b\": -0,\n  \"long\": 123456789012345678901234567890,\n  \
             \"t\": \"\\u003c\\\"x\"\n}"
        );
    }

    #[test]
    fn what_is_empty_stays_on_its_line() {
        assert_eq!(lines(r#"[[],{},[ ] ,""]"#), "[\n  [],\n  {},\n  [],\n  \"\"\n]");
        assert_eq!(lines("null"), "null");
        assert_eq!(lines(""), "");
    }

    #[test]
    fn a_text_to_be_edited_has_no_markup_and_keeps_what_is_hidden() {
        let json = "{\"a\":[1.50,\"\u{202e}<b>\"],\"e\":{}}";
        assert_eq!(
            text(json),
            "{\n  \"a\": [\n    1.50,\n    \"\u{202e}<b>\"\n  ],\n  \"e\": {}\n}"
        );
    }

    #[test]
    fn keys_are_told_from_texts() {
        let made = made(r#"{"a":"b","c":true}"#);
        assert!(made.contains("<span class=\"j-key\">&quot;a&quot;</span>: "), "{made}");
        assert!(made.contains("<span class=\"j-text\">&quot;b&quot;</span>"), "{made}");
        assert!(made.contains("<span class=\"j-word\">true</span>"), "{made}");
    }

    #[test]
    fn markup_in_a_text_stays_text() {
        let made = made("{\"<script>\":\"</code><img src=x>\u{202e}\"}");
        assert!(!made.contains("<script") && !made.contains("<img") && made.contains("U+202E"));
    }

    #[test]
    fn anything_comes_to_an_end_within_bounds() {
        let deep = "[".repeat(100_000);
        let wide = format!("{}{}", "[".repeat(60), "1,".repeat(200_000));
        let line = format!("\"{}\"", "x".repeat(64 << 10));
        for json in [&deep, &wide, &line, "\"\\", "}}}]]", "::,,", "\u{0}{", "é{\"é"] {
            let (_, rest) = placed(json.as_bytes());
            assert!(rest < json.len());
            assert!(made(json).len() < 2 * MADE_BYTES_MAX);
        }
        assert_eq!(placed(line.as_bytes()).1, 0);
        assert!(placed(wide.as_bytes()).1 > 0);
    }
}
