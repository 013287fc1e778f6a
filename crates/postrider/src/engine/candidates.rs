//! Which signatures a webhook's secrets make of what an attempt sent: to be compared with those
//! that went out, and with what a receiver works out.

use postrider_core::delivery::Attempt;
use postrider_core::event::Event;
use postrider_core::id::UnixMs;
use postrider_signature::{Content, SignatureList, sign};

use super::Engine;
use super::deliver::sent_body;
use super::live::{LiveWebhook, UnsealError};

/// One signature that one secret makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 0 for the current secret, then those in their overlap.
    pub secret: usize,
    /// When the secret's overlap ends; `None` for the current one.
    pub live_until: Option<UnixMs>,
    /// The header that it stands in.
    pub header: String,
    pub form: SignatureForm,
    /// The time in the signed text, in whole seconds; `None` where the body alone is signed.
    pub seconds: Option<i64>,
    /// With the name of its scheme before it.
    pub value: String,
}

/// What of a secret is the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureForm {
    /// As the profile's format says.
    Own,
    /// The text's Base64 reading, which Standard Webhooks libraries make of it.
    Decoded,
    /// As the profile's format says; of the body alone, in hexadecimal.
    Hex,
}

impl Engine {
    /// Every candidate of the webhook as it is now, of its current secret first. None when there is
    /// no such body.
    pub fn candidates(
        &self,
        live: &LiveWebhook,
        event: &Event,
        attempt: &Attempt,
    ) -> Result<Vec<Candidate>, UnsealError> {
        let signing = &live.profile().signing;
        let form = attempt.outline.as_ref().map_or(signing.body_form, |outline| outline.body_form);
        let Some(body) = sent_body(event, form) else { return Ok(Vec::new()) };
        let id = event.id();
        let content = Content {
            id: &id,
            event_time_ms: event.occurred_at,
            now_ms: attempt.started_at,
            body: &body,
            server_host: None,
        };
        let material = live.material(&self.inner.parts.sealing)?;
        let event_seconds = event.occurred_at.div_euclid(1_000);
        let rule = signing.timestamp_rule;
        let header_seconds = rule.header_seconds(event.occurred_at, attempt.started_at);
        let mut candidates = Vec::new();
        for (rank, (secret, live_until)) in material.secrets.iter().enumerate() {
            let candidate = |header: &str, form, seconds, value: &str| Candidate {
                secret: rank,
                live_until: *live_until,
                header: header.to_owned(),
                form,
                seconds,
                value: value.to_owned(),
            };
            for (header, value) in sign(signing, secret, &[], &content) {
                let hex = signing.hex_header.as_ref();
                if header == signing.list_headers.signature {
                    let parts = forms(signing.signature_list, event_seconds, header_seconds);
                    let made = value.split(' ').zip(parts);
                    candidates.extend(made.map(|(value, (form, seconds))| {
                        candidate(header, form, Some(seconds), value)
                    }));
                } else if hex.is_some_and(|hex| hex.name == header) {
                    candidates.push(candidate(header, SignatureForm::Hex, None, &value));
                }
            }
        }
        Ok(candidates)
    }
}

/// What the elements of one secret's list are, in the order in which `sign` makes them.
fn forms(
    list: SignatureList,
    event_seconds: i64,
    header_seconds: i64,
) -> Vec<(SignatureForm, i64)> {
    use SignatureForm::{Decoded, Own};
    match list {
        SignatureList::PerSecret => vec![(Own, header_seconds)],
        SignatureList::Automa if event_seconds == header_seconds => {
            vec![(Own, event_seconds), (Decoded, header_seconds)]
        }
        SignatureList::Automa => {
            vec![(Own, event_seconds), (Own, header_seconds), (Decoded, header_seconds)]
        }
    }
}
