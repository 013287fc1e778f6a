//! A delivery as a receiver gets it: lines with the signature header, the id and the time, then the
//! body.

use std::sync::LazyLock;

use postrider_signature::{
    Content, NumberPolicy, Secret, SigningProfile, Tolerance, Verified, VerifyError, canonical,
    json, sign, verify,
};

use crate::NOW_MS;

/// A signature header that begins so is given as the one header of Autonoma.
const HEX_PREFIX: &str = "sha256=";

/// What is accepted was signed with the secret; what is signed is accepted; what was changed
/// afterwards is not.
pub fn signature_header(bytes: &[u8]) {
    let mut lines = bytes.splitn(4, |&byte| byte == b'\n');
    let mut text = || lines.next().map(String::from_utf8_lossy);
    let (signature, id, seconds) = (text(), text(), text());
    let delivery = Delivery {
        signature: signature.as_deref(),
        id: id.as_deref(),
        seconds: seconds.as_deref(),
        body: lines.next().unwrap_or_default(),
    };
    for (profile, secret) in receivers_of(&delivery) {
        for tolerance in [Tolerance::default(), Tolerance::danger_any_age()] {
            if let Ok(verified) = delivery.verify(profile, secret, tolerance) {
                assert!(delivery.is_signed(profile, secret, &verified), "{verified:?} forged");
            }
        }
        if let Some(id) = delivery.id.filter(|id| !id.is_empty() && !id.contains('.')) {
            round_trip(profile, secret, id, delivery.body);
        }
    }
}

struct Delivery<'a> {
    signature: Option<&'a str>,
    id: Option<&'a str>,
    seconds: Option<&'a str>,
    body: &'a [u8],
}

impl Delivery<'_> {
    fn verify(
        &self,
        profile: &SigningProfile,
        secret: &Secret,
        tolerance: Tolerance,
    ) -> Result<Verified, VerifyError> {
        let names = &profile.list_headers;
        let is_hex = self.signature.is_some_and(|value| value.starts_with(HEX_PREFIX));
        let header = |name: &str| match name {
            name if name == names.id => self.id,
            name if name == names.timestamp => self.seconds,
            name if name == names.signature => self.signature.filter(|_| !is_hex),
            _ => self.signature.filter(|_| is_hex),
        };
        verify(profile, &[secret.into()], header, self.body, NOW_MS, tolerance)
    }

    /// Whether signing anew what was verified gives a signature that was there.
    fn is_signed(&self, profile: &SigningProfile, secret: &Secret, verified: &Verified) -> bool {
        let given = self.signature.unwrap_or_default();
        let Some(at_ms) = verified.timestamp_seconds.checked_mul(1_000) else { return false };
        let minified = json::minify_within(self.body, 1).ok();
        let sorted = minified.as_deref().and_then(|m| canonical::jcs(m, NumberPolicy::Round).ok());
        let bodies = [Some(self.body), sorted.as_deref()];
        bodies.into_iter().flatten().any(|body| {
            let content = Content {
                id: &verified.id,
                event_time_ms: at_ms,
                now_ms: at_ms,
                body,
                server_host: None,
            };
            let signed = sign(profile, secret, &[], &content);
            signed.iter().any(|(_, value)| match value.strip_prefix(HEX_PREFIX) {
                Some(_) => given.eq_ignore_ascii_case(value),
                None => given.split(' ').any(|one| value.split(' ').any(|other| one == other)),
            })
        })
    }
}

fn round_trip(profile: &SigningProfile, secret: &Secret, id: &str, body: &[u8]) {
    let content =
        Content { id, event_time_ms: NOW_MS, now_ms: NOW_MS, body, server_host: Some("https://h") };
    let headers = sign(profile, secret, &[], &content);
    let header = |name: &str| {
        headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    };
    let keys = [secret.into()];
    let tolerance = Tolerance::default();
    let verified = verify(profile, &keys, header, body, NOW_MS, tolerance).expect("just signed");
    assert_eq!((verified.id.as_str(), verified.timestamp_seconds), (id, NOW_MS / 1_000));
    let longer = [body, b"x"].concat();
    let refused = verify(profile, &keys, header, &longer, NOW_MS, tolerance);
    assert_eq!(refused, Err(VerifyError::NoMatch), "no JSON ends with an x");
}

/// The secrets are those of the contract's vectors. The ed25519 one comes last.
static RECEIVERS: LazyLock<[(SigningProfile, Secret); 4]> = LazyLock::new(|| {
    [
        (SigningProfile::standard(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (SigningProfile::automa(), "atma_whsec_secret"),
        (SigningProfile::autonoma(), "your-webhook-secret"),
        (
            SigningProfile::standard(),
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
        ),
    ]
    .map(|(profile, text)| {
        let secret = Secret::parse(text, &profile.secret_format).expect("a secret");
        (profile, secret)
    })
});

/// Only a delivery that claims an ed25519 signature is worth its arithmetic, which takes milliseconds
/// without optimisation.
fn receivers_of(delivery: &Delivery<'_>) -> &'static [(SigningProfile, Secret)] {
    let has_v1a = delivery.signature.is_some_and(|list| list.contains("v1a,"));
    if has_v1a { &RECEIVERS[..] } else { &RECEIVERS[..3] }
}
