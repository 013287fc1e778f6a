//! Verifying: the mirror of signing, for receivers and for the built-in inbox.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::canonical::{self, NumberPolicy};
use crate::json;
use crate::mac::mac_of_content;
use crate::profile::{HexHeader, SignatureList, SigningProfile};
#[cfg(feature = "ed25519")]
use crate::secret::PublicKey;
use crate::secret::{Key, Secret};
use crate::sign::body_mac;
#[cfg(feature = "ed25519")]
use crate::sign::signed_text;
use crate::timestamp;

/// What a receiver holds to verify with.
#[derive(Debug, Clone, Copy)]
pub enum VerifyKey<'a> {
    Secret(&'a Secret),
    #[cfg(feature = "ed25519")]
    Public(&'a PublicKey),
}

/// How far a signed time may lie from now, to either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    past_seconds: i64,
    future_seconds: i64,
}

/// What a valid delivery says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The event's id: the same in every attempt, so it tells repeats apart.
    pub id: String,
    /// The time that was signed: the event's or the attempt's, in whole seconds.
    pub timestamp_seconds: i64,
}

/// Why a delivery is not accepted, in the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    #[error("the header `{0}` is missing")]
    MissingHeader(String),
    #[error("the header `{0}` is malformed")]
    MalformedHeader(String),
    /// Only where id and time are read from the body.
    #[error("the body is not a JSON object with an `id` and a `timestamp`")]
    MalformedBody,
    #[error("signed {age_seconds} s ago, longer than is tolerated")]
    TooOld { age_seconds: i64 },
    #[error("signed for {ahead_seconds} s from now, further ahead than is tolerated")]
    TooNew { ahead_seconds: i64 },
    #[error("no signature matches: the secret is another one, or the body was changed")]
    NoMatch,
}

/// Verifies a delivery made by any sender of a profile.
///
/// `header` finds a header's value by its lower-case name; `body` is exactly what
/// arrived. One key that matches one listed signature is enough. Signatures are
/// compared in constant time.
///
/// - With [`SignatureList::Automa`], what Automa's SDKs sign is accepted too: id
///   and time out of the body, over the body as it is or with sorted keys. Their
///   time is held to the tolerance as well, though the SDKs check no age; for
///   Automa's own retries use [`Tolerance::danger_any_age`].
/// - With a hex header and no signature list at all, the hex signature is
///   verified and id and time are read from the body.
pub fn verify<'h>(
    profile: &SigningProfile,
    keys: &[VerifyKey<'_>],
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    now_ms: i64,
    tolerance: Tolerance,
) -> Result<Verified, VerifyError> {
    let names = &profile.list_headers;
    let Some(list) = header(&names.signature) else {
        let hex = profile.hex_header.as_ref().and_then(|h| Some((h, header(&h.name)?)));
        return match hex {
            Some((name, value)) => verify_hex(name, value, keys, body, now_ms, tolerance),
            None => Err(VerifyError::MissingHeader(names.signature.to_string())),
        };
    };
    let signatures = Signatures::parse(list)
        .ok_or_else(|| VerifyError::MalformedHeader(names.signature.to_string()))?;

    let mut claims = match profile.signature_list {
        SignatureList::PerSecret => Vec::new(),
        SignatureList::Automa => claims_in_body(body),
    };
    match claim_in_headers(profile, &header, body) {
        Ok(claim) => claims.insert(0, claim),
        Err(VerifyError::MissingHeader(_)) if !claims.is_empty() => {}
        Err(error) => return Err(error),
    }

    let mut age_error = None;
    let mut is_any_in_time = false;
    for claim in claims {
        if let Err(error) = tolerance.check(claim.seconds, now_ms) {
            age_error.get_or_insert(error);
        } else if keys.iter().any(|key| signatures.hold(*key, &claim)) {
            return Ok(Verified { id: claim.id, timestamp_seconds: claim.seconds });
        } else {
            is_any_in_time = true;
        }
    }
    Err(age_error.filter(|_| !is_any_in_time).unwrap_or(VerifyError::NoMatch))
}

impl Tolerance {
    /// So many seconds to either side.
    pub fn seconds(seconds: u32) -> Self {
        Self { past_seconds: seconds.into(), future_seconds: seconds.into() }
    }

    /// Accepts every age: a delivery once seen can be replayed for ever, so
    /// remember the ids.
    pub fn danger_any_age() -> Self {
        Self { past_seconds: i64::MAX, future_seconds: i64::MAX }
    }

    fn check(self, seconds: i64, now_ms: i64) -> Result<(), VerifyError> {
        let age_seconds = now_ms.div_euclid(1_000).saturating_sub(seconds);
        let ahead_seconds = age_seconds.saturating_neg();
        if age_seconds > self.past_seconds {
            Err(VerifyError::TooOld { age_seconds })
        } else if ahead_seconds > self.future_seconds {
            Err(VerifyError::TooNew { ahead_seconds })
        } else {
            Ok(())
        }
    }
}

impl Default for Tolerance {
    /// 300 s, as all Standard Webhooks libraries have it.
    fn default() -> Self {
        Self::seconds(300)
    }
}

impl<'a> From<&'a Secret> for VerifyKey<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self::Secret(secret)
    }
}

#[cfg(feature = "ed25519")]
impl<'a> From<&'a PublicKey> for VerifyKey<'a> {
    fn from(key: &'a PublicKey) -> Self {
        Self::Public(key)
    }
}

/// One reading of what was signed.
struct Claim<'a> {
    id: String,
    seconds: i64,
    body: Cow<'a, [u8]>,
}

