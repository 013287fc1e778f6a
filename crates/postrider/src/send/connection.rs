//! One HTTP/1.1 connection: a request out, its answer in.
//!
//! Written and read by whoever sends, in one task, with our own few lines of HTTP: a request is one
//! write, its answer mostly one read, and nothing is handed from task to task
//! (`docs/adr/0008-requests-without-hyper.md`).

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use postrider_core::delivery::ErrorClass;
use postrider_store::failpoint;
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::answer::Partial;
use super::chunks::Chunks;
use super::failure::Failure;
use super::head::{Framing, Head, HeadError};
use super::limits::CONNECTION_AGE_MAX;
use super::progress::{Phase, Progress};
use super::request::Outgoing;
use super::wire::{End, Meter, Wire};

/// Room for the answers that most receivers give.
const READ_BYTES: usize = 1 << 10;

/// An open connection, with no request on it.
pub(super) struct Connection {
    wire: Wire,
    address: Option<SocketAddr>,
    /// What was read and not taken yet.
    read: BytesMut,
}

/// How a request came to nothing.
pub(super) enum Unsent {
    /// Not a byte of it was written: it may go out on another connection.
    NeverWritten(Outgoing, Failure),
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
    pub(super) fn new(wire: Wire, address: Option<SocketAddr>) -> Self {
        Self { wire, address, read: BytesMut::new() }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether it can take a request: nothing came from the receiver, neither a close nor bytes
    /// that nobody asked for, as far as the kernel knows; and not too old.
    pub(super) fn is_fresh(&mut self, now: Instant) -> bool {
        let meter = self.wire.meter();
        if now.saturating_duration_since(meter.made()) >= CONNECTION_AGE_MAX {
            return false;
        }
        meter.begin();
        meter.probe();
        let mut quiet = Context::from_waker(Waker::noop());
        self.poll_read(&mut quiet).is_pending()
    }

    /// Sends the request and reads the answer into `progress`.
    ///
    /// Dropped half-way, the connection is unusable and must be dropped too.
    pub(super) async fn exchange(
        &mut self,
        request: Outgoing,
        progress: &mut Progress,
    ) -> Result<Afterwards, Unsent> {
        self.wire.meter().begin();
        progress.enter(Phase::Wait, Instant::now());
        let mut writing = Writing::of(request);
        let head = match self.head(&mut writing).await {
            Ok(head) => head,
            Err(_) if writing.is_void(self.wire.meter()) => {
                let failure = Failure::new(ErrorClass::Reset, CLOSED_UNASKED);
                return Err(Unsent::NeverWritten(writing.request, failure));
            }
            Err(failure) => return Err(Unsent::Broke(failure)),
        };
        failpoint!(AnswerHeadRead);
        let first_read = self.wire.meter().first_read().unwrap_or_else(Instant::now);
        progress.enter(Phase::Body, first_read);

        // an answer that is none is not kept, whatever else is wrong with it
        if !(200..600).contains(&head.status) {
            progress.answer = None;
            return Err(Unsent::Broke(Failure::new(ErrorClass::Protocol, BAD_STATUS)));
        }
        let answer = progress.answer.insert(head.answer);
        if self.wire.meter().has_too_many_interim() {
            return Err(Unsent::Broke(Failure::new(ErrorClass::Protocol, TOO_MANY_INTERIM)));
        }
        let is_whole =
            self.body(&mut writing, head.framing, answer).await.map_err(Unsent::Broke)?;
        failpoint!(AnswerBodyRead);
        // what came behind the answer was not asked for
        let is_idle = is_whole && writing.is_over() && self.read.is_empty();
        let is_kept = is_idle && head.is_persistent;
        Ok(if is_kept { Afterwards::Keep(head.idle_time) } else { Afterwards::Close })
    }

    /// The head of the answer. Interim ones are counted and passed over.
    async fn head(&mut self, writing: &mut Writing) -> Result<Head, Failure> {
        let mut looked_at = 0;
        loop {
            // a head that comes in pieces is not parsed anew with each of them
            let news = &self.read[looked_at.min(self.read.len())..];
            let is_worth_parsing = looked_at == 0 || news.contains(&b'\n');
            let parsed = if is_worth_parsing { Head::parse(&self.read) } else { Ok(None) };
            let parsed = parsed.map_err(|error| head_failure(error, self.wire.meter()))?;
            looked_at = self.read.len();
            if let Some((head, length)) = parsed {
                self.read.advance(length);
                if !head.is_interim() {
                    return Ok(head);
                }
                self.wire.meter().count_interim();
                looked_at = 0;
            } else if !matches!(self.more(writing).await, Ok(1..)) {
                return Err(unanswered(self.wire.meter()));
            }
        }
    }

    /// Reads the body; false when there would have been more than we read.
    async fn body(
        &mut self,
        writing: &mut Writing,
        framing: Framing,
        answer: &mut Partial,
    ) -> Result<bool, Failure> {
        let mut body = Body::new(framing);
        loop {
            match body.take(&mut self.read, answer) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(failure) => {
                    answer.cut();
                    return Err(failure);
                }
            }
            if matches!(self.more(writing).await, Ok(1..)) {
                continue;
            }
            let end = self.wire.meter().end();
            if framing == Framing::UntilClose && end == End::Closed {
                return Ok(true);
            }
            answer.cut();
            return if end == End::TooLong { Ok(false) } else { Err(body_failure(end)) };
        }
    }

