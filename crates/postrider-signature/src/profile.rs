//! Signing profiles: everything that differs between receivers, as data.
//!
//! [`crate::sign`] and [`crate::verify`] read these parameters and know no
//! profile by name, so a server can define a brand of its own.

use std::borrow::Cow;

use crate::envelope::BodyForm;
use crate::secret::{KeyDerivation, SecretFormat};

/// Standard Webhooks libraries refuse what is older than 300 s; this leaves a
/// minute for the attempt. Contract §3.
const EVENT_TIME_AGE_MS_MAX: i64 = 240_000;

/// The wire parameters of signing (contract §3). Header names are lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningProfile {
    pub name: Cow<'static, str>,
    pub body_form: BodyForm,
    pub secret_format: SecretFormat,
    pub list_headers: ListHeaders,
    pub signature_list: SignatureList,
    /// A header with one signature of the body alone, in hexadecimal.
    pub hex_header: Option<HexHeader>,
    /// A header that carries the server's public URL.
    pub server_host_header: Option<Cow<'static, str>>,
    pub timestamp_rule: TimestampRule,
}

/// The names of the three headers of Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListHeaders {
    pub id: Cow<'static, str>,
    pub timestamp: Cow<'static, str>,
    pub signature: Cow<'static, str>,
}

/// Which signatures the signature header lists for each secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureList {
    /// One: `v1` or `v1a` over the header's id and time.
    PerSecret,
    /// Up to three, so that Automa's SDKs, which read id and time out of the body,
    /// and Standard Webhooks libraries, which decode the key, both find theirs:
    /// text key at the event's time, text key at the header's, decoded key at the
    /// header's. The decoded ones stand last: one library reads only the last.
    Automa,
}

/// A header `name: {value_prefix}{lower-case hex of HMAC-SHA256(key, body)}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HexHeader {
    pub name: Cow<'static, str>,
    pub value_prefix: Cow<'static, str>,
}

/// Which time the timestamp header carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampRule {
    /// The event's own while it is younger than this and not in the future, else
    /// the attempt's.
    EventWhileYoungerThan { age_ms: i64 },
    /// Always the attempt's.
    Attempt,
}

impl SigningProfile {
    /// Standard Webhooks.
    pub fn standard() -> Self {
        Self {
            name: "standard".into(),
            body_form: BodyForm::Verbatim,
            secret_format: SecretFormat { prefix: "whsec_".into(), key: KeyDerivation::Base64 },
            list_headers: ListHeaders {
                id: "webhook-id".into(),
                timestamp: "webhook-timestamp".into(),
                signature: "webhook-signature".into(),
            },
            signature_list: SignatureList::PerSecret,
            hex_header: None,
            server_host_header: None,
            timestamp_rule: TimestampRule::EventWhileYoungerThan { age_ms: EVENT_TIME_AGE_MS_MAX },
        }
    }

    /// Automa bots.
    pub fn automa() -> Self {
        Self {
            name: "automa".into(),
            body_form: BodyForm::Jcs,
            secret_format: SecretFormat { prefix: "atma_whsec_".into(), key: KeyDerivation::Text },
            signature_list: SignatureList::Automa,
            server_host_header: Some("x-automa-server-host".into()),
            ..Self::standard()
        }
    }

    /// Autonoma bots.
    pub fn autonoma() -> Self {
        Self {
            name: "autonoma".into(),
            body_form: BodyForm::Ecma,
            secret_format: SecretFormat { prefix: "".into(), key: KeyDerivation::Whole },
            hex_header: Some(HexHeader {
                name: "x-autonoma-signature".into(),
                value_prefix: "sha256=".into(),
            }),
            ..Self::standard()
        }
    }

    /// The built-in profile of a name.
    pub fn builtin(name: &str) -> Option<Self> {
        [Self::standard(), Self::automa(), Self::autonoma()].into_iter().find(|p| p.name == name)
    }

    /// The built-in profile whose secret format a secret has, for webhooks that
    /// name none: `atma_whsec_` automa, `whsec_` and `whsk_` standard, anything
    /// else autonoma. A public key `whpk_` counts as standard, whose parser says
    /// that it can't sign: as an autonoma secret it would be no secret at all.
    pub fn for_secret(text: &str) -> Self {
        let has_prefix = |prefixes: &[&str]| prefixes.iter().any(|p| text.starts_with(p));
        if has_prefix(&["atma_whsec_"]) {
            Self::automa()
        } else if has_prefix(&["whsec_", "whsk_", "whpk_"]) {
            Self::standard()
        } else {
            Self::autonoma()
        }
    }
}

impl ListHeaders {
    /// `{prefix}id`, `{prefix}timestamp`, `{prefix}signature`, lower-cased.
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |rest: &str| Cow::Owned(format!("{}{rest}", prefix.to_ascii_lowercase()));
        Self { id: name("id"), timestamp: name("timestamp"), signature: name("signature") }
    }
}

impl TimestampRule {
    /// The whole seconds (rounded down) for the timestamp header.
    pub fn header_seconds(self, event_time_ms: i64, now_ms: i64) -> i64 {
        let is_event_time = match self {
            Self::EventWhileYoungerThan { age_ms } => {
                (0..age_ms).contains(&now_ms.saturating_sub(event_time_ms))
            }
            Self::Attempt => false,
        };
        if is_event_time { event_time_ms } else { now_ms }.div_euclid(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_chooses_the_profile() {
        for (text, name) in [
            ("atma_whsec_secret", "automa"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "standard"),
            ("whsk_x", "standard"),
            ("whpk_x", "standard"),
            ("your-webhook-secret", "autonoma"),
            ("WHSEC_x", "autonoma"),
            ("", "autonoma"),
        ] {
            assert_eq!(SigningProfile::for_secret(text).name, name, "{text}");
            assert_eq!(SigningProfile::builtin(name).unwrap().name, name);
        }
        assert_eq!(SigningProfile::builtin("other"), None);
    }

    #[test]
    fn the_event_time_is_used_while_it_is_fresh() {
        let rule = SigningProfile::standard().timestamp_rule;
        let event_ms = 1_753_678_680_999;
        for (age_ms, expected) in [
            (0, 1_753_678_680),
            (239_999, 1_753_678_680),
            (240_000, 1_753_678_920),
            (600_000, 1_753_679_280),
            (-1, 1_753_678_680),
            (-10_000, 1_753_678_670),
        ] {
            assert_eq!(rule.header_seconds(event_ms, event_ms + age_ms), expected, "{age_ms}");
        }
        assert_eq!(
            TimestampRule::Attempt.header_seconds(event_ms, event_ms + 2_000),
            1_753_678_682
        );
        assert_eq!(rule.header_seconds(i64::MIN, i64::MAX), i64::MAX / 1_000);
    }

    #[test]
    fn a_brand_names_its_own_headers() {
        let headers = ListHeaders::with_prefix("Acme-");
        assert_eq!(headers.id, "acme-id");
        assert_eq!(headers.timestamp, "acme-timestamp");
        assert_eq!(headers.signature, "acme-signature");
        assert_eq!(ListHeaders::with_prefix("webhook-"), SigningProfile::standard().list_headers);
    }
}
