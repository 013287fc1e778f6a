//! Host names of targets: which are well-formed, and which belong to no public host.

use super::TargetError;

/// Longest name in bytes and longest label (RFC 1035 §2.3.4, without the root).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Where a name can be expected to lead, judged by its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Public,
    /// This machine, by RFC 6761 or by old custom.
    Loopback,
    /// Only meaningful inside some network, or reserved and never delegated.
    Local,
}

/// Last labels that no public host has.
const LOCAL_LAST_LABELS: [&str; 17] = [
    // RFC 6761, 6762 (mDNS), 7686, 8375 and reverse lookups, 9476
    "alt",
    "arpa",
    "invalid",
    "local",
    "onion",
    "test",
    // reserved by ICANN in 2024; cloud metadata names end in it
    "internal",
    // never to be delegated, for so many private networks use them (ICANN name collision, 2018)
    "corp",
    "home",
    "mail",
    // customs of routers, offices and clusters (RFC 6762 appendix G; Kubernetes, Consul)
    "cluster",
    "consul",
    "intranet",
    "lan",
    "private",
    "svc",
    "workgroup",
];

/// A parsed domain without its trailing dot, if DNS and certificates could hold it.
///
/// The URL parser has folded it to lower-case ASCII and refused what IDNA refuses, but it accepts
/// empty and over-long labels and most punctuation.
pub(super) fn canonical_name(domain: &str) -> Result<&str, TargetError> {
    let name = domain.strip_suffix('.').unwrap_or(domain);
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label) {
        Ok(name)
    } else {
        Err(TargetError::HostInvalid)
    }
}

/// `name` must be canonical.
pub(super) fn kind(name: &str) -> Kind {
    let (has_parent, last_label) = match name.rsplit_once('.') {
        Some((_, last)) => (true, last),
        None => (false, name),
    };
    if last_label == "localhost" || last_label == "localdomain" {
        Kind::Loopback
    } else if !has_parent || LOCAL_LAST_LABELS.contains(&last_label) {
        Kind::Local
    } else {
        Kind::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_by_their_last_label() {
        for name in ["localhost", "app.localhost", "localhost.localdomain"] {
            assert_eq!(kind(name), Kind::Loopback, "{name}");
        }
        for name in [
            "backend",
            "kubernetes.default.svc.cluster.local",
            "metadata.google.internal",
            "1.0.0.127.in-addr.arpa",
            "nas.home.arpa",
        ] {
            assert_eq!(kind(name), Kind::Local, "{name}");
        }
        for name in ["example.com", "localhost.com", "internal.example.org", "xlocal.net"] {
            assert_eq!(kind(name), Kind::Public, "{name}");
        }
    }

    #[test]
    fn one_trailing_dot_is_dropped_and_two_are_refused() {
        assert_eq!(canonical_name("example.com."), Ok("example.com"));
        for name in ["", ".", "..", "example.com..", ".example.com"] {
            assert_eq!(canonical_name(name), Err(TargetError::HostInvalid), "{name}");
        }
    }

    #[test]
    fn labels_and_names_are_bounded() {
        let label = "a".repeat(LABEL_BYTES_MAX);
        assert!(canonical_name(&label).is_ok());
        assert!(canonical_name(&format!("{label}a")).is_err());
        let name = [label.as_str(); 4].join(".");
        assert_eq!(name.len(), 255);
        assert!(canonical_name(&name).is_err());
        assert!(canonical_name(&name[2..]).is_ok());
    }
}
