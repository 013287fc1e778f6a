//! The cases of `vectors/` in the repository that concern signing, verifying, secrets and body
//! forms. What only a receiver knows (`"layer": "receiver"`) is `postrider-receiver`'s to run.

#![cfg(feature = "ed25519")]

mod vector_file;

use std::borrow::Cow;

use postrider_signature::canonical::{self, FormErrorKind};
use postrider_signature::{
    Content, KeyDerivation, NumberPolicy, PublicKey, Secret, SecretError, SigningProfile, Verified,
    VerifyError, VerifyKey, json, sign, verify,
};
use serde_json::Value;
use vector_file::{bytes, integer, list, profile, text, texts, tolerance, vectors};

#[test]
fn what_is_signed_is_as_the_vectors_say() {
    for case in list(&vectors("signatures.json"), "sign") {
        let profile = profile(&case["profile"]);
        let secrets: Vec<Secret> = texts(case, "secrets")
            .map(|text| Secret::parse(text, &profile.secret_format).expect("a sound secret"))
            .collect();
        let older: Vec<&Secret> = secrets[1..].iter().collect();
        let body = bytes(case, "body");
        let content = Content {
            id: text(case, "id"),
            event_time_ms: integer(case, "event_time_ms"),
            now_ms: integer(case, "now_ms"),
            body: &body,
            server_host: case["server_host"].as_str(),
        };
        let mut signed = serde_json::Map::new();
        for (name, value) in sign(&profile, &secrets[0], &older, &content) {
            signed.insert(name.to_owned(), value.into());
        }
        assert_eq!(Value::from(signed), case["headers"], "{}", text(case, "name"));
    }
}

#[test]
fn what_is_accepted_and_refused_is_as_the_vectors_say() {
    for case in list(&vectors("signatures.json"), "accept").iter().filter(|case| is_ours(case)) {
        let verified = verified(case).unwrap_or_else(|e| panic!("{}: {e}", text(case, "name")));
        assert_eq!(verified.id, text(&case["accepted"], "id"));
        let seconds = integer(&case["accepted"], "timestamp_seconds");
        assert_eq!(verified.timestamp_seconds, seconds);
    }
    for case in list(&vectors("rejections.json"), "cases").iter().filter(|case| is_ours(case)) {
        let name = text(case, "name");
        let expected = &case["rejected"];
        let (code, header, seconds) = match verified(case).expect_err(name) {
            VerifyError::MissingHeader(header) => ("missing_header", Some(header), None),
            VerifyError::MalformedHeader(header) => ("malformed_header", Some(header), None),
            VerifyError::MalformedBody => ("malformed_body", None, None),
            VerifyError::TooOld { age_seconds } => ("too_old", None, Some(age_seconds)),
            VerifyError::TooNew { ahead_seconds } => ("too_new", None, Some(ahead_seconds)),
            VerifyError::NoMatch => ("no_match", None, None),
        };
        assert_eq!(code, text(expected, "code"), "{name}");
        assert_eq!(header.as_deref(), expected["header"].as_str(), "{name}");
        assert_eq!(seconds, expected["seconds"].as_i64(), "{name}");
    }
}

/// Whether a case needs no more than this crate.
fn is_ours(case: &Value) -> bool {
    case["layer"].as_str() != Some("receiver")
}

fn verified(case: &Value) -> Result<Verified, VerifyError> {
    let profile = profile(&case["profile"]);
    let format = &profile.secret_format;
    let is_public = |text: &&str| text.starts_with("whpk_") && format.key == KeyDerivation::Base64;
    let secrets: Vec<Secret> = texts(case, "keys")
        .filter(|text| !is_public(text))
        .map(|text| Secret::parse(text, format).expect("a sound secret"))
        .collect();
    let public_keys: Vec<PublicKey> = texts(case, "keys")
        .filter(is_public)
        .map(|text| PublicKey::parse(text).expect("a sound key"))
        .collect();
    let keys: Vec<VerifyKey<'_>> = secrets
        .iter()
        .map(VerifyKey::from)
        .chain(public_keys.iter().map(VerifyKey::from))
        .collect();
    let header = |name: &str| case["headers"][name].as_str();
    let (body, now_ms) = (bytes(case, "body"), integer(case, "now_ms"));
    verify(&profile, &keys, header, &body, now_ms, tolerance(case))
}

