//! One HTTP/1.1 connection: a request out, its answer in.
//!
//! hyper splits a client connection in two: a handle that takes requests, and a future that does
//! the reading and writing. Usually the future is spawned, and every request costs two switches
//! between tasks. Here both lie in one place and are polled by whoever sends: the future with the
//! task's waker, the handle with none, because nothing but the future can make it ready.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use postrider_core::delivery::ErrorClass;
use postrider_store::failpoint;
use tokio::task::unconstrained;

use super::answer::Partial;
use super::failure::Failure;
use super::limits::{
    ANSWER_HEADERS_MAX, ANSWER_READ_BYTES_MAX, CONNECTION_AGE_MAX, KEEP_ALIVE_MARGIN,
};
use super::progress::{Phase, Progress};
use super::wire::{End, Meter, Wire};

pub(super) type Outgoing = http::Request<Full<Bytes>>;

/// An open connection, with no request on it.
pub(super) struct Connection {
    handle: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Wire>, Full<Bytes>>,
    meter: Arc<Meter>,
    address: Option<SocketAddr>,
    /// The driver finished: nothing more can be sent or read.
    is_over: bool,
}

/// How a request came to nothing.
pub(super) enum Unsent {
    /// Not a byte of it was written: it may go out on another connection.
    NeverWritten(Box<Outgoing>, Failure),
    Broke(Failure),
}

/// What may become of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    Close,
    /// Keep it, idle at most so long where the receiver said.
    Keep(Option<Duration>),
}

impl Connection {
    pub(super) async fn open(wire: Wire, address: Option<SocketAddr>) -> Result<Self, Failure> {
        let meter = Arc::clone(wire.meter());
        let (handle, driver) = http1::Builder::new()
            .max_headers(ANSWER_HEADERS_MAX)
            .max_buf_size(ANSWER_READ_BYTES_MAX)
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|error| failure_of(&error, &meter))?;
        Ok(Self { handle, driver, meter, address, is_over: false })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether it can take a request: not closed by the receiver as far as the kernel knows, and
    /// not too old.
    pub(super) fn is_fresh(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.meter.made()) >= CONNECTION_AGE_MAX {
            return false;
        }
        self.meter.begin();
        self.meter.probe();
        let mut quiet = Context::from_waker(Waker::noop());
        self.poll_driver(&mut quiet);
        !self.is_over && self.handle.is_ready()
    }

    /// Sends the request and reads the answer into `progress`.
    ///
    /// Dropped half-way, the connection is unusable and must be dropped too.
    pub(super) async fn exchange(
        &mut self,
        mut request: Outgoing,
        progress: &mut Progress,
    ) -> Result<Afterwards, Unsent> {
        self.meter.begin();
        let meter = Arc::clone(&self.meter);
        hyper::ext::on_informational(&mut request, move |_| meter.count_interim());
        progress.enter(Phase::Wait, Instant::now());
        let answered = self.head(request).await?;
        failpoint!(AnswerHeadRead);
        let first_read = self.meter.first_read().unwrap_or_else(Instant::now);
        progress.enter(Phase::Body, first_read);

        let (head, mut body) = answered.into_parts();
        let status = head.status.as_u16();
        let answer = progress.answer.insert(Partial::begin(status, &head.headers));
        if self.meter.has_too_many_interim() {
            return Err(Unsent::Broke(Failure::new(ErrorClass::Protocol, TOO_MANY_INTERIM)));
        }
        if !(200..600).contains(&status) {
            progress.answer = None;
            return Err(Unsent::Broke(Failure::new(ErrorClass::Protocol, BAD_STATUS)));
        }
        let is_whole = self.body(&mut body, answer).await.map_err(Unsent::Broke)?;
        failpoint!(AnswerBodyRead);
        if is_whole && self.is_idle().await {
            Ok(Afterwards::Keep(keep_alive_time(&head.headers)))
        } else {
            Ok(Afterwards::Close)
        }
    }

    async fn head(&mut self, request: Outgoing) -> Result<http::Response<Incoming>, Unsent> {
        // unconstrained: out of its cooperative budget it would ask to be woken through a waker
        // that wakes nobody
        let mut answer = pin!(unconstrained(self.handle.try_send_request(request)));
        let answered = std::future::poll_fn(|cx| {
            poll_beside(&mut self.driver, &mut self.is_over, cx, |quiet| {
                answer.as_mut().poll(quiet)
            })
        })
        .await;
        match answered {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => Err(Unsent::NeverWritten(
                    Box::new(request),
                    Failure::new(ErrorClass::Reset, CLOSED_UNASKED),
                )),
                None => Err(Unsent::Broke(failure_of(error.error(), &self.meter))),
            },
            None => Err(Unsent::Broke(Failure::new(ErrorClass::Reset, CLOSED_UNANSWERED))),
        }
    }

    /// Reads the body; false when there would have been more than we read.
    async fn body(&mut self, body: &mut Incoming, answer: &mut Partial) -> Result<bool, Failure> {
        loop {
            let frame = std::future::poll_fn(|cx| {
                poll_beside(&mut self.driver, &mut self.is_over, cx, |quiet| {
                    Pin::new(&mut *body).poll_frame(quiet)
                })
            })
            .await;
            match frame {
                Some(None) => return Ok(true),
                Some(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        answer.add(data);
                    }
                }
                Some(Some(Err(_))) | None if self.meter.end() == End::TooLong => {
                    answer.cut();
                    return Ok(false);
                }
                Some(Some(Err(_))) | None => {
                    answer.cut();
                    return Err(body_failure(self.meter.end()));
                }
            }
        }
    }

    /// Whether the connection is ready for the next request; lets hyper tidy up first.
    async fn is_idle(&mut self) -> bool {
        if !self.is_over && !self.handle.is_ready() {
            std::future::poll_fn(|cx| {
                self.poll_driver(cx);
                Poll::Ready(())
            })
            .await;
        }
        !self.is_over && self.handle.is_ready()
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) {
        if !self.is_over && Pin::new(&mut self.driver).poll(cx).is_ready() {
            self.is_over = true;
        }
    }
}

