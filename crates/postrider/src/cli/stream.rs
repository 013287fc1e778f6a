//! An answer that comes line by line for as long as the connection stands.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::client::{Answer, Stream};
use super::failure::Failure;
use super::server::Server;

/// Until the head of the answer is there.
const HEAD_SECONDS: u64 = 30;
/// The server says something every 15 s; after three silences it is gone.
const SILENCE_SECONDS: u64 = 45;
/// Of a line: a body of 16 MiB, the most that a server can be set to take, in Base64, and its
/// headers.
const LINE_BYTES_MAX: usize = 24 << 20;
/// Of an answer that refuses.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

/// Lines of an answer. Dropping it closes the connection.
pub(super) struct Lines {
    driven: Driven,
    body: Incoming,
    read: BytesMut,
    /// Without it, hyper would take the connection for one that nobody needs any more.
    _sender: SendRequest<Full<Bytes>>,
}

/// A connection that moves on while something that depends on it is waited for.
struct Driven(Option<Pin<Box<Http1>>>);

type Http1 = Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

impl Server {
    /// Posts a JSON body and reads the answer line by line; one beyond 2xx is a [`Failure`].
    pub(super) async fn stream(&self, path: &str, json: Vec<u8>) -> Result<Lines, Failure> {
        let request = self.build(Method::POST, path, Some(json))?;
        let stream = self.connect().await?;
        let broken = |error: hyper::Error| self.unreachable(&error.to_string());
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let mut driven = Driven(Some(Box::pin(connection)));
        let limit = Duration::from_secs(HEAD_SECONDS);
        let answer = tokio::time::timeout(limit, driven.while_in(sender.send_request(request)));
        let answer = answer
            .await
            .map_err(|_| self.unreachable(&format!("no answer within {HEAD_SECONDS} s")))?
            .map_err(broken)?;
        let (head, body) = answer.into_parts();
        if head.status.is_success() {
            return Ok(Lines { driven, body, read: BytesMut::new(), _sender: sender });
        }
        let refusal = driven.while_in(Limited::new(body, REFUSAL_BYTES_MAX).collect());
        let refusal = tokio::time::timeout(limit, refusal).await;
        let body = refusal.ok().and_then(Result::ok).map(Collected::to_bytes).unwrap_or_default();
        Err(Failure::from_answer(&Answer { status: head.status, headers: head.headers, body }))
    }
}

impl Lines {
    /// The next line without its end; why there is none otherwise. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Bytes, String> {
        loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                let line = self.read.split_to(end + 1).freeze();
                return Ok(line.slice(..end));
            }
            if self.read.len() > LINE_BYTES_MAX {
                return Err("it sent a line that is too long".to_owned());
            }
            let silence = Duration::from_secs(SILENCE_SECONDS);
            let frame = self.driven.while_in(self.body.frame());
            match tokio::time::timeout(silence, frame).await {
                Err(_) => return Err(format!("it was silent for {SILENCE_SECONDS} s")),
                Ok(None) => return Err("it closed the connection".to_owned()),
                Ok(Some(Err(error))) => return Err(error.to_string()),
                Ok(Some(Ok(frame))) => {
                    self.read.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
            }
        }
    }
}

impl Driven {
    async fn while_in<F: Future>(&mut self, waited_for: F) -> F::Output {
        let mut waited_for = std::pin::pin!(waited_for);
        std::future::poll_fn(|context| {
            // its end, and its error, reach whoever waits too, and say more there
            if let Some(connection) = &mut self.0
                && connection.as_mut().poll(context).is_ready()
            {
                self.0 = None;
            }
            waited_for.as_mut().poll(context)
        })
        .await
    }
}
