//! One attempt, as a pipeline: build the request, sign it, send it, say how it ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use postrider_core::delivery::{
    Attempt, AttemptResult, ErrorClass, Mode, Outline, Timing, Waiting,
};
use postrider_core::dispatcher::{Ended, Input};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, UnixMs, WebhookKey};
use postrider_core::retry_after::RetryAfter;
use postrider_core::target::Target;
use postrider_signature::canonical::{ecma, jcs};
use postrider_signature::{BodyForm, Content, Secret, sign};
use postrider_store::failpoint;

use super::Engine;
use super::listen::Offer;
use super::live::{Destination, LiveWebhook, fill_random};
use crate::send::{Identity, Request, RequestHead, Sent, Unwritable};

const AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));

/// A request, and the signing headers in it.
type Built = (Way, Vec<(String, String)>);

/// What is sent, by where it goes.
enum Way {
    Url(Request),
    Listener(Offer),
}

/// An attempt whose request is ready to be sent, or could not be built.
pub(super) struct Beginning {
    delivery: DeliveryKey,
    event: Arc<Event>,
    waiting: Waiting,
    at: UnixMs,
    /// Of its webhook, where that is known.
    outline: Option<Arc<Outline>>,
    built: Result<Built, Unbuilt>,
}

/// A request could not be built.
struct Unbuilt {
    class: ErrorClass,
    detail: String,
}

impl Engine {
    /// Starts an attempt: its request is built and signed at once, with the webhook as it is now.
    ///
    /// Not in the attempt's own task, which runs a little later: by then the webhook may have been
    /// changed, disabled or deleted, and that acknowledged.
    pub(super) fn start_attempt(&self, delivery: DeliveryKey, event: Arc<Event>, waiting: Waiting) {
        failpoint!(AttemptStarted);
        let started_at = self.now();
        let live = self.inner.registry.get(delivery.webhook);
        let outline = live.as_deref().map(LiveWebhook::outline);
        let request = AssertUnwindSafe(|| match &live {
            Some(live) => self.request(live, delivery, &event, started_at),
            None => Err(internal("its webhook is not known".to_owned())),
        });
        let built = catch_unwind(request).unwrap_or_else(|_| Err(panicked()));
        failpoint!(RequestBuilt);
        self.begin(Beginning { delivery, event, waiting, at: started_at, outline, built });
    }

    /// Makes one attempt and tells the dispatcher how it ended, whatever happens.
    pub(super) async fn attempt(&self, beginning: Beginning) {
        let Beginning { delivery, event, waiting, at: started_at, outline, built } = beginning;
        let (sent, signed_headers) = match built {
            Ok((way, signed_headers)) => {
                let sent = AssertUnwindSafe(self.send(way)).catch_unwind().await;
                (sent.unwrap_or_else(|_| broke(panicked())), signed_headers)
            }
            Err(unbuilt) => (broke(unbuilt), Vec::new()),
        };
        let ended_at = self.now();
        let retry_after = match sent.result.status() {
            Some(429 | 503) => sent.retry_after.and_then(|text| RetryAfter::parse(&text, ended_at)),
            _ => None,
        };
        let attempt = Attempt {
            number: waiting.after_attempt().attempts,
            is_manual: matches!(waiting.mode, Mode::Manual { .. }),
            started_at,
            timing: sent.timing,
            address: sent.address,
            outline,
            signed_headers,
            result: sent.result,
        };
        log(delivery, &event, &attempt);
        // Only a retry's jitter needs it, and each draw is a system call.
        let mut random = [0; 8];
        if !attempt.result.is_success() {
            fill_random(&mut random);
        }
        let random = u64::from_le_bytes(random);
        // only what a 410 means depends on it
        let is_of_former_url =
            attempt.result.is_gone() && self.leads_elsewhere(delivery.webhook, &attempt);
        let ended = Ended { attempt, ended_at, retry_after, random, is_of_former_url };
        let ended = Box::new(ended);
        failpoint!(AttemptEnded);
        self.tell(Input::AttemptEnded { delivery, ended });
    }

    /// Whether a webhook has another URL by now than the attempt went to.
    fn leads_elsewhere(&self, webhook: WebhookKey, attempt: &Attempt) -> bool {
        let live = self.inner.registry.get(webhook);
        live.zip(attempt.outline.as_deref())
            .is_some_and(|(live, went)| *went.url != live.webhook.url)
    }

    async fn send(&self, way: Way) -> Sent {
        match way {
            Way::Url(request) => self.inner.parts.sender.send(request).await,
            Way::Listener(offer) => self.offer(offer).await,
        }
    }

