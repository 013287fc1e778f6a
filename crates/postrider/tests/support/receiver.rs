//! A receiver that keeps every byte it gets and answers by script.

use std::collections::VecDeque;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::http::{self, Exchanged, Side};

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// This status and no body.
    Status(u16),
    /// These bytes, and the connection is closed.
    Raw(Vec<u8>),
    /// This status once the test says [`Receiver::release`].
    Held(u16),
    /// The connection is reset.
    Reset,
    /// Nothing, for as long as the other side waits.
    Silence,
    /// 200 and a body that comes byte by byte, one each time this has passed, without end.
    Trickle(Duration),
    /// 200 and a body that never ends, as fast as it is read.
    Endless,
}

/// A delivery as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) request: Exchanged,
    /// What the receiver behind this one said, where there is one.
    pub(crate) verdict: Option<Exchanged>,
}

/// Listens on a port of its own until it is dropped. What the script doesn't say is answered by
/// the receiver behind it, or with 204.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behind: Option<SocketAddr>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    deliveries: Vec<Delivery>,
    script: VecDeque<Answer>,
    /// How many held answers may go.
    released: usize,
    connections: Vec<TcpStream>,
    connections_count: usize,
    is_stopping: bool,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::listen(None)
    }

    /// Hands the bytes of each request on to another receiver and keeps what it says.
    pub(crate) fn before(behind: SocketAddr) -> Self {
        Self::listen(Some(behind))
    }

    fn listen(behind: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared =
            Arc::new(Shared { behind, state: Mutex::default(), changed: Condvar::default() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(copy) = stream.try_clone() else { continue };
                let mut state = accepting.lock();
                if state.is_stopping {
                    return;
                }
                state.connections.push(copy);
                state.connections_count += 1;
                drop(state);
                let serving = Arc::clone(&accepting);
                // an error is the other side's going away, which is its own affair
                thread::spawn(move || serving.serve(&stream).unwrap_or_default());
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks/in?from=postrider", self.address)
    }

    /// The next requests are answered so, in this order.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().script.extend(answers);
    }

    /// Lets one more held answer go.
    pub(crate) fn release(&self) {
        self.shared.lock().released += 1;
        self.shared.changed.notify_all();
    }

    /// What arrived, once that is `count` deliveries or more.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Delivery> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while state.deliveries.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} deliveries arrived", state.deliveries.len());
            state = self.shared.wait(state, left);
        }
        state.deliveries.clone()
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.shared.lock().deliveries.clone()
    }

    /// How many connections were ever made to it.
    pub(crate) fn connections_count(&self) -> usize {
        self.shared.lock().connections_count
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_stopping = true;
        for connection in state.connections.drain(..) {
            // one that is closed already can't be shut down
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // wakes the accepting thread, which sees the end
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut input = BufReader::new(stream.try_clone()?);
        while let Some(request) = http::read(&mut input, Side::Server)? {
            let verdict = self.behind.map(|behind| http::send_raw(behind, &request.raw));
            let answer = {
                let mut state = self.lock();
                let unscripted = || Answer::Status(verdict.as_ref().map_or(204, Exchanged::status));
                let answer = state.script.pop_front().unwrap_or_else(unscripted);
                state.deliveries.push(Delivery { request, verdict });
                answer
            };
            self.changed.notify_all();
            self.answer(stream, answer)?;
        }
        Ok(())
    }

    fn answer(&self, mut stream: &TcpStream, answer: Answer) -> io::Result<()> {
        match answer {
            Answer::Status(status) => stream.write_all(head(status).as_bytes()),
            Answer::Held(status) => {
                let mut state = self.lock();
                while state.released == 0 && !state.is_stopping {
                    state = self.wait(state, PATIENCE);
                }
                state.released = state.released.saturating_sub(1);
                drop(state);
                stream.write_all(head(status).as_bytes())
            }
            Answer::Raw(bytes) => {
                stream.write_all(&bytes)?;
                stream.shutdown(Shutdown::Both)
            }
            Answer::Reset => {
                // closing at once without lingering sends RST; the copy in `connections` must go
                // too, or the socket stays open
                socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                let peer = stream.peer_addr()?;
                self.lock().connections.retain(|known| known.peer_addr().ok() != Some(peer));
                Err(io::ErrorKind::ConnectionReset.into())
            }
            // the thread goes on reading, and ends with the connection
            Answer::Silence => Ok(()),
            Answer::Trickle(pause) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    let state = self.lock();
                    if self.wait(state, pause).is_stopping {
                        return Ok(());
                    }
                    stream.write_all(b".")?;
                }
            }
            Answer::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'.'; 8_192])?;
                }
            }
        }
    }
}

fn head(status: u16) -> String {
    let length = if status == 204 { "" } else { "content-length: 0\r\n" };
    format!("HTTP/1.1 {status} Scripted\r\n{length}\r\n")
}
