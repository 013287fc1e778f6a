//! Checking the signature step by step, as a receiver has to: so that whoever writes one sees at
//! which step theirs comes out differently.
//!
//! Secrets are never shown. A signature that was not sent is shown to managers only: it is as good
//! as a delivery that nobody made.

use maud::{Markup, html};
use postrider_core::delivery::Attempt;
use postrider_signature::{BodyForm, KeyDerivation, SigningProfile};

use super::Shown;
use crate::dashboard::elements;
use crate::dashboard::stranger::{self, Text};
use crate::engine::{Candidate, LiveWebhook, SignatureForm, sent_body};

/// Receivers by Standard Webhooks refuse what is older.
const TOLERANCE_SECONDS: i64 = 300;

/// A signature as it was sent.
struct Sent<'a> {
    header: &'a str,
    value: &'a str,
}

pub(super) fn card(shown: &Shown<'_>, attempt: &Attempt) -> Markup {
    let Some(live) = &shown.live else { return html! {} };
    let signing = &live.profile().signing;
    let sent = sent_signatures(signing, attempt);
    let candidates = shown.visit.engine().candidates(live, &shown.event, attempt);
    html! {
        section.card.stack {
            header {
                h2 { "Signature check" }
                span.tag { "profile " (signing.name) }
            }
            @if attempt.signed_headers.is_empty() {
                p.none { "Nothing was signed, for no request could be built." }
            } @else {
                @match candidates {
                    Ok(candidates) => (steps(shown, attempt, live, &sent, &candidates)),
                    Err(_) => p.alarm {
                        "The webhook's secret can't be opened with this server's sealing keys."
                    },
                }
            }
        }
    }
}

fn sent_signatures<'a>(signing: &SigningProfile, attempt: &'a Attempt) -> Vec<Sent<'a>> {
    let hex = signing.hex_header.as_ref().map(|hex| &*hex.name);
    let mut sent = Vec::new();
    for (header, value) in &attempt.signed_headers {
        if *header == signing.list_headers.signature {
            sent.extend(value.split(' ').map(|value| Sent { header, value }));
        } else if Some(header.as_str()) == hex {
            sent.push(Sent { header, value });
        }
    }
    sent
}

