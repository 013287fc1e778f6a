//! Headers that a webhook's owner adds to its deliveries.

use http::{HeaderName, HeaderValue};
use postrider_signature::SigningProfile;

/// So many headers, and so many bytes of names and values in all, as common servers bear.
const HEADERS_MAX: usize = 64;
const HEADERS_BYTES_MAX: usize = 8 << 10;

/// What stands for a header's value where it is not shown.
pub const HIDDEN_VALUE: &str = "***";

/// Never to be set: what carries the connection, the body or the signature. Names that end in
/// `-` stand for all that begin so.
const RESERVED: &[&str] = &[
    "webhook-",
    "x-autonoma-",
    "x-automa-",
    "content-",
    "proxy-",
    "sec-",
    "accept-encoding",
    "connection",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// Why a custom header is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderError {
    /// As it was given.
    pub name: String,
    pub kind: HeaderErrorKind,
}

/// See [`HeaderError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderErrorKind {
    #[error("this header is set by the server itself; choose another name")]
    Reserved,
    #[error("a header's name has only letters, digits and !#$%&'*+-.^_`|~")]
    InvalidName,
    #[error("a header's value is printable ASCII without spaces at its ends")]
    InvalidValue,
    #[error("`{HIDDEN_VALUE}` only stands for a value that is there already; give a value")]
    HiddenValue,
    #[error(
        "a webhook has at most {HEADERS_MAX} headers of {HEADERS_BYTES_MAX} bytes in all, each name once"
    )]
    TooMany,
}

/// Puts the values that are there in place of what stood for them.
pub(super) fn reveal(
    headers: Vec<(String, String)>,
    present: &[(HeaderName, HeaderValue)],
) -> Result<Vec<(String, String)>, HeaderError> {
    let reveal = |(name, value): (String, String)| {
        if value != HIDDEN_VALUE {
            return Ok((name, value));
        }
        let known = present.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_str()));
        match known.and_then(|(_, value)| value.to_str().ok()) {
            Some(value) => Ok((name, value.to_owned())),
            None => Err(HeaderError { name, kind: HeaderErrorKind::HiddenValue }),
        }
    };
    headers.into_iter().map(reveal).collect()
}

/// Checks headers; gives them back with their names in lower case.
pub fn check(
    headers: Vec<(String, String)>,
    profile: &SigningProfile,
) -> Result<Vec<(String, String)>, HeaderError> {
    let mut checked: Vec<(String, String)> = Vec::with_capacity(headers.len().min(HEADERS_MAX));
    let mut bytes = 0;
    for (name, value) in headers {
        let refuse = |kind| HeaderError { name: name.clone(), kind };
        bytes += name.len() + value.len();
        if checked.len() == HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
            return Err(refuse(HeaderErrorKind::TooMany));
        }
        let parsed = HeaderName::try_from(name.as_str())
            .map_err(|_| refuse(HeaderErrorKind::InvalidName))?;
        if is_reserved(parsed.as_str(), profile) {
            return Err(refuse(HeaderErrorKind::Reserved));
        }
        if !is_plain(&value) || HeaderValue::try_from(value.as_str()).is_err() {
            return Err(refuse(HeaderErrorKind::InvalidValue));
        }
        if checked.iter().any(|(known, _)| known == parsed.as_str()) {
            return Err(refuse(HeaderErrorKind::TooMany));
        }
        checked.push((parsed.as_str().to_owned(), value));
    }
    Ok(checked)
}

/// Checks names that were accepted under another profile.
pub(super) fn check_names<'a>(
    names: impl IntoIterator<Item = &'a str>,
    profile: &SigningProfile,
) -> Result<(), HeaderError> {
    match names.into_iter().find(|name| is_reserved(name, profile)) {
        Some(name) => Err(HeaderError { name: name.to_owned(), kind: HeaderErrorKind::Reserved }),
        None => Ok(()),
    }
}

/// `name` in lower case.
fn is_reserved(name: &str, profile: &SigningProfile) -> bool {
    let signing = &profile.list_headers;
    let own =
        [Some(&signing.id), Some(&signing.timestamp), Some(&signing.signature)].into_iter().chain(
            [profile.hex_header.as_ref().map(|hex| &hex.name), profile.server_host_header.as_ref()],
        );
    RESERVED.iter().any(|reserved| {
        if reserved.ends_with('-') { name.starts_with(reserved) } else { name == *reserved }
    }) || own.flatten().any(|own| own == name)
}

fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && value.trim() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, value: &str) -> Option<HeaderErrorKind> {
        let headers = vec![(name.to_owned(), value.to_owned())];
        check(headers, &SigningProfile::standard()).err().map(|error| error.kind)
    }

    #[test]
    fn nothing_that_signs_or_carries_can_be_set() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "Webhook-Signature",
            "X-Automa-Any",
            "HOST",
        ] {
            assert_eq!(refusal(name, "1"), Some(HeaderErrorKind::Reserved), "{name}");
        }
        assert_eq!(refusal("X-Api-Key", "abc 123"), None);
        assert_eq!(refusal("Authorization", "Bearer x"), None);
    }

    #[test]
    fn a_brand_of_ones_own_reserves_its_headers_too() {
        let mut brand = SigningProfile::standard();
        brand.server_host_header = Some("x-acme-host".into());
        let refused = check(vec![("X-Acme-Host".to_owned(), "a".to_owned())], &brand);
        assert_eq!(refused.unwrap_err().kind, HeaderErrorKind::Reserved);
    }

    #[test]
    fn values_are_plain_ascii() {
        for value in ["a\0", "ünï", " lead", "trail ", "a\r\nb: c", "\t"] {
            assert_eq!(refusal("x-a", value), Some(HeaderErrorKind::InvalidValue), "{value:?}");
        }
        assert_eq!(refusal("x-ünï", "a"), Some(HeaderErrorKind::InvalidName));
    }

    #[test]
    fn their_number_and_size_are_bounded() {
        let many = (0..65).map(|n| (format!("x-{n}"), "a".to_owned())).collect();
        assert_eq!(
            check(many, &SigningProfile::standard()).unwrap_err().kind,
            HeaderErrorKind::TooMany
        );
        assert_eq!(refusal("x-a", &"a".repeat(8 << 10)), Some(HeaderErrorKind::TooMany));
        let twice = vec![("x-a".to_owned(), "1".to_owned()), ("X-A".to_owned(), "2".to_owned())];
        assert_eq!(
            check(twice, &SigningProfile::standard()).unwrap_err().kind,
            HeaderErrorKind::TooMany
        );
    }
}
