//! Receivers that do exactly what a test says, on real loopback sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A listening receiver. Dropping it stops it and closes its connections.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    accepts: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Receiver {
    /// Runs `serve` for every connection, with its number from 0 and a counter of requests.
    pub(crate) async fn start<F, S>(serve: S) -> Self
    where
        S: Fn(TcpStream, usize, Arc<AtomicUsize>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, serve)
    }

    pub(crate) fn on<F, S>(listener: TcpListener, serve: S) -> Self
    where
        S: Fn(TcpStream, usize, Arc<AtomicUsize>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let accepts = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(AtomicUsize::new(0));
        let counters = (Arc::clone(&accepts), Arc::clone(&requests));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counters.0.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, number, Arc::clone(&counters.1)));
            }
        });
        Self { address, accepts, requests, _serving: serving }
    }

    /// Answers every request of every connection with these bytes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut stream, _, requests| {
            let answer = Arc::clone(&answer);
            async move {
                while read_request(&mut stream).await.is_some() {
                    requests.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(&answer).await.unwrap();
                }
            }
        })
        .await
    }

    /// Reads one request, sends these bytes and then ends as told.
    pub(crate) async fn ending(answer: impl Into<Vec<u8>>, ending: Ending) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut stream, _, requests| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream).await.unwrap();
                requests.fetch_add(1, Ordering::SeqCst);
                stream.write_all(&answer).await.unwrap();
                match ending {
                    Ending::Close => {}
                    Ending::Reset => reset_on_drop(&stream),
                    Ending::Hold => std::future::pending().await,
                }
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }

    pub(crate) fn accepts(&self) -> usize {
        self.accepts.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    Reset,
    Hold,
}

/// Makes the stream close with RST instead of FIN.
pub(crate) fn reset_on_drop(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

/// One request with its body; `None` when the connection ended before one began.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let head_end = loop {
        if let Some(at) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&request[..head_end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse::<usize>().unwrap());
    while request.len() < head_end + length {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}
