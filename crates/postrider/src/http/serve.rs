//! The accept loop, of our own: `axum::serve` installs no timer, bounds nothing and can't be
//! told how long a client may take.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, Request, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tower::Service;

use super::connection::{Peer, SweepClock, Verdict, Watch, WatchedBody, WatchedIo};
use super::limits::{ACCEPT_PAUSE, HEAD_BYTES_MAX, HttpLimits, URI_BYTES_MAX};
use super::problem::{ApiError, Code};

/// Serves `routes` on `listener` until `shutdown` is ready; then closes the listener, lets the
/// requests in hand end, and returns when the last connection has.
///
/// Dropping the future cuts what is left, so the caller bounds the draining. Each request
/// carries a [`Peer`]. An error of accepting never ends the loop.
pub async fn run(
    listener: TcpListener,
    routes: impl Routes,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let mut connections = Connections::new(limits);
    let mut shutdown = pin!(shutdown);
    loop {
        let has_room = connections.tasks.len() < limits.connections_max;
        tokio::select! {
            () = &mut shutdown => break,
            _ = connections.sweeps.tick() => connections.sweep(),
            Some(ended) = connections.tasks.join_next() => report(ended),
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, peer)) => connections.serve(stream, Peer(peer), &routes),
                Err(error) if is_the_peers_fault(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.close();
    while !connections.tasks.is_empty() {
        tokio::select! {
            _ = connections.sweeps.tick() => connections.sweep(),
            Some(ended) = connections.tasks.join_next() => report(ended),
        }
    }
}

/// What answers requests.
pub trait Routes:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Routes for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

struct Connections {
    limits: HttpLimits,
    clock: Arc<SweepClock>,
    sweeps: Interval,
    tasks: JoinSet<()>,
    watched: Vec<(Arc<Watch>, AbortHandle)>,
}

impl Connections {
    fn new(limits: HttpLimits) -> Self {
        let mut sweeps = interval(limits.sweep_every);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { limits, clock: Arc::default(), sweeps, tasks: JoinSet::new(), watched: Vec::new() }
    }

    fn serve(&mut self, stream: TcpStream, peer: Peer, routes: &impl Routes) {
        // answers are written whole; without this the kernel may hold a short one back. It fails
        // only on a connection that is gone already
        let _ = stream.set_nodelay(true);
        let watch = Arc::new(Watch::new(Arc::clone(&self.clock)));
        let task = self.tasks.spawn(converse(stream, peer, routes.clone(), Arc::clone(&watch)));
        self.watched.push((watch, task));
    }

    fn sweep(&mut self) {
        self.clock.advance();
        self.watched.retain(|(watch, task)| {
            if watch.sweep(&self.limits) == Verdict::Cut {
                task.abort();
            }
            !task.is_finished()
        });
    }

    fn close(&self) {
        for (watch, _) in &self.watched {
            watch.close();
        }
    }
}

/// Serves one connection to its end. How it ended concerns nobody but its peer.
async fn converse(stream: TcpStream, peer: Peer, routes: impl Routes, watch: Arc<Watch>) {
    let io = TokioIo::new(WatchedIo { io: stream, watch: Arc::clone(&watch) });
    let service = service_fn(|request| answer(request, peer, routes.clone(), &watch));
    let connection =
        // most answers are short: copying one costs less than telling the kernel of two pieces
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).writev(false).serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut is_registered = false;
    let mut is_told = false;
    let _ = poll_fn(|cx| {
        if !is_registered {
            watch.register(cx.waker());
            is_registered = true;
        }
        if !is_told && watch.is_closing() {
            connection.as_mut().graceful_shutdown();
            is_told = true;
        }
        connection.as_mut().poll(cx)
    })
    .await;
}

async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    mut routes: impl Routes,
    watch: &Arc<Watch>,
) -> Result<Response, Infallible> {
    watch.request_began();
    // hyper serves a request that has both framings by its chunks and hides the length from us;
    // RFC 9112 §6.1 wants such a connection closed, so each chunked one is
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = if let Err(refusal) = check_head(&request) {
        refusal.into_response()
    } else {
        let mut request =
            request.map(|body| Body::new(WatchedBody { body, watch: Arc::clone(watch) }));
        request.extensions_mut().insert(peer);
        routes.call(request).await?
    };
    if is_chunked {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    watch.request_answered();
    Ok(response)
}

/// What no route has to deal with.
fn check_head<B>(request: &Request<B>) -> Result<(), ApiError> {
    if request.method() == Method::CONNECT {
        return Err(ApiError::new(Code::MethodNotAllowed, "this is not a proxy"));
    }
    let uri = request.uri();
    let target_bytes = uri.path().len() + uri.query().map_or(0, str::len);
    if target_bytes > URI_BYTES_MAX {
        return Err(ApiError::new(
            Code::UriTooLong,
            format!("the request's path and query are longer than {URI_BYTES_MAX} bytes"),
        ));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let has_host = hosts.next().is_some();
    // RFC 9112 §3.2
    if hosts.next().is_some() || (!has_host && request.version() == Version::HTTP_11) {
        return Err(ApiError::new(Code::BadRequest, "send exactly one Host header"));
    }
    Ok(())
}

fn is_the_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A panic in a handler ends its connection and no more than that; it is a fault of ours.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request handler panicked");
    }
}