#[test]
fn secrets_are_read_as_the_vectors_say() {
    let file = vectors("secrets.json");
    for case in list(&file, "parse") {
        let format = profile(&case["profile"]).secret_format;
        check_secret(case, Secret::parse(text(case, "secret"), &format).err());
    }
    for case in list(&file, "public_keys") {
        check_secret(case, PublicKey::parse(text(case, "key")).err());
    }
    for case in list(&file, "profile_for") {
        let found = SigningProfile::for_secret(text(case, "secret"));
        assert_eq!(found.name, text(case, "profile"));
    }
}

fn check_secret(case: &Value, error: Option<SecretError>) {
    let code = error.map(|error| match error {
        SecretError::Empty => "empty",
        SecretError::TooLong => "too_long",
        SecretError::WrongPrefix { .. } | SecretError::PublicKey => "wrong_prefix",
        SecretError::NotBase64 => "not_base64",
        SecretError::Weak { .. } => "weak",
        SecretError::BadPrivateKey => "bad_private_key",
        SecretError::BadPublicKey => "bad_public_key",
        SecretError::Ed25519Unsupported => "unsupported",
    });
    assert_eq!(code, case["error"].as_str(), "{}", text(case, "name"));
}

#[test]
fn body_forms_are_as_the_vectors_say() {
    let file = vectors("canonical.json");
    for case in list(&file, "forms") {
        let name = text(case, "name");
        let (ecma, jcs) = forms(case).unwrap_or_else(|code| panic!("{name}: {code:?}"));
        assert_eq!(String::from_utf8_lossy(&ecma), text(case, "ecma"), "{name}");
        assert_eq!(String::from_utf8_lossy(&jcs), text(case, "jcs"), "{name}");
    }
    for case in list(&file, "refusals") {
        let name = text(case, "name");
        let (code, pointer) = forms(case).expect_err(name);
        assert_eq!(code, text(case, "code"), "{name}");
        if let Some(expected) = case["pointer"].as_str() {
            assert_eq!(pointer, expected, "{name}");
        }
    }
}

/// A document in both forms, `ecma` first.
type Forms = (Vec<u8>, Vec<u8>);
/// The code and the place of a fault.
type Fault = (&'static str, String);

fn forms(case: &Value) -> Result<Forms, Fault> {
    let numbers = match case["numbers"].as_str() {
        Some("stringify") => NumberPolicy::Stringify,
        Some("round") => NumberPolicy::Round,
        _ => NumberPolicy::Refuse,
    };
    let outer = usize::try_from(case["outer_levels"].as_u64().unwrap_or(0)).expect("small");
    let minified = json::minify_within(&bytes(case, "input"), outer)
        .map_err(|error| (code_of_json(error.kind), error.pointer))?;
    let form = |made: Result<Cow<'_, [u8]>, canonical::FormError>| {
        made.map(Cow::into_owned).map_err(|error| match error.kind {
            FormErrorKind::InexactInteger => ("inexact_integer", error.pointer),
            FormErrorKind::NumberOverflow => ("number_overflow", error.pointer),
            FormErrorKind::TooDeep => ("too_deep", error.pointer),
            FormErrorKind::NotMinified => panic!("it was minified: {error}"),
        })
    };
    let ecma = form(canonical::ecma(&minified, numbers));
    let jcs = form(canonical::jcs(&minified, numbers));
    assert_eq!(ecma.is_ok(), jcs.is_ok(), "both forms refuse alike");
    Ok((ecma?, jcs?))
}

fn code_of_json(kind: json::JsonErrorKind) -> &'static str {
    use json::JsonErrorKind;
    match kind {
        JsonErrorKind::Syntax(_) => "syntax",
        JsonErrorKind::InvalidUtf8 => "invalid_utf8",
        JsonErrorKind::TooDeep => "too_deep",
        JsonErrorKind::LoneSurrogate => "lone_surrogate",
        JsonErrorKind::NumberOverflow => "number_overflow",
        JsonErrorKind::ForbiddenKey => "forbidden_key",
    }
}
