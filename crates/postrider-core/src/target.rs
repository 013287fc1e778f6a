//! Where a webhook's deliveries go: a URL that was parsed once and accepted.
//!
//! URL parsers repair what they are given, and each repairs differently: the one here would turn
//! `https:\\127.0.0.1` into a plain URL and drop an empty user name without a word. What a person,
//! a proxy and this server could read differently is therefore refused on the raw text, before
//! the WHATWG parser sees it. What the parser then yields is judged by host, port and, for IP
//! literals, by address.
//!
//! A name is only judged by its form here. What it resolves to is judged by
//! [`crate::address::judge_all`] at every attempt, because it can change at any time.

mod host;
mod port;

use std::fmt;
use std::net::IpAddr;

use url::{Position, Url};

use crate::address::{self, AddressPolicy, AddressRefusal};

/// Longest URL in bytes, as given and as stored. A bound of our own choice: it keeps a webhook's
/// row small, and leaves a receiver ample room for a token in its path.
pub const URL_BYTES_MAX: usize = 2048;

/// What the operator allows of webhook URLs. The default is for production: `https` only.
#[derive(Clone, Debug)]
pub struct TargetPolicy {
    /// Whether `http://` is accepted beside `https://`.
    pub allow_http: bool,
    /// Whether the host may be an IP address. Public ones are harmless, but seldom certified.
    pub allow_ip_literals: bool,
    /// Which addresses may be reached. Where it opens loopback, as `--dev` does, `localhost` is
    /// accepted, and loopback targets may have any port. Where it opens anything, the names of
    /// local networks (`backend`, `printer.local`) are accepted, for only their addresses decide.
    pub networks: AddressPolicy,
}

impl Default for TargetPolicy {
    fn default() -> Self {
        Self { allow_http: false, allow_ip_literals: true, networks: AddressPolicy::default() }
    }
}

/// The two schemes of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Http,
    Https,
}

/// The host of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// Lower-case ASCII (A-labels), without a trailing dot, at most 253 bytes.
    Domain(String),
    Ip(IpAddr),
}

/// An accepted webhook URL in its canonical form.
///
/// It has no user info and no fragment. Parse it again when the policy may have changed: being
/// accepted is a statement about the policy of that moment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    url: Url,
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// Why a URL is not accepted. `Display` says what to do and is safe to show to a tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the URL is longer than {URL_BYTES_MAX} bytes; shorten it")]
    TooLong,
    #[error("the URL has a backslash, a control character or a space at an end; remove it")]
    BadCharacter,
    #[error("not a valid URL ({0}); give a full one such as https://example.com/webhooks")]
    Invalid(#[from] url::ParseError),
    #[error("the URL must start with https://")]
    SchemeNotHttps,
    #[error("the URL must start with https:// or http://")]
    SchemeNotHttp,
    #[error("exactly two slashes must follow the scheme, as in https://example.com/webhooks")]
    NotCanonical,
    #[error("the URL has a user name or an @ before the host; remove it, or send a custom header")]
    Userinfo,
    #[error("the URL has a fragment, which is never sent; remove the # and what follows it")]
    Fragment,
    #[error(
        "not a host name; its labels are 1 to 63 letters, digits, hyphens or underscores, \
         begin and end with no hyphen, and are at most 253 bytes together"
    )]
    HostInvalid,
    #[error("the host is a name of a local network or a reserved one; give a public host name")]
    HostSpecial,
    #[error("IP addresses are not accepted as hosts here; give a host name")]
    IpLiteral,
    #[error("port {port} belongs to another protocol; use 443 or one that serves HTTP")]
    Port { port: u16 },
    /// The source says more, for operators only.
    #[error("{}", .0.outward_text())]
    Address(#[source] AddressRefusal),
}

impl TargetError {
    /// A stable code, used in API errors and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "url_too_long",
            Self::BadCharacter => "url_bad_char",
            Self::Invalid(_) => "url_invalid",
            Self::SchemeNotHttps | Self::SchemeNotHttp => "scheme",
            Self::NotCanonical => "url_not_canonical",
            Self::Userinfo => "userinfo",
            Self::Fragment => "fragment",
            Self::HostInvalid => "host_invalid",
            Self::HostSpecial => "host_special",
            Self::IpLiteral => "ip_literal",
            Self::Port { .. } => "port",
            Self::Address(refusal) => refusal.reason(),
        }
    }
}

