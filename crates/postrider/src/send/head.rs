//! The head of an answer: what it says, and how the body behind it is framed.
//!
//! Parsed by the parser that hyper uses, under hyper's rules for clients (RFC 9112 §6.3).

use std::mem::MaybeUninit;
use std::time::Duration;

use httparse::{Header, ParserConfig, Response, Status};

use super::answer::Partial;
use super::limits::{ANSWER_HEADERS_MAX, KEEP_ALIVE_MARGIN};

/// Header lines of an answer that there is always room for; only larger heads need more.
const HEADERS_MOSTLY: usize = 64;

#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) answer: Partial,
    pub(super) framing: Framing,
    /// Whether the connection may serve another request, as far as the head says.
    pub(super) is_persistent: bool,
    /// How long the receiver keeps an idle connection, where it says so.
    pub(super) idle_time: Option<Duration>,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Why bytes are not the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    NotHttp,
    Http2,
    BadStatus,
    TooManyHeaders,
}

impl Head {
    /// Parses the head that `bytes` begin with, and says how long it is; `None` while it is not
    /// whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let mut few = [const { MaybeUninit::uninit() }; HEADERS_MOSTLY];
        match Self::parse_within(bytes, &mut few) {
            Err(HeadError::TooManyHeaders) => {
                let mut many = vec![const { MaybeUninit::uninit() }; ANSWER_HEADERS_MAX];
                Self::parse_within(bytes, &mut many)
            }
            parsed => parsed,
        }
    }

    fn parse_within<'b>(
        bytes: &'b [u8],
        room: &mut [MaybeUninit<Header<'b>>],
    ) -> Result<Option<(Self, usize)>, HeadError> {
        let mut response = Response::new(&mut []);
        let config = ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut response, bytes, room) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::Status) => return Err(HeadError::BadStatus),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
            Err(_) if is_http_2(bytes) => return Err(HeadError::Http2),
            Err(_) => return Err(HeadError::NotHttp),
        };
        let (Some(status), Some(minor)) = (response.code, response.version) else {
            return Err(HeadError::NotHttp);
        };
        let headers: &[Header<'_>] = response.headers;
        let framing = framing(status, minor, headers)?;
        let named = headers.iter().map(|header| (header.name, header.value));
        let head = Self {
            status,
            answer: Partial::begin(status, named),
            framing,
            is_persistent: framing != Framing::UntilClose && is_persistent(minor, headers),
            idle_time: keep_alive_time(headers),
        };
        Ok(Some((head, length)))
    }

    /// Another answer follows. 101 is none of these: it would be the last one in HTTP.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

