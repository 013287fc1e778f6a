//! Receivers made with other people's packages accept real deliveries over HTTP: first attempts,
//! and retries hours later. They reject what was tampered with.
//!
//! The packages are `standardwebhooks` of npm and of `PyPI`, `automa-bot` of `PyPI` and the crate
//! `standardwebhooks`. Automa's TypeScript SDK is retyped from the description of its algorithm in
//! the wire contract (§3).

mod support;

use std::time::Duration;

use serde_json::json;
use support::http::{Exchanged, send_raw};
use support::receiver::{Answer, Receiver};
use support::server::TestServer;
use support::third_party::ThirdParty;

const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AUTOMA_TEXT: &str = "aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef";
/// Contract §5.
const PRIVATE_KEY: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC_KEY: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

/// So many attempts of the schedule `standard` reach more than 17 hours behind the event.
const STANDARD_ATTEMPTS: usize = 7;
/// All of the schedule `automa`: two and a half hours.
const AUTOMA_ATTEMPTS: usize = 5;

/// What both span at least, whatever the jitter.
const SPAN_MIN: Duration = Duration::from_hours(2);

/// Where a receiver's verifier takes the id and the time from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Headers,
    Body,
}

/// A third-party receiver behind one that keeps the bytes.
struct Proof {
    server: TestServer,
    party: ThirdParty,
    kind: &'static str,
    receiver: Receiver,
}

impl Proof {
    /// `own_secret` is what the webhook signs with, `secret` what its receiver verifies with.
    fn start(party: ThirdParty, kind: &'static str, own_secret: &str, secret: &str) -> Self {
        party.set_secret(kind, secret);
        let server = TestServer::start();
        let receiver = Receiver::before(party.address(kind));
        server.webhook(&receiver.url(), own_secret);
        Self { server, party, kind, receiver }
    }

    /// Lets all attempts but the last fail although the receiver accepts them, with the clocks of
    /// both sides put forward between them. Gives the requests.
    fn deliver(&self, event_type: &str, data: &str, attempts: usize) -> Vec<Exchanged> {
        self.receiver.script((1..attempts).map(|_| Answer::Status(500)));
        let event = self.server.publish(event_type, data);
        let mut ahead = Duration::ZERO;
        for number in 1..=attempts {
            let deliveries = self.receiver.wait_for(number);
            assert_eq!(deliveries.len(), number, "{}: one request an attempt", self.kind);
            let verdict = deliveries[number - 1].verdict.as_ref().expect("a verdict");
            let said = verdict.text();
            assert_eq!(verdict.status(), 204, "{}, attempt {number}: {said}", self.kind);
            let delivery = self.server.delivery(&event, number as u64);
            if number == attempts {
                assert_eq!(delivery["state"], "succeeded", "{delivery}");
                continue;
            }
            assert_eq!(delivery["state"], "pending", "{delivery}");
            // the receiver's clock is put forward first, by what the server's will be
            let due = delivery["next_attempt_at"].as_str().expect("a retry is to come");
            let due = postrider_signature::timestamp::parse(due).expect("a timestamp");
            let wait = u64::try_from(due - self.server.clock().now()).unwrap_or(0);
            self.party.set_clock_ahead(ahead + Duration::from_millis(wait));
            ahead += self.server.advance_to_next_attempt(&delivery);
        }
        assert!(ahead >= SPAN_MIN, "the last attempt came {ahead:?} after the first");
        let requests: Vec<Exchanged> =
            self.receiver.deliveries().into_iter().map(|delivery| delivery.request).collect();
        for request in &requests {
            assert_eq!(request.body, requests[0].body, "the body is the same in every attempt");
            assert_eq!(request.header("webhook-id"), event);
        }
        requests
    }

    fn verdict(&self, request: &Exchanged) -> u16 {
        send_raw(self.party.address(self.kind), &request.raw).status()
    }