/// Polls `part` and, while it has nothing, the driver that feeds it. `None`: the driver finished
/// and `part` will never have anything.
fn poll_beside<T>(
    driver: &mut http1::Connection<TokioIo<Wire>, Full<Bytes>>,
    is_over: &mut bool,
    cx: &mut Context<'_>,
    mut part: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<Option<T>> {
    let mut quiet = Context::from_waker(Waker::noop());
    // the first poll tells the driver that there is demand
    if let Poll::Ready(value) = part(&mut quiet) {
        return Poll::Ready(Some(value));
    }
    if !*is_over && Pin::new(driver).poll(cx).is_ready() {
        *is_over = true;
    }
    match part(&mut quiet) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if *is_over => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}

const TOO_MANY_INTERIM: &str =
    "the receiver sent more than 8 interim (1xx) answers; send one final answer";
const BAD_STATUS: &str = "the receiver's status code is not one of 200 to 599; answer with 2xx";
const NOT_HTTP: &str = "what the receiver sent is not HTTP/1.1; check that this port serves HTTP";
const HEAD_TOO_LARGE: &str = "the head of the receiver's answer is too large; send fewer headers";
const HTTP2_ONLY: &str = "the receiver speaks only HTTP/2 on this port; allow HTTP/1.1";
const BAD_FRAMING: &str =
    "the body of the receiver's answer is framed wrongly; check its Transfer-Encoding";
const CLOSED_UNASKED: &str = "the receiver closed the connection before the request was sent; check the server and its proxy";
const CLOSED_UNANSWERED: &str = "the receiver closed the connection without an answer; \
     it may have crashed or timed out: see its log";
const WAS_RESET: &str = "the receiver reset the connection; it may have crashed: see its log";
const CUT_SHORT: &str = "the receiver closed the connection before its answer was complete; \
     check the Content-Length it sends";
const BAD_TLS: &str = "the receiver broke the TLS connection; check its TLS setup";
const OURS: &str = "this server made a mistake in sending the request; please report it";

/// Why there is no head. hyper says what went wrong in HTTP, the meter what went wrong below.
fn failure_of(error: &hyper::Error, meter: &Meter) -> Failure {
    use ErrorClass as C;
    let (class, detail) = match meter.end() {
        End::TooManyInterim => (C::Protocol, TOO_MANY_INTERIM),
        End::TooLong => (C::Protocol, HEAD_TOO_LARGE),
        _ if meter.has_too_many_interim() => (C::Protocol, TOO_MANY_INTERIM),
        _ if error.is_parse_too_large() => (C::Protocol, HEAD_TOO_LARGE),
        _ if error.is_parse_version_h2() => (C::Protocol, HTTP2_ONLY),
        _ if error.is_parse_status() => (C::Protocol, BAD_STATUS),
        _ if error.is_parse() => (C::Protocol, NOT_HTTP),
        End::BadTls => (C::Tls, BAD_TLS),
        End::Broken => (C::Reset, WAS_RESET),
        End::Closed if meter.has_read() => (C::Truncated, CUT_SHORT),
        End::Open if error.is_user() => (C::Internal, OURS),
        End::Open if meter.has_read() => (C::Protocol, NOT_HTTP),
        End::Open | End::Closed => (C::Reset, CLOSED_UNANSWERED),
    };
    Failure::new(class, detail)
}

/// Why the body broke off.
fn body_failure(end: End) -> Failure {
    use ErrorClass as C;
    let (class, detail) = match end {
        End::Closed => (C::Truncated, CUT_SHORT),
        End::Broken => (C::Reset, WAS_RESET),
        End::BadTls => (C::Tls, BAD_TLS),
        End::Open | End::TooLong | End::TooManyInterim => (C::Protocol, BAD_FRAMING),
    };
    Failure::new(class, detail)
}

/// What the receiver says in `Keep-Alive: timeout=N`, less a margin (RFC 2068 §19.7.1.1 as used).
fn keep_alive_time(headers: &http::HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds: u64 = value.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        is_timeout.then(|| value.trim().parse().ok())?
    })?;
    Some(Duration::from_secs(seconds).saturating_sub(KEEP_ALIVE_MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut headers = http::HeaderMap::new();
            headers.insert("keep-alive", value.parse().unwrap());
            let expected = expected.map(Duration::from_secs);
            assert_eq!(keep_alive_time(&headers), expected, "{value}");
        }
    }
}
