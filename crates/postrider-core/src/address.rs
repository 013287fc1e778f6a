//! Which IP addresses a delivery may be sent to.
//!
//! Webhook URLs come from tenants, so a server that dials whatever they name is a way into its own
//! network. Everything that is not a public unicast address is refused, along with every IPv6 form
//! that carries an IPv4 address inside (a translator on the path would unwrap it behind our back).
//! `danger_allow_networks` opens named networks.
//!
//! This module only judges addresses. It resolves nothing and dials nothing: the sender asks it
//! about every address that it is about to dial, and dials exactly that one.

mod network;
mod special;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use network::{Network, NetworkError};
use special::{classify, needs_exact_entry};

/// What the operator allows beyond public addresses. The default allows nothing more.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    /// Networks that may be reached although they are not public.
    ///
    /// Link-local, multicast, unspecified, broadcast and cloud metadata addresses are opened only
    /// by an entry that is exactly that address: `0.0.0.0/0` must not hand out credentials. The
    /// forms that embed an IPv4 address are opened by nothing.
    pub danger_allow_networks: Vec<Network>,
    /// Whether DNS answers in `64:ff9b::/96` come from a DNS64 beside us (RFC 6147) and are to be
    /// judged by the IPv4 address inside. Literals of that form stay refused.
    pub nat64: bool,
    /// Where this server itself can be reached, as seen from outside: a delivery to one of these
    /// would loop. Leave it empty where the server's own `/dev/inbox` is a receiver.
    pub own_sockets: Vec<SocketAddr>,
}

/// Why an address may not be dialled. `Display` is for operators and logs; a tenant is shown
/// [`AddressRefusal::outward_text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AddressRefusal {
    #[error("a loopback address; danger_allow_networks can open it")]
    Loopback,
    #[error("an address of 0.0.0.0/8 or ::, where servers listen but nothing can be reached")]
    Unspecified,
    #[error("an address of a private network; danger_allow_networks can open it")]
    Private,
    #[error("a shared (carrier-grade NAT) address; danger_allow_networks can open it")]
    Shared,
    #[error("a link-local address; only an exact entry in danger_allow_networks opens it")]
    LinkLocal,
    #[error("an address of a range reserved by IANA or by a cloud platform, not a public host's")]
    Reserved,
    #[error("the broadcast address")]
    Broadcast,
    #[error("a multicast address")]
    Multicast,
    #[error("an IPv6 address with an IPv4 address inside; use the IPv4 address itself")]
    EmbeddedV4,
    #[error("this server's own address and port: the delivery would loop")]
    OwnServer,
    #[error("the name has no address")]
    NoAnswer,
}

impl AddressRefusal {
    /// A stable code, recorded with the attempt and used in metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Loopback => "ip_loopback",
            Self::Unspecified => "ip_unspecified",
            Self::Private => "ip_private",
            Self::Shared => "ip_shared",
            Self::LinkLocal => "ip_linklocal",
            Self::Reserved => "ip_reserved",
            Self::Broadcast => "ip_broadcast",
            Self::Multicast => "ip_multicast",
            Self::EmbeddedV4 => "ip_embedded_v4",
            Self::OwnServer => "ip_self",
            Self::NoAnswer => "dns_failure",
        }
    }

    /// What a tenant is told: the same words for every address, because the kind of address that a
    /// name resolves to would already be a map of the network behind us.
    pub fn outward_text(self) -> &'static str {
        match self {
            Self::NoAnswer => "the host name has no address",
            _ => OUTWARD_TEXT,
        }
    }
}

/// See [`AddressRefusal::outward_text`].
pub const OUTWARD_TEXT: &str = "address not allowed";

