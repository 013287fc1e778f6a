//! One connection: what it is doing, since when, and how it is told to stop.
//!
//! A [`Watch`] is shared by the connection's parts (its socket, its body, its service) and the
//! accept loop's sweep. The parts note phases against a clock that only the sweep advances, so
//! a request costs no timer and no reading of the clock.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{io, net::SocketAddr};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::limits::{BODY_RATE_MIN_BYTES_PER_S, HttpLimits};

/// Who is at the other end of a request's connection; an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Sweeps since the server started.
#[derive(Debug, Default)]
pub(super) struct SweepClock(AtomicU32);

impl SweepClock {
    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Between requests, or writing an answer.
    Idle,
    /// A request's head is expected or has begun.
    Head,
    /// A handler has the request. Handlers bound themselves.
    Handling,
    /// A handler waits for the rest of the body.
    Body,
}

/// What the sweep does about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Nobody waits for an answer: end it.
    Cut,
}

#[derive(Debug)]
pub(super) struct Watch {
    clock: Arc<SweepClock>,
    phase: AtomicU8,
    /// The sweep in which the phase began, or, when idle, in which bytes were last written.
    since: AtomicU32,
    /// Of the body, while [`Phase::Body`] lasts.
    body_bytes: AtomicU64,
    is_body_overdue: AtomicBool,
    is_closing: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Watch {
    pub(super) fn new(clock: Arc<SweepClock>) -> Self {
        let since = clock.now();
        Self {
            clock,
            // a connection that never says anything is as bad as one that stops in its head
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU32::new(since),
            body_bytes: AtomicU64::new(0),
            is_body_overdue: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// Notes the task to wake; call it in the connection's first poll.
    pub(super) fn register(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    /// Asks the connection to end after the request in hand.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    pub(super) fn request_began(&self) {
        // the last body may have ended in the moment in which it was found too slow
        self.is_body_overdue.store(false, Ordering::Relaxed);
        self.body_bytes.store(0, Ordering::Relaxed);
        self.enter(Phase::Handling);
    }

    pub(super) fn request_answered(&self) {
        self.enter(Phase::Idle);
    }

    /// Judges the connection by its phase; wakes a body reader whose sender is too slow.
    pub(super) fn sweep(&self, limits: &HttpLimits) -> Verdict {
        let sweeps = self.clock.now().wrapping_sub(self.since.load(Ordering::Relaxed));
        let lasted = limits.sweep_every * sweeps;
        match self.phase() {
            Phase::Idle if lasted > limits.idle_timeout => Verdict::Cut,
            Phase::Head if lasted > limits.head_timeout => Verdict::Cut,
            Phase::Body if self.is_body_slow(lasted, limits) => {
                self.is_body_overdue.store(true, Ordering::Relaxed);
                self.wake();
                Verdict::Keep
            }
            Phase::Idle | Phase::Head | Phase::Handling | Phase::Body => Verdict::Keep,
        }
    }

    fn is_body_slow(&self, lasted: Duration, limits: &HttpLimits) -> bool {
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        let wanted = lasted_ms.saturating_mul(BODY_RATE_MIN_BYTES_PER_S) / 1_000;
        lasted > limits.body_timeout
            || (lasted > limits.body_grace && self.body_bytes.load(Ordering::Relaxed) < wanted)
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Handling,
            _ => Phase::Body,
        }
    }

    fn enter(&self, phase: Phase) {
        self.since.store(self.clock.now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }
}

/// A socket that notes when a request's head begins and when an answer makes progress.
#[derive(Debug)]
pub(super) struct WatchedIo<T> {
    pub(super) io: T,
    pub(super) watch: Arc<Watch>,
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before && self.watch.phase() == Phase::Idle {
            self.watch.enter(Phase::Head);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> WatchedIo<T> {
    fn note_written(&self, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(1..))) && self.watch.phase() == Phase::Idle {
            self.watch.enter(Phase::Idle);
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note_written(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note_written(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A request's body whose sender is held to a minimum rate.
#[derive(Debug)]
pub(super) struct WatchedBody {
    pub(super) body: Incoming,
    pub(super) watch: Arc<Watch>,
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body did not arrive in time")]
    TimedOut,
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let watch = &self.watch;
        match polled {
            Poll::Pending if watch.is_body_overdue.load(Ordering::Relaxed) => {
                watch.enter(Phase::Handling);
                Poll::Ready(Some(Err(BodyError::TimedOut)))
            }
            Poll::Pending => {
                if watch.phase() == Phase::Handling {
                    watch.enter(Phase::Body);
                }
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                let read = frame.data_ref().map_or(0, Bytes::len) as u64;
                watch.body_bytes.fetch_add(read, Ordering::Relaxed);
                if self.body.is_end_stream() {
                    watch.enter(Phase::Handling);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(ended) => {
                watch.enter(Phase::Handling);
                Poll::Ready(ended.map(|frame| frame.map_err(BodyError::Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sweeps: u32, prepare: impl FnOnce(&Watch)) -> (Verdict, Watch) {
        let clock = Arc::new(SweepClock::default());
        let watch = Watch::new(Arc::clone(&clock));
        prepare(&watch);
        for _ in 0..sweeps {
            clock.advance();
        }
        (watch.sweep(&HttpLimits::default()), watch)
    }

    #[test]
    fn a_silent_connection_is_cut_when_its_head_is_overdue() {
        assert_eq!(after(10, |_| ()).0, Verdict::Keep);
        assert_eq!(after(11, |_| ()).0, Verdict::Cut);
    }

    #[test]
    fn an_idle_connection_outlives_the_head_timeout() {
        assert_eq!(after(60, Watch::request_answered).0, Verdict::Keep);
        assert_eq!(after(76, Watch::request_answered).0, Verdict::Cut);
    }

    #[test]
    fn a_handler_is_never_cut() {
        assert_eq!(after(1_000, Watch::request_began).0, Verdict::Keep);
    }

    #[test]
    fn a_body_is_overdue_when_it_is_slow_or_late() {
        let check = |sweeps, bytes, is_overdue| {
            let (verdict, watch) = after(sweeps, |watch| {
                watch.enter(Phase::Body);
                watch.body_bytes.store(bytes, Ordering::Relaxed);
            });
            assert_eq!(verdict, Verdict::Keep, "the handler answers 408");
            assert_eq!(watch.is_body_overdue.load(Ordering::Relaxed), is_overdue);
        };
        check(5, 0, false);
        check(6, 0, true);
        check(6, 6 * 1_024, false);
        check(60, 1 << 20, false);
        check(61, 1 << 20, true);
    }
}
