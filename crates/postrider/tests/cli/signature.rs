//! `signature sign|verify`, offline.

use serde_json::Value;

use crate::program::Program;

const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY_A: &str = r#"{"data":{"org":{"id":1,"name":"automa","provider_type":"github"},"repo":{"id":1,"is_private":true,"name":"monorepo"},"task":{"id":1234,"items":[{"data":{"content":"* a\n* b"},"id":1,"type":"message"}],"title":"Fix é / \"quote\" 1.50","token":"abc123xyz"}},"id":"whmsg_task_created_1234","timestamp":"2025-07-28T04:58:00.999Z","type":"task.created"}"#;
const AUTOMA: &str = "atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef";

/// The headers of a delivery as flags.
fn headers(signed: &Value) -> Vec<String> {
    let headers = signed["headers"].as_object().expect("headers");
    headers
        .iter()
        .flat_map(|(name, value)| {
            ["--header".to_owned(), format!("{name}: {}", value.as_str().expect("a text"))]
        })
        .collect()
}

/// The steps of a verification: their names and outcomes.
fn outcomes(program: &Program, args: &[&str], headers: &[String]) -> Vec<(String, String, String)> {
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let args = [&["signature", "verify"], args, &headers, &["--output", "json"]].concat();
    let ran = program.run(&args);
    let verified: Value = serde_json::from_str(&ran.out).expect("the steps are JSON");
    assert_eq!(ran.code, Some(if verified["verified"] == true { 0 } else { 5 }), "{}", ran.err);
    let text = |step: &Value, name: &str| step[name].as_str().expect("a text").to_owned();
    let steps = verified["steps"].as_array().expect("steps");
    steps.iter().map(|s| (text(s, "step"), text(s, "outcome"), text(s, "text"))).collect()
}

fn assert_all_ok(steps: &[(String, String, String)]) {
    assert!(steps.iter().all(|(_, outcome, _)| outcome == "ok"), "{steps:?}");
}

/// The text of the one step that differs.
fn difference<'a>(steps: &'a [(String, String, String)], name: &str) -> &'a str {
    let differs: Vec<_> = steps.iter().filter(|(_, outcome, _)| outcome == "differs").collect();
    let [(step, _, text)] = differs.as_slice() else { panic!("one step differs: {steps:?}") };
    assert_eq!(step, name, "{steps:?}");
    text
}

