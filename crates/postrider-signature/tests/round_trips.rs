//! What is signed verifies, under every profile and through rotation; what was
//! changed on the way does not, and the error says which step refused it.

use std::collections::HashMap;

use postrider_signature::{
    BodyForm, Content, HexHeader, KeyDerivation, ListHeaders, NumberPolicy, Secret, SecretFormat,
    SignatureList, SigningProfile, TimestampRule, Tolerance, Verified, VerifyError, canonical,
    envelope, sign, timestamp, verify,
};

const EVENT_MS: i64 = 1_753_678_680_999;
const EVENT_SECONDS: i64 = 1_753_678_680;
const MINUTE_MS: i64 = 60_000;

type Headers = HashMap<String, String>;

fn profiles() -> Vec<SigningProfile> {
    let brand = SigningProfile {
        name: "acme".into(),
        body_form: BodyForm::Ecma,
        secret_format: SecretFormat { prefix: "acme_".into(), key: KeyDerivation::Text },
        list_headers: ListHeaders::with_prefix("x-acme-"),
        signature_list: SignatureList::PerSecret,
        hex_header: Some(HexHeader { name: "x-acme-hex".into(), value_prefix: "".into() }),
        server_host_header: Some("x-acme-host".into()),
        timestamp_rule: TimestampRule::Attempt,
    };
    vec![SigningProfile::standard(), SigningProfile::automa(), SigningProfile::autonoma(), brand]
}

fn secret(profile: &SigningProfile, seed: u8) -> Secret {
    let mut next = seed;
    Secret::generate(&profile.secret_format, &mut |bytes: &mut [u8]| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(seed);
            *byte = next;
        }
    })
}

fn body(profile: &SigningProfile) -> Vec<u8> {
    let data = r#"{"b":1.50,"a":"é"}"#.as_bytes();
    envelope("evt_1", "a.b", EVENT_MS, data, profile.body_form, NumberPolicy::Refuse)
        .expect("every number is small")
}

fn signed(profile: &SigningProfile, current: &Secret, older: &[&Secret], now_ms: i64) -> Headers {
    let content = Content {
        id: "evt_1",
        event_time_ms: EVENT_MS,
        now_ms,
        body: &body(profile),
        server_host: Some("https://postrider.example"),
    };
    let headers = sign(profile, current, older, &content);
    let len = headers.len();
    let map: Headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(map.len(), len, "each header once");
    map
}

fn verified(
    profile: &SigningProfile,
    secret: &Secret,
    headers: &Headers,
    body: &[u8],
    now_ms: i64,
) -> Result<Verified, VerifyError> {
    let header = |name: &str| headers.get(name).map(String::as_str);
    verify(profile, &[secret.into()], header, body, now_ms, Tolerance::default())
}

fn list_of(profile: &SigningProfile, headers: &Headers) -> Vec<String> {
    let list = &headers[&*profile.list_headers.signature];
    list.split(' ').map(str::to_owned).collect()
}

#[test]
fn first_attempts_and_late_retries_verify_under_every_profile() {
    for profile in profiles() {
        let secret = secret(&profile, 1);
        for age_ms in [0, 3 * MINUTE_MS, 4 * MINUTE_MS, 600 * MINUTE_MS, -MINUTE_MS] {
            let now_ms = EVENT_MS + age_ms;
            let headers = signed(&profile, &secret, &[], now_ms);
            let verified = verified(&profile, &secret, &headers, &body(&profile), now_ms + 30_000)
                .unwrap_or_else(|e| panic!("{} after {age_ms} ms: {e}", profile.name));
            assert_eq!(verified.id, "evt_1");
            let is_event_time = profile.timestamp_rule != TimestampRule::Attempt
                && (0..4 * MINUTE_MS).contains(&age_ms);
            let expected = if is_event_time { EVENT_SECONDS } else { now_ms / 1_000 };
            assert_eq!(verified.timestamp_seconds, expected);
        }
    }
}

#[test]
fn either_secret_verifies_during_rotation() {
    for profile in profiles() {
        let [new, old, gone] = [1, 2, 3].map(|seed| secret(&profile, seed));
        let headers = signed(&profile, &new, &[&old], EVENT_MS);
        let body = body(&profile);
        assert!(verified(&profile, &new, &headers, &body, EVENT_MS).is_ok());
        assert!(verified(&profile, &old, &headers, &body, EVENT_MS).is_ok());
        let refused = verified(&profile, &gone, &headers, &body, EVENT_MS);
        assert_eq!(refused, Err(VerifyError::NoMatch), "{}", profile.name);

        let alone = |secret: &Secret| signed(&profile, secret, &[], EVENT_MS);
        if let Some(hex) = &profile.hex_header {
            assert_eq!(headers[&*hex.name], alone(&new)[&*hex.name], "the new secret's only");
        }
        let list = list_of(&profile, &headers);
        assert_eq!(list.first(), list_of(&profile, &alone(&new)).first(), "the new one's first");
        for element in list {
            assert_eq!(element.matches(',').count(), 1, "one comma in {element}");
        }
    }
}

