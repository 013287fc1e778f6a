//! TLS: who is believed, and what is said when somebody is not.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider::send::{Sender, SenderOptions, Sent};
use postrider_core::delivery::AttemptResult;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Receiver, read_request};
use crate::{options, outcome, request};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const HOST: &str = "receiver.example.org";

/// A certificate authority of the test's own.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn server(&self, names: &[SanType], years: (i32, i32), alpn: &[u8]) -> ServerConfig {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.to_vec();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }

    fn options(&self) -> SenderOptions {
        let mut options = options(&["127.0.0.0/8"], &[(HOST, "127.0.0.1")]);
        options.extra_roots = vec![self.certificate.clone()];
        options
    }

    fn sender(&self) -> Sender {
        Sender::new(self.options()).unwrap()
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn valid() -> (i32, i32) {
    (2020, 2100)
}

/// What a TLS receiver saw of each connection: the name asked for, and whether it was resumed.
type Seen = Arc<Mutex<Vec<(Option<String>, HandshakeKind)>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Keep,
    /// Without a word: no `Connection: close`, no TLS goodbye.
    Close,
}

async fn tls_receiver(
    config: ServerConfig,
    answer: &'static str,
    afterwards: Afterwards,
) -> (Receiver, Seen) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let receiver = Receiver::start(move |stream, _, _| {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&record));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let connection = stream.get_ref().1;
            let name = connection.server_name().map(str::to_owned);
            let kind = connection.handshake_kind().unwrap();
            seen.lock().unwrap().push((name, kind));
            while read_request(&mut stream).await.is_some() {
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                if afterwards == Afterwards::Close {
                    return;
                }
            }
        }
    })
    .await;
    (receiver, seen)
}

fn url(host: &str, address: SocketAddr) -> String {
    format!("https://{host}:{}/webhooks", address.port())
}

fn detail(sent: &Sent) -> &str {
    match &sent.result {
        AttemptResult::Broke { detail, .. } => detail,
        AttemptResult::Answered(_) => "",
    }
}

#[tokio::test]
async fn names_and_ip_addresses_are_verified_and_connections_kept() {
    let authority = Authority::new("ours");
    let ip = SanType::IpAddress(IpAddr::from([127, 0, 0, 1]));
    let config = authority.server(&[dns(HOST), ip], valid(), b"http/1.1");
    let (receiver, seen) = tls_receiver(config, OK, Afterwards::Keep).await;
    let sender = authority.sender();
    for host in [HOST, "127.0.0.1"] {
        for is_reused in [false, true] {
            let sent = sender.send(request(&url(host, receiver.address))).await;
            assert_eq!(outcome(&sent), "answered 200", "{:?}", sent.result);
            assert_eq!(sent.timing.tls_us == 0, is_reused);
        }
    }
    let names: Vec<_> = seen.lock().unwrap().iter().map(|(n, _)| n.clone()).collect();
    // an IP address is no server name (RFC 6066 §3)
    assert_eq!(names, [Some(HOST.to_owned()), None]);
}

#[tokio::test]
async fn sessions_are_resumed_and_silent_closes_cost_no_attempt() {
    let authority = Authority::new("ours");
    let config = authority.server(&[dns(HOST)], valid(), b"http/1.1");
    let (receiver, seen) = tls_receiver(config, OK, Afterwards::Close).await;
    let sender = authority.sender();
    for _ in 0..20 {
        let sent = sender.send(request(&url(HOST, receiver.address))).await;
        assert_eq!(outcome(&sent), "answered 200", "{:?}", sent.result);
        tokio::task::yield_now().await;
    }
    let kinds: Vec<_> = seen.lock().unwrap().iter().map(|(_, k)| *k).collect();
    assert_eq!(kinds.len(), 20);
    assert!(kinds[1..].iter().all(|kind| *kind == HandshakeKind::Resumed));
}

