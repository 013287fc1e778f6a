//! What a delivery costs at the least: take a request, sign it, send it on. No storage, no
//! time-outs, no retries, no address checks. The reference that the server is held against.

use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use postrider_signature::{Content, Secret, SigningProfile, sign};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::CONCURRENCY;
use crate::clock::Clock;

struct Forwarder {
    to: SocketAddr,
    /// One for each of the fan-out.
    paths: Vec<Uri>,
    profile: SigningProfile,
    secret: Secret,
    idle: Mutex<Vec<client::SendRequest<Full<Bytes>>>>,
    permits: Arc<Semaphore>,
    clock: Clock,
}

/// Forwards until the parent closes standard input.
pub(super) fn main(to: SocketAddr, fan_out: usize) -> anyhow::Result<()> {
    let paths = (0..fan_out).map(|webhook| Uri::try_from(format!("/{webhook}")));
    let paths = paths.collect::<Result<_, _>>()?;
    let profile = SigningProfile::standard();
    let mut counter = 0u8;
    let secret = Secret::generate(&profile.secret_format, &mut |bytes: &mut [u8]| {
        counter = counter.wrapping_add(1);
        bytes.fill(counter);
    });
    let forwarder = Arc::new(Forwarder {
        to,
        paths,
        profile,
        secret,
        idle: Mutex::default(),
        permits: Arc::new(Semaphore::new(CONCURRENCY)),
        clock: Clock::system(),
    });
    std::thread::spawn(|| {
        // The parent is gone when its end of the pipe is.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        tracing_line(&format!("forwarding from http://{}", listener.local_addr()?));
        loop {
            let (stream, _) = listener.accept().await.context("accepting")?;
            stream.set_nodelay(true)?;
            let forwarder = forwarder.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| take(forwarder.clone(), request));
                // How a publisher's connection ends concerns nobody here.
                let _ =
                    server::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn take(
    forwarder: Arc<Forwarder>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = match request.into_body().collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            for webhook in 0..forwarder.paths.len() {
                let Ok(permit) = forwarder.permits.clone().acquire_owned().await else { break };
                let (forwarder, body) = (forwarder.clone(), body.clone());
                tokio::spawn(async move {
                    // A failed forward shows as a missing arrival.
                    let _ = forwarder.send(webhook, body).await;
                    drop(permit);
                });
            }
            StatusCode::ACCEPTED
        }
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"id\":\"evt_1\"}")));
    *response.status_mut() = status;
    Ok(response)
}

impl Forwarder {
    async fn send(&self, webhook: usize, body: Bytes) -> anyhow::Result<()> {
        let now_ms = self.clock.now();
        let content =
            Content { id: "evt_1", event_time_ms: now_ms, now_ms, body: &body, server_host: None };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.paths[webhook].clone())
            .header("host", self.to.to_string())
            .header("content-type", "application/json");
        for (name, value) in sign(&self.profile, &self.secret, &[], &content) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        response.into_body().collect().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<client::SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.to).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[expect(clippy::print_stderr, reason = "the parent reads the address there")]
fn tracing_line(line: &str) {
    eprintln!("{line}");
}