    /// Builds and signs the request with the webhook as it is now.
    fn request(
        &self,
        live: &LiveWebhook,
        delivery: DeliveryKey,
        event: &Event,
        now_ms: UnixMs,
    ) -> Result<Built, Unbuilt> {
        let material = live
            .material(&self.inner.parts.sealing)
            .map_err(|error| internal(error.to_string()))?;
        let is_live = |until: Option<UnixMs>| until.is_none_or(|until| now_ms < until);
        let mut secrets =
            material.secrets.iter().filter(|(_, until)| is_live(*until)).map(|(secret, _)| secret);
        let current =
            secrets.next().ok_or_else(|| internal("its webhook has no secret".to_owned()))?;
        let older: Vec<&Secret> = secrets.collect();

        let signing = &live.profile().signing;
        let body = body_in(event, signing.body_form)?;
        let id = event.id();
        let content = Content {
            id: &id,
            event_time_ms: event.occurred_at,
            now_ms,
            body: &body,
            server_host: Some(&self.inner.parts.public_url),
        };
        let signed = sign(signing, current, &older, &content);
        let custom = &material.headers;
        let deadline = live.timeout(self.inner.parts.attempt_timeout);
        let way = match &live.destination {
            Destination::Url(target) => {
                let (target, identity) = (target.clone(), Identity::default());
                let head = head(live, &target, &signed, custom)?;
                Way::Url(Request { target, head, body, deadline, identity })
            }
            Destination::Listener => {
                let headers = headers(&signed, custom).ok_or_else(|| unfit(live))?;
                Way::Listener(Offer { delivery, headers, body, deadline })
            }
            Destination::NotAllowed(detail) => {
                let detail = detail.clone();
                return Err(Unbuilt { class: ErrorClass::NotAllowed, detail });
            }
        };
        let signed_headers =
            signed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok((way, signed_headers))
    }
}

/// The exact bytes that attempts send of an event in a form; `None` when the form can't hold them.
pub fn sent_body(event: &Event, form: BodyForm) -> Option<Bytes> {
    body_in(event, form).ok()
}

/// Headers that every attempt sends beside those that sign it and the custom ones.
pub const FIXED_HEADERS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("user-agent", AGENT)];

/// What goes before the body over a connection of ours.
fn head(
    live: &LiveWebhook,
    target: &Target,
    signed: &[(&str, String)],
    custom: &[(HeaderName, HeaderValue)],
) -> Result<RequestHead, Unbuilt> {
    let not_allowed =
        |error: Unwritable| Unbuilt { class: ErrorClass::NotAllowed, detail: error.to_string() };
    let mut head = RequestHead::post(target).map_err(not_allowed)?;
    let fixed = FIXED_HEADERS.iter().map(|(name, value)| (*name, value.as_bytes()));
    let signed = signed.iter().map(|(name, value)| (*name, value.as_bytes()));
    let custom = custom.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in fixed.chain(signed).chain(custom) {
        head.put(name, value).map_err(|_| unfit(live))?;
    }
    Ok(head)
}

/// The same for a listener, in parts.
fn headers(
    signed: &[(&str, String)],
    custom: &[(HeaderName, HeaderValue)],
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let signed = signed.iter().map(|(name, value)| (*name, value.as_str()));
    let ours = FIXED_HEADERS.into_iter().chain(signed);
    let ours = ours.map(|(name, value)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    });
    ours.chain(custom.iter().cloned().map(Some)).collect()
}

fn unfit(live: &LiveWebhook) -> Unbuilt {
    let name = live.profile().name();
    internal(format!("the profile {name} makes a header that HTTP does not allow"))
}

/// What is recorded when a panic was caught.
fn panicked() -> Unbuilt {
    internal("a fault of the server itself; its log says more".to_owned())
}

fn internal(detail: String) -> Unbuilt {
    Unbuilt { class: ErrorClass::Internal, detail }
}

/// What is recorded of an attempt that came to no request.
fn broke(unbuilt: Unbuilt) -> Sent {
    let Unbuilt { class, detail } = unbuilt;
    Sent {
        timing: Timing::default(),
        address: None,
        result: AttemptResult::Broke { class, detail, answer: None },
        retry_after: None,
        refusal: None,
    }
}

/// The body in a form. One that was not in use when the event was accepted is made from the
/// verbatim one, with what its type said of large integers then, which gives the same bytes each time.
fn body_in(event: &Event, form: BodyForm) -> Result<Bytes, Unbuilt> {
    if let Some(made) = event.bodies.form(form) {
        return Ok(made.clone());
    }
    let verbatim = &event.bodies.verbatim;
    let made = match form {
        BodyForm::Verbatim => return Ok(verbatim.clone()),
        BodyForm::Ecma => ecma(verbatim, event.numbers),
        BodyForm::Jcs => jcs(verbatim, event.numbers),
    };
    match made {
        Ok(body) => Ok(Bytes::from(body.into_owned())),
        Err(error) => Err(Unbuilt { class: ErrorClass::BodyForm, detail: error.to_string() }),
    }
}

fn log(delivery: DeliveryKey, event: &Event, attempt: &Attempt) {
    let (ms, number) = (attempt.timing.total_us / 1_000, attempt.number);
    let (webhook, event_type) = (delivery.webhook, event.event_type.as_str());
    match &attempt.result {
        AttemptResult::Answered(answer) if attempt.result.is_success() => tracing::debug!(
            target: "delivery", %webhook, event = event_type, id = %event.id(), attempt = number, status = answer.status, ms
        ),
        AttemptResult::Answered(answer) => tracing::info!(
            target: "delivery", %webhook, event = event_type, id = %event.id(), attempt = number, status = answer.status, ms
        ),
        AttemptResult::Broke { class, .. } => tracing::info!(
            target: "delivery", %webhook, event = event_type, id = %event.id(), attempt = number, error = ?class, ms
        ),
    }
}
