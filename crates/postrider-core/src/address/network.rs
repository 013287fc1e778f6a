//! A network in CIDR notation, as operators write it in `danger_allow_networks`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 network: an address whose host bits are zero, and a prefix length.
///
/// Written `10.0.0.0/8` or `fd00::/8`; a bare address such as `127.0.0.1` is the network of that
/// one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    base: IpAddr,
    prefix_len: u8,
}

/// Why a text is not a [`Network`]; the text says how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("not an IP address or network; write one such as 10.0.0.0/8, fd00::/8 or 127.0.0.1")]
    Syntax,
    #[error("the prefix length must be a number from 0 to {max}")]
    PrefixLength { max: u8 },
    /// `10.1.2.3/8` may mean the address or the network, and they differ by 16 million hosts.
    #[error("the address has bits beyond the prefix; write {network} or the bare address")]
    HostBits { network: Network },
}

impl Network {
    /// Whether `ip` lies in this network. An IPv4 address never lies in an IPv6 network, not even
    /// in `::ffff:0:0/96`.
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.base.is_ipv4() && masked(ip, self.prefix_len) == self.base
    }

    /// Whether this network is `ip` and nothing else (a /32 or /128).
    pub fn is_exactly(&self, ip: IpAddr) -> bool {
        self.base == ip && self.prefix_len == prefix_len_max(ip)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Syntax)?;
        let max = prefix_len_max(address);
        let prefix_len = match prefix {
            None => max,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits
                    .parse()
                    .ok()
                    .filter(|&len| len <= max)
                    .ok_or(NetworkError::PrefixLength { max })?
            }
            Some(_) => return Err(NetworkError::PrefixLength { max }),
        };
        let network = Self { base: masked(address, prefix_len), prefix_len };
        if network.base == address { Ok(network) } else { Err(NetworkError::HostBits { network }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_len)
    }
}

fn prefix_len_max(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// `ip` with everything beyond the first `prefix_len` bits cleared.
fn masked(ip: IpAddr, prefix_len: u8) -> IpAddr {
    let len = u32::from(prefix_len);
    match ip {
        // a shift by the full width is an overflow: it means "keep no bit"
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn contains_its_first_and_last_address_only() {
        let n = network("172.16.0.0/12");
        assert!(n.contains(ip("172.16.0.0")) && n.contains(ip("172.31.255.255")));
        assert!(!n.contains(ip("172.15.255.255")) && !n.contains(ip("172.32.0.0")));
        assert!(network("0.0.0.0/0").contains(ip("255.255.255.255")));
        assert!(network("::/0").contains(ip("ffff::1")));
    }

    #[test]
    fn families_never_mix() {
        assert!(!network("::/0").contains(ip("10.0.0.1")));
        assert!(!network("::ffff:0:0/96").contains(ip("10.0.0.1")));
        assert!(!network("0.0.0.0/0").contains(ip("::ffff:10.0.0.1")));
    }

    #[test]
    fn only_a_single_address_is_named_exactly() {
        assert!(network("169.254.169.254").is_exactly(ip("169.254.169.254")));
        assert!(network("169.254.169.254/32").is_exactly(ip("169.254.169.254")));
        assert!(!network("0.0.0.0/0").is_exactly(ip("0.0.0.0")));
    }

    #[test]
    fn bad_texts_are_refused_with_their_mend() {
        for text in ["", "/", "10/8", "localhost", "10.0.0.0/8/8x", "fe80::1%eth0"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/999"] {
            let error = text.parse::<Network>().unwrap_err();
            assert_eq!(error, NetworkError::PrefixLength { max: 32 }, "{text}");
        }
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err().to_string();
        assert!(error.contains("10.0.0.0/8"), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_what_parses_prints_back(text in "\\PC{0,48}") {
            if let Ok(network) = text.parse::<Network>() {
                prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            }
        }
    }
}
