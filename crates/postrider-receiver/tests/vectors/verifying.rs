//! `signatures.json` and `rejections.json`, through the verifier.

use postrider_receiver::{Event, Rejected, Verifier};
use serde_json::Value;

use super::vector_file::{bytes, integer, list, profile, text, texts, tolerance, vectors};

#[test]
fn every_delivery_that_is_to_be_accepted_is() {
    let file = vectors("signatures.json");
    let cases = list(&file, "accept");
    assert!(cases.len() >= 19, "{} cases", cases.len());
    for case in cases {
        let event = verify(case).unwrap_or_else(|error| panic!("{}: {error}", text(case, "name")));
        assert_eq!(event.id, text(&case["accepted"], "id"), "{}", text(case, "name"));
        let seconds = case["accepted"]["timestamp_seconds"].as_i64().unwrap();
        assert_eq!(event.timestamp_seconds, seconds, "{}", text(case, "name"));
    }
}

#[test]
fn every_delivery_that_is_to_be_refused_is_by_the_right_step() {
    let file = vectors("rejections.json");
    let cases = list(&file, "cases");
    assert!(cases.len() >= 70, "{} cases", cases.len());
    for case in cases {
        let name = text(case, "name");
        let rejected = verify(case).expect_err(name);
        let expected = &case["rejected"];
        assert_eq!(rejected.code(), text(expected, "code"), "{name}");
        assert_eq!(Some(u64::from(rejected.status())), expected["status"].as_u64(), "{name}");
        match &rejected {
            Rejected::MissingHeader(header) | Rejected::MalformedHeader(header) => {
                assert_eq!(header, text(expected, "header"), "{name}");
            }
            Rejected::TooOld { seconds } | Rejected::TooNew { seconds } => {
                assert_eq!(Some(*seconds), expected["seconds"].as_i64(), "{name}");
            }
            Rejected::MalformedBody | Rejected::NoMatch | Rejected::UntrustedHost => {}
        }
    }
}

#[test]
fn what_the_server_signs_verifies_with_each_of_its_keys() {
    for case in list(&vectors("signatures.json"), "sign") {
        for keys in list(case, "verify_with") {
            let mut verifier = Verifier::new(profile(&case["profile"]));
            for key in keys.as_array().unwrap() {
                verifier = verifier.with_secret(key.as_str().unwrap()).unwrap();
            }
            let header = |name: &str| case["headers"][name].as_str();
            let event = verifier.verify_at(integer(case, "now_ms"), header, &bytes(case, "body"));
            assert_eq!(event.unwrap().id, text(case, "id"), "{}", text(case, "name"));
        }
    }
}

fn verify(case: &Value) -> Result<Event, Rejected> {
    let mut verifier = Verifier::new(profile(&case["profile"])).with_tolerance(tolerance(case));
    for key in texts(case, "keys") {
        verifier = verifier.with_secret(key).unwrap();
    }
    if case["trusted_hosts"].is_array() {
        verifier = verifier.with_trusted_hosts(texts(case, "trusted_hosts"));
    }
    let header = |name: &str| case["headers"][name].as_str();
    verifier.verify_at(integer(case, "now_ms"), header, &bytes(case, "body"))
}
