//! A request, written as it goes over the wire.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider_core::target::Target;

use super::pool::Identity;

/// One POST request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What `head` was begun for.
    pub target: Arc<Target>,
    pub head: RequestHead,
    pub body: Bytes,
    /// For everything from the lookup of the name to the end of the answer.
    pub deadline: Duration,
    pub identity: Identity,
}

/// The head of a request as far as it is known before its body: the request line, `host`, and the
/// headers that were put into it. `content-length` comes with the body.
#[derive(Clone)]
pub struct RequestHead(Vec<u8>);

/// A request as it goes over the wire: two pieces, of which the second may be empty.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) first: Vec<u8>,
    pub(super) rest: Bytes,
}

/// What can't be written into a request without saying something else. No text of it is repeated,
/// for it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("the URL can't be written into a request; give the webhook a simpler one")]
    Url,
    #[error("HTTP does not allow a header of this name")]
    HeaderName,
    #[error("HTTP does not allow this value of a header")]
    HeaderValue,
}

/// Room for most requests, small bodies included.
const REQUEST_BYTES: usize = 2 << 10;
/// Up to here copying a body costs less than telling the kernel of two pieces.
const COPIED_BODY_BYTES_MAX: usize = 8 << 10;

/// Headers that frame the request, which the sender writes itself.
const FRAMING: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

impl RequestHead {
    /// Begins the head of a `POST` to a target.
    pub fn post(target: &Target) -> Result<Self, Unwritable> {
        let (path, authority) = (target.path_and_query(), target.authority());
        if !path.starts_with('/') || ![path, authority].iter().all(|text| is_graphic(text)) {
            return Err(Unwritable::Url);
        }
        let mut head = Self(Vec::with_capacity(REQUEST_BYTES));
        for piece in ["POST ", path, " HTTP/1.1\r\nhost: ", authority, "\r\n"] {
            head.0.extend_from_slice(piece.as_bytes());
        }
        Ok(head)
    }

    /// Puts a header into it (RFC 9110 §5.1, §5.5). One that frames the request is left out.
    pub fn put(&mut self, name: &str, value: &[u8]) -> Result<(), Unwritable> {
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(Unwritable::HeaderName);
        }
        if !value.iter().copied().all(is_value_byte) {
            return Err(Unwritable::HeaderValue);
        }
        if !FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            self.line(name, value);
        }
        Ok(())
    }

    /// The whole request. A small body goes behind the head, so that both are one piece.
    pub(super) fn finish(mut self, body: Bytes) -> Outgoing {
        self.line("content-length", body.len().to_string().as_bytes());
        self.0.extend_from_slice(b"\r\n");
        if body.len() > COPIED_BODY_BYTES_MAX {
            return Outgoing { first: self.0, rest: body };
        }
        self.0.extend_from_slice(&body);
        Outgoing { first: self.0, rest: Bytes::new() }
    }

    fn line(&mut self, name: &str, value: &[u8]) {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(piece);
        }
    }
}

/// Shows no header, for some are secrets.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHead({} bytes)", self.0.len())
    }
}

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// No line end and no other control character but the tab.
fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use postrider_core::target::TargetPolicy;

    use super::*;

    fn head() -> RequestHead {
        let target = Target::parse("https://example.com/a?b=c", &TargetPolicy::default()).unwrap();
        RequestHead::post(&target).unwrap()
    }

    #[test]
    fn a_head_is_written_line_by_line() {
        let mut head = head();
        head.put("webhook-id", b"evt_1").unwrap();
        let lines = "POST /a?b=c HTTP/1.1\r\nhost: example.com\r\nwebhook-id: evt_1\r\ncontent-length: 2\r\n\r\n{}";
        let Outgoing { first, rest } = head.finish(Bytes::from_static(b"{}"));
        assert_eq!((String::from_utf8(first).unwrap().as_str(), rest.len()), (lines, 0));
    }

    #[test]
    fn a_header_that_frames_the_request_is_left_out() {
        let mut head = head();
        for name in ["Host", "content-length", "Transfer-Encoding", "connection"] {
            head.put(name, b"other").unwrap();
        }
        let Outgoing { first, .. } = head.finish(Bytes::new());
        assert!(!String::from_utf8(first).unwrap().contains("other"));
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let body = Bytes::from(vec![b'x'; COPIED_BODY_BYTES_MAX + 1]);
        let Outgoing { first, rest } = head().finish(body.clone());
        assert!(first.ends_with(b"content-length: 8193\r\n\r\n"));
        assert_eq!(rest.as_ptr(), body.as_ptr());
    }

    #[test]
    fn what_would_end_a_line_is_refused() {
        let mut head = head();
        for name in ["", "a b", "a:", "a\r\nb", "é"] {
            assert_eq!(head.put(name, b"x"), Err(Unwritable::HeaderName), "{name:?}");
        }
        for value in [&b"a\r\nb: c"[..], b"a\nb", b"\0", b"\x7f"] {
            assert_eq!(head.put("name", value), Err(Unwritable::HeaderValue), "{value:?}");
        }
        head.put("name", b"\tvisible, \xff and more").unwrap();
    }

    #[test]
    fn it_does_not_show_what_it_holds() {
        let mut head = head();
        head.put("authorization", b"Bearer secret").unwrap();
        assert!(!format!("{head:?}").contains("secret"));
    }
}
