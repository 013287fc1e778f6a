//! The client's HTTP: one request over one connection, then done.
//!
//! Hyper and rustls are here anyway for the sender. Reqwest would add its own layers to the tree
//! for pooling, redirects, proxies and cookies, and a command wants none of them: a redirect must
//! not carry the key elsewhere.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::{Failure, FailureKind};
use super::output::printable;
use super::server::Server;

/// Until a connection stands, TLS included.
const CONNECT_SECONDS: u64 = 10;
/// From then to the end of the answer: a batch of 1,000 commits in far less, and `inbox` waits
/// at most 10 s.
const ANSWER_SECONDS: u64 = 60;
/// Of an answer. A page of 250 webhooks or the deliveries of an event take less than a tenth.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

impl Server {
    /// Sends a request and returns its answer if that is 2xx; every other is a [`Failure`].
    ///
    /// `path` begins with `/` and may have a query.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let request = self.build(method, path, json)?;
        let is_https = self.base.is_https;
        let tls = is_https.then(|| tls_config(self.ca_file.as_deref())).transpose()?;
        let connect =
            tokio::time::timeout(Duration::from_secs(CONNECT_SECONDS), connect(self, tls));
        let connection = connect
            .await
            .map_err(|_| self.unreachable(&format!("no connection within {CONNECT_SECONDS} s")))?
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let exchange = tokio::time::timeout(
            Duration::from_secs(ANSWER_SECONDS),
            exchange(connection, request),
        );
        let answer = exchange
            .await
            .map_err(|_| self.unreachable(&format!("no whole answer within {ANSWER_SECONDS} s")))?
            .map_err(|error| self.unreachable(&format!("{error:#}")))?;
        if answer.status.is_success() { Ok(answer) } else { Err(Failure::from_answer(&answer)) }
    }

    fn build(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.base.authority)
            .header(USER_AGENT, concat!("postrider-cli/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if let Some(key) = &self.api_key {
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| Failure::usage("the key for the API can't stand in a header"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("postrider-tenant", tenant);
        }
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::from(json.unwrap_or_default()))
            .map_err(|error| Failure::usage(format!("no request can be made of this: {error}")))
    }

    fn unreachable(&self, why: &str) -> Failure {
        let text = format!("no answer from {}: {}", self.base, printable(why));
        Failure::new(FailureKind::Unreachable, text).hint(
            "is it running? Start one with `postrider serve --dev`, or set --server or POSTRIDER_URL",
        )
    }
}

async fn connect(server: &Server, tls: Option<ClientConfig>) -> io::Result<Box<dyn Connection>> {
    let base = &server.base;
    let tcp = TcpStream::connect((base.host.as_str(), base.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(base.host.clone()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::new(tls)).connect(name, tcp).await?))
}

/// Trusts the public authorities, and those of a file besides.
fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        let refuse = |why: &dyn std::fmt::Display| {
            Failure::usage(format!("--ca-file {}: {why}", printable(&path.to_string_lossy())))
                .hint("name a PEM file of certificates")
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refuse(&error))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| refuse(&error))?;
            roots.add(certificate).map_err(|error| refuse(&error))?;
        }
        if roots.len() == before {
            return Err(refuse(&"holds no certificate"));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::other(format!("TLS cannot be prepared: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

async fn exchange(
    connection: Box<dyn Connection>,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
        anyhow::Ok(Answer { status: head.status, body: body.to_bytes() })
    };
    // the connection is driven here and nowhere else, so nothing outlives the command
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // its error is the request's too, which says more
        _ = &mut connection => answer.await,
    }
}