#[tokio::test]
async fn without_a_tls_goodbye_the_framing_says_whether_an_answer_is_whole() {
    let authority = Authority::new("ours");
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\nas long as it lasts", "answered 200"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345", "Truncated after 200"),
        ("HTTP/1.1 200", "Truncated"),
        ("", "Reset"),
    ] {
        let config = authority.server(&[dns(HOST)], valid(), b"http/1.1");
        let (receiver, _) = tls_receiver(config, answer, Afterwards::Close).await;
        let url = url(HOST, receiver.address);
        let sent = authority.sender().send(request(&url)).await;
        assert_eq!(outcome(&sent), expected, "{answer}");
    }
}

#[tokio::test]
async fn bad_certificates_are_refused_in_plain_words() {
    let ours = Authority::new("ours");
    let foreign = Authority::new("foreign");
    let impostor = Authority::new("ours");
    let other_ip = SanType::IpAddress(IpAddr::from([127, 0, 0, 2]));
    for (what, config, host, words) in [
        ("expired", ours.server(&[dns(HOST)], (2020, 2021), b"http/1.1"), HOST, "expired"),
        ("early", ours.server(&[dns(HOST)], (2099, 2100), b"http/1.1"), HOST, "not valid yet"),
        (
            "wrong name",
            ours.server(&[dns("other.example.org")], valid(), b"http/1.1"),
            HOST,
            "another host name",
        ),
        (
            "wrong ip",
            ours.server(&[other_ip, dns(HOST)], valid(), b"http/1.1"),
            "127.0.0.1",
            "another host name",
        ),
        (
            "unknown authority",
            foreign.server(&[dns(HOST)], valid(), b"http/1.1"),
            HOST,
            "not signed by a known authority",
        ),
        (
            "an authority of the same name",
            impostor.server(&[dns(HOST)], valid(), b"http/1.1"),
            HOST,
            "not valid",
        ),
        ("HTTP/2 only", ours.server(&[dns(HOST)], valid(), b"h2"), HOST, "HTTP/1.1"),
    ] {
        let (receiver, seen) = tls_receiver(config, OK, Afterwards::Keep).await;
        let sent = ours.sender().send(request(&url(host, receiver.address))).await;
        assert_eq!(outcome(&sent), "Tls", "{what}: {:?}", sent.result);
        assert!(detail(&sent).contains(words), "{what}: {}", detail(&sent));
        assert!(!detail(&sent).contains("127."), "{what}");
        assert!(seen.lock().unwrap().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_port_without_tls_is_named_as_such() {
    let authority = Authority::new("ours");
    let receiver = Receiver::start(|mut stream, _, _| async move {
        stream.read_u8().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let url = url(HOST, receiver.address);
    let sent = authority.sender().send(request(&url)).await;
    assert_eq!(outcome(&sent), "Tls");
    assert!(detail(&sent).contains("not TLS"), "{}", detail(&sent));

    let receiver = Receiver::start(|mut stream, _, _| async move {
        stream.read_u8().await.unwrap();
    })
    .await;
    let url = self::url(HOST, receiver.address);
    let sent = authority.sender().send(request(&url)).await;
    assert_eq!(outcome(&sent), "Tls");
    assert!(detail(&sent).contains("closed"), "{}", detail(&sent));
}

#[tokio::test]
async fn a_handshake_that_never_completes_costs_its_budget() {
    // H198
    let authority = Authority::new("ours");
    let receiver = Receiver::start(|stream, _, _| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    for (budget_ms, deadline_ms) in [(100, 1_000), (5_000, 100)] {
        let mut options = authority.options();
        options.budgets.tls = Duration::from_millis(budget_ms);
        let mut request = request(&url(HOST, receiver.address));
        request.deadline = Duration::from_millis(deadline_ms);
        let sent = Sender::new(options).unwrap().send(request).await;
        assert_eq!(outcome(&sent), "Timeout");
        assert!(detail(&sent).contains("TLS"), "{}", detail(&sent));
        assert!((90_000..2_000_000).contains(&sent.timing.tls_us));
    }
}