fn claim_in_headers<'a, 'h>(
    profile: &SigningProfile,
    header: &impl Fn(&str) -> Option<&'h str>,
    body: &'a [u8],
) -> Result<Claim<'a>, VerifyError> {
    let names = &profile.list_headers;
    let required =
        |name: &str| header(name).ok_or_else(|| VerifyError::MissingHeader(name.to_owned()));
    let malformed = |name: &str| VerifyError::MalformedHeader(name.to_owned());
    let id = required(&names.id)?;
    let seconds = required(&names.timestamp)?;
    if !is_joinable(id) {
        return Err(malformed(&names.id));
    }
    // digits alone: `parse` would take a sign too
    let seconds = Some(seconds)
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed(&names.timestamp))?;
    Ok(Claim { id: id.to_owned(), seconds, body: Cow::Borrowed(body) })
}

/// What Automa's SDKs may have signed: the body as it is or with sorted keys,
/// with its own id and time. None when the body has neither.
fn claims_in_body(body: &[u8]) -> Vec<Claim<'_>> {
    let Some((minified, id, seconds)) = read_body(body) else {
        return Vec::new();
    };
    let mut claims = vec![Claim { id: id.clone(), seconds, body: Cow::Borrowed(body) }];
    if let Ok(sorted) = canonical::jcs(&minified, NumberPolicy::Round)
        && *sorted != *body
    {
        claims.push(Claim { id, seconds, body: Cow::Owned(sorted.into_owned()) });
    }
    claims
}

/// The minified body, its `id`, and its `timestamp` in whole seconds.
fn read_body(body: &[u8]) -> Option<(Vec<u8>, String, i64)> {
    let minified = json::minify_within(body, 1).ok()?;
    let text = |name| {
        let quoted = json::member(&minified, name)?;
        Some(json::unescape(quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?).into_owned())
    };
    let id = text("id").filter(|id| is_joinable(id))?;
    let seconds = timestamp::parse(&text("timestamp")?).ok()?.div_euclid(1_000);
    Some((minified, id, seconds))
}

/// Whether an id can stand in the dot-joined signed text without being confused
/// with what follows it.
fn is_joinable(id: &str) -> bool {
    !id.is_empty() && !id.contains('.')
}

fn verify_hex(
    header: &HexHeader,
    value: &str,
    keys: &[VerifyKey<'_>],
    body: &[u8],
    now_ms: i64,
    tolerance: Tolerance,
) -> Result<Verified, VerifyError> {
    let signature = value
        .strip_prefix(&*header.value_prefix)
        .and_then(from_hex)
        .ok_or_else(|| VerifyError::MalformedHeader(header.name.to_string()))?;
    let (_, id, seconds) = read_body(body).ok_or(VerifyError::MalformedBody)?;
    tolerance.check(seconds, now_ms)?;
    let is_match = |key: &VerifyKey<'_>| match key {
        VerifyKey::Secret(secret) => {
            body_mac(secret, body).is_some_and(|mac| mac.ct_eq(&signature).into())
        }
        #[cfg(feature = "ed25519")]
        VerifyKey::Public(_) => false,
    };
    if keys.iter().any(is_match) {
        Ok(Verified { id, timestamp_seconds: seconds })
    } else {
        Err(VerifyError::NoMatch)
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}

/// The signatures of a list header; schemes unknown here are passed over.
struct Signatures {
    v1: Vec<[u8; 32]>,
    #[cfg(feature = "ed25519")]
    v1a: Vec<Vec<u8>>,
}

impl Signatures {
    /// `None` when no element has the form `scheme,base64`.
    fn parse(list: &str) -> Option<Self> {
        let mut signatures = Self {
            v1: Vec::new(),
            #[cfg(feature = "ed25519")]
            v1a: Vec::new(),
        };
        let mut is_any_sound = false;
        for element in list.split(' ') {
            let Some((scheme, text)) = element.split_once(',') else {
                continue;
            };
            let Ok(bytes) = STANDARD.decode(text) else {
                continue;
            };
            is_any_sound = true;
            match scheme {
                "v1" => signatures.v1.extend(<[u8; 32]>::try_from(bytes).ok()),
                #[cfg(feature = "ed25519")]
                "v1a" => signatures.v1a.push(bytes),
                _ => {}
            }
        }
        is_any_sound.then_some(signatures)
    }

    /// Whether one of them was made with this key over this claim.
    fn hold(&self, key: VerifyKey<'_>, claim: &Claim<'_>) -> bool {
        match key {
            VerifyKey::Secret(secret) => match secret.key() {
                Key::Hmac(keys) => {
                    [Some(&keys.own), keys.decoded.as_ref()].into_iter().flatten().any(|key| {
                        let mac = mac_of_content(key, &claim.id, claim.seconds, &claim.body);
                        self.v1.iter().any(|signature| mac.ct_eq(signature).into())
                    })
                }
                #[cfg(feature = "ed25519")]
                Key::Ed25519(pair) => self.hold_public(&pair.public_key(), claim),
            },
            #[cfg(feature = "ed25519")]
            VerifyKey::Public(key) => self.hold_public(key, claim),
        }
    }

    #[cfg(feature = "ed25519")]
    fn hold_public(&self, key: &PublicKey, claim: &Claim<'_>) -> bool {
        let text = signed_text(&claim.id, claim.seconds, &claim.body);
        self.v1a.iter().any(|signature| key.has_signed(&text, signature))
    }
}
