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
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::{Failure, FailureKind};
use super::input::to_json;
use super::output::printable;
use super::server::{BaseUrl, Server};

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
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// TCP, perhaps with TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Answer {
    /// The body as JSON.
    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let text = match error.classify() {
                serde_json::error::Category::Data => "the answer has another form than expected",
                _ => "the answer is not JSON",
            };
            Failure::other(text).hint("is it Postrider that answers there?")
        })
    }
}

impl Server {
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.request(Method::GET, path, None).await
    }

    /// Posts a JSON body, or none.
    pub(super) async fn post(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, Failure> {
        self.request(Method::POST, path, body.map(to_json).transpose()?).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Answer, Failure> {
        self.request(Method::DELETE, path, None).await
    }

    /// Sends a request and returns its answer if that is 2xx; every other is a [`Failure`].
    ///
    /// `path` begins with `/` and may have a query.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let answer = self.ask(method, path, json).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(Failure::from_answer(&answer)) }
    }

    /// Sends a request and returns its answer, whatever it is.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let request = self.build(method, path, json)?;
        let connection = self.connect().await?;
        let exchange = tokio::time::timeout(
            Duration::from_secs(ANSWER_SECONDS),
            exchange(connection, request, ANSWER_BYTES_MAX),
        );
        exchange
            .await
            .map_err(|_| self.unreachable(&format!("no whole answer within {ANSWER_SECONDS} s")))?
            .map_err(|error| self.unreachable(&format!("{error:#}")))
    }

    /// A connection, TLS included where the address is `https`.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let is_https = self.base.is_https;
        let tls = is_https.then(|| tls_config(self.ca_file.as_deref())).transpose()?;
        let connect =
            tokio::time::timeout(Duration::from_secs(CONNECT_SECONDS), connect(&self.base, tls));
        connect
            .await
            .map_err(|_| self.unreachable(&format!("no connection within {CONNECT_SECONDS} s")))?
            .map_err(|error| self.unreachable(&error.to_string()))
    }

    pub(super) fn build(
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
                .map_err(|_| Failure::fault("the key for the API can't stand in a header"))?;
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
            .map_err(|error| Failure::fault(format!("no request can be made of this: {error}")))
    }

    pub(super) fn unreachable(&self, why: &str) -> Failure {
        let text = format!("no answer from {}: {}", self.base, printable(why));
        Failure::new(FailureKind::Unreachable, text).hint(
            "is it running? Start one with `postrider serve --dev`, or set --server or POSTRIDER_URL",
        )
    }
}

/// Connects to an address; with `tls`, for its host's name.
pub(super) async fn connect(
    base: &BaseUrl,
    tls: Option<ClientConfig>,
) -> io::Result<Box<dyn Stream>> {
    let tcp = TcpStream::connect((base.host.as_str(), base.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(base.host.clone()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::new(tls)).connect(name, tcp).await?))
}

/// Trusts the public authorities, and those of a file besides.
pub(super) fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, Failure> {
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
        .map_err(|error| Failure::fault(format!("TLS cannot be prepared: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// One request over one connection, and its answer of at most so many bytes.
pub(super) async fn exchange(
    connection: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    body_bytes_max: usize,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, body_bytes_max).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
        anyhow::Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
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
