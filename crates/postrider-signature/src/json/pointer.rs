//! The JSON pointer of a place in a text, found by walking to it.

use std::ops::Range;

use super::{plain_run, unescape};

/// Pointers go into error answers and logs; keys can be as long as the body.
const POINTER_BYTES_MAX: usize = 512;

/// The RFC 6901 pointer to the value that `place` belongs to.
///
/// The text before `place` is expected to be sound JSON; any other text gives
/// some pointer, never a panic.
pub(crate) fn pointer_at(input: &[u8], place: usize) -> String {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < place.min(input.len()) {
        let mut next = at + 1;
        match (input[at], frames.last_mut()) {
            (b'{', _) => frames.push(Frame::Object(None)),
            (b'[', _) => frames.push(Frame::Array(0)),
            (b'}' | b']', _) => drop(frames.pop()),
            (b',', Some(Frame::Array(index))) => *index += 1,
            (b',', Some(Frame::Object(key))) => *key = None,
            (b'"', frame) => {
                next = end_of_string(input, at);
                if let Some(Frame::Object(key @ None)) = frame
                    && next <= place
                {
                    *key = Some(at + 1..next - 1);
                }
            }
            _ => {}
        }
        at = next;
    }
    render(input, frames)
}

/// A container that is open at the place: which element or member it is in.
enum Frame {
    Array(usize),
    Object(Option<Range<usize>>),
}

fn render(input: &[u8], frames: Vec<Frame>) -> String {
    let mut pointer = String::new();
    for frame in frames {
        let segment = match frame {
            Frame::Array(index) => index.to_string(),
            Frame::Object(Some(key)) => {
                let raw = input.get(key).unwrap_or_default();
                unescape(raw).replace('~', "~0").replace('/', "~1")
            }
            Frame::Object(None) => break,
        };
        if pointer.len() + 1 + segment.len() > POINTER_BYTES_MAX {
            break;
        }
        pointer.push('/');
        pointer.push_str(&segment);
    }
    pointer
}

/// The offset behind the closing quote of the string that opens at `at`.
fn end_of_string(input: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    loop {
        end = plain_run(input, end);
        match input.get(end) {
            Some(b'\\') => end += 2,
            Some(b'"') => return end + 1,
            Some(_) => end += 1,
            None => return input.len() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_name_the_value_at_a_place() {
        let text = r#"{"a":[1,{"b~/c":2}],"\u0064":"x"}"#;
        let check = |needle: &str, expected: &str| {
            let place = text.find(needle).unwrap();
            assert_eq!(pointer_at(text.as_bytes(), place), expected, "{needle}");
        };
        check("[1", "/a");
        check("1", "/a/0");
        check("{\"b", "/a/1");
        check("2}", "/a/1/b~0~1c");
        check("\"x", "/d");
    }

    #[test]
    fn a_long_key_leaves_the_pointer_at_an_ancestor() {
        let text = format!(r#"{{"a":{{"{}":1}}}}"#, "k".repeat(10_000));
        assert_eq!(pointer_at(text.as_bytes(), text.find('1').unwrap()), "/a");
    }
}
