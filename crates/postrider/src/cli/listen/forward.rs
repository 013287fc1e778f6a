//! A request to the local receiver, with the bytes and headers of a delivery.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::Full;

use crate::cli::client::{connect, exchange, tls_config};
use crate::cli::output::printable;
use crate::cli::server::BaseUrl;

/// As long as an attempt may take at most (wire contract §3).
const FORWARD_SECONDS: u64 = 30;
/// Of the receiver's answer; a delivery reads as much (wire contract §3).
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What the server takes of why there is no answer.
const ERROR_CHARS_MAX: usize = 240;

/// Where deliveries go: an address and what stands behind it.
#[derive(Clone, Debug)]
pub(super) struct ForwardTo {
    base: BaseUrl,
    target: String,
}

/// What the local receiver answered.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl ForwardTo {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let refusal = "write http://HOST:PORT/PATH";
        let uri: Uri = text.parse().map_err(|_| refusal.to_owned())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refusal.to_owned());
        };
        let base = BaseUrl::parse(&format!("{scheme}://{authority}")).ok_or(refusal)?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self { base, target: target.to_owned() })
    }

    /// What was answered; why there is no answer, otherwise.
    pub(super) async fn forward(
        &self,
        headers: &[(String, String)],
        body: Vec<u8>,
        ca_file: Option<&Path>,
    ) -> Result<Answered, String> {
        let answered = self.exchange(headers, body, ca_file).await;
        answered.map_err(|why| why.chars().take(ERROR_CHARS_MAX).collect())
    }

    async fn exchange(
        &self,
        headers: &[(String, String)],
        body: Vec<u8>,
        ca_file: Option<&Path>,
    ) -> Result<Answered, String> {
        let request = self.request(headers, body)?;
        let is_https = self.base.is_https;
        let tls = is_https.then(|| tls_config(ca_file)).transpose();
        let tls = tls.map_err(|failure| failure.summary())?;
        let forward = async {
            let connection = connect(&self.base, tls).await?;
            exchange(connection, request, ANSWER_BYTES_MAX).await
        };
        let answer = tokio::time::timeout(Duration::from_secs(FORWARD_SECONDS), forward)
            .await
            .map_err(|_| format!("{self} did not answer within {FORWARD_SECONDS} s"))?
            .map_err(|error| format!("{self}: {error:#}"))?;
        let status = answer.status.as_u16();
        if !(200..=599).contains(&status) {
            return Err(format!("{self} answered {status}, which is no final status"));
        }
        let headers = answer.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Ok(Answered { status, headers: headers.collect(), body: answer.body })
    }

    fn request(
        &self,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::post(&self.target).header(header::HOST, &self.base.authority);
        for (name, value) in headers {
            let name = HeaderName::try_from(name.as_str());
            let value = HeaderValue::try_from(value.as_str());
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err("the delivery has a header that can't be forwarded".to_owned());
            };
            // these say how this connection is used, not the delivery's
            if ![header::HOST, header::CONNECTION, header::CONTENT_LENGTH].contains(&name) {
                request = request.header(name, value);
            }
        }
        request.body(Full::from(body)).map_err(|error| error.to_string())
    }
}

impl fmt::Display for ForwardTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base, printable(&self.target))
    }
}
