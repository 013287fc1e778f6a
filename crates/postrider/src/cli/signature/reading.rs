//! Why a signature does not fit: it is tried with everything that goes wrong in practice, and the
//! reading that differs least is told.

use std::borrow::Cow;

use postrider_signature::canonical::{self, NumberPolicy};
use postrider_signature::{
    KeyDerivation, Secret, SecretFormat, SigningProfile, Tolerance, json, verify,
};

use super::BodyClaims;
use super::verify::hex_of;

/// A delivery as it arrived, and the profile that it should have.
pub(super) struct Delivery<'a> {
    pub(super) profile: &'a SigningProfile,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: &'a [u8],
}

/// One way to take a part of a delivery, and what is told of it; `None`: as it was given.
struct Reading<T> {
    told: Option<&'static str>,
    value: T,
}

impl Delivery<'_> {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What makes a listed signature fit.
pub(super) fn list(delivery: &Delivery<'_>, texts: &[String]) -> Option<String> {
    let names = &delivery.profile.list_headers;
    let claims = BodyClaims::of(delivery.body);
    let body_seconds = claims.timestamp_ms().map(|ms| ms.div_euclid(1_000).to_string());
    let ids =
        as_given_or(delivery.header(&names.id), claims.id, "the body's id instead of the header's");
    let times = as_given_or(
        delivery.header(&names.timestamp),
        body_seconds,
        "the body's timestamp instead of the header's",
    );
    let bodies = bodies(delivery.body);
    let mut found = Vec::new();
    for (number, text) in (1..).zip(texts) {
        for secret in secrets(text, delivery.profile) {
            for body in &bodies {
                for id in &ids {
                    for time in &times {
                        let header = |name: &str| match name {
                            _ if name == names.id => Some(id.value.as_str()),
                            _ if name == names.timestamp => Some(time.value.as_str()),
                            _ => delivery.header(name),
                        };
                        let keys = [(&secret.value).into()];
                        let any_age = Tolerance::danger_any_age();
                        if verify(delivery.profile, &keys, header, &body.value, 0, any_age).is_ok()
                        {
                            let told = [secret.told, body.told, id.told, time.told];
                            found.push((number, told));
                        }
                    }
                }
            }
        }
    }
    least(found, texts.len())
}

/// What makes the hex signature fit.
pub(super) fn hex(delivery: &Delivery<'_>, value: &str, texts: &[String]) -> Option<String> {
    let bodies = bodies(delivery.body);
    let mut found = Vec::new();
    for (number, text) in (1..).zip(texts) {
        for secret in secrets(text, delivery.profile) {
            for body in &bodies {
                let expected = hex_of(delivery.profile, &secret.value, &body.value);
                if expected.is_some_and(|expected| expected.eq_ignore_ascii_case(value)) {
                    let case = (hex_of(delivery.profile, &secret.value, &body.value).as_deref()
                        != Some(value))
                    .then_some("lower-case hexadecimal");
                    found.push((number, [secret.told, body.told, case, None]));
                }
            }
        }
    }
    least(found, texts.len())
}

/// The reading with the fewest differences.
fn least(found: Vec<(usize, [Option<&'static str>; 4])>, secrets: usize) -> Option<String> {
    let count = |told: &[Option<&str>; 4]| told.iter().flatten().count();
    let (number, told) = found.into_iter().min_by_key(|(_, told)| count(told))?;
    let told: Vec<&str> = told.into_iter().flatten().collect();
    let which = if secrets > 1 { format!(" and secret {number}") } else { String::new() };
    Some(format!("it would fit with {}{which}", told.join(" and ")))
}

fn as_given_or(
    given: Option<&str>,
    other: Option<String>,
    told: &'static str,
) -> Vec<Reading<String>> {
    let given = given.map(|given| Reading { told: None, value: given.to_owned() });
    let other = other.map(|other| Reading { told: Some(told), value: other });
    given.into_iter().chain(other).collect()
}

/// The body as it is, and as what handles bodies on their way leaves them.
fn bodies(body: &[u8]) -> Vec<Reading<Cow<'_, [u8]>>> {
    let mut bodies = vec![Reading { told: None, value: Cow::Borrowed(body) }];
    let mut add = |told, value: Vec<u8>| {
        if bodies.iter().all(|known| *known.value != *value) {
            bodies.push(Reading { told: Some(told), value: Cow::Owned(value) });
        }
    };
    if let Some(trimmed) = body.strip_suffix(b"\r\n").or(body.strip_suffix(b"\n")) {
        add("the body without its last line break", trimmed.to_vec());
    }
    add("a line break behind the body", [body, b"\n"].concat());
    if let Ok(minified) = json::minify_within(body, 1) {
        let ecma = canonical::ecma(&minified, NumberPolicy::Round).map(Cow::into_owned);
        let jcs = canonical::jcs(&minified, NumberPolicy::Round).map(Cow::into_owned);
        add("the body without white space", minified);
        if let Ok(ecma) = ecma {
            add("the body as JSON.stringify writes it", ecma);
        }
        if let Ok(jcs) = jcs {
            add("the body with sorted keys", jcs);
        }
    }
    bodies
}

/// A secret's text as its profile reads it, and as other libraries would.
fn secrets(text: &str, profile: &SigningProfile) -> Vec<Reading<Secret>> {
    let format = |prefix: &str, key| SecretFormat { prefix: prefix.to_owned().into(), key };
    let own = profile.secret_format.clone();
    let trimmed = text.trim();
    let bare = text.strip_prefix(&*own.prefix).unwrap_or(text);
    let readings = [
        (None, text, own.clone()),
        (Some("the secret without white space around it"), trimmed, own.clone()),
        (
            Some("the whole secret as the key, prefix included"),
            text,
            format("", KeyDerivation::Whole),
        ),
        (
            Some("the text after the secret's prefix as the key, not decoded"),
            bare,
            format("", KeyDerivation::Whole),
        ),
        (
            Some("the secret decoded from Base64 as the key"),
            bare,
            format("", KeyDerivation::Base64),
        ),
    ];
    readings
        .into_iter()
        .filter_map(|(told, text, format)| {
            Some(Reading { told, value: Secret::parse(text, &format).ok()? })
        })
        .collect()
}
