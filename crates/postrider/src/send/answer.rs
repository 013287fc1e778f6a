//! An answer as far as it is kept: bounded while it comes in, whatever the receiver sends.

use bytes::Bytes;
use http::HeaderMap;
use http::header::RETRY_AFTER;
use postrider_core::delivery::Answer;
use postrider_core::limits::{KEPT_OF_FAILURE_BYTES, KEPT_OF_SUCCESS_BYTES};

use super::limits::{KEPT_OF_HEADERS_BYTES, RETRY_AFTER_BYTES_MAX};

/// What has come so far.
#[derive(Debug)]
pub(super) struct Partial {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    retry_after: Option<String>,
    body: Vec<u8>,
    is_body_cut: bool,
}

impl Partial {
    /// `headers`: names and values as they came.
    pub(super) fn begin<'a>(
        status: u16,
        headers: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let mut room = KEPT_OF_HEADERS_BYTES;
        let mut kept = Vec::with_capacity(headers.len().min(32));
        let mut retry_after = None;
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            if name == RETRY_AFTER.as_str() && retry_after.is_none() {
                retry_after = Some(text_of(value));
            }
            // one that no longer fits is left out
            let size = name.len() + value.len();
            if size <= room {
                room -= size;
                kept.push((name, value.to_vec()));
            }
        }
        Self {
            status,
            headers: kept,
            retry_after: retry_after.flatten(),
            body: Vec::new(),
            is_body_cut: false,
        }
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Takes in the next piece of the body and keeps what there is room for.
    pub(super) fn add(&mut self, data: &[u8]) {
        let kept_max =
            if self.is_success() { KEPT_OF_SUCCESS_BYTES } else { KEPT_OF_FAILURE_BYTES };
        let room = kept_max - self.body.len();
        if data.len() > room {
            self.is_body_cut = true;
        }
        self.body.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// More of the body would have come, or was on its way.
    pub(super) fn cut(&mut self) {
        self.is_body_cut = true;
    }

    /// The answer, and its `Retry-After` as it stood in the head.
    pub(super) fn finish(self) -> (Answer, Option<String>) {
        let answer = Answer {
            status: self.status,
            headers: self.headers,
            body: Bytes::from(self.body),
            is_body_cut: self.is_body_cut,
        };
        (answer, self.retry_after)
    }
}

/// What is kept of a whole answer that came by another way than a connection of ours, and its
/// `Retry-After`.
pub fn answered(status: u16, headers: &HeaderMap, body: &[u8]) -> (Answer, Option<String>) {
    let mut partial = Partial::begin(status, raw(headers));
    partial.add(body);
    partial.finish()
}

/// A `Retry-After` of a sane length, in visible ASCII.
fn text_of(value: &[u8]) -> Option<String> {
    let is_text = value.iter().all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    let text = std::str::from_utf8(value).ok()?;
    (is_text && text.len() <= RETRY_AFTER_BYTES_MAX).then(|| text.to_owned())
}

fn raw(headers: &HeaderMap) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
    let raw: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    raw.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn a_failure_keeps_more_of_its_body_than_a_success() {
        for (status, kept) in [(200, 1 << 10), (500, 16 << 10)] {
            let mut partial = Partial::begin(status, raw(&HeaderMap::new()));
            for _ in 0..40 {
                partial.add(&[b'x'; 1000]);
            }
            let (answer, _) = partial.finish();
            assert_eq!((answer.body.len(), answer.is_body_cut), (kept, true));
        }
    }

    #[test]
    fn a_body_that_fits_is_not_cut() {
        let mut partial = Partial::begin(204, raw(&HeaderMap::new()));
        partial.add(&[b'x'; 1024]);
        partial.add(b"");
        assert!(!partial.finish().0.is_body_cut);
    }

    #[test]
    fn headers_that_do_not_fit_are_left_out_and_the_rest_is_kept() {
        let mut headers = HeaderMap::new();
        let huge = HeaderValue::from_bytes(&[b'x'; 10 << 10]).unwrap();
        headers.insert(RETRY_AFTER, huge);
        headers.insert(HeaderName::from_static("server"), "nginx".parse().unwrap());
        let (answer, retry_after) = Partial::begin(503, raw(&headers)).finish();
        assert_eq!(answer.headers, [("server".to_owned(), b"nginx".to_vec())]);
        assert_eq!(retry_after, None);
    }
}
