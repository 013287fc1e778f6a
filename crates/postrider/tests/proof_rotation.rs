//! Proof: while a replaced secret is in its overlap, a receiver with the old one and one with the
//! new one both accept; afterwards only the new one does.
//!
//! The receivers are those of `proof_third_party`: `standardwebhooks` of npm and of `PyPI`,
//! `automa-bot` of `PyPI`, Automa's TypeScript SDK by its description, and Autonoma's published
//! verifier on the servers that bots use.

mod support;

use std::time::Duration;

use postrider::clock::Clock;
use serde_json::{Value, json};
use support::http::{Exchanged, send_raw};
use support::receiver::Receiver;
use support::server::TestServer;
use support::third_party::ThirdParty;

const OVERLAP: Duration = Duration::from_hours(6);
const AUTONOMA_HEADER: &str = "x-autonoma-signature";

/// What a receiver makes of a delivery; anything else, such as a breakdown, is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Rejected,
}

use Verdict::{Accepted, Rejected};

/// A server with one webhook, whose deliveries are kept and shown to receivers.
struct Proof {
    server: TestServer,
    receiver: Receiver,
    webhook: String,
    parties: Vec<(ThirdParty, Vec<&'static str>)>,
    _data: tempfile::TempDir,
}

impl Proof {
    fn start(profile: &str, parties: Vec<(ThirdParty, Vec<&'static str>)>) -> (Self, String) {
        let data = tempfile::tempdir().expect("a temporary folder");
        let server = TestServer::start_in(data.path(), Clock::system(), &[]);
        let receiver = Receiver::start();
        let url = format!("http://{}/", receiver.address());
        let draft = json!({ "url": url, "events": ["*"], "profile": profile });
        let made = server.create_webhook(&draft);
        let webhook = text(&made["id"]);
        let proof = Self { server, receiver, webhook, parties, _data: data };
        (proof, text(&made["secret"]))
    }

    /// Replaces the secret and gives the new one.
    fn rotate(&self, overlap: Duration) -> String {
        let body = json!({ "overlap_s": overlap.as_secs() }).to_string();
        let target = format!("/v1/webhooks/{}/secret/rotate", self.webhook);
        let answer = self.server.request("POST", &target, body.as_bytes());
        assert_eq!(answer.status(), 200, "{}", answer.text());
        text(&answer.json()["secret"])
    }

    /// A delivery that is made now.
    fn deliver(&self) -> Exchanged {
        let count = self.receiver.deliveries().len();
        let data = json!({ "title": "Fix é", "ratio": 1.5, "at": count }).to_string();
        self.server.publish("task.created", &data);
        let request = self.receiver.wait_for(count + 1).remove(count).request;
        let values = request.header_values(AUTONOMA_HEADER).count();
        assert!(values <= 1, "{AUTONOMA_HEADER} has {values} values");
        request
    }

    /// Puts the clocks of all sides forward.
    fn advance(&self, by: Duration) {
        for (party, _) in &self.parties {
            party.set_clock_ahead(by);
        }
        self.server.clock().advance(by);
    }

    /// Shows a delivery to receivers of each kind that have this secret.
    fn assert_verdict(&self, request: &Exchanged, secret: &str, expected: Verdict, when: &str) {
        for (party, kinds) in &self.parties {
            for kind in kinds {
                party.set_secret(kind, secret);
                let answer = send_raw(party.address(kind), &request.raw);
                let verdict = match answer.status() {
                    200 | 204 => Accepted,
                    401 => Rejected,
                    status => panic!("{kind}, {when}: {status} {}", answer.text()),
                };
                assert_eq!(verdict, expected, "{kind}, {when}");
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn assert_rotation_overlaps(profile: &str, parties: Vec<(ThirdParty, Vec<&'static str>)>) {
    let (proof, old) = Proof::start(profile, parties);
    let before = proof.deliver();
    proof.assert_verdict(&before, &old, Accepted, "before");
    let new = proof.rotate(OVERLAP);
    proof.assert_verdict(&before, &new, Rejected, "before, with the secret to come");

    let during = proof.deliver();
    proof.assert_verdict(&during, &old, Accepted, "during the overlap, with the old secret");
    proof.assert_verdict(&during, &new, Accepted, "during the overlap, with the new secret");

    proof.advance(OVERLAP);
    let after = proof.deliver();
    proof.assert_verdict(&after, &old, Rejected, "after the overlap, with the old secret");
    proof.assert_verdict(&after, &new, Accepted, "after the overlap, with the new secret");
}

#[test]
fn standard_webhooks_receivers_accept_the_old_and_the_new_secret_in_the_overlap() {
    let kinds = || vec!["standardwebhooks"];
    let parties = vec![(ThirdParty::node(), kinds()), (ThirdParty::python(), kinds())];
    assert_rotation_overlaps("standard", parties);
}

#[test]
fn automa_bots_accept_the_old_and_the_new_secret_in_the_overlap() {
    let node = (ThirdParty::node(), vec!["automa", "automa_older"]);
    let python = (ThirdParty::python(), vec!["automa"]);
    assert_rotation_overlaps("automa", vec![node, python]);
}

/// Its receivers compare the whole header, so it carries one value: the new secret's.
#[test]
fn autonoma_bots_get_one_signature_by_the_new_secret() {
    let node = (ThirdParty::node(), vec!["express4", "express5", "fastify5"]);
    let (proof, old) = Proof::start("autonoma", vec![node]);
    let before = proof.deliver();
    proof.assert_verdict(&before, &old, Accepted, "before");
    let new = proof.rotate(OVERLAP);
    for when in ["in the overlap", "after it"] {
        let request = proof.deliver();
        assert_eq!(request.header_values(AUTONOMA_HEADER).count(), 1, "{when}");
        proof.assert_verdict(&request, &new, Accepted, when);
        proof.assert_verdict(&request, &old, Rejected, when);
        let signatures = request.header("webhook-signature").split(' ').count();
        assert_eq!(signatures, if when == "after it" { 1 } else { 2 }, "{when}");
        proof.advance(OVERLAP);
    }
}

/// For a secret that got into wrong hands.
#[test]
fn without_an_overlap_only_the_new_secret_signs() {
    let (proof, old) =
        Proof::start("standard", vec![(ThirdParty::node(), vec!["standardwebhooks"])]);
    let second = proof.rotate(OVERLAP);
    let third = proof.rotate(Duration::ZERO);
    let request = proof.deliver();
    for known in [&old, &second] {
        proof.assert_verdict(&request, known, Rejected, "with a secret of before");
    }
    proof.assert_verdict(&request, &third, Accepted, "with the new secret");
}
