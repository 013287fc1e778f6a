//! The bytes between us and a receiver: plain or TLS, counted and bounded.
//!
//! The [`Meter`] is how the sender learns what happened below TLS, whose errors don't say by type
//! whether a connection was reset or ended.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::limits::{ANSWER_READ_BYTES_MAX, INTERIM_ANSWERS_MAX};
use postrider_store::failpoint;

/// What one connection did since its request began. Shared between the connection's owner and the
/// socket inside TLS; both run in one task at a time, so relaxed ordering is enough.
#[derive(Debug)]
pub(super) struct Meter {
    made: Instant,
    bytes_read: AtomicUsize,
    /// Microseconds since `made`, plus one; zero when nothing was read.
    first_read_us: AtomicU64,
    interim_answers: AtomicU32,
    end: AtomicU8,
    is_probing: AtomicBool,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    Open = 0,
    /// The receiver closed its side.
    Closed = 1,
    /// The connection was reset or broke.
    Broken = 2,
    /// The TLS records made no sense.
    BadTls = 3,
    /// We stopped reading: the answer is longer than what we read.
    TooLong = 4,
    /// We stopped reading: there were too many interim answers.
    TooManyInterim = 5,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            made: Instant::now(),
            bytes_read: AtomicUsize::new(0),
            first_read_us: AtomicU64::new(0),
            interim_answers: AtomicU32::new(0),
            end: AtomicU8::new(End::Open as u8),
            is_probing: AtomicBool::new(false),
        }
    }

    /// When the connection was made.
    pub(super) fn made(&self) -> Instant {
        self.made
    }

    /// Starts counting anew, for the next request.
    pub(super) fn begin(&self) {
        self.bytes_read.store(0, Ordering::Relaxed);
        self.first_read_us.store(0, Ordering::Relaxed);
        self.interim_answers.store(0, Ordering::Relaxed);
    }

    /// Makes the next read ask the socket itself. The runtime knows of a close only once it has
    /// polled for events since; this closes that gap for one system call.
    pub(super) fn probe(&self) {
        self.is_probing.store(true, Ordering::Relaxed);
    }

    pub(super) fn count_interim(&self) {
        self.interim_answers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn has_too_many_interim(&self) -> bool {
        self.interim_answers.load(Ordering::Relaxed) > INTERIM_ANSWERS_MAX
    }

    pub(super) fn has_read(&self) -> bool {
        self.bytes_read.load(Ordering::Relaxed) > 0
    }

    /// When the answer's first byte was read.
    pub(super) fn first_read(&self) -> Option<Instant> {
        match self.first_read_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(self.made + Duration::from_micros(us - 1)),
        }
    }

    pub(super) fn end(&self) -> End {
        match self.end.load(Ordering::Relaxed) {
            0 => End::Open,
            1 => End::Closed,
            3 => End::BadTls,
            4 => End::TooLong,
            5 => End::TooManyInterim,
            _ => End::Broken,
        }
    }

    /// The first end is the cause, what follows are consequences.
    fn note_end(&self, end: End) {
        if self.end() == End::Open {
            self.end.store(end as u8, Ordering::Relaxed);
        }
    }

    fn note_error(&self, error: &io::Error) {
        let is_tls =
            error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
        self.note_end(if is_tls { End::BadTls } else { End::Broken });
    }

    fn note_read(&self, count: usize) {
        let before = self.bytes_read.load(Ordering::Relaxed);
        if before == 0 {
            let us = u64::try_from(self.made.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
            self.first_read_us.store(us + 1, Ordering::Relaxed);
        }
        self.bytes_read.store(before + count, Ordering::Relaxed);
    }

    /// How much of this answer may still be read.
    fn room(&self) -> Result<usize, End> {
        if self.has_too_many_interim() {
            return Err(End::TooManyInterim);
        }
        match ANSWER_READ_BYTES_MAX.saturating_sub(self.bytes_read.load(Ordering::Relaxed)) {
            0 => Err(End::TooLong),
            room => Ok(room),
        }
    }
}

/// A TCP connection that can ask the kernel, past the runtime, whether anything has come.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) tcp: TcpStream,
    pub(super) meter: Arc<Meter>,
}

impl Socket {
    /// Reads what the kernel has now; `None` when that is nothing yet.
    fn read_now(&self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let socket = SockRef::from(&self.tcp);
        let mut first_byte = [std::mem::MaybeUninit::uninit()];
        match socket.peek(&mut first_byte) {
            Ok(0) => Some(Ok(())),
            Ok(_) => match io::Read::read(&mut &*socket, buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    Some(Ok(()))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                Err(error) => Some(Err(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.is_probing.swap(false, Ordering::Relaxed)
            && let Some(read) = self.read_now(buffer)
        {
            return Poll::Ready(read);
        }
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[derive(Debug)]
enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// A connection's stream, measured.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    meter: Arc<Meter>,
}

/// Calls a method of whichever stream it is.
macro_rules! on_stream {
    ($wire:expr, $stream:ident => $call:expr) => {
        match &mut $wire.stream {
            Stream::Plain(socket) => {
                let $stream = Pin::new(socket);
                $call
            }
            Stream::Tls(tls) => {
                let $stream = Pin::new(tls.as_mut());
                $call
            }
        }
    };
}

impl Wire {
    pub(super) fn plain(socket: Socket) -> Self {
        Self { meter: Arc::clone(&socket.meter), stream: Stream::Plain(socket) }
    }

    pub(super) fn tls(stream: TlsStream<Socket>) -> Self {
        Self { meter: Arc::clone(&stream.get_ref().0.meter), stream: Stream::Tls(Box::new(stream)) }
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Writes what can be written now of two pieces, of which either may be empty.
    pub(super) fn poll_write_pieces(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        rest: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wire = Pin::new(self);
        failpoint!(RequestWriting, return wire.poll_write(cx, &first[..first.len() / 2]));
        let written = match (first, rest) {
            (only, []) | ([], only) => wire.as_mut().poll_write(cx, only),
            (first, rest) => {
                let pieces = [io::IoSlice::new(first), io::IoSlice::new(rest)];
                let written = on_stream!(wire, stream => stream.poll_write_vectored(cx, &pieces));
                wire.noting(written)
            }
        };
        failpoint!(RequestWritten);
        written
    }

    fn noting<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result {
            self.meter.note_error(error);
        }
        result
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = match self.meter.room() {
            Ok(room) => room,
            Err(end) => {
                self.meter.note_end(end);
                return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
            }
        };
        let before = buffer.filled().len();
        let polled = if buffer.remaining() <= room {
            on_stream!(self, stream => stream.poll_read(cx, buffer))
        } else {
            // only near the bound: filling the buffer with zeros is what safe code pays for it
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
            let polled = on_stream!(self, stream => stream.poll_read(cx, &mut part));
            let count = part.filled().len();
            buffer.advance(count);
            polled
        };
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                match buffer.filled().len() - before {
                    0 => self.meter.note_end(End::Closed),
                    count => self.meter.note_read(count),
                }
                Poll::Ready(Ok(()))
            }
            // TCP ended without a TLS goodbye, as many servers do. Whether the answer was whole
            // is for HTTP's own framing to say.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.meter.note_end(End::Closed);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => self.noting(Poll::Ready(Err(error))),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = on_stream!(self, stream => stream.poll_write(cx, data));
        self.noting(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = on_stream!(self, stream => stream.poll_flush(cx));
        self.noting(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_shutdown(cx))
    }
}
