//! The URL of a webhook, and addresses and networks as text.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderValue;
use http::uri::PathAndQuery;
use postrider_core::address::{self, AddressPolicy, Network};
use postrider_core::target::{Host, Scheme, Target, TargetPolicy, URL_BYTES_MAX};

/// What is accepted can be written into a request and read again as the same; nothing but a public
/// address is reached unless it was opened.
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for policy in [TargetPolicy::default(), dev(), no_literals()] {
        if let Ok(target) = Target::parse(&text, &policy) {
            accepted(&target, &policy);
        }
    }
    if let Ok(ip) = text.parse() {
        judged(ip);
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
}

fn accepted(target: &Target, policy: &TargetPolicy) {
    let text = target.as_str();
    assert!(text.is_ascii() && text.len() <= URL_BYTES_MAX, "{text}");
    assert_eq!(Target::parse(text, policy).as_ref(), Ok(target), "{text} is in its own form");
    assert!(policy.allow_http || target.scheme() == Scheme::Https, "{text}");
    assert!(target.port() != 0, "{text}");
    assert!(!target.authority().contains('@') && !text.contains('#'), "{text}");
    assert!(HeaderValue::from_str(target.authority()).is_ok(), "{text}");
    assert!(target.path_and_query().starts_with('/'), "{text}");
    assert!(PathAndQuery::try_from(target.path_and_query()).is_ok(), "{text}");
    match target.host() {
        Host::Ip(ip) => {
            assert!(policy.allow_ip_literals, "{text}");
            assert_eq!(address::judge(*ip, target.port(), &policy.networks), Ok(()), "{text}");
        }
        Host::Domain(name) => {
            assert!(!name.is_empty() && name.len() <= 253 && !name.ends_with('.'), "{text}");
            assert!(name.parse::<IpAddr>().is_err(), "{text} has an address for a name");
        }
    }
}

fn judged(ip: IpAddr) {
    let closed = AddressPolicy::default();
    let verdict = address::judge(ip, 443, &closed);
    assert_eq!(address::judge_all(&[ip], 443, &closed), verdict);
    assert!(address::judge_all(&[ip, Ipv4Addr::LOCALHOST.into()], 443, &closed).is_err());
    let own = AddressPolicy { own_sockets: vec![(ip, 443).into()], ..AddressPolicy::default() };
    assert!(address::judge(ip, 443, &own).is_err());
    if let IpAddr::V4(v4) = ip {
        let inside = v4.to_ipv6_mapped().into();
        assert!(address::judge(inside, 443, &closed).is_err(), "{ip} inside an IPv6 address");
    }
    let is_own = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
    assert!(!is_own || verdict.is_err(), "{ip}");
}

/// As `--dev` has it: `http`, and loopback opened.
fn dev() -> TargetPolicy {
    let loopback = ["127.0.0.0/8", "::1"].map(|text| text.parse().expect("a network"));
    let networks =
        AddressPolicy { danger_allow_networks: loopback.to_vec(), ..AddressPolicy::default() };
    TargetPolicy { allow_http: true, networks, ..TargetPolicy::default() }
}

fn no_literals() -> TargetPolicy {
    TargetPolicy { allow_ip_literals: false, ..TargetPolicy::default() }
}
