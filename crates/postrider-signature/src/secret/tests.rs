use super::*;
use crate::SigningProfile;

fn parse(profile: &SigningProfile, text: &str) -> Result<Secret, SecretError> {
    Secret::parse(text, &profile.secret_format)
}

/// Bytes that count up: enough to tell apart what is made from them.
fn counter() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(1);
        }
    }
}

fn base64_of(bytes: usize) -> String {
    STANDARD.encode(vec![7; bytes])
}

#[test]
fn standard_secrets_have_24_to_64_bytes() {
    let standard = SigningProfile::standard();
    for bytes in [24, 32, 64] {
        assert!(parse(&standard, &format!("whsec_{}", base64_of(bytes))).is_ok());
    }
    for bytes in [1, 8, 23, 65] {
        let error = parse(&standard, &format!("whsec_{}", base64_of(bytes))).unwrap_err();
        assert_eq!(error, SecretError::Weak { bytes });
    }
}

#[test]
fn errors_name_the_cause() {
    let standard = SigningProfile::standard();
    let expected = "whsec_".to_owned();
    for (text, error) in [
        ("", SecretError::Empty),
        ("whsec_", SecretError::Empty),
        ("whsec_!!!!", SecretError::NotBase64),
        // no padding, and the alphabet of URLs
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", SecretError::NotBase64),
        ("whsec_-_KQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::NotBase64),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::WrongPrefix { expected }),
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", SecretError::PublicKey),
        (&"x".repeat(1_025), SecretError::TooLong),
    ] {
        assert_eq!(parse(&standard, text).unwrap_err(), error, "{text}");
    }
    let automa = SigningProfile::automa();
    assert_eq!(parse(&automa, "atma_whsec_").unwrap_err(), SecretError::Empty);
    assert!(matches!(parse(&automa, "whsec_x").unwrap_err(), SecretError::WrongPrefix { .. }));
}

#[test]
fn autonoma_takes_any_text_whole() {
    let autonoma = SigningProfile::autonoma();
    for text in ["x", "whsec_", "atma_whsec_secret", "ключ 🔑", " "] {
        assert_eq!(parse(&autonoma, text).unwrap().expose(), text);
    }
    assert_eq!(parse(&autonoma, "").unwrap_err(), SecretError::Empty);
}

#[test]
fn made_secrets_have_the_form_that_every_library_loads() {
    let mut random = counter();
    for (profile, prefix) in [
        (SigningProfile::standard(), "whsec_"),
        (SigningProfile::automa(), "atma_whsec_"),
        (SigningProfile::autonoma(), ""),
    ] {
        let secret = Secret::generate(&profile.secret_format, &mut random);
        let key = secret.expose().strip_prefix(prefix).unwrap();
        assert_eq!(key.len(), 44);
        assert!(STANDARD.decode(key).unwrap().len() >= 32);
        assert_ne!(secret, Secret::generate(&profile.secret_format, &mut random));
        assert_eq!(secret, parse(&profile, secret.expose()).unwrap());
    }
}

#[test]
fn a_secret_never_shows_in_debug() {
    let secret = parse(&SigningProfile::autonoma(), "your-webhook-secret").unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(redacted)");
}

#[cfg(feature = "ed25519")]
#[test]
fn ed25519_keys_are_read_from_32_and_64_bytes() {
    let standard = SigningProfile::standard();
    let secret = Secret::generate_ed25519(&mut counter());
    let bytes = STANDARD.decode(secret.expose().strip_prefix("whsk_").unwrap()).unwrap();
    assert_eq!(bytes.len(), 64);
    let short = parse(&standard, &format!("whsk_{}", STANDARD.encode(&bytes[..32]))).unwrap();
    let long = parse(&standard, secret.expose()).unwrap();
    assert_eq!(short.public_text(), secret.public_text());
    assert_eq!(long.public_text(), secret.public_text());
    let public = secret.public_text().unwrap();
    assert_eq!(PublicKey::parse(&public).unwrap().text(), public);

    let mut foreign = bytes.clone();
    foreign[63] ^= 1;
    for bad in [&foreign[..], &bytes[..31], &bytes[..33], &[]] {
        let text = format!("whsk_{}", STANDARD.encode(bad));
        assert_eq!(parse(&standard, &text).unwrap_err(), SecretError::BadPrivateKey);
    }
    assert!(PublicKey::parse("whpk_AAAA").is_err());
    assert!(PublicKey::parse("whsec_AAAA").is_err());
}