fn framing(status: u16, minor: u8, headers: &[Header<'_>]) -> Result<Framing, HeadError> {
    if (100..200).contains(&status) || status == 204 || status == 304 {
        return Ok(Framing::Length(0));
    }
    let is_encoded = values(headers, "transfer-encoding").next().is_some();
    if is_encoded && minor == 0 {
        return Err(HeadError::NotHttp);
    }
    if is_encoded {
        let last = tokens(headers, "transfer-encoding").last();
        let is_chunked = last.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        return Ok(if is_chunked { Framing::Chunked } else { Framing::UntilClose });
    }
    let mut lengths = tokens(headers, "content-length").map(parse_length);
    let Some(first) = lengths.next() else { return Ok(Framing::UntilClose) };
    let length = first.ok_or(HeadError::NotHttp)?;
    if lengths.any(|other| other != Some(length)) {
        return Err(HeadError::NotHttp);
    }
    Ok(Framing::Length(length))
}

/// Digits and nothing else: no sign, no space within.
fn parse_length(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

fn is_persistent(minor: u8, headers: &[Header<'_>]) -> bool {
    let says =
        |word: &[u8]| tokens(headers, "connection").any(|token| token.eq_ignore_ascii_case(word));
    if minor == 0 { says(b"keep-alive") && !says(b"close") } else { !says(b"close") }
}

/// What the receiver says in `Keep-Alive: timeout=N`, less a margin (RFC 2068 §19.7.1.1 as used).
fn keep_alive_time(headers: &[Header<'_>]) -> Option<Duration> {
    let value = std::str::from_utf8(values(headers, "keep-alive").next()?).ok()?;
    let seconds: u64 = value.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        is_timeout.then(|| value.trim().parse().ok())?
    })?;
    Some(Duration::from_secs(seconds).saturating_sub(KEEP_ALIVE_MARGIN))
}

/// An HTTP/2 server begins with its settings, whatever it was asked (RFC 9113 §3.4).
fn is_http_2(bytes: &[u8]) -> bool {
    const SETTINGS: &[u8] = &[4, 0, 0, 0, 0, 0];
    bytes.get(3..9) == Some(SETTINGS)
}

/// The items of a list that may stand in several headers.
fn tokens<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    values(headers, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Head, HeadError> {
        let parsed = Head::parse(text.as_bytes())?;
        let (head, length) = parsed.expect("the head is whole");
        assert_eq!(length, text.len());
        Ok(head)
    }

    fn with(headers: &str) -> Result<Head, HeadError> {
        parse(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"))
    }

    #[test]
    fn the_end_of_a_body_is_known_as_rfc_9112_has_it() {
        let check = |headers: &str, expected| {
            assert_eq!(with(headers).map(|head| head.framing), expected, "{headers}");
        };
        check("", Ok(Framing::UntilClose));
        check("Content-Length: 12\r\n", Ok(Framing::Length(12)));
        check("Content-Length: 12, 12\r\nContent-Length: 12\r\n", Ok(Framing::Length(12)));
        check("Content-Length: 12\r\nContent-Length: 13\r\n", Err(HeadError::NotHttp));
        for length in ["-1", "+1", "1x", "", "1 2", "18446744073709551616"] {
            check(&format!("Content-Length: {length}\r\n"), Err(HeadError::NotHttp));
        }
        check("Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n", Ok(Framing::Chunked));
        check("Transfer-Encoding: gzip, chunked\r\n", Ok(Framing::Chunked));
        check("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Ok(Framing::Chunked));
        check("Transfer-Encoding: chunked, gzip\r\n", Ok(Framing::UntilClose));
        let framing = |text: &str| parse(text).map(|head| head.framing);
        for status in [103, 204, 304] {
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
            assert_eq!(framing(&text), Ok(Framing::Length(0)));
        }
        let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(framing(old), Err(HeadError::NotHttp));
    }

    #[test]
    fn a_connection_is_kept_unless_the_head_says_otherwise() {
        let check = |version: &str, headers: &str, expected| {
            let text = format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{headers}\r\n");
            assert_eq!(parse(&text).unwrap().is_persistent, expected, "{text}");
        };
        check("1.1", "", true);
        check("1.1", "Connection: Keep-Alive\r\n", true);
        check("1.1", "Connection: foo, Close\r\n", false);
        check("1.1", "Connection: foo\r\nConnection: close\r\n", false);
        check("1.0", "", false);
        check("1.0", "Connection: keep-alive\r\n", true);
        assert!(!with("").unwrap().is_persistent, "its body ends with the connection");
    }

    #[test]
    fn keep_alive_is_read_with_a_margin_and_nonsense_is_ignored() {
        for (value, expected) in [
            ("timeout=5", Some(4)),
            ("timeout=5, max=100", Some(4)),
            ("max=100,Timeout = 75", Some(74)),
            ("timeout=0", Some(0)),
            ("timeout=18446744073709551615", Some(u64::MAX - 1)),
            ("timeout=18446744073709551616", None),
            ("timeout=-1", None),
            ("timeout", None),
            ("", None),
        ] {
            let head = with(&format!("Keep-Alive: {value}\r\n")).unwrap();
            assert_eq!(head.idle_time, expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn what_is_no_head_is_named_by_what_it_is() {
        let error = |bytes: &[u8]| Head::parse(bytes).map(|head| head.is_some());
        assert_eq!(error(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(false));
        assert_eq!(error(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Err(HeadError::NotHttp));
        assert_eq!(error(b"HTTP/1.1 1000 X\r\n\r\n"), Err(HeadError::BadStatus));
        assert_eq!(error(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"), Err(HeadError::Http2));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(ANSWER_HEADERS_MAX + 1));
        assert_eq!(error(many.as_bytes()), Err(HeadError::TooManyHeaders));
    }
}