impl Target {
    /// Parses and judges a URL as a tenant gave it.
    pub fn parse(text: &str, policy: &TargetPolicy) -> Result<Self, TargetError> {
        let scheme = check_raw(text, policy)?;
        let mut url = Url::parse(text)?;
        let port = url
            .port_or_known_default()
            .expect("the scheme is http or https, which have default ports");
        let host = match url.host().ok_or(url::ParseError::EmptyHost)? {
            url::Host::Ipv4(ip) => Host::Ip(ip.into()),
            url::Host::Ipv6(ip) => Host::Ip(ip.into()),
            url::Host::Domain(name) => Host::Domain(host::canonical_name(name)?.to_owned()),
        };
        if let Host::Domain(name) = &host
            && url.domain() != Some(name)
        {
            // it had a trailing dot, which TLS and virtual hosts do not expect
            url.set_host(Some(name))?;
        }
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        judge(&host, port, policy)?;
        Ok(Self { url, scheme, host, port })
    }

    /// The canonical URL: lower-case scheme and host, default port left out.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port to dial; the scheme's default where the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: the host, and the port unless it is the scheme's default.
    pub fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// The request target: begins with `/`, percent-encoded ASCII.
    pub fn path_and_query(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Without the path and query: receivers put tokens there.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.url[..Position::AfterPort];
        f.debug_tuple("Target").field(&origin).finish()
    }
}

/// Everything that must be seen before a parser mends it.
fn check_raw(text: &str, policy: &TargetPolicy) -> Result<Scheme, TargetError> {
    if text.len() > URL_BYTES_MAX {
        return Err(TargetError::TooLong);
    }
    if text.contains(|c: char| c.is_control() || c == '\\') || text.trim_matches(' ') != text {
        return Err(TargetError::BadCharacter);
    }
    let (scheme, rest) = split_scheme(text).ok_or(url::ParseError::RelativeUrlWithoutBase)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" if policy.allow_http => Scheme::Http,
        _ if policy.allow_http => return Err(TargetError::SchemeNotHttp),
        _ => return Err(TargetError::SchemeNotHttps),
    };
    let rest = rest.strip_prefix("//").ok_or(TargetError::NotCanonical)?;
    if rest.starts_with('/') {
        return Err(TargetError::NotCanonical);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(TargetError::Userinfo);
    }
    if rest.contains('#') {
        return Err(TargetError::Fragment);
    }
    Ok(scheme)
}

/// Splits at the colon if a scheme stands before it (RFC 3986 §3.1).
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    is_scheme.then_some((scheme, rest))
}