    /// Reads more, and meanwhile writes what is left of the request: receivers may answer before
    /// they have taken all of it. 0: there is no more.
    async fn more(&mut self, writing: &mut Writing) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            writing.poll(&mut self.wire, cx);
            self.poll_read(cx)
        })
        .await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.reserve(READ_BYTES);
        pin!(self.wire.read_buf(&mut self.read)).poll(cx)
    }
}

/// A request on its way out.
struct Writing {
    request: Outgoing,
    written: usize,
    state: WritingState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WritingState {
    Writing,
    /// All is written; some of it may still lie in a TLS session.
    Flushing,
    Over,
    Broken,
}

impl Writing {
    fn of(request: Outgoing) -> Self {
        Self { request, written: 0, state: WritingState::Writing }
    }

    fn is_over(&self) -> bool {
        self.state == WritingState::Over
    }

    /// Whether the receiver can't have seen anything of it.
    fn is_void(&self, meter: &Meter) -> bool {
        self.written == 0 && self.state == WritingState::Broken && !meter.has_read()
    }

    /// Writes what can be written now. When that fails, what is read next says why, or is the
    /// answer of a receiver that didn't want to hear the rest.
    fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) {
        while self.state == WritingState::Writing {
            let Outgoing { first, rest } = &self.request;
            let first_left = &first[self.written.min(first.len())..];
            let rest_left = &rest[self.written.saturating_sub(first.len())..];
            match wire.poll_write_pieces(cx, first_left, rest_left) {
                Poll::Pending => return,
                Poll::Ready(Ok(0) | Err(_)) => self.state = WritingState::Broken,
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    if self.written == first.len() + rest.len() {
                        self.state = WritingState::Flushing;
                    }
                }
            }
        }
        if self.state == WritingState::Flushing
            && let Poll::Ready(flushed) = Pin::new(wire).poll_flush(cx)
        {
            self.state = if flushed.is_ok() { WritingState::Over } else { WritingState::Broken };
        }
    }
}

/// A body on its way in.
enum Body {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

impl Body {
    fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::Size),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Takes what is there of it; whether it is whole.
    fn take(&mut self, read: &mut BytesMut, answer: &mut Partial) -> Result<bool, Failure> {
        match self {
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(read.len());
                answer.add(&read[..here]);
                read.advance(here);
                *left -= here as u64;
                Ok(*left == 0)
            }
            Self::Chunked(chunks) => {
                let taken = chunks.take(read, |data| answer.add(data));
                taken.map_err(|_| Failure::new(ErrorClass::Protocol, BAD_FRAMING))?;
                Ok(*chunks == Chunks::Over)
            }
            Self::UntilClose => {
                answer.add(read);
                read.clear();
                Ok(false)
            }
        }
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

/// Why what came is no head.
fn head_failure(error: HeadError, meter: &Meter) -> Failure {
    let detail = match error {
        _ if meter.has_too_many_interim() => TOO_MANY_INTERIM,
        HeadError::NotHttp => NOT_HTTP,
        HeadError::Http2 => HTTP2_ONLY,
        HeadError::BadStatus => BAD_STATUS,
        HeadError::TooManyHeaders => HEAD_TOO_LARGE,
    };
    Failure::new(ErrorClass::Protocol, detail)
}

/// Why there is no head.
fn unanswered(meter: &Meter) -> Failure {
    use ErrorClass as C;
    let (class, detail) = match meter.end() {
        End::TooManyInterim => (C::Protocol, TOO_MANY_INTERIM),
        End::TooLong => (C::Protocol, HEAD_TOO_LARGE),
        _ if meter.has_too_many_interim() => (C::Protocol, TOO_MANY_INTERIM),
        End::BadTls => (C::Tls, BAD_TLS),
        End::Broken => (C::Reset, WAS_RESET),
        End::Closed if meter.has_read() => (C::Truncated, CUT_SHORT),
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