fn is_sent(sent: &[Sent<'_>], candidate: &Candidate) -> bool {
    sent.iter().any(|sent| sent.header == candidate.header && sent.value == candidate.value)
}

fn steps(
    shown: &Shown<'_>,
    attempt: &Attempt,
    live: &LiveWebhook,
    sent: &[Sent<'_>],
    candidates: &[Candidate],
) -> Markup {
    let signing = &live.profile().signing;
    html! {
        (verdict(sent, candidates))
        ol.steps {
            li { (body_step(shown, attempt, signing)) }
            li { (time_step(signing, attempt)) }
            li { (text_step(shown, attempt, signing)) }
            li { (key_step(signing)) }
            li { (signature_step(shown, sent, candidates)) }
        }
    }
}

fn verdict(sent: &[Sent<'_>], candidates: &[Candidate]) -> Markup {
    let known = |sent: &&Sent<'_>| {
        let is_it = |it: &Candidate| it.header == sent.header && it.value == sent.value;
        candidates.iter().any(is_it)
    };
    let matching = sent.iter().filter(known).count();
    html! {
        @if sent.is_empty() {
            p.caution { "The attempt has none of the headers that this profile signs with: the webhook \
                had another profile then." }
        } @else if matching == sent.len() {
            p.notice { "What was sent is signed by the webhook's secrets as they are now. A receiver that \
                refuses it has another secret, changed the body before verifying, or its clock is off." }
        } @else if matching > 0 {
            p.caution { (matching) " of " (sent.len()) " signatures sent are by the webhook's secrets as they \
                are now; the others are by secrets that were replaced since." }
        } @else {
            p.caution { "No secret that the webhook has now made what was sent: its secret or profile was \
                changed since this attempt. A retry is signed by the present one." }
        }
    }
}

fn body_step(shown: &Shown<'_>, attempt: &Attempt, signing: &SigningProfile) -> Markup {
    let form = attempt.outline.as_ref().map_or(signing.body_form, |outline| outline.body_form);
    let length = sent_body(&shown.event, form).map_or(0, |body| body.len());
    html! {
        h3 { "Take the body as it arrived" }
        p {
            (elements::several(length as u64, "byte")) ", before any parsing"
            @match form {
                BodyForm::Verbatim => ". Parsing and writing it again changes it.",
                BodyForm::Ecma => ". It is written as JavaScript's JSON.stringify does, so a receiver there may \
                    also parse it and write it again.",
                BodyForm::Jcs => ". Its keys are sorted, so a receiver may also sort them again.",
            }
        }
    }
}

fn time_step(signing: &SigningProfile, attempt: &Attempt) -> Markup {
    let name = &*signing.list_headers.timestamp;
    let seconds: Option<i64> = header(attempt, name).and_then(|text| text.parse().ok());
    let apart = seconds.map(|seconds| attempt.started_at.div_euclid(1_000) - seconds);
    html! {
        h3 { "Compare the time" }
        p {
            @match seconds.zip(apart) {
                Some((seconds, apart)) => {
                    code { (name) ": " (seconds) } " is " (elements::exactly(seconds.saturating_mul(1_000)))
                    ", " (apart) " s before the attempt. "
                    @if apart.abs() > TOLERANCE_SECONDS {
                        strong.bad { "Most receivers refuse more than " (TOLERANCE_SECONDS) " s." }
                    } @else {
                        "Receivers tolerate " (TOLERANCE_SECONDS) " s, by a clock that is right."
                    }
                },
                None => { "The header " code { (name) } " was not sent." },
            }
        }
    }
}

fn text_step(shown: &Shown<'_>, attempt: &Attempt, signing: &SigningProfile) -> Markup {
    let form = attempt.outline.as_ref().map_or(signing.body_form, |outline| outline.body_form);
    let body = sent_body(&shown.event, form).unwrap_or_default();
    let id = header(attempt, &signing.list_headers.id).unwrap_or_default();
    let seconds = header(attempt, &signing.list_headers.timestamp).unwrap_or_default();
    let kept = body.get(..stranger::SHOWN_BYTES_MAX).unwrap_or(&body);
    html! {
        h3 { "Join what is signed" }
        p {
            "Id, time and body with dots between, from the headers "
            code { (signing.list_headers.id) } " and " code { (signing.list_headers.timestamp) } "."
            @if let Some(hex) = &signing.hex_header {
                " The header " code { (hex.name) } " signs the body alone."
            }
        }
        pre.signed tabindex="0" role="region" aria-label="Signed text" { code {
            span.j-key { (Text(id.as_bytes())) } "."
            span.j-number { (Text(seconds.as_bytes())) } "."
            (Text(kept))
        } }
        (stranger::cut(body.len() - kept.len()))
    }
}

fn key_step(signing: &SigningProfile) -> Markup {
    let prefix = &signing.secret_format.prefix;
    html! {
        h3 { "Take the key out of the secret" }
        p {
            @match signing.secret_format.key {
                KeyDerivation::Base64 => {
                    "What follows " code { (prefix) } ", decoded from Base64. Of an ed25519 secret, receivers \
                    have the public key " code { "whpk_…" } "."
                },
                KeyDerivation::Text => {
                    "What follows " code { (prefix) } " as UTF-8 text, not decoded. Standard Webhooks libraries \
                    decode it from Base64; for them there is a signature of its own."
                },
                KeyDerivation::Whole => "The whole secret as UTF-8 text. Nothing is stripped or decoded.",
            }
        }
    }
}

fn signature_step(shown: &Shown<'_>, sent: &[Sent<'_>], candidates: &[Candidate]) -> Markup {
    let may_see_all = shown.visit.rights.may_manage;
    let now = shown.visit.engine().now();
    let unknown: Vec<_> = (sent.iter())
        .filter(|sent| {
            !candidates.iter().any(|it| it.header == sent.header && it.value == sent.value)
        })
        .collect();
    html! {
        h3 { "Sign and compare" }
        p { "HMAC-SHA256 of the text with the key, in Base64 after " code { "v1," }
            " (ed25519 after " code { "v1a," } "). One that matches is enough." }
        div.table tabindex="0" role="region" aria-label="Candidates" { table {
            caption.hidden { "Candidates, and whether they were sent" }
            thead { tr {
                th scope="col" { "Secret" }
                th scope="col" { "Signed" }
                th scope="col" { "Signature" }
                th scope="col" { "Sent" }
            } }
            tbody {
                @for candidate in candidates {
                    @let is_sent = is_sent(sent, candidate);
                    tr {
                        td { (whose(candidate, now)) }
                        td { (what(candidate)) }
                        td.wide {
                            @if is_sent || may_see_all { code.sum { (candidate.value) } }
                            @else { span.none { "shown to those who may manage" } }
                        }
                        td { (if is_sent { elements::badge("ok", "matches") } else { elements::badge("idle", "not sent") }) }
                    }
                }
                @for sent in unknown {
                    tr {
                        td { span.none { "replaced since" } }
                        td { code { (sent.header) } }
                        td.wide { code.sum { (sent.value) } }
                        td { (elements::badge("warn", "sent")) }
                    }
                }
            }
        } }
    }
}

fn whose(candidate: &Candidate, now: i64) -> Markup {
    html! {
        @match candidate.live_until {
            None => "current",
            Some(until) if now < until => { "older, until " (elements::ago(until, now)) },
            Some(_) => "older, ended",
        }
    }
}

fn what(candidate: &Candidate) -> Markup {
    html! {
        @match (candidate.form, candidate.seconds) {
            (SignatureForm::Own, Some(seconds)) => { "text at " code { (seconds) } },
            (SignatureForm::Decoded, Some(seconds)) => { "text at " code { (seconds) } ", key decoded" },
            (SignatureForm::Hex, _) => { "body alone, in " code { (candidate.header) } },
            (SignatureForm::Own | SignatureForm::Decoded, None) => {},
        }
    }
}

fn header<'a>(attempt: &'a Attempt, name: &str) -> Option<&'a str> {
    let found = attempt.signed_headers.iter().find(|(given, _)| given == name);
    found.map(|(_, value)| value.as_str())
}