impl AddressPolicy {
    /// Whether the operator opened loopback, as `--dev` does.
    pub fn opens_loopback(&self) -> bool {
        [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            .into_iter()
            .any(|ip| self.opens(ip))
    }

    fn opens(&self, ip: IpAddr) -> bool {
        let networks = &self.danger_allow_networks;
        match classify(ip) {
            None => true,
            Some(AddressRefusal::EmbeddedV4) => false,
            Some(_) if needs_exact_entry(ip) => networks.iter().any(|n| n.is_exactly(ip)),
            Some(_) => networks.iter().any(|n| n.contains(ip)),
        }
    }
}

/// Judges an address that stands literally in a URL.
///
/// `port` is the one that would be dialled; it matters only for the loop guard.
pub fn judge(ip: IpAddr, port: u16, policy: &AddressPolicy) -> Result<(), AddressRefusal> {
    if let Some(refusal) = classify(ip)
        && !policy.opens(ip)
    {
        return Err(refusal);
    }
    if policy.own_sockets.contains(&SocketAddr::new(ip, port)) {
        return Err(AddressRefusal::OwnServer);
    }
    Ok(())
}

/// Judges everything that DNS answered for a host name; one bad address refuses the whole set.
///
/// Dialling the good ones of a mixed answer would let whoever owns the name choose, by the order
/// and timing of its answers, when the bad one is dialled. An empty set is refused too.
pub fn judge_all(
    answers: &[IpAddr],
    port: u16,
    policy: &AddressPolicy,
) -> Result<(), AddressRefusal> {
    if answers.is_empty() {
        return Err(AddressRefusal::NoAnswer);
    }
    answers.iter().try_for_each(|&answer| match nat64_inner(answer) {
        Some(inner) if policy.nat64 => {
            judge(inner.into(), port, policy).map_err(|_| AddressRefusal::EmbeddedV4)
        }
        _ => judge(answer, port, policy),
    })
}

/// The IPv4 address inside a DNS64 answer (RFC 6052 §2.2, well-known prefix).
fn nat64_inner(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
            }
            _ => None,
        },
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn opened(networks: &[&str]) -> AddressPolicy {
        AddressPolicy {
            danger_allow_networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            ..AddressPolicy::default()
        }
    }

    /// `networks` opened, is `address` allowed ("ok") or refused for which reason?
    fn check(networks: &[&str], address: &str, expected: &str) {
        let found = match judge(ip(address), 443, &opened(networks)) {
            Ok(()) => "ok",
            Err(refusal) => refusal.reason(),
        };
        assert_eq!(found, expected, "{address} with {networks:?}");
    }

    #[test]
    fn every_form_that_embeds_ipv4_is_refused_and_nothing_opens_it() {
        for address in [
            "::10.0.0.1",
            "::8.8.8.8",
            "::2",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:ffff::1",
            "2001::1",
            "2002:808:808::",
            "fe80::5efe:8.8.8.8",
            "2606:4700::200:5efe:8.8.8.8",
        ] {
            check(&[], address, "ip_embedded_v4");
            check(&["::/0", "0.0.0.0/0", address], address, "ip_embedded_v4");
        }
    }

    #[test]
    fn a_named_network_opens_what_it_contains() {
        check(&["127.0.0.0/8"], "127.0.0.1", "ok");
        check(&["127.0.0.0/8"], "::1", "ip_loopback");
        check(&["::1"], "::1", "ok");
        check(&["10.0.0.0/8"], "10.9.8.7", "ok");
        check(&["10.0.0.0/8"], "192.168.0.1", "ip_private");
        check(&["::/0"], "fd12::1", "ok");
    }

    #[test]
    fn metadata_and_link_local_open_only_when_named_exactly() {
        for (address, reason) in [
            ("169.254.169.254", "ip_linklocal"),
            ("169.254.1.1", "ip_linklocal"),
            ("fe80::1", "ip_linklocal"),
            ("100.100.100.200", "ip_shared"),
            ("192.0.0.192", "ip_reserved"),
            ("168.63.129.16", "ip_reserved"),
            ("fd00:ec2::254", "ip_private"),
            ("fd20:ce::254", "ip_private"),
            ("0.0.0.0", "ip_unspecified"),
            ("255.255.255.255", "ip_broadcast"),
            ("224.0.0.1", "ip_multicast"),
        ] {
            let wide =
                ["0.0.0.0/0", "::/0", "169.254.0.0/16", "169.254.169.252/30", "100.64.0.0/10"];
            check(&wide, address, reason);
            check(&[address], address, "ok");
        }
    }

    #[test]
    fn own_address_is_refused_on_own_port_only_even_when_opened() {
        let mut policy = opened(&["127.0.0.0/8"]);
        policy.own_sockets = vec!["127.0.0.1:8080".parse().unwrap()];
        let refused = Err(AddressRefusal::OwnServer);
        assert_eq!(judge(ip("127.0.0.1"), 8080, &policy), refused);
        assert_eq!(judge(ip("127.0.0.1"), 8081, &policy), Ok(()));
        assert_eq!(judge(ip("127.0.0.2"), 8080, &policy), Ok(()));
    }

    #[test]
    fn nat64_answers_are_judged_by_the_address_inside() {
        let mut policy = AddressPolicy {
            nat64: true,
            own_sockets: vec!["8.8.8.8:8080".parse().unwrap()],
            ..AddressPolicy::default()
        };
        let embedded = Err(AddressRefusal::EmbeddedV4);
        assert_eq!(judge_all(&[ip("64:ff9b::8.8.8.8")], 443, &policy), Ok(()));
        let own = judge_all(&[ip("64:ff9b::8.8.8.8")], 8080, &policy);
        assert_eq!(own, embedded);
        let inner = judge_all(&[ip("64:ff9b::10.0.0.1")], 443, &policy);
        assert_eq!(inner, embedded);
        let local_use = judge_all(&[ip("64:ff9b:1::808:808")], 443, &policy);
        assert_eq!(local_use, embedded);
        assert_eq!(judge(ip("64:ff9b::8.8.8.8"), 443, &policy), embedded);
        policy.nat64 = false;
        assert_eq!(judge_all(&[ip("64:ff9b::8.8.8.8")], 443, &policy), embedded);
    }

    #[test]
    fn no_answer_is_not_a_good_answer() {
        let refusal = judge_all(&[], 443, &AddressPolicy::default()).unwrap_err();
        assert_eq!(refusal.reason(), "dns_failure");
    }

    fn any_ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
            any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
            // most of the special forms live where the upper half is nearly zero
            any::<u64>().prop_map(|bits| Ipv6Addr::from_bits(bits.into()).into()),
        ]
    }

    proptest! {
        #[test]
        fn judging_is_total_and_agrees_with_the_standard_library(ip in any_ip(), port: u16) {
            let verdict = judge(ip, port, &AddressPolicy::default());
            let is_special = match ip {
                IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local()
                    || v4.is_broadcast() || v4.is_documentation() || v4.is_multicast()
                    || v4.is_unspecified(),
                IpAddr::V6(v6) => v6.is_loopback() || v6.is_multicast() || v6.is_unspecified()
                    || v6.is_unique_local() || v6.is_unicast_link_local()
                    || v6.to_ipv4().is_some(),
            };
            prop_assert!(!is_special || verdict.is_err());
        }

        #[test]
        fn one_bad_answer_refuses_all(mut ips in prop::collection::vec(any_ip(), 0..4),
                                      at in 0_usize..5) {
            ips.insert(at.min(ips.len()), ip("10.0.0.1"));
            prop_assert!(judge_all(&ips, 443, &AddressPolicy::default()).is_err());
        }

        #[test]
        fn what_a_tenant_reads_names_no_address(ip in any_ip()) {
            if let Err(refusal) = judge(ip, 443, &AddressPolicy::default()) {
                prop_assert_eq!(refusal.outward_text(), "address not allowed");
            }
        }
    }
}
