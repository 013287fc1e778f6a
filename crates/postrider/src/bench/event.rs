//! What an event of the benchmark looks like, and how it is known again where it arrives.
//!
//! Numbers have a fixed width, so that a publisher writes them into a request that is otherwise
//! ready. The event's stands at the end of its data, which ends every body: it is found at once.

/// Of every number, with zeros before it.
const DIGITS: usize = 12;
const NUMBER_KEY: &str = r#""n":""#;
const TYPE_PREFIX: &str = "bench.group_";

/// A request that publishes, but for the event's number and its group.
#[derive(Clone, Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    number_at: usize,
    group_at: usize,
}

impl Template {
    /// `payload_bytes`: of the event's data; `request` puts a head before a body.
    pub(super) fn new(payload_bytes: usize, request: impl FnOnce(&str) -> Vec<u8>) -> Self {
        let (event_type, data) = (event_type(0), data(payload_bytes, 0));
        let body = format!(r#"{{"type":"{event_type}","data":{data}}}"#);
        let bytes = request(&body);
        let body_at = bytes.len() - body.len();
        Self {
            group_at: body_at + r#"{"type":""#.len() + TYPE_PREFIX.len(),
            number_at: bytes.len() - DIGITS - r#""}}"#.len(),
            bytes,
        }
    }

    /// The request for `event`, whose type is that of `group`.
    pub(super) fn fill(&mut self, event: usize, group: usize) -> &[u8] {
        write_number(&mut self.bytes[self.number_at..][..DIGITS], event);
        write_number(&mut self.bytes[self.group_at..][..DIGITS], group);
        &self.bytes
    }
}

/// The data of `event`, of so many bytes where that is enough to tell events apart.
pub(super) fn data(payload_bytes: usize, event: usize) -> String {
    let bare = format!(r#"{{"note":"",{NUMBER_KEY}{event:0DIGITS$}"}}"#).len();
    let note = "x".repeat(payload_bytes.saturating_sub(bare));
    format!(r#"{{"note":"{note}",{NUMBER_KEY}{event:0DIGITS$}"}}"#)
}

/// The type of the events that the webhooks of `group` want.
pub(super) fn event_type(group: usize) -> String {
    format!("{TYPE_PREFIX}{group:0DIGITS$}")
}

/// The event's number in what a receiver got.
pub(super) fn number_in(body: &[u8]) -> Option<usize> {
    let key = NUMBER_KEY.as_bytes();
    let at = body.windows(key.len()).rposition(|window| window == key)? + key.len();
    let digits = body.get(at..at + DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The webhook's number in the path of a request that a receiver got.
pub(super) fn webhook_in(head: &str) -> Option<usize> {
    let path = head.strip_prefix("POST /")?;
    path.split_once(' ')?.0.parse().ok()
}

fn write_number(digits: &mut [u8], number: usize) {
    let mut left = number;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[left % 10];
        left /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(payload_bytes: usize) -> Template {
        Template::new(payload_bytes, |body| format!("head\r\n\r\n{body}").into_bytes())
    }

    #[test]
    fn an_event_is_known_again_by_its_number_and_its_type() {
        let mut template = template(200);
        for (event, group) in [(0, 0), (1_234, 7), (999_999_999_999, 42), (1, 0)] {
            let request = template.fill(event, group).to_vec();
            let body = request.strip_prefix(b"head\r\n\r\n").unwrap();
            let published: serde_json::Value = serde_json::from_slice(body).unwrap();
            assert_eq!(published["type"], event_type(group));
            assert_eq!(published["data"].to_string().len(), 200);
            assert_eq!(number_in(body), Some(event));
        }
    }

    #[test]
    fn what_bears_no_number_is_not_taken_for_an_event() {
        for body in ["", "{}", r#"{"n":""#, r#"{"n":"12"}"#, r#"{"n":"00000000000x"}"#] {
            assert_eq!(number_in(body.as_bytes()), None, "{body}");
        }
        assert_eq!(webhook_in("POST /17 HTTP/1.1"), Some(17));
        for head in ["GET /17 HTTP/1.1", "POST / HTTP/1.1", "POST /x HTTP/1.1", ""] {
            assert_eq!(webhook_in(head), None, "{head}");
        }
    }
}
