//! Signing: a profile, its live secrets and a body become headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::mac::{HmacKey, mac_of_body, mac_of_content};
use crate::profile::{SignatureList, SigningProfile};
use crate::secret::{Key, Secret};

/// How many secrets of a webhook may be live at once, the current one included.
/// Contract §3, "Rotation".
pub const LIVE_SECRETS_MAX: usize = 5;

/// What is signed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The event's id; holds no dot, since the signed text is joined by dots.
    pub id: &'a str,
    /// The event's timestamp, as it stands in the body.
    pub event_time_ms: i64,
    /// When the attempt is made.
    pub now_ms: i64,
    pub body: &'a [u8],
    /// The server's public URL, for profiles that send it.
    pub server_host: Option<&'a str>,
}

/// The headers that sign `content`: names in lower case, each once.
///
/// `older` are the secrets still in their overlap, newest first. A hex header
/// carries the signature of the newest shared secret only, since its receivers
/// compare the whole value; when every secret is ed25519 it is left out.
pub fn sign<'p>(
    profile: &'p SigningProfile,
    current: &Secret,
    older: &[&Secret],
    content: &Content<'_>,
) -> Vec<(&'p str, String)> {
    let secrets = || std::iter::once(current).chain(older.iter().copied());
    let seconds = profile.timestamp_rule.header_seconds(content.event_time_ms, content.now_ms);
    let mut signatures: Vec<String> = Vec::with_capacity(3);
    match profile.signature_list {
        SignatureList::PerSecret => {
            signatures.extend(secrets().map(|secret| signature(secret, content, seconds)));
        }
        SignatureList::Automa => {
            let event_seconds = content.event_time_ms.div_euclid(1_000);
            for secret in secrets() {
                signatures.push(signature(secret, content, event_seconds));
                if seconds != event_seconds {
                    signatures.push(signature(secret, content, seconds));
                }
            }
            // The current secret's stands last of all, for the library that reads
            // only the last signature
            let decoded = secrets().filter_map(|s| decoded_signature(s, content, seconds));
            let at = signatures.len();
            signatures.extend(decoded);
            signatures[at..].reverse();
        }
    }
    let names = &profile.list_headers;
    let mut headers: Vec<(&str, String)> = vec![
        (&names.id, content.id.to_owned()),
        (&names.timestamp, seconds.to_string()),
        (&names.signature, signatures.join(" ")),
    ];
    if let Some(header) = &profile.hex_header
        && let Some(mac) = secrets().find_map(|secret| body_mac(secret, content.body))
    {
        headers.push((&header.name, format!("{}{}", header.value_prefix, hex(&mac))));
    }
    if let (Some(name), Some(host)) = (&profile.server_host_header, content.server_host) {
        headers.push((name, host.to_owned()));
    }
    headers
}

/// One element of the list: `v1,…` or `v1a,…` in padded standard Base64.
fn signature(secret: &Secret, content: &Content<'_>, seconds: i64) -> String {
    match secret.key() {
        Key::Hmac(keys) => shared_signature(&keys.own, content, seconds),
        #[cfg(feature = "ed25519")]
        Key::Ed25519(pair) => {
            element("v1a,", &pair.sign(&signed_text(content.id, seconds, content.body)))
        }
    }
}

fn decoded_signature(secret: &Secret, content: &Content<'_>, seconds: i64) -> Option<String> {
    match secret.key() {
        Key::Hmac(keys) => keys.decoded.as_ref().map(|key| shared_signature(key, content, seconds)),
        #[cfg(feature = "ed25519")]
        Key::Ed25519(_) => None,
    }
}

fn shared_signature(key: &HmacKey, content: &Content<'_>, seconds: i64) -> String {
    element("v1,", &mac_of_content(key, content.id, seconds, content.body))
}

#[cfg_attr(
    not(feature = "ed25519"),
    expect(clippy::unnecessary_wraps, reason = "ed25519 secrets have none")
)]
pub(crate) fn body_mac(secret: &Secret, body: &[u8]) -> Option<[u8; 32]> {
    match secret.key() {
        Key::Hmac(keys) => Some(mac_of_body(&keys.own, body)),
        #[cfg(feature = "ed25519")]
        Key::Ed25519(_) => None,
    }
}

/// `{id}.{seconds}.{body}` in one piece, which ed25519 needs.
#[cfg(feature = "ed25519")]
pub(crate) fn signed_text(id: &str, seconds: i64, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{seconds}.").as_bytes(), body].concat()
}

fn element(scheme: &str, signature: &[u8]) -> String {
    let mut element = String::with_capacity(scheme.len() + 88);
    element.push_str(scheme);
    STANDARD.encode_string(signature, &mut element);
    element
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
