//! Which addresses are dialled, and that no other ever is.

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postrider::send::{Resolve, ResolveError, Sender, SenderOptions, StaticHosts};
use postrider_core::delivery::{AttemptResult, ErrorClass};
use tokio::net::TcpListener;

use crate::receiver::Receiver;
use crate::{loopback_sender, options, outcome, policy, reason, request};

const CLOSING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Gives these answers in turn, over and over.
struct Alternating {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Alternating {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolve for Alternating {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers[turn % self.answers.len()].clone())
    }
}

/// Two receivers on one port: an allowed address, and the loopback that must not be reached.
async fn allowed_and_forbidden(answer: &str) -> (Receiver, Receiver) {
    let allowed = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = allowed.local_addr().unwrap().port();
    let forbidden = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let answer = answer.to_owned();
    let serve = move |stream, _, requests| answer_all(stream, answer.clone(), requests);
    (Receiver::on(allowed, serve.clone()), Receiver::on(forbidden, serve))
}

async fn answer_all(mut stream: tokio::net::TcpStream, answer: String, requests: Arc<AtomicUsize>) {
    use tokio::io::AsyncWriteExt as _;
    while crate::receiver::read_request(&mut stream).await.is_some() {
        requests.fetch_add(1, Ordering::SeqCst);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_name_that_alternates_between_addresses_never_reaches_the_bad_one() {
    // S194; 127.0.0.2 is opened by name and stands for the public address
    let (allowed, forbidden) = allowed_and_forbidden(CLOSING).await;
    let resolver = Alternating::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let sender = Sender::new(SenderOptions::new(policy(&["127.0.0.2"]), resolver)).unwrap();
    let url = format!("http://rebind.example.org:{}/", allowed.address.port());
    for turn in 0..1_000 {
        let sent = sender.send(request(&url)).await;
        if turn % 2 == 0 {
            assert_eq!(outcome(&sent), "answered 200");
        } else {
            assert_eq!(outcome(&sent), "NotAllowed");
            assert_eq!(reason(&sent), Some("ip_loopback"));
        }
    }
    assert_eq!((allowed.accepts(), forbidden.accepts()), (500, 0));
}

#[tokio::test]
async fn one_bad_address_refuses_the_whole_answer() {
    let (allowed, forbidden) = allowed_and_forbidden(CLOSING).await;
    let url = format!("http://mixed.example.org:{}/", allowed.address.port());
    for answer in [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]] {
        let resolver = Alternating::new(&[&answer]);
        let sender = Sender::new(SenderOptions::new(policy(&["127.0.0.2"]), resolver)).unwrap();
        let sent = sender.send(request(&url)).await;
        assert_eq!(reason(&sent), Some("ip_loopback"));
    }
    assert_eq!((allowed.accepts(), forbidden.accepts()), (0, 0));
}

#[tokio::test]
async fn an_open_connection_may_finish_after_its_name_moved_but_no_new_one_is_made() {
    // S195
    let (allowed, _forbidden) = allowed_and_forbidden(OK).await;
    let resolver = Alternating::new(&[&["127.0.0.2"], &["10.0.0.1"]]);
    let sender = Sender::new(SenderOptions::new(policy(&["127.0.0.2"]), resolver)).unwrap();
    let url = format!("http://moved.example.org:{}/", allowed.address.port());
    for _ in 0..3 {
        assert_eq!(outcome(&sender.send(request(&url)).await), "answered 200");
    }
    let port = allowed.address.port();
    drop(allowed);
    while sender.idle_count() > 0 {
        tokio::task::yield_now().await;
        sender.sweep_idle();
    }
    let url = format!("http://moved.example.org:{port}/");
    assert_eq!(reason(&sender.send(request(&url)).await), Some("ip_private"));
    const { assert!(postrider::send::limits::IDLE_TIME.as_secs() <= 90) };
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let receiver = Receiver::answering(OK).await;
    // nothing listens on 127.0.0.9
    let resolver = Alternating::new(&[&["127.0.0.9", "127.0.0.1"]]);
    let sender = Sender::new(SenderOptions::new(policy(&["127.0.0.0/8"]), resolver)).unwrap();
    let url = format!("http://two.example.org:{}/", receiver.address.port());
    let sent = sender.send(request(&url)).await;
    assert_eq!(outcome(&sent), "answered 200");
    assert_eq!(sent.address, Some(receiver.address));
}

#[tokio::test]
async fn refusals_tell_outsiders_nothing() {
    // S212, over the rows S192 (own address), S209, S191 and the kinds of refused addresses
    let listening = Receiver::answering(OK).await;
    let port = listening.address.port();
    for (url, answer, expected) in [
        ("http://a.example.org/", "10.0.0.1", "ip_private"),
        ("http://a.example.org/", "127.0.0.1", "ip_loopback"),
        ("http://a.example.org/", "169.254.169.254", "ip_linklocal"),
        ("http://a.example.org/", "::ffff:127.0.0.1", "ip_embedded_v4"),
        ("http://a.example.org/", "fd00::1", "ip_private"),
        ("http://nat64bad.example.org/", "64:ff9b::a00:1", "ip_embedded_v4"),
        ("http://self.example.org:8080/", "8.8.8.8", "ip_self"),
        ("http://127.0.0.1/", "", "ip_loopback"),
        ("http://[::1]/", "", "ip_loopback"),
        ("http://8.8.8.8:8080/", "", "ip_self"),
        (&format!("http://127.0.0.1:{port}/"), "", "ip_loopback"),
        (&format!("http://open.example.org:{port}/"), "127.0.0.1", "ip_loopback"),
    ] {
        let mut networks = policy(&[]);
        networks.networks.nat64 = true;
        networks.networks.own_sockets = vec!["8.8.8.8:8080".parse().unwrap()];
        let resolver: Arc<dyn Resolve> = match answer {
            "" => Arc::new(StaticHosts::default()),
            _ => Alternating::new(&[&[answer]]),
        };
        let sender = Sender::new(SenderOptions::new(networks, resolver)).unwrap();
        let sent = sender.send(request(url)).await;
        assert_eq!(reason(&sent), Some(expected), "{url} {answer}");
        let detail = "address not allowed".to_owned();
        let class = ErrorClass::NotAllowed;
        let answer = None;
        let refused = AttemptResult::Broke { class, detail, answer };
        assert_eq!(sent.result, refused, "{url}");
        assert_eq!(sent.address, None);
        assert_eq!((sent.timing.connect_us, sent.timing.wait_us), (0, 0));
    }
    assert_eq!(listening.accepts(), 0);
}

#[tokio::test]
async fn metadata_stays_refused_under_a_wide_allow_list() {
    // S209
    let sender = Sender::new(options(&["0.0.0.0/0", "::/0"], &[])).unwrap();
    let sent = sender.send(request("http://169.254.169.254/latest")).await;
    assert_eq!(reason(&sent), Some("ip_linklocal"));
}

#[tokio::test]
async fn a_nat64_answer_is_allowed_by_the_public_address_inside() {
    // S190: it is dialled; whether it answers is the network's business
    let mut open = options(&[], &[("nat64.example.org", "64:ff9b::808:808")]);
    open.policy.networks.nat64 = true;
    open.budgets.connect = Duration::from_millis(50);
    let sender = Sender::new(open).unwrap();
    let sent = sender.send(request("http://nat64.example.org/")).await;
    assert_eq!(sent.refusal, None);
    assert_eq!(sent.address.unwrap().to_string(), "[64:ff9b::808:808]:80");
}

#[tokio::test]
async fn a_connection_that_leads_elsewhere_is_closed_before_a_byte_is_sent() {
    // S210: Linux takes 0.0.0.0 for this machine, so the peer is 127.0.0.1
    let receiver = Receiver::answering(OK).await;
    let sender = Sender::new(options(&["0.0.0.0"], &[])).unwrap();
    let url = format!("http://0.0.0.0:{}/", receiver.address.port());
    let sent = sender.send(request(&url)).await;
    assert_eq!(outcome(&sent), "NotAllowed");
    assert_eq!(reason(&sent), Some("ip_mismatch"));
    assert_eq!(sent.address, None);
    assert_eq!(receiver.requests(), 0);
}

#[tokio::test]
async fn targets_are_held_to_the_policy_of_today() {
    let receiver = Receiver::answering(OK).await;
    let mut https_only = options(&["127.0.0.0/8"], &[]);
    https_only.policy.allow_http = false;
    let sender = Sender::new(https_only).unwrap();
    let sent = sender.send(request(&receiver.url())).await;
    assert_eq!(reason(&sent), Some("scheme"));

    let mut names_only = options(&["127.0.0.0/8"], &[]);
    names_only.policy.allow_ip_literals = false;
    let sender = Sender::new(names_only).unwrap();
    let sent = sender.send(request(&receiver.url())).await;
    assert_eq!(reason(&sent), Some("ip_literal"));
    assert_eq!(receiver.accepts(), 0);
}

#[tokio::test]
async fn a_request_goes_straight_to_its_receiver() {
    // also run below, with proxies in its environment
    let receiver = Receiver::answering(OK).await;
    let sent = loopback_sender().send(request(&receiver.url())).await;
    assert_eq!(outcome(&sent), "answered 200");
    assert_eq!(receiver.requests(), 1);
}

#[tokio::test]
async fn proxies_in_the_environment_are_ignored() {
    // S205
    let trap = Receiver::answering(OK).await;
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", "addresses::a_request_goes_straight_to_its_receiver"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        run.env(name, trap.url());
        run.env(name.to_lowercase(), trap.url());
    }
    let run = tokio::task::spawn_blocking(move || run.output().unwrap());
    let output = run.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    assert_eq!(trap.accepts(), 0);
}
