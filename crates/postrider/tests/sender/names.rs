//! Host names, asked of a real name server on loopback that answers as a test says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider::send::{Resolve, ResolveError, Sender, SenderOptions, SystemResolver};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::receiver::Receiver;
use crate::{outcome, policy, reason, request};

/// A name server over UDP; dropping it stops it.
struct NameServer {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl NameServer {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                if let Some(answer) = answer(&query[..length]) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, _serving: serving }
    }

    fn resolver(&self) -> SystemResolver {
        SystemResolver::with_name_servers(&[self.address]).unwrap()
    }
}

/// The wire form of RFC 1035 §4, as far as one question and one record need it.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    const A: u16 = 1;
    let mut end = 12;
    let mut labels = Vec::new();
    while query[end] != 0 {
        let length = usize::from(query[end]);
        let label = &query[end + 1..=end + length];
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        end += 1 + length;
    }
    let kind = u16::from_be_bytes([query[end + 1], query[end + 2]]);
    let question = &query[12..end + 5];
    let record = |kind: u16, data: &[u8]| {
        let length = u16::try_from(data.len()).unwrap();
        // a pointer to the question's name, the type, class IN, a TTL of zero
        let mut record = vec![0xc0, 12];
        record.extend(kind.to_be_bytes());
        record.extend([0, 1, 0, 0, 0, 0]);
        record.extend(length.to_be_bytes());
        record.extend(data);
        record
    };
    let (code, records) = match (labels[0].as_str(), kind) {
        ("loopback", A) => (0, vec![record(A, &Ipv4Addr::LOCALHOST.octets())]),
        ("loopback" | "empty", _) => (0, vec![]),
        ("loop", _) => (0, vec![record(5, &[0xc0, 12])]),
        ("servfail", _) => (2, vec![]),
        ("slow", _) => return None,
        ("garbage", _) => return Some(vec![0xff; 40]),
        _ => (3, vec![]),
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(records.len()).unwrap()]);
    answer.extend([0; 4]);
    answer.extend(question);
    answer.extend(records.concat());
    Some(answer)
}

#[tokio::test]
async fn a_name_is_looked_up_and_its_address_dialled() {
    let server = NameServer::start().await;
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let options = SenderOptions::new(policy(&["127.0.0.0/8"]), Arc::new(server.resolver()));
    let sender = Sender::new(options).unwrap();
    let url = format!("http://loopback.example.org:{}/", receiver.address.port());
    let sent = sender.send(request(&url)).await;
    assert_eq!(outcome(&sent), "answered 204", "{:?}", sent.result);
    assert!(sent.timing.dns_us > 0);
}

#[tokio::test]
async fn failed_lookups_are_failures_of_the_attempt_and_nothing_is_dialled() {
    // S184, S185, S186, S188
    let server = NameServer::start().await;
    for (host, expected) in [
        ("loop.example.org", "DnsFailure"),
        ("nx.example.org", "DnsFailure"),
        ("empty.example.org", "DnsFailure"),
        ("servfail.example.org", "DnsFailure"),
        ("slow.example.org", "DnsTimeout"),
        ("garbage.example.org", "DnsTimeout"),
    ] {
        let policy = policy(&["127.0.0.0/8"]);
        let mut options = SenderOptions::new(policy, Arc::new(server.resolver()));
        if expected == "DnsTimeout" {
            options.budgets.dns = Duration::from_millis(300);
        }
        let started = Instant::now();
        let sender = Sender::new(options).unwrap();
        let sent = sender.send(request(&format!("http://{host}/"))).await;
        assert_eq!(outcome(&sent), expected, "{host}");
        assert_eq!(sent.address, None, "{host}");
        assert_eq!(reason(&sent), None, "{host}");
        assert!(started.elapsed() < Duration::from_secs(4), "{host}");
    }
}

#[tokio::test]
async fn resolving_says_why_it_failed() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    for (host, expected) in [
        ("nx.example.org", ResolveError::NoSuchName),
        ("empty.example.org", ResolveError::NoAddress),
        ("servfail.example.org", ResolveError::ServerFailed),
    ] {
        assert_eq!(resolver.resolve(host).await, Err(expected), "{host}");
    }
}

#[tokio::test]
async fn a_name_without_answers_in_time_is_cut_off_by_the_deadline_too() {
    let server = NameServer::start().await;
    let policy = policy(&["127.0.0.0/8"]);
    let options = SenderOptions::new(policy, Arc::new(server.resolver()));
    let mut short = request("http://slow.example.org/");
    short.deadline = Duration::from_millis(150);
    let sent = Sender::new(options).unwrap().send(short).await;
    assert_eq!(outcome(&sent), "DnsTimeout");
    assert!(sent.timing.dns_us >= 100_000);
}
