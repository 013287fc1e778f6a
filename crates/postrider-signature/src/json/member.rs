//! One member of a top-level object, without reading the rest into a tree.

use super::{plain_run, unescape};

/// The raw value of a key of a minified object; of duplicates the last, as
/// JavaScript and Python read it. `None` when there is no such key or the text
/// is no object.
pub(crate) fn member<'a>(minified: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let mut at = 1;
    if minified.first() != Some(&b'{') {
        return None;
    }
    while minified.get(at) == Some(&b'"') {
        let key_end = skip_value(minified, at);
        let value_end = skip_value(minified, key_end + 1);
        if unescape(minified.get(at + 1..key_end.checked_sub(1)?)?) == name {
            found = minified.get(key_end + 1..value_end);
        }
        at = value_end + 1;
    }
    found
}

/// The offset behind the value that starts at `at`.
fn skip_value(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                at = plain_run(text, at + 1);
                while text.get(at).is_some_and(|&b| b != b'"') {
                    at = plain_run(text, at + 2);
                }
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' | b',' | b':' if depth == 0 => return at,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_top_level_member() {
        let text = br#"{"a":{"id":"no"},"id":"1","b":["}",":\""],"\u0069d":"2","c":null}"#;
        assert_eq!(member(text, "id"), Some(&br#""2""#[..]));
        assert_eq!(member(text, "c"), Some(&b"null"[..]));
        assert_eq!(member(text, "b"), Some(&br#"["}",":\""]"#[..]));
        assert_eq!(member(text, "x"), None);
        assert_eq!(member(b"[1]", "id"), None);
        assert_eq!(member(b"{}", "id"), None);
    }
}
