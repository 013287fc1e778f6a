//! The special-purpose ranges of IPv4 and IPv6, as IANA's registries and the clouds define them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::AddressRefusal;

/// What speaks against an address before any policy; `None` for a public unicast address.
pub(super) fn classify(ip: IpAddr) -> Option<AddressRefusal> {
    match ip {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// The IANA IPv4 special-purpose registry (RFC 6890 and later), with multicast and class E.
fn classify_v4(ip: Ipv4Addr) -> Option<AddressRefusal> {
    use AddressRefusal as R;
    if ip == AZURE_WIRE_SERVER {
        return Some(R::Reserved);
    }
    Some(match ip.octets() {
        [0, ..] => R::Unspecified,
        [127, ..] => R::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => R::Private,
        [100, 64..=127, ..] => R::Shared,
        [169, 254, ..] => R::LinkLocal,
        [224..=239, ..] => R::Multicast,
        [255, 255, 255, 255] => R::Broadcast,
        // IETF protocols; TEST-NET-1, -2, -3; 6to4 relays; benchmarking; class E
        [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [240..=255, ..] => R::Reserved,
        _ => return None,
    })
}

/// The IANA IPv6 special-purpose registry, over the rule that only `2000::/3` is global unicast.
fn classify_v6(ip: Ipv6Addr) -> Option<AddressRefusal> {
    use AddressRefusal as R;
    if ip.is_unspecified() {
        return Some(R::Unspecified);
    }
    if ip.is_loopback() {
        return Some(R::Loopback);
    }
    if embeds_v4(ip) {
        return Some(R::EmbeddedV4);
    }
    Some(match ip.segments() {
        [0xff00..=0xffff, ..] => R::Multicast,
        [0xfe80..=0xfebf, ..] => R::LinkLocal,
        // unique local (RFC 4193); site-local (deprecated by RFC 3879, still routed in places)
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => R::Private,
        // IETF protocols (2001::/23); documentation (2001:db8::/32, 3fff::/20)
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => R::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => R::Reserved,
    })
}

/// Whether an IPv6 address carries an IPv4 address in one of the standard places.
///
/// The inner address is not looked at: a public one has no reason to come in disguise.
fn embeds_v4(ip: Ipv6Addr) -> bool {
    matches!(
        ip.segments(),
        // compatible (RFC 4291 §2.5.5.1), mapped (§2.5.5.2), translated (RFC 2765 §2.1)
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..]
        // NAT64: well-known prefix (RFC 6052), local use (RFC 8215)
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..]
        // Teredo (RFC 4380), 6to4 (RFC 3056)
        | [0x2001, 0, ..] | [0x2002, ..]
        // ISATAP (RFC 5214 §6.1): the interface identifier, below any prefix
        | [_, _, _, _, 0 | 0x200, 0x5efe, ..]
    )
}

/// Azure's platform channel: a public address by its range, answered by the host of the machine.
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Cloud metadata services outside link-local: Azure, Alibaba, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [AZURE_WIRE_SERVER, Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

/// The same over IPv6: EC2's instance data and EKS pod identity, Google Compute Engine.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Whether a network that merely contains `ip` is not enough to open it.
pub(super) fn needs_exact_entry(ip: IpAddr) -> bool {
    use AddressRefusal as R;
    let is_metadata = match ip {
        IpAddr::V4(v4) => METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => METADATA_V6.contains(&v6),
    };
    is_metadata
        || matches!(classify(ip), Some(R::LinkLocal | R::Unspecified | R::Broadcast | R::Multicast))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is `address` public ("ok"), or special for which reason?
    fn check(address: &str, expected: &str) {
        let class = classify(address.parse().unwrap());
        assert_eq!(class.map_or("ok", AddressRefusal::reason), expected, "{address}");
    }

    #[test]
    fn ipv6_space_that_is_not_global_is_refused() {
        for address in [
            "100::1",
            "64:ff9a::1",
            "64:ff9b:2::1",
            "1fff::1",
            "4000::1",
            "5f00::1",
            "fbff::1",
            "fe00::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3fff:fff::1",
        ] {
            check(address, "ip_reserved");
        }
        for address in ["2000::1", "2001:200::1", "2003::1", "3fff:1000::1"] {
            check(address, "ok");
        }
    }

    #[test]
    fn neighbours_of_reserved_ranges_are_allowed() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.128.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "203.0.112.255",
            "223.255.255.255",
        ] {
            check(address, "ok");
        }
    }
}
