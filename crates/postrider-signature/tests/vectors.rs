//! The test vectors of the wire contract, reproduced through the public API.

use postrider_signature::{
    BodyForm, Content, NumberPolicy, Secret, SigningProfile, Tolerance, VerifyKey, canonical,
    envelope, json, sign, timestamp, verify,
};

const BODY_A: &str = r#"{"data":{"org":{"id":1,"name":"automa","provider_type":"github"},"repo":{"id":1,"is_private":true,"name":"monorepo"},"task":{"id":1234,"items":[{"data":{"content":"* a\n* b"},"id":1,"type":"message"}],"title":"Fix é / \"quote\" 1.50","token":"abc123xyz"}},"id":"whmsg_task_created_1234","timestamp":"2025-07-28T04:58:00.999Z","type":"task.created"}"#;
const BODY_B: &str = r#"{"type":"code.generated","data":{"repository":"acme/web","files":3,"ratio":0.1,"note":"é /"}}"#;

const ID_A: &str = "whmsg_task_created_1234";
const SECRET_A: &str = "atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef";
/// `2025-07-28T04:58:00.999Z`
const EVENT_MS_A: i64 = 1_753_678_680_999;
const TEXT_AT_EVENT: &str = "v1,Al2sF4uOuXpMpDXZqRivLj4IyRR9WkFtHfcmOfgfA3Q=";
const TEXT_AT_RETRY: &str = "v1,5l11VW6Zttulnhsr9vuZopDt3ZzwCgsrXtcQ6EtY7d0=";
const DECODED_AT_EVENT: &str = "v1,TcfDvYP2BKsCdV8H4atYm9bhV431CZQSGIx1pWYW8hc=";
const DECODED_AT_RETRY: &str = "v1,mwgE9qcWqn5mubMHjrv0Q83i6BpGntS+uHPxte8zlnU=";

fn parse(profile: &SigningProfile, text: &str) -> Secret {
    Secret::parse(text, &profile.secret_format).expect("a sound secret")
}

/// The value of one header of a delivery signed at the second of its event.
fn signed(profile: &SigningProfile, secret: &str, content: &Content<'_>, name: &str) -> String {
    let headers = sign(profile, &parse(profile, secret), &[], content);
    headers.into_iter().find(|(n, _)| *n == name).expect("the header").1
}

fn check_standard(secret: &str, id: &str, seconds: i64, body: &str, expected: &str) {
    let profile = SigningProfile::standard();
    let now_ms = seconds * 1_000;
    let content =
        Content { id, event_time_ms: now_ms, now_ms, body: body.as_bytes(), server_host: None };
    assert_eq!(signed(&profile, secret, &content, "webhook-signature"), expected);
    assert_eq!(signed(&profile, secret, &content, "webhook-timestamp"), seconds.to_string());
    assert_eq!(signed(&profile, secret, &content, "webhook-id"), id);
}

#[test]
fn standard_webhooks_first_vector() {
    check_standard(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    );
}

#[test]
fn standard_webhooks_second_vector() {
    check_standard(
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        r#"{"email":"test@example.com","username":"test_user"}"#,
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    );
}

#[cfg(feature = "ed25519")]
#[test]
fn ed25519_vector_with_a_64_and_a_32_byte_key() {
    // the 32-byte form of the same key is the first half of its bytes
    for secret in [
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
    ] {
        check_standard(
            secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        );
        assert_eq!(
            parse(&SigningProfile::standard(), secret).public_text().unwrap(),
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
        );
    }
}

#[test]
fn what_automas_python_sdk_signs_is_accepted() {
    let profile = SigningProfile::automa();
    let secret = parse(&profile, "atma_whsec_secret");
    let body = br#"{"id": "1", "timestamp": "2023-10-01T00:00:00Z"}"#;
    let header = |name: &str| {
        (name == "webhook-signature").then_some("v1,/VB+gt7CALYoWLO0Pym4MfxP3l4a29h1OYQcfJ59D+E=")
    };
    let now_ms = timestamp::parse("2023-10-01T00:04:00Z").unwrap();
    let keys = [VerifyKey::from(&secret)];
    let verified = verify(&profile, &keys, header, body, now_ms, Tolerance::default()).unwrap();
    assert_eq!((verified.id.as_str(), verified.timestamp_seconds), ("1", now_ms / 1_000 - 240));
}

#[test]
fn automa_header_of_a_first_attempt_holds_two_signatures() {
    let list = automa_list(EVENT_MS_A);
    assert_eq!(list, format!("{TEXT_AT_EVENT} {DECODED_AT_EVENT}"));
}

#[test]
fn automa_header_of_a_retry_holds_three_signatures() {
    let list = automa_list(EVENT_MS_A + 600_000);
    assert_eq!(list, format!("{TEXT_AT_EVENT} {TEXT_AT_RETRY} {DECODED_AT_RETRY}"));
}

fn automa_list(now_ms: i64) -> String {
    let body = BODY_A.as_bytes();
    let host = Some("https://postrider.example");
    let content = Content { id: ID_A, event_time_ms: EVENT_MS_A, now_ms, body, server_host: host };
    let profile = SigningProfile::automa();
    assert_eq!(
        signed(&profile, SECRET_A, &content, "x-automa-server-host"),
        "https://postrider.example"
    );
    signed(&profile, SECRET_A, &content, "webhook-signature")
}

#[test]
fn autonoma_vector() {
    let profile = SigningProfile::autonoma();
    let body = BODY_B.as_bytes();
    let content = Content { id: "evt_1", event_time_ms: 0, now_ms: 0, body, server_host: None };
    assert_eq!(
        signed(&profile, "your-webhook-secret", &content, "x-autonoma-signature"),
        "sha256=f5b542bad11519387371148534d767700b5df4619cef55e6be019c5289742ebc"
    );
}

#[test]
fn body_a_is_what_the_automa_profile_makes() {
    let data = r#"{"task":{"title":"Fix \u00e9 \/ \"quote\" 1.50","token":"abc123xyz","id":1234,
        "items":[{"type":"message","id":1,"data":{"content":"* a\u000A* b"}}]},
        "repo":{"name":"monorepo","is_private":true,"id":1},
        "org":{"provider_type":"github","name":"automa","id":1.0}}"#;
    let data = json::minify(data.as_bytes()).unwrap();
    let form = SigningProfile::automa().body_form;
    assert_eq!(form, BodyForm::Jcs);
    let body = envelope(ID_A, "task.created", EVENT_MS_A, &data, form, NumberPolicy::Refuse);
    assert_eq!(String::from_utf8(body.unwrap()).unwrap(), BODY_A);
    assert_eq!(BODY_A.len(), 349);
    assert_eq!(timestamp::parse("2025-07-28T04:58:00.999Z"), Ok(EVENT_MS_A));
}

#[test]
fn body_b_is_a_javascript_fixed_point() {
    let form = canonical::ecma(BODY_B.as_bytes(), NumberPolicy::Refuse).unwrap();
    assert_eq!(&*form, BODY_B.as_bytes());
    assert_eq!(BODY_B.len(), 94);
}