    /// Every change to a delivery that was accepted is rejected, and so is another secret.
    fn assert_tampering_is_rejected(&self, genuine: &Exchanged, reads: Reads, other_secret: &str) {
        assert_eq!(self.verdict(genuine), 204, "{}: the delivery as it was", self.kind);
        for (what, tampered) in tampered(genuine, reads) {
            assert_eq!(self.verdict(&tampered), 401, "{}: {what}", self.kind);
        }
        self.party.set_secret(self.kind, other_secret);
        assert_eq!(self.verdict(genuine), 401, "{}: another secret", self.kind);
    }
}

/// The request with its body, its id or its time changed. The time stays within every tolerance,
/// so that only the signature can tell.
fn tampered(genuine: &Exchanged, reads: Reads) -> [(&'static str, Exchanged); 3] {
    let body = genuine.with_text("Fix the login", "Fix the logon");
    let id = genuine.header("webhook-id");
    if reads == Reads::Headers {
        let time: i64 = genuine.header("webhook-timestamp").parse().expect("seconds");
        let id = format!("{id}x");
        let time = (time - 1).to_string();
        return [
            ("the body", body),
            ("the id", genuine.with_header("webhook-id", &id)),
            ("the timestamp", genuine.with_header("webhook-timestamp", &time)),
        ];
    }
    let time = genuine.json()["timestamp"].as_str().expect("a timestamp").to_owned();
    [
        ("the body", body),
        ("the id", genuine.with_text(id, "whmsg_another")),
        ("the timestamp", genuine.with_text(&time, "2025-07-28T04:58:00.999Z")),
    ]
}

/// What Automa's platform sends (contract §3), with a string for [`tampered`] to change.
fn task_created() -> String {
    json!({
        "org": { "id": 1, "name": "automa", "provider_type": "github" },
        "repo": { "id": 1, "is_private": true, "name": "monorepo" },
        "task": {
            "id": 2,
            "items": [
                { "data": { "orgId": 1 }, "id": 5, "type": "origin" },
                { "data": { "content": "* a\n* b é" }, "id": 4, "type": "message" }
            ],
            "title": "Fix the login",
            "token": "abc123xyz"
        }
    })
    .to_string()
}

fn proposal(is_accepted: bool) -> String {
    json!({
        "org": { "id": 1, "name": "automa", "provider_type": "github" },
        "proposal": {
            "bot_id": 7,
            "data": {
                "prBase": "main", "prHead": "automa/fix", "prId": 2_593_079_484_u64,
                "prMerged": is_accepted, "prNumber": 205, "prState": "closed", "prTitle": "Fix"
            },
            "id": 123, "repo_id": 1, "type": "proposal"
        },
        "task": { "id": 2, "title": "Fix the login" }
    })
    .to_string()
}

#[test]
fn standardwebhooks_of_npm_accepts_deliveries() {
    let proof =
        Proof::start(ThirdParty::node(), "standardwebhooks", STANDARD_SECRET, STANDARD_SECRET);
    let requests = proof.deliver("task.created", &task_created(), STANDARD_ATTEMPTS);
    let last = requests.last().expect("attempts were made");
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    proof.assert_tampering_is_rejected(last, Reads::Headers, other);
    // the first one is hours old by now
    assert_eq!(proof.verdict(&requests[0]), 401);
}

#[test]
fn standardwebhooks_of_pypi_accepts_deliveries() {
    let proof =
        Proof::start(ThirdParty::python(), "standardwebhooks", STANDARD_SECRET, STANDARD_SECRET);
    let requests = proof.deliver("task.created", &task_created(), STANDARD_ATTEMPTS);
    let last = requests.last().expect("attempts were made");
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    proof.assert_tampering_is_rejected(last, Reads::Headers, other);
    assert_eq!(proof.verdict(&requests[0]), 401);
}

#[test]
fn automa_bot_of_pypi_accepts_deliveries() {
    let secret = format!("atma_whsec_{AUTOMA_TEXT}");
    let proof = Proof::start(ThirdParty::python(), "automa", &secret, &secret);
    let requests = proof.deliver("task.created", &task_created(), AUTOMA_ATTEMPTS);
    let last = requests.last().expect("attempts were made");
    proof.assert_tampering_is_rejected(last, Reads::Body, "atma_whsec_another");
}

#[test]
fn automas_typescript_sdk_accepts_deliveries() {
    let secret = format!("atma_whsec_{AUTOMA_TEXT}");
    for kind in ["automa", "automa_older"] {
        let proof = Proof::start(ThirdParty::node(), kind, &secret, &secret);
        let requests = proof.deliver("task.created", &task_created(), AUTOMA_ATTEMPTS);
        let last = requests.last().expect("attempts were made");
        proof.assert_tampering_is_rejected(last, Reads::Body, "atma_whsec_another");
    }
}

/// Bots of Automa may verify with Standard Webhooks' libraries too.
#[test]
fn standardwebhooks_accepts_deliveries_of_the_profile_automa() {
    let secret = format!("atma_whsec_{AUTOMA_TEXT}");
    let theirs = format!("whsec_{AUTOMA_TEXT}");
    for party in [ThirdParty::node(), ThirdParty::python()] {
        let proof = Proof::start(party, "standardwebhooks", &secret, &theirs);
        let requests = proof.deliver("task.created", &task_created(), AUTOMA_ATTEMPTS);
        let last = requests.last().expect("attempts were made");
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        proof.assert_tampering_is_rejected(last, Reads::Headers, other);
    }
}

#[test]
fn every_body_of_automas_platform_is_accepted_by_its_sdks() {
    let secret = format!("atma_whsec_{AUTOMA_TEXT}");
    let (node, python, server) = (ThirdParty::node(), ThirdParty::python(), TestServer::start());
    let parties = [(&node, "automa"), (&node, "automa_older"), (&python, "automa")];
    for (party, kind) in parties {
        party.set_secret(kind, &secret);
        server.webhook(&party.url(kind), &secret);
    }
    for (event_type, id, data) in [
        ("task.created", "whmsg_task_created_2", task_created()),
        ("proposal.accepted", "whmsg_proposal_accepted_123", proposal(true)),
        ("proposal.rejected", "whmsg_proposal_rejected_123", proposal(false)),
    ] {
        let event = format!(r#"{{"id":"{id}","type":"{event_type}","data":{data}}}"#);
        let answer = server.request("POST", "/v1/events", event.as_bytes());
        assert_eq!(answer.status(), 202, "{}", answer.text());
        let deliveries = server.deliveries(id, |row| row["attempts"] != json!(0));
        assert_eq!(deliveries.len(), parties.len());
        for delivery in deliveries {
            assert_eq!(delivery["state"], "succeeded", "{event_type}: {delivery}");
        }
    }
}

/// Body A of contract §5, to the byte, and the signature that Automa's SDKs look for.
#[test]
fn the_contracts_own_delivery_goes_over_the_wire() {
    const BODY: &str = r#"{"data":{"org":{"id":1,"name":"automa","provider_type":"github"},"repo":{"id":1,"is_private":true,"name":"monorepo"},"task":{"id":1234,"items":[{"data":{"content":"* a\n* b"},"id":1,"type":"message"}],"title":"Fix é / \"quote\" 1.50","token":"abc123xyz"}},"id":"whmsg_task_created_1234","timestamp":"2025-07-28T04:58:00.999Z","type":"task.created"}"#;
    const BY_EVENT_TIME: &str = "v1,Al2sF4uOuXpMpDXZqRivLj4IyRR9WkFtHfcmOfgfA3Q=";
    let secret = format!("atma_whsec_{AUTOMA_TEXT}");
    let node = ThirdParty::node();
    node.set_secret("automa", &secret);
    let (server, receiver) = (TestServer::start(), Receiver::before(node.address("automa")));
    server.webhook(&receiver.url(), &secret);
    // the envelope's own members are the event's
    let answer = server.request("POST", "/v1/events", BODY.as_bytes());
    assert_eq!(answer.status(), 202, "{}", answer.text());
    let delivery = receiver.wait_for(1).remove(0);
    assert_eq!(delivery.request.text(), BODY);
    let signatures: Vec<&str> = delivery.request.header("webhook-signature").split(' ').collect();
    assert_eq!((signatures[0], signatures.len()), (BY_EVENT_TIME, 3));
    assert_eq!(delivery.request.header("x-automa-server-host"), server.url());
    assert_eq!(delivery.verdict.expect("a verdict").status(), 204);
}

/// Node's own ed25519 verifies `v1a`; the Standard Webhooks packages don't know it, and must reject
/// such a delivery cleanly rather than break.
#[test]
fn ed25519_signatures_are_accepted_by_who_knows_them() {
    let proof = Proof::start(ThirdParty::node(), "ed25519", PRIVATE_KEY, PUBLIC_KEY);
    let requests = proof.deliver("task.created", &task_created(), STANDARD_ATTEMPTS);
    let last = requests.last().expect("attempts were made");
    assert!(last.header("webhook-signature").starts_with("v1a,"));

    let python = ThirdParty::python();
    for party in [&proof.party, &python] {
        party.set_secret("standardwebhooks", STANDARD_SECRET);
        assert_eq!(send_raw(party.address("standardwebhooks"), &last.raw).status(), 401);
    }
    let other = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    proof.assert_tampering_is_rejected(last, Reads::Headers, other);
}

/// The crate can't be told the time: `verify` judges what is delivered now, and what is delivered
/// hours ahead is held against the signature that the crate makes for its id, time and body.
#[test]
fn standardwebhooks_of_crates_io_accepts_deliveries() {
    use standardwebhooks::{Webhook, WebhookError};
    for (own_secret, secret, attempts) in [
        (STANDARD_SECRET.to_owned(), STANDARD_SECRET.to_owned(), STANDARD_ATTEMPTS),
        (format!("atma_whsec_{AUTOMA_TEXT}"), format!("whsec_{AUTOMA_TEXT}"), AUTOMA_ATTEMPTS),
    ] {
        let theirs = Webhook::new(&secret).expect("a secret");
        let server = TestServer::start();
        let receiver = Receiver::start();
        server.webhook(&receiver.url(), &own_secret);
        receiver.script((1..attempts).map(|_| Answer::Status(503)));
        let event = server.publish("task.created", &task_created());

        let first = receiver.wait_for(1).remove(0).request;
        theirs.verify(&first.body, &headers(&first)).expect("the first attempt is accepted");
        for (what, tampered) in tampered(&first, Reads::Headers) {
            let verdict = theirs.verify(&tampered.body, &headers(&tampered));
            assert!(matches!(verdict, Err(WebhookError::InvalidSignature)), "{what}: {verdict:?}");
        }
        let other = Webhook::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").expect("a secret");
        let verdict = other.verify(&first.body, &headers(&first));
        assert!(matches!(verdict, Err(WebhookError::InvalidSignature)), "{verdict:?}");

        for number in 2..=attempts {
            let delivery = server.delivery(&event, number as u64 - 1);
            server.advance_to_next_attempt(&delivery);
            let retry = receiver.wait_for(number).remove(number - 1).request;
            let time: i64 = retry.header("webhook-timestamp").parse().expect("seconds");
            let age = server.clock().now() / 1_000 - time;
            assert!((0..=300).contains(&age), "attempt {number} is {age} s old");
            let id = retry.header("webhook-id");
            let wanted = theirs.sign(id, time, &retry.body).expect("a signature");
            let signatures = retry.header("webhook-signature");
            assert!(signatures.split(' ').any(|one| one == wanted), "attempt {number}");
        }
        // the crate's clock stayed where it was
        let last = receiver.deliveries().pop().expect("attempts were made").request;
        let verdict = theirs.verify(&last.body, &headers(&last));
        assert!(matches!(verdict, Err(WebhookError::FutureTimestampError)), "{verdict:?}");
    }
}

fn headers(request: &Exchanged) -> http::HeaderMap {
    let header = |(name, value): &(String, String)| {
        let name: http::HeaderName = name.parse().expect("a name");
        (name, value.parse::<http::HeaderValue>().expect("a value"))
    };
    request.headers.iter().map(header).collect()
}