fn judge(host: &Host, port: u16, policy: &TargetPolicy) -> Result<(), TargetError> {
    let networks = &policy.networks;
    let is_loopback = match host {
        Host::Ip(_) if !policy.allow_ip_literals => return Err(TargetError::IpLiteral),
        Host::Ip(ip) => {
            address::judge(*ip, port, networks).map_err(TargetError::Address)?;
            ip.is_loopback()
        }
        Host::Domain(name) => match host::kind(name) {
            host::Kind::Loopback if networks.opens_loopback() => true,
            host::Kind::Local if !networks.danger_allow_networks.is_empty() => false,
            host::Kind::Public => false,
            host::Kind::Loopback | host::Kind::Local => return Err(TargetError::HostSpecial),
        },
    };
    // A developer's receiver may sit on any port of the own machine. Port 0 cannot be dialled.
    if port == 0 || (!is_loopback && port::is_of_another_protocol(port)) {
        return Err(TargetError::Port { port });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dev() -> TargetPolicy {
        let loopback = ["127.0.0.0/8", "::1"];
        TargetPolicy { allow_http: true, networks: opened(&loopback), ..TargetPolicy::default() }
    }

    fn opened(networks: &[&str]) -> AddressPolicy {
        AddressPolicy {
            danger_allow_networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            ..AddressPolicy::default()
        }
    }

    /// Under `policy`, `text` is stored as `expected`, or refused for the reason `expected`.
    fn check(policy: &TargetPolicy, text: &str, expected: &str) {
        let found = match Target::parse(text, policy) {
            Ok(target) => target.as_str().to_owned(),
            Err(error) => error.reason().to_owned(),
        };
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn parts_are_canonical() {
        let policy = TargetPolicy::default();
        let target =
            Target::parse("HTTPS://B\u{fc}cher.Example.org.:8443/a b?c=d&e", &policy).unwrap();
        assert_eq!(target.as_str(), "https://xn--bcher-kva.example.org:8443/a%20b?c=d&e");
        assert_eq!(target.scheme(), Scheme::Https);
        let name = "xn--bcher-kva.example.org".to_owned();
        assert_eq!(target.host(), &Host::Domain(name));
        assert_eq!(target.port(), 8443);
        assert_eq!(target.authority(), "xn--bcher-kva.example.org:8443");
        assert_eq!(target.path_and_query(), "/a%20b?c=d&e");
        assert!(!format!("{target:?}").contains("a%20b"));

        let target = Target::parse("https://[2606:4700::1]:443", &policy).unwrap();
        assert_eq!(target.authority(), "[2606:4700::1]");
        assert_eq!((target.port(), target.path_and_query()), (443, "/"));
    }

    #[test]
    fn raw_text_that_a_parser_would_mend_is_refused() {
        let policy = TargetPolicy::default();
        for (text, reason) in [
            (" https://example.com/", "url_bad_char"),
            ("https://example.com/ ", "url_bad_char"),
            ("ht\ttps://example.com/", "url_bad_char"),
            ("https://exam\nple.com/", "url_bad_char"),
            ("https://example.com/\u{7f}", "url_bad_char"),
            ("https:/example.com/", "url_not_canonical"),
            ("https:///example.com/", "url_not_canonical"),
            ("https://:@example.com/", "userinfo"),
            ("https://example.com?@127.0.0.1/", "https://example.com/?@127.0.0.1/"),
            ("https://example.com/#", "fragment"),
            ("https://?", "url_invalid"),
            ("https://example!.com/", "host_invalid"),
            ("https://a..example.com/", "host_invalid"),
            ("https://example-.com/", "host_invalid"),
            ("localhost:3000/webhooks", "scheme"),
        ] {
            check(&policy, text, reason);
        }
    }

    #[test]
    fn length_is_bounded_as_given_and_as_stored() {
        let policy = TargetPolicy::default();
        let prefix = "https://example.com/";
        let longest = format!("{prefix}{}", "a".repeat(URL_BYTES_MAX - prefix.len()));
        check(&policy, &longest, &longest);
        check(&policy, &format!("{longest}a"), "url_too_long");
        let grows = format!("{prefix}{}", "\u{e9}".repeat(900));
        check(&policy, &grows, "url_too_long");
    }

    #[test]
    fn dev_accepts_the_receivers_that_a_developer_has() {
        let policy = dev();
        for text in [
            "http://localhost:3000/webhooks",
            "http://localhost:6000/",
            "http://127.0.0.1:5432/",
            "http://[::1]:8080/",
            "http://app.localhost/",
            "http://receiver:4000/",
            "https://laptop.local/",
            "https://example.com/",
        ] {
            check(&policy, text, text);
        }
        check(&policy, "http://localhost:0/", "port");
        check(&policy, "https://example.com:6379/", "port");
        check(&policy, "http://receiver:6379/", "port");
        check(&policy, "http://10.0.0.1/", "ip_private");
        check(&policy, "http://0.0.0.0:3000/", "ip_unspecified");
        check(&policy, "ftp://localhost/", "scheme");
    }

    #[test]
    fn an_opened_private_network_opens_its_names_but_not_loopback() {
        let policy = TargetPolicy { networks: opened(&["10.0.0.0/8"]), ..TargetPolicy::default() };
        check(&policy, "https://backend/", "https://backend/");
        check(&policy, "https://10.1.2.3:6379/", "port");
        check(&policy, "https://localhost/", "host_special");
        check(&policy, "http://backend/", "scheme");
    }

    #[test]
    fn ip_literals_can_be_switched_off() {
        let policy = TargetPolicy { allow_ip_literals: false, ..TargetPolicy::default() };
        check(&policy, "https://1.1.1.1/", "ip_literal");
        check(&policy, "https://example.com/", "https://example.com/");
    }

    #[test]
    fn a_tenant_is_not_told_what_kind_of_address_was_refused() {
        let error = Target::parse("https://10.0.0.1/", &TargetPolicy::default()).unwrap_err();
        assert_eq!(error.to_string(), "address not allowed");
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.to_string().contains("private"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_acceptance_is_stable(
            text in prop_oneof![
                "\\PC{0,64}",
                "https://[a-z0-9.:@%\\-_\\[\\]/?#]{0,40}",
                "https?://[0-9a-fx.]{1,20}(:[0-9]{1,6})?/?",
                any::<String>(),
            ],
        ) {
            for policy in [TargetPolicy::default(), dev()] {
                if let Ok(target) = Target::parse(&text, &policy) {
                    prop_assert_eq!(Target::parse(target.as_str(), &policy), Ok(target.clone()));
                    prop_assert!(target.path_and_query().starts_with('/'));
                    prop_assert!(target.as_str().bytes().all(|b| b.is_ascii_graphic()));
                }
            }
        }
    }
}