#[test]
fn the_vectors_of_the_contract_are_signed() {
    let program = Program::offline();
    let id = ["--id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "--timestamp", "1614265330"];
    let body = ["--body", r#"{"test": 2432232314}"#];
    let sign = |secret: &str, more: &[&str]| {
        program.json(&[&["signature", "sign", "--secret", secret][..], more].concat())
    };
    let signed = sign(STANDARD, &[&id[..], &body].concat());
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(signed["headers"]["webhook-signature"], expected);

    let private = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let signed = sign(private, &[&id[..], &body].concat());
    let expected = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    assert_eq!(signed["headers"]["webhook-signature"], expected);

    let signed = sign(AUTOMA, &["--timestamp", "1753679280", "--body", BODY_A]);
    let expected = "v1,Al2sF4uOuXpMpDXZqRivLj4IyRR9WkFtHfcmOfgfA3Q= \
                    v1,5l11VW6Zttulnhsr9vuZopDt3ZzwCgsrXtcQ6EtY7d0= \
                    v1,mwgE9qcWqn5mubMHjrv0Q83i6BpGntS+uHPxte8zlnU=";
    assert_eq!(signed["headers"]["webhook-signature"], expected);
    assert_eq!(signed["headers"]["webhook-id"], "whmsg_task_created_1234");

    let body = r#"{"type":"code.generated","data":{"repository":"acme/web","files":3,"ratio":0.1,"note":"é /"}}"#;
    let signed = sign("your-webhook-secret", &["--id", "evt_1", "--body", body]);
    let expected = "sha256=f5b542bad11519387371148534d767700b5df4619cef55e6be019c5289742ebc";
    assert_eq!(signed["headers"]["x-autonoma-signature"], expected);
}

#[test]
fn headers_are_printed_as_they_are_sent() {
    let program = Program::offline();
    let file = program.home().join("body.json");
    std::fs::write(file, r#"{"test": 2432232314}"#).expect("a file");
    let args = [
        "signature",
        "sign",
        "--secret",
        STANDARD,
        "--id",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "--timestamp",
        "2021-02-25T15:02:10Z",
        "--body",
        "@body.json",
    ];
    let expected = "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\nwebhook-timestamp: 1614265330\n\
                    webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n";
    assert_eq!(program.text(&args), expected);
}

#[test]
fn what_is_signed_is_verified_in_every_profile() {
    let program = Program::offline();
    let body =
        r#"{"data":{"a":1},"id":"evt_1","timestamp":"2026-01-31T12:00:00.000Z","type":"a.b"}"#;
    for (profile, secret) in
        [("standard", STANDARD), ("automa", AUTOMA), ("autonoma", "your-webhook-secret")]
    {
        let signed = program.json(&["signature", "sign", "--secret", secret, "--body", body]);
        assert_eq!(signed["profile"], profile);
        let args = ["--secret", secret, "--body", body];
        assert_all_ok(&outcomes(&program, &args, &headers(&signed)));
    }
}

#[test]
fn a_public_key_is_enough_to_verify() {
    let program = Program::offline();
    let private = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    let signed =
        program.json(&["signature", "sign", "--secret", private, "--id", "e", "--body", "{}"]);
    let steps = outcomes(&program, &["--secret", public, "--body", "{}"], &headers(&signed));
    assert_all_ok(&steps);
}

#[test]
fn the_secret_that_made_it_is_named_during_a_rotation() {
    let program = Program::offline();
    let old = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let args = ["signature", "sign", "--secret", STANDARD, "--old-secret", old, "--id", "e"];
    let signed = program.json(&[&args[..], &["--body", "{}"]].concat());
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let args = ["--secret", other, "--secret", old, "--body", "{}"];
    let steps = outcomes(&program, &args, &headers(&signed));
    assert_all_ok(&steps);
    assert!(steps.iter().any(|(_, _, text)| text == "made with secret 2"), "{steps:?}");
}

#[test]
fn the_step_that_differs_is_named() {
    let program = Program::offline();
    let body = r#"{"id":"evt_1","type":"a.b","timestamp":"2026-01-31T12:00:00.000Z","data":{"b":1,"a":2}}"#;
    let sign = ["signature", "sign", "--secret", "key", "--body", body];
    let autonoma = headers(&program.json(&sign));
    let autonoma_list = &autonoma[..6];
    let sign = ["signature", "sign", "--secret", STANDARD, "--body", body];
    let standard = headers(&program.json(&sign));
    let changed = |name: &str, value: &str| {
        let change = |header: &String| {
            if header.starts_with(name) { format!("{name}: {value}") } else { header.clone() }
        };
        standard.iter().map(change).collect::<Vec<_>>()
    };
    let given = |headers: &[String], more: &[&str]| {
        let args = [&["--secret", STANDARD][..], more].concat();
        outcomes(&program, &args, headers)
    };

    let steps = given(&standard, &["--body", body, "--at", "2027-01-31T12:00:00Z"]);
    assert!(difference(&steps, "timestamp").contains("too old: it is a replay"), "{steps:?}");
    let steps = given(&standard, &["--body", body, "--at", "2026-01-01T12:00:00Z"]);
    assert!(difference(&steps, "timestamp").contains("too new: the clocks differ"), "{steps:?}");
    assert_all_ok(&given(&standard, &["--body", body, "--at", "1", "--any-age"]));

    let steps = given(&standard, &["--body", &format!("{body}\n")]);
    let text = difference(&steps, "signature");
    assert_eq!(text, "it would fit with the body without its last line break");
    let sorted = r#"{"data":{"a":2,"b":1},"id":"evt_1","timestamp":"2026-01-31T12:00:00.000Z","type":"a.b"}"#;
    let sign = ["signature", "sign", "--secret", STANDARD, "--body", sorted];
    let over_sorted = headers(&program.json(&sign));
    let steps = given(&over_sorted, &["--body", body]);
    let text = difference(&steps, "signature");
    assert_eq!(text, "it would fit with the body with sorted keys");
    let steps = given(&standard, &["--body", &body.replace("evt_1", "evt_2")]);
    assert!(steps.iter().any(|(_, _, text)| text.contains("the secret is another one")));

    let steps = given(&changed("webhook-id", "evt_2"), &["--body", body]);
    assert!(steps[0].2.contains("but the body's id is evt_1"), "{steps:?}");
    let text = "it would fit with the body's id instead of the header's";
    assert!(steps.iter().any(|(_, _, told)| told == text), "{steps:?}");
    let steps = given(&changed("webhook-signature", "nonsense"), &["--body", body]);
    assert!(difference(&steps, "signature").contains("holds no signature such as"), "{steps:?}");
    let steps = given(&changed("webhook-timestamp", "soon"), &["--body", body]);
    assert!(steps[1].2.contains("no number of seconds"), "{steps:?}");
    let steps = given(&standard[2..], &["--body", body]);
    assert!(steps.iter().all(|(_, outcome, _)| outcome != "warning"), "{steps:?}");
    assert!(steps.iter().any(|(_, _, text)| text.contains("is missing")), "{steps:?}");

    let args = ["--secret", "key\n", "--body", body];
    let steps = outcomes(&program, &args, autonoma_list);
    let text = "it would fit with the secret without white space around it";
    assert_eq!(difference(&steps, "signature"), text);
    let args = ["--secret", "key", "--body", &body.replace(":1,", ":1.0,")];
    let steps = outcomes(&program, &args, &autonoma);
    let text = "it would fit with the body as JSON.stringify writes it";
    assert!(steps.iter().filter(|(_, _, told)| told == text).count() == 2, "{steps:?}");
    assert!(steps.iter().any(|(name, outcome, _)| name == "body form" && outcome == "warning"));
}

#[test]
fn a_secret_read_another_way_is_told() {
    let program = Program::offline();
    let body = r#"{"id":"evt_1"}"#;
    // what somebody does who uses the whole text of a `whsec_` secret as the key
    let sign = ["signature", "sign", "--profile", "autonoma", "--secret", STANDARD, "--body", body];
    let signed = headers(&program.json(&sign));
    let steps = outcomes(&program, &["--secret", STANDARD, "--body", body], &signed);
    let text = difference(&steps, "signature");
    assert_eq!(text, "it would fit with the whole secret as the key, prefix included");
}

#[test]
fn headers_can_come_from_a_file_and_a_profile_from_a_servers_configuration() {
    let program = Program::offline();
    let config =
        "[profiles.acme]\nbase = 'standard'\nheader_prefix = 'acme-'\nsecret_prefix = 'acme_'\n";
    std::fs::write(program.home().join("server.toml"), config).expect("a file");
    let secret = STANDARD.replace("whsec_", "acme_");
    let profile = ["--profile", "acme", "--config", "server.toml", "--secret", &secret];
    let sign = [&["signature", "sign", "--body", r#"{"id":"e"}"#][..], &profile].concat();
    let sent = program.text(&sign);
    assert!(sent.starts_with("acme-id: e\nacme-timestamp: "), "{sent}");
    let request = format!("POST / HTTP/1.1\r\n{}", sent.replace('\n', "\r\n"));
    std::fs::write(program.home().join("request"), request).expect("a file");
    let verify = ["signature", "verify", "--headers", "request", "--body", r#"{"id":"e"}"#];
    let shown = program.text(&[&verify[..], &profile].concat());
    assert!(shown.contains("ok       signature  made with this secret"), "{shown}");
}

#[test]
fn what_cannot_be_signed_or_verified_with_is_a_usage_error() {
    let program = Program::offline();
    for (args, told) in [
        (&["sign", "--secret", "whsec_x", "--id", "e", "--body", ""][..], "not standard Base64"),
        (&["sign", "--secret", "key", "--body", "{}"], "the body has no id"),
        (&["sign", "--secret", "key", "--id", "a.b", "--body", "{}"], "has a dot"),
        (
            &["sign", "--secret", "key", "--profile", "acme", "--id", "e", "--body", ""],
            "no profile acme",
        ),
        (&["sign", "--secret", "key", "--id", "e", "--timestamp", "x", "--body", ""], "RFC 3339"),
        (&["sign", "--secret", "key", "--id", "e", "--body", "@absent"], "absent cannot be read"),
        (&["verify", "--secret", "whpk_x", "--body", "{}"], "not standard Base64"),
        (&["verify", "--body", "{}"], "--secret"),
        (&["verify", "--secret", "k", "--header", "x", "--body", ""], "NAME: VALUE"),
    ] {
        let said = program.refused(2, &[&["signature"], args].concat());
        assert!(said.contains(told), "{args:?}: {said}");
    }
}
