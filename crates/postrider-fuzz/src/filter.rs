//! Payload filters: an expression, and after a line `---` the data it is asked about.

use postrider::filter::{FILTER_BYTES_MAX, Filter, Subject};
use postrider_core::event_type::EventType;
use postrider_core::matching::Verdict;
use postrider_signature::json;

use crate::NOW_MS;

const SEPARATOR: &str = "\n---\n";
const DATA: &str =
    r#"{"n":3,"text":"abc","list":[1,2,3],"items":[{"a":1},{"a":2}],"o":{"p":null}}"#;
/// Longer than any message about a filter.
const MESSAGE_BYTES_MAX: usize = 1 << 10;

/// A filter that is accepted has a short answer on any data, and always the same one.
///
/// That the answer comes soon is for the fuzzer to see, which stops what takes too long; no clock
/// decides here.
pub fn filter(bytes: &[u8]) {
    let input = String::from_utf8_lossy(bytes);
    let (text, data) = input.split_once(SEPARATOR).unwrap_or((&input, DATA));
    match Filter::compile(text) {
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1);
            assert!(error.message.len() <= MESSAGE_BYTES_MAX, "{error}");
        }
        Ok(filter) => {
            assert!(text.len() <= FILTER_BYTES_MAX);
            asked(&filter, DATA.as_bytes());
            if let Ok(data) = json::minify(data.as_bytes()) {
                asked(&filter, &data);
            }
        }
    }
}

fn asked(filter: &Filter, data: &[u8]) {
    let event_type: EventType = "code.generated".parse().expect("a name");
    let mut subject = Subject::new(&event_type, NOW_MS, data);
    let verdict = subject.verdict(filter);
    assert_eq!(Subject::new(&event_type, NOW_MS, data).verdict(filter), verdict);
    if let Verdict::Failed(why) = verdict {
        assert!(!why.is_empty() && why.len() <= MESSAGE_BYTES_MAX, "{why}");
    }
}
