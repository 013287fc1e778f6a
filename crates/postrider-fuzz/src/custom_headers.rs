//! The custom headers of a webhook: a JSON object of strings.

use http::{HeaderName, HeaderValue};
use postrider::engine::check_headers;
use postrider::http::fields::{Fields, Given};
use postrider::http::json::JsonText;
use postrider_signature::SigningProfile;

/// So many, and so many bytes, are ever accepted (`hostile.tsv` H163).
const HEADERS_MAX: usize = 64;
const HEADERS_BYTES_MAX: usize = 8 << 10;

/// Names, and with a `-` at their ends beginnings of names, that carry the connection, the body or the
/// signature.
const NEVER: [&str; 8] = [
    "webhook-",
    "x-autonoma-",
    "x-automa-",
    "content-",
    "proxy-",
    "host",
    "connection",
    "transfer-encoding",
];

/// What is accepted can be sent as it is, is bounded, and sets nothing that is the server's.
pub fn custom_headers(bytes: &[u8]) {
    let Ok(text) = JsonText::parse(bytes) else { return };
    let wrapped = format!("{{\"headers\":{}}}", text.as_str());
    let mut fields = Fields::of(&wrapped).expect("an object of one checked member");
    let Given::Value(given) = fields.pairs("headers") else { return };
    for profile in [SigningProfile::standard(), SigningProfile::automa(), brand()] {
        let Ok(checked) = check_headers(given.clone(), &profile) else { continue };
        assert_eq!(check_headers(checked.clone(), &profile).as_ref(), Ok(&checked));
        sendable(&checked, &profile);
    }
}

fn sendable(checked: &[(String, String)], profile: &SigningProfile) {
    let bytes: usize = checked.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(checked.len() <= HEADERS_MAX && bytes <= HEADERS_BYTES_MAX);
    for (index, (name, value)) in checked.iter().enumerate() {
        let parsed = HeaderName::from_bytes(name.as_bytes()).expect("a name that can be sent");
        assert_eq!(parsed.as_str(), name, "names are in lower case");
        assert!(HeaderValue::from_str(value).is_ok() && value.is_ascii(), "{value:?}");
        assert_eq!(value.trim(), value);
        assert!(checked.iter().skip(index + 1).all(|(later, _)| later != name), "{name} twice");
        let is_ours =
            |never: &&str| name == never || never.ends_with('-') && name.starts_with(never);
        assert!(!NEVER.iter().any(is_ours), "{name}");
        assert!(profile.server_host_header.as_deref() != Some(name), "{name}");
    }
}

/// A brand of one's own, whose headers have names that nobody reserves for it.
fn brand() -> SigningProfile {
    SigningProfile { server_host_header: Some("x-acme-host".into()), ..SigningProfile::standard() }
}
