//! The sender against real sockets: receivers written byte by byte, real TLS, a real name server.
//!
//! Rows of the shared fixtures are named by their ids: `S…` from `ssrf.tsv`, `H…` from
//! `hostile.tsv`.

#![expect(clippy::unwrap_used, reason = "a test that can't set up its scene fails")]

mod addresses;
mod answers;
mod names;
mod receiver;
mod reuse;
mod secure;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider::send::{Identity, Request, RequestHead, Sender, SenderOptions, Sent, StaticHosts};
use postrider_core::address::AddressPolicy;
use postrider_core::delivery::AttemptResult;
use postrider_core::target::{Target, TargetPolicy};

/// A policy under which loopback receivers can be reached by http, and only these.
pub(crate) fn policy(networks: &[&str]) -> TargetPolicy {
    TargetPolicy {
        allow_http: true,
        allow_ip_literals: true,
        networks: AddressPolicy {
            danger_allow_networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            ..AddressPolicy::default()
        },
    }
}

pub(crate) fn options(networks: &[&str], hosts: &[(&str, &str)]) -> SenderOptions {
    let mut table: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for (name, ip) in hosts {
        let addresses = table.entry((*name).to_owned()).or_default();
        addresses.push(ip.parse().unwrap());
    }
    SenderOptions::new(policy(networks), Arc::new(StaticHosts::new(table, None)))
}

pub(crate) fn loopback_sender() -> Sender {
    Sender::new(options(&["127.0.0.0/8"], &[])).unwrap()
}

/// A small request, with time enough for a busy machine.
pub(crate) fn request(url: &str) -> Request {
    let target = Arc::new(target(url));
    let mut head = RequestHead::post(&target).unwrap();
    head.put("content-type", b"application/json").unwrap();
    Request {
        target,
        head,
        body: Bytes::from_static(b"{\"id\":\"evt_1\"}"),
        deadline: Duration::from_secs(10),
        identity: Identity::default(),
    }
}

/// Parsed under a policy that lets everything through, so that the sender has to judge.
pub(crate) fn target(url: &str) -> Target {
    let mut open = policy(&["0.0.0.0/0", "::/0"]);
    for exact in ["169.254.169.254", "0.0.0.0"] {
        let network = exact.parse().unwrap();
        open.networks.danger_allow_networks.push(network);
    }
    Target::parse(url, &open).unwrap()
}

/// `answered 204`, `Timeout`, or `Truncated after 200`.
pub(crate) fn outcome(sent: &Sent) -> String {
    match &sent.result {
        AttemptResult::Answered(answer) => format!("answered {}", answer.status),
        AttemptResult::Broke { class, answer: None, .. } => format!("{class:?}"),
        AttemptResult::Broke { class, answer: Some(answer), .. } => {
            format!("{class:?} after {}", answer.status)
        }
    }
}

pub(crate) fn reason(sent: &Sent) -> Option<&'static str> {
    sent.refusal.map(postrider::send::Refusal::reason)
}