#[test]
fn automa_lists_the_decoded_signature_of_the_current_secret_last() {
    let profile = SigningProfile::automa();
    let [new, old] = [1, 2].map(|seed| secret(&profile, seed));
    let later = EVENT_MS + 10 * MINUTE_MS;
    let both = list_of(&profile, &signed(&profile, &new, &[&old], later));
    let [new, old] = [new, old].map(|s| list_of(&profile, &signed(&profile, &s, &[], later)));
    assert_eq!(both, [&new[0], &new[1], &old[0], &old[1], &old[2], &new[2]].map(String::clone));
}

#[test]
fn a_text_that_is_no_base64_has_no_decoded_signature() {
    let profile = SigningProfile::automa();
    let secret = Secret::parse("atma_whsec_secret", &profile.secret_format).unwrap();
    assert_eq!(list_of(&profile, &signed(&profile, &secret, &[], EVENT_MS)).len(), 1);
    let later = signed(&profile, &secret, &[], EVENT_MS + 10 * MINUTE_MS);
    assert_eq!(list_of(&profile, &later).len(), 2);
}

#[test]
fn headers_are_those_of_the_profile_and_no_others() {
    for (profile, expected) in profiles().iter().zip([
        &["webhook-id", "webhook-signature", "webhook-timestamp"][..],
        &["webhook-id", "webhook-signature", "webhook-timestamp", "x-automa-server-host"],
        &["webhook-id", "webhook-signature", "webhook-timestamp", "x-autonoma-signature"],
        &["x-acme-hex", "x-acme-host", "x-acme-id", "x-acme-signature", "x-acme-timestamp"],
    ]) {
        let headers = signed(profile, &secret(profile, 1), &[], EVENT_MS);
        let mut names: Vec<&str> = headers.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
    }
}

#[test]
fn anything_changed_on_the_way_is_refused() {
    // more than a tolerance after the event, so that Automa's body time is out too
    let now_ms = EVENT_MS + 10 * MINUTE_MS;
    for profile in profiles() {
        let secret = secret(&profile, 1);
        let headers = signed(&profile, &secret, &[], now_ms);
        let sound = body(&profile);
        let names = &profile.list_headers;
        let changed = |name: &str, value: &str| {
            let mut headers = headers.clone();
            headers.insert(name.to_owned(), value.to_owned());
            verified(&profile, &secret, &headers, &sound, now_ms)
        };
        for at in 0..sound.len() {
            let mut body = sound.clone();
            body[at] ^= 1;
            let refused = verified(&profile, &secret, &headers, &body, now_ms);
            assert_eq!(refused, Err(VerifyError::NoMatch), "{} byte {at}", profile.name);
        }
        assert_eq!(changed(&names.id, "evt_2"), Err(VerifyError::NoMatch));
        let other_second = (now_ms / 1_000 + 1).to_string();
        assert_eq!(changed(&names.timestamp, &other_second), Err(VerifyError::NoMatch));
        let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v2,AAAA x, ,";
        assert_eq!(changed(&names.signature, other), Err(VerifyError::NoMatch));
    }
}

#[test]
fn each_refusal_names_its_step() {
    let profile = SigningProfile::standard();
    let secret = secret(&profile, 1);
    let sound = signed(&profile, &secret, &[], EVENT_MS);
    let body = body(&profile);
    let check = |name: &str, value: Option<&str>, expected: VerifyError| {
        let mut headers = sound.clone();
        match value {
            Some(value) => headers.insert(name.to_owned(), value.to_owned()),
            None => headers.remove(name),
        };
        let refused = verified(&profile, &secret, &headers, &body, EVENT_MS);
        assert_eq!(refused, Err(expected), "{name}: {value:?}");
    };
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        check(name, None, VerifyError::MissingHeader(name.to_owned()));
        check(name, Some(""), VerifyError::MalformedHeader(name.to_owned()));
    }
    for value in ["-1", "+1", "1e9", "1753678680.5", " 1753678680", "99999999999999999999"] {
        let name = "webhook-timestamp".to_owned();
        check("webhook-timestamp", Some(value), VerifyError::MalformedHeader(name));
    }
    // a dot would let a part of the id pass for the time
    check("webhook-id", Some("evt.1"), VerifyError::MalformedHeader("webhook-id".to_owned()));
    for value in ["v1", "v1,%%%", "v1;AAAA"] {
        let name = "webhook-signature".to_owned();
        check("webhook-signature", Some(value), VerifyError::MalformedHeader(name));
    }
}

#[test]
fn old_and_future_times_are_refused_at_the_second() {
    for profile in profiles() {
        let secret = secret(&profile, 1);
        let headers = signed(&profile, &secret, &[], EVENT_MS);
        let at = |seconds: i64| {
            let now_ms = (EVENT_SECONDS + seconds) * 1_000;
            verified(&profile, &secret, &headers, &body(&profile), now_ms).map(|_| ())
        };
        assert_eq!(at(300), Ok(()), "{}", profile.name);
        assert_eq!(at(301), Err(VerifyError::TooOld { age_seconds: 301 }));
        assert_eq!(at(-300), Ok(()));
        assert_eq!(at(-301), Err(VerifyError::TooNew { ahead_seconds: 301 }));
    }
}

