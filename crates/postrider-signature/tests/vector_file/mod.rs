//! Reading the files of `vectors/`, for the crates that run them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_signature::{
    BodyForm, HexHeader, KeyDerivation, ListHeaders, SecretFormat, SignatureList, SigningProfile,
    TimestampRule, Tolerance,
};
use serde_json::Value;

/// A file of vectors.
pub(crate) fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name);
    let file = fs::read_to_string(path).expect("the repository has vectors");
    serde_json::from_str(&file).expect("vectors are JSON")
}

/// Empty where there is none.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a text in {value}"))
}

pub(crate) fn texts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    list(value, name).iter().map(|item| item.as_str().expect("a list of texts"))
}

pub(crate) fn integer(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_else(|| panic!("{name} is an integer in {value}"))
}

/// A text as UTF-8, or what `{name}_base64` encodes.
pub(crate) fn bytes(case: &Value, name: &str) -> Vec<u8> {
    match case[format!("{name}_base64")].as_str() {
        Some(encoded) => STANDARD.decode(encoded).expect("vectors hold sound Base64"),
        None => text(case, name).as_bytes().to_vec(),
    }
}

pub(crate) fn tolerance(case: &Value) -> Tolerance {
    match case["tolerance_seconds"].as_u64() {
        Some(seconds) => Tolerance::seconds(u32::try_from(seconds).expect("a short while")),
        None => Tolerance::danger_any_age(),
    }
}

/// A profile by its name, or made of all its parameters.
pub(crate) fn profile(value: &Value) -> SigningProfile {
    if let Some(name) = value.as_str() {
        return SigningProfile::builtin(name).expect("a built-in profile");
    }
    let owned = |value: &Value, name| Cow::<'static, str>::Owned(text(value, name).to_owned());
    let (names, hex) = (&value["list_headers"], &value["hex_header"]);
    SigningProfile {
        name: owned(value, "name"),
        body_form: match text(value, "body_form") {
            "verbatim" => BodyForm::Verbatim,
            "ecma" => BodyForm::Ecma,
            _ => BodyForm::Jcs,
        },
        secret_format: SecretFormat {
            prefix: owned(value, "secret_prefix"),
            key: match text(value, "key") {
                "base64" => KeyDerivation::Base64,
                "text" => KeyDerivation::Text,
                _ => KeyDerivation::Whole,
            },
        },
        list_headers: ListHeaders {
            id: owned(names, "id"),
            timestamp: owned(names, "timestamp"),
            signature: owned(names, "signature"),
        },
        signature_list: match text(value, "signature_list") {
            "automa" => SignatureList::Automa,
            _ => SignatureList::PerSecret,
        },
        hex_header: hex.is_object().then(|| HexHeader {
            name: owned(hex, "name"),
            value_prefix: owned(hex, "value_prefix"),
        }),
        server_host_header: value["server_host_header"].as_str().map(|name| name.to_owned().into()),
        timestamp_rule: match &value["timestamp_rule"] {
            Value::Object(rule) => TimestampRule::EventWhileYoungerThan {
                age_ms: rule["event_while_younger_than_ms"].as_i64().expect("milliseconds"),
            },
            _ => TimestampRule::Attempt,
        },
    }
}
