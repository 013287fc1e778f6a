//! Autonoma's published verifier accepts every delivery of a corpus of awkward JSON, on the
//! servers that bots use, or the publish was refused with the place at fault.
//!
//! The corpus holds every way that the wire contract (§5) lists in which a JSON text can fail to be
//! a fixed point of `JSON.stringify(JSON.parse(text))`.

mod support;

use serde_json::{Value, json};
use support::receiver::{Delivery, Receiver};
use support::server::TestServer;
use support::third_party::ThirdParty;

const SECRET: &str = "your-webhook-secret";
const KINDS: [&str; 3] = ["express4", "express5", "fastify5"];

/// What becomes of an event with certain data.
enum Outcome {
    /// Accepted by all receivers, its data written so.
    Delivered(&'static str),
    /// 422 with a pointer to this place.
    Refused(&'static str),
    /// No JSON text at all: 400 with a pointer to this place.
    NoJson(&'static str),
}

use Outcome::{Delivered, NoJson, Refused};

/// The cause, `data` as published, and what becomes of it.
const CORPUS: &[(&str, &[u8], Outcome)] = &[
    (
        "white space",
        b" {\t\"a\" : [ 1 ,\r\n 2 ] , \"b\" : \"x y\" } ",
        Delivered(r#"{"a":[1,2],"b":"x y"}"#),
    ),
    // numbers
    ("1.0", br#"{"n":1.0}"#, Delivered(r#"{"n":1}"#)),
    ("1.10", br#"{"n":1.10}"#, Delivered(r#"{"n":1.1}"#)),
    ("1e3", br#"{"n":1e3}"#, Delivered(r#"{"n":1000}"#)),
    ("1E3", br#"{"n":1E3}"#, Delivered(r#"{"n":1000}"#)),
    ("1e21", br#"{"n":1e21}"#, Delivered(r#"{"n":1e+21}"#)),
    ("0.0000001", br#"{"n":0.0000001}"#, Delivered(r#"{"n":1e-7}"#)),
    ("1e-6", br#"{"n":1e-6}"#, Delivered(r#"{"n":0.000001}"#)),
    ("10^21 in digits", br#"{"n":1000000000000000000000}"#, Delivered(r#"{"n":1e+21}"#)),
    ("-0", br#"{"n":-0}"#, Delivered(r#"{"n":0}"#)),
    ("-0.0", br#"{"n":-0.0}"#, Delivered(r#"{"n":0}"#)),
    ("0e5", br#"{"n":0e5}"#, Delivered(r#"{"n":0}"#)),
    (
        "more than 17 digits",
        br#"{"n":0.12345678901234567890,"m":12345678901234567890.5}"#,
        Delivered(r#"{"n":0.12345678901234568,"m":12345678901234567000}"#),
    ),
    ("more than 17 digits of an integer", br#"{"n":123456789012345678}"#, Refused("/data/n")),
    ("1e400", br#"{"n":[0,1e400]}"#, Refused("/data/n/1")),
    ("-1e400", br#"{"n":-1e400}"#, Refused("/data/n")),
    ("1e-400", br#"{"n":1e-400}"#, Delivered(r#"{"n":0}"#)),
    ("2^53 - 1", br#"{"n":9007199254740991}"#, Delivered(r#"{"n":9007199254740991}"#)),
    ("2^53", br#"{"n":9007199254740992}"#, Delivered(r#"{"n":9007199254740992}"#)),
    ("2^53 + 1", br#"{"n":9007199254740993}"#, Refused("/data/n")),
    ("-2^53 - 1", br#"{"n":-9007199254740993}"#, Refused("/data/n")),
    ("2^64 - 1", br#"{"n":18446744073709551615}"#, Refused("/data/n")),
    (
        "an integer over 2^53, deep down",
        br#"{"a":[0,{"b/c~d":9007199254740993}]}"#,
        Refused("/data/a/1/b~1c~0d"),
    ),
    (
        "2^53 + 2, which a double holds",
        br#"{"n":9007199254740994}"#,
        Delivered(r#"{"n":9007199254740994}"#),
    ),
    // escapes
    (r"\u00e9", br#"{"s":"\u00e9"}"#, Delivered(r#"{"s":"é"}"#)),
    (r"\u0041", br#"{"s":"\u0041"}"#, Delivered(r#"{"s":"A"}"#)),
    (r"\/", br#"{"s":"\/"}"#, Delivered(r#"{"s":"/"}"#)),
    (r"\u0022", br#"{"s":"\u0022"}"#, Delivered(r#"{"s":"\""}"#)),
    (r"\u005c", br#"{"s":"\u005c"}"#, Delivered(r#"{"s":"\\"}"#)),
    (r"\u000a", br#"{"s":"\u000a\u0008\u0009\u000c\u000d"}"#, Delivered(r#"{"s":"\n\b\t\f\r"}"#)),
    ("upper-case hexadecimal", br#"{"s":"\u00E9\u001F"}"#, Delivered("{\"s\":\"é\\u001f\"}")),
    (r"\u007f", br#"{"s":"\u007f"}"#, Delivered("{\"s\":\"\u{7f}\"}")),
    (r"\u2028", br#"{"s":"\u2028\u2029"}"#, Delivered("{\"s\":\"\u{2028}\u{2029}\"}")),
    ("a surrogate pair", br#"{"s":"\ud83d\ude00"}"#, Delivered(r#"{"s":"😀"}"#)),
    (r"\u003c", br#"{"s":"\u003cb\u003e\u0026"}"#, Delivered(r#"{"s":"<b>&"}"#)),
    (r"escapes in a key", br#"{"\u00e9\/":1}"#, Delivered(r#"{"é/":1}"#)),
    ("a lone high surrogate", br#"{"s":"\ud800"}"#, Refused("/data/s")),
    ("a lone low surrogate", br#"{"s":["\udc00x"]}"#, Refused("/data/s/0")),
    ("surrogates in the wrong order", br#"{"s":"\ude00\ud83d"}"#, Refused("/data/s")),
    // keys
    ("duplicate keys", br#"{"a":1,"b":2,"a":3}"#, Delivered(r#"{"a":3,"b":2}"#)),
    (
        r"duplicate keys through \u0061",
        br#"{"a":1,"b":2,"\u0061":3}"#,
        Delivered(r#"{"a":3,"b":2}"#),
    ),
    (
        "array-index keys",
        br#"{"b":1,"10":2,"9":3,"01":4,"-1":5,"4294967294":6,"4294967295":7,"0":8}"#,
        Delivered(r#"{"0":8,"9":3,"10":2,"4294967294":6,"b":1,"01":4,"-1":5,"4294967295":7}"#),
    ),
    ("__proto__", br#"{"a":{"__proto__":{"b":1}}}"#, Refused("/data/a/__proto__")),
    (r"__proto__ through \u005f", br#"{"\u005f_proto__":1}"#, Refused("/data/__proto__")),
    (
        "constructor.prototype",
        br#"{"constructor":{"prototype":1}}"#,
        Refused("/data/constructor/prototype"),
    ),
    ("constructor alone", br#"{"constructor":1}"#, Delivered(r#"{"constructor":1}"#)),
    // no JSON at all
    ("invalid UTF-8", b"{\"a\":\"\xff\"}", NoJson("/data/a")),
    ("an encoded surrogate", b"{\"a\":\"\xed\xa0\x80\"}", NoJson("/data/a")),
    ("a byte order mark", b"\xef\xbb\xbf{}", NoJson("/data")),
    // fixed points already
    ("1e+21", br#"{"n":1e+21}"#, Delivered(r#"{"n":1e+21}"#)),
    ("1e-7", br#"{"n":1e-7}"#, Delivered(r#"{"n":1e-7}"#)),
    ("0.000001", br#"{"n":0.000001}"#, Delivered(r#"{"n":0.000001}"#)),
    (
        "10^20 in digits",
        br#"{"n":100000000000000000000}"#,
        Delivered(r#"{"n":100000000000000000000}"#),
    ),
    // data of other kinds
    ("a number as data", b"-1.50", Delivered("-1.5")),
    ("null as data", b"null", Delivered("null")),
    ("an empty object", b"{}", Delivered("{}")),
];

/// Deepest nesting of `data` that is accepted (contract §2).
const DEPTH_MAX: usize = 64;

struct Bots {
    node: ThirdParty,
    /// Keeps the bytes of everything that the others got too.
    witness: Receiver,
    server: TestServer,
}

impl Bots {
    fn start() -> Self {
        let (node, witness, server) = (ThirdParty::node(), Receiver::start(), TestServer::start());
        for kind in KINDS {
            node.set_secret(kind, SECRET);
            server.webhook(&node.url(kind), SECRET);
        }
        server.webhook(&witness.url(), SECRET);
        Self { node, witness, server }
    }

    /// Every receiver has accepted the event at its first attempt.
    fn assert_accepted(&self, cause: &str, event: &str) {
        let deliveries = self.server.deliveries(event, |row| row["attempts"] != json!(0));
        assert_eq!(deliveries.len(), KINDS.len() + 1, "{cause}");
        for delivery in deliveries {
            assert_eq!(delivery["state"], "succeeded", "{cause}: {delivery}");
            assert_eq!(delivery["attempts"], 1, "{cause}: {delivery}");
        }
    }

    /// What the witness got of an event.
    fn witnessed(&self, event: &str) -> Delivery {
        let deliveries = self.witness.deliveries().into_iter();
        let mut its = deliveries.filter(|it| it.request.header("webhook-id") == event);
        let (first, second) = (its.next(), its.next());
        assert!(second.is_none(), "{event} was delivered once");
        first.unwrap_or_else(|| panic!("{event} was delivered"))
    }
}

#[test]
fn the_published_verifier_accepts_all_that_is_not_refused() {
    let bots = Bots::start();
    let mut accepted = Vec::new();
    for (cause, data, outcome) in CORPUS {
        let answer = bots.server.publish_raw("code.generated", data);
        let (status, pointer) = match outcome {
            Delivered(data) => {
                assert_eq!(answer.status(), 202, "{cause}: {}", answer.text());
                let id = answer.json()["id"].as_str().expect("an id").to_owned();
                accepted.push((cause, id, data));
                continue;
            }
            Refused(pointer) => (422, pointer),
            NoJson(pointer) => (400, pointer),
        };
        assert_eq!(answer.status(), status, "{cause}: {}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["errors"][0]["pointer"], **pointer, "{cause}: {problem}");
    }
    for (cause, event, data) in accepted {
        bots.assert_accepted(cause, &event);
        let delivery = bots.witnessed(&event);
        let end = format!(r#","data":{data}}}"#);
        let body = delivery.request.text();
        assert!(body.ends_with(&end), "{cause}: {body} ends with {end}");
    }
}

#[test]
fn a_byte_order_mark_before_an_event_is_refused() {
    let bots = Bots::start();
    let body = b"\xef\xbb\xbf{\"type\":\"code.generated\",\"data\":{}}";
    let answer = bots.server.request("POST", "/v1/events", body);
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert_eq!(answer.json()["errors"][0]["pointer"], "");
}

#[test]
fn data_of_the_greatest_depth_is_accepted_and_deeper_is_refused() {
    let bots = Bots::start();
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let event = bots.server.publish("code.generated", &nested(DEPTH_MAX));
    bots.assert_accepted("depth", &event);

    let answer = bots.server.publish_raw("code.generated", nested(DEPTH_MAX + 1).as_bytes());
    assert_eq!(answer.status(), 422, "{}", answer.text());
    let problem = answer.json();
    assert_eq!(problem["code"], "too_deep");
    let pointer = problem["errors"][0]["pointer"].as_str().expect("a pointer");
    assert_eq!(pointer, format!("/data{}", "/0".repeat(DEPTH_MAX)));
}

/// The verifier is no rubber stamp: of the same delivery it rejects what was tampered with.
#[test]
fn the_published_verifier_rejects_what_was_tampered_with() {
    let bots = Bots::start();
    let event = bots.server.publish("code.generated", r#"{"files":3,"ratio":0.10}"#);
    bots.assert_accepted("genuine", &event);
    let genuine = bots.witnessed(&event).request;
    let timestamp: Value = genuine.json()["timestamp"].clone();
    let timestamp = timestamp.as_str().expect("a timestamp");
    let signature = genuine.header("x-autonoma-signature");
    for kind in KINDS {
        let verdict = |request: &support::http::Exchanged| {
            // the receivers serve `/`
            let start = request.start.replace("/webhooks/in?from=postrider", "/");
            let replayed = support::http::Exchanged { start, ..request.clone() };
            let length = replayed.header("content-length").to_owned();
            let replayed = replayed.with_header("content-length", &length);
            support::http::send_raw(bots.node.address(kind), &replayed.raw).status()
        };
        assert_eq!(verdict(&genuine), 200, "{kind}");
        let body = genuine.with_text(r#""files":3"#, r#""files":4"#);
        assert_eq!(verdict(&body), 401, "{kind}: the body");
        let id = genuine.with_text(&event, "evt_another");
        assert_eq!(verdict(&id), 401, "{kind}: the id");
        let time = genuine.with_text(timestamp, "2026-01-01T00:00:00.000Z");
        assert_eq!(verdict(&time), 401, "{kind}: the timestamp");
        let forged = genuine.with_header("x-autonoma-signature", &signature.to_uppercase());
        assert_eq!(verdict(&forged), 401, "{kind}: the signature");
        bots.node.set_secret(kind, "another-secret");
        assert_eq!(verdict(&genuine), 401, "{kind}: the secret");
    }
}