#[test]
fn without_a_list_the_hex_header_is_verified_against_the_body() {
    let profile = SigningProfile::autonoma();
    let secret = secret(&profile, 1);
    let mut headers = signed(&profile, &secret, &[], EVENT_MS);
    headers.retain(|name, _| name == "x-autonoma-signature");
    let body = body(&profile);
    let at = |now_ms| verified(&profile, &secret, &headers, &body, now_ms);
    let expected = Verified { id: "evt_1".into(), timestamp_seconds: EVENT_SECONDS };
    assert_eq!(at(EVENT_MS), Ok(expected));
    assert!(matches!(at(EVENT_MS + 6 * MINUTE_MS), Err(VerifyError::TooOld { .. })));

    let other = self::secret(&profile, 2);
    assert_eq!(verified(&profile, &other, &headers, &body, EVENT_MS), Err(VerifyError::NoMatch));
    let no_envelope = verified(&profile, &secret, &headers, b"[1]", EVENT_MS);
    assert_eq!(no_envelope, Err(VerifyError::MalformedBody));
    for value in ["", "sha256=", "sha256=xyz", &"é".repeat(32), &format!("sha1={}", "0".repeat(64))]
    {
        headers.insert("x-autonoma-signature".into(), value.into());
        let name = "x-autonoma-signature".to_owned();
        let refused = verified(&profile, &secret, &headers, &body, EVENT_MS);
        assert_eq!(refused, Err(VerifyError::MalformedHeader(name)), "{value}");
    }
}

/// Automa's SDKs take id and time from the body, and newer ones sign it with its
/// keys sorted, however it is sent.
#[test]
fn what_automas_sdks_sign_is_accepted() {
    let profile = SigningProfile::automa();
    let secret = secret(&profile, 1);
    let sent = r#"{"type":"task.created","timestamp":"2025-07-28T04:58:00.999Z","id":"1","data":{"b":1,"a":2}}"#;
    let sorted = canonical::jcs(sent.as_bytes(), NumberPolicy::Round).unwrap();
    assert_ne!(&*sorted, sent.as_bytes());
    let event_ms = timestamp::parse("2025-07-28T04:58:00.999Z").unwrap();
    for signed_body in [sent.as_bytes(), &sorted] {
        let (id, now_ms) = ("1", event_ms);
        let content =
            Content { id, event_time_ms: event_ms, now_ms, body: signed_body, server_host: None };
        let headers = sign(&profile, &secret, &[], &content);
        let list =
            headers.iter().find(|(name, _)| *name == "webhook-signature").unwrap().1.as_str();
        // neither id nor time in the headers, and one attempt's time that nobody signed
        for time in [None, Some("1753678681")] {
            let header = |name: &str| match name {
                "webhook-signature" => Some(list),
                "webhook-id" => time.map(|_| "1"),
                "webhook-timestamp" => time,
                _ => None,
            };
            let at = |now_ms, tolerance| {
                let keys = [(&secret).into()];
                verify(&profile, &keys, header, sent.as_bytes(), now_ms, tolerance)
            };
            let expected = Verified { id: "1".into(), timestamp_seconds: event_ms / 1_000 };
            assert_eq!(at(event_ms, Tolerance::default()).as_ref(), Ok(&expected));
            let later = event_ms + 600 * MINUTE_MS;
            assert!(matches!(at(later, Tolerance::default()), Err(VerifyError::TooOld { .. })));
            assert_eq!(at(later, Tolerance::danger_any_age()), Ok(expected));
        }
    }
}

#[cfg(feature = "ed25519")]
#[test]
fn ed25519_deliveries_verify_with_the_public_key_alone() {
    let profile = SigningProfile::standard();
    let mut seed = 0;
    let mut random = |bytes: &mut [u8]| {
        seed += 1;
        bytes.fill(seed);
    };
    let [new, other] = [(); 2].map(|()| Secret::generate_ed25519(&mut random));
    let shared = secret(&profile, 1);
    let headers = signed(&profile, &new, &[&shared], EVENT_MS);
    let list = list_of(&profile, &headers);
    assert!(list[0].starts_with("v1a,") && list[1].starts_with("v1,"), "{list:?}");

    let body = body(&profile);
    let check = |secret: &Secret| {
        let key = postrider_signature::PublicKey::parse(&secret.public_text().unwrap()).unwrap();
        let header = |name: &str| headers.get(name).map(String::as_str);
        verify(&profile, &[(&key).into()], header, &body, EVENT_MS, Tolerance::default())
            .map(|_| ())
    };
    assert_eq!(check(&new), Ok(()));
    assert_eq!(check(&other), Err(VerifyError::NoMatch));
    assert!(verified(&profile, &new, &headers, &body, EVENT_MS).is_ok());
    assert!(verified(&profile, &shared, &headers, &body, EVENT_MS).is_ok());
}
