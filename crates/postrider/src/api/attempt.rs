//! What happened to a delivery, as a person can read it: what was sent where, what came back,
//! what that means, and what would mend it.

use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, CancelReason, ErrorClass, Happening, HistoryEntry, Timing,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::deliveries::StateView;
use super::wire::time;

/// One thing that happened to a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryView {
    pub id: String,
    pub delivery_id: String,
    pub webhook_id: String,
    #[serde(flatten)]
    pub what: HappeningView,
    /// How the delivery stood from then on.
    pub state: StateView,
    /// When the next attempt was due from then on.
    pub next_attempt_at: Option<String>,
}

/// What it was.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HappeningView {
    Attempt(Box<AttemptView>),
    Cancelled { at: String, reason: &'static str, explanation: &'static str },
    RetryRequested { at: String },
}

/// One HTTP request that was made for a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// 1 for the first.
    pub number: u32,
    pub is_manual: bool,
    pub is_success: bool,
    pub started_at: String,
    pub timing_ms: TimingView,
    /// The address that was dialled, where it came to that.
    pub address: Option<String>,
    /// The signing headers as sent.
    pub request_headers: Vec<HeaderView>,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    pub response: Option<ResponseView>,
    /// Null after a success.
    pub error: Option<AttemptError>,
}

/// How long the phases took, in milliseconds; zero where one did not happen.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct TimingView {
    pub dns: f64,
    pub connect: f64,
    pub tls: f64,
    /// From the first byte sent to the first byte of the answer.
    pub wait: f64,
    pub total: f64,
}

/// A header as it went over the wire; bytes that are no UTF-8 are shown as U+FFFD.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeaderView {
    pub name: String,
    pub value: String,
}

/// The answer, as far as it is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResponseView {
    pub headers: Vec<HeaderView>,
    pub body: String,
    /// The body was longer; this is its beginning.
    pub is_body_cut: bool,
    /// The body was not UTF-8; what was not is shown as U+FFFD.
    pub is_body_lossy: bool,
}

/// Why an attempt failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptError {
    /// Stable.
    pub class: &'static str,
    /// The particulars, where there are some.
    pub detail: Option<String>,
    /// What that means.
    pub explanation: &'static str,
    /// What would mend it.
    pub mend: &'static str,
}

impl HistoryView {
    pub(super) fn new(entry: &HistoryEntry) -> Self {
        Self {
            id: entry.key.to_string(),
            delivery_id: entry.delivery.to_string(),
            webhook_id: entry.delivery.webhook.to_string(),
            what: HappeningView::new(&entry.what),
            state: entry.standing.state().into(),
            next_attempt_at: entry.standing.due().map(time),
        }
    }
}

impl HappeningView {
    fn new(what: &Happening) -> Self {
        match what {
            Happening::Attempt(attempt) => Self::Attempt(Box::new(AttemptView::new(attempt))),
            &Happening::RetryRequested { at } => Self::RetryRequested { at: time(at) },
            &Happening::Cancelled { at, reason } => {
                let (reason, explanation) = cancelled(reason);
                Self::Cancelled { at: time(at), reason, explanation }
            }
        }
    }
}

impl AttemptView {
    fn new(attempt: &Attempt) -> Self {
        let answer = match &attempt.result {
            AttemptResult::Answered(answer) => Some(answer),
            AttemptResult::Broke { answer, .. } => answer.as_ref(),
        };
        let headers = attempt.signed_headers.iter();
        Self {
            number: attempt.number,
            is_manual: attempt.is_manual,
            is_success: attempt.result.is_success(),
            started_at: time(attempt.started_at),
            timing_ms: timing(attempt.timing),
            address: attempt.address.map(|address| address.to_string()),
            request_headers: headers
                .map(|(name, value)| HeaderView { name: name.clone(), value: value.clone() })
                .collect(),
            status: attempt.result.status(),
            response: answer.map(response),
            error: error(&attempt.result),
        }
    }
}

fn timing(timing: Timing) -> TimingView {
    let ms = |us: u32| f64::from(us) / 1_000.0;
    TimingView {
        dns: ms(timing.dns_us),
        connect: ms(timing.connect_us),
        tls: ms(timing.tls_us),
        wait: ms(timing.wait_us),
        total: ms(timing.total_us),
    }
}

fn response(answer: &Answer) -> ResponseView {
    let header = |(name, value): &(String, Vec<u8>)| HeaderView {
        name: name.clone(),
        value: String::from_utf8_lossy(value).into_owned(),
    };
    // a cut may go through a character; that alone is no reason to call it lossy
    let is_body_lossy = match std::str::from_utf8(&answer.body) {
        Ok(_) => false,
        Err(error) => error.error_len().is_some() || !answer.is_body_cut,
    };
    ResponseView {
        headers: answer.headers.iter().map(header).collect(),
        body: String::from_utf8_lossy(&answer.body).into_owned(),
        is_body_cut: answer.is_body_cut,
        is_body_lossy,
    }
}

fn error(result: &AttemptResult) -> Option<AttemptError> {
    match result {
        AttemptResult::Answered(_) if result.is_success() => None,
        AttemptResult::Answered(answer) => {
            let (class, explanation, mend) = by_status(answer.status);
            Some(AttemptError { class, detail: None, explanation, mend })
        }
        AttemptResult::Broke { class, detail, .. } => {
            let (class, explanation, mend) = by_class(*class);
            let detail = Some(detail.clone()).filter(|detail| !detail.is_empty());
            Some(AttemptError { class, detail, explanation, mend })
        }
    }
}

type Meaning = (&'static str, &'static str, &'static str);

fn by_status(status: u16) -> Meaning {
    match status {
        300..=399 => (
            "redirect",
            "The receiver answered with a redirect. Redirects are never followed: the new address \
             could be anybody's.",
            "Register the URL that it redirects to.",
        ),
        401 | 403 => (
            "refused",
            "The receiver did not accept the request. Most often it could not verify the signature.",
            "Compare the secret that the receiver uses with the webhook's, and verify the raw body.",
        ),
        404 | 405 => (
            "not_found",
            "The receiver is there but has nothing at this path for POST.",
            "Check the path of the webhook's URL and the receiver's routes.",
        ),
        410 => (
            "gone",
            "The receiver said that it wants nothing any more. The webhook was disabled and what \
             was pending for it cancelled.",
            "If that was a mistake, enable the webhook again.",
        ),
        413 => (
            "too_large",
            "The receiver does not accept a body of this size.",
            "Raise the receiver's body limit, or publish less data.",
        ),
        429 => (
            "rate_limited",
            "The receiver asks for fewer requests.",
            "Give the webhook a rate_limit, or raise the receiver's.",
        ),
        400..=499 => (
            "client_error",
            "The receiver says that the request is wrong.",
            "Look at the answer's body and the receiver's log.",
        ),
        500..=599 => (
            "server_error",
            "The receiver failed while it handled the request.",
            "Look at the receiver's log. It is tried again by the retry schedule.",
        ),
        _ => (
            "unexpected_status",
            "The receiver answered with a status that means neither success nor failure.",
            "Make the receiver answer 200 to 299 when it has the event.",
        ),
    }
}

fn by_class(class: ErrorClass) -> Meaning {
    match class {
        ErrorClass::NotAllowed => (
            "not_allowed",
            "The URL leads to an address that this server does not deliver to.",
            "Use a URL with a public address, or have the operator allow the network.",
        ),
        ErrorClass::DnsFailure => (
            "dns_failure",
            "The host name could not be resolved.",
            "Check the host's spelling and its DNS records.",
        ),
        ErrorClass::DnsTimeout => (
            "dns_timeout",
            "The host name was not resolved in time.",
            "Check the host's name servers.",
        ),
        ErrorClass::ConnectRefused => (
            "connect_refused",
            "Nothing accepts connections at that address and port.",
            "Start the receiver, and check the URL's port.",
        ),
        ErrorClass::ConnectFailed => (
            "connect_failed",
            "The connection could not be made.",
            "Check that the receiver's network can be reached from here.",
        ),
        ErrorClass::ConnectTimeout => (
            "connect_timeout",
            "The connection was not made in time: often a firewall that drops packets.",
            "Let this server's address through the receiver's firewall.",
        ),
        ErrorClass::Tls => (
            "tls",
            "The encrypted connection could not be made.",
            "Check the receiver's certificate: its names, its dates and its whole chain.",
        ),
        ErrorClass::Reset => (
            "connection",
            "The connection broke after the request began, so the receiver may have handled it.",
            "Look for crashes and time-outs at the receiver or its proxy.",
        ),
        ErrorClass::Truncated => (
            "truncated",
            "The answer ended before it was whole.",
            "Look for crashes and time-outs at the receiver or its proxy.",
        ),
        ErrorClass::Protocol => (
            "protocol",
            "What came back was not HTTP.",
            "Check that the URL's scheme and port are those of an HTTP server.",
        ),
        ErrorClass::Timeout => (
            "timeout",
            "The receiver did not answer in time.",
            "Answer 202 at once and do the work afterwards, or raise the webhook's timeout_ms.",
        ),
        ErrorClass::BodyForm => (
            "body_form",
            "The event's data can't be written in the form that the webhook's profile wants.",
            "Publish integers beyond 2^53 as strings.",
        ),
        ErrorClass::Internal => (
            "internal",
            "A fault of this server; the receiver has no part in it.",
            "Report it, with the server's log of that moment.",
        ),
    }
}

fn cancelled(reason: CancelReason) -> (&'static str, &'static str) {
    match reason {
        CancelReason::WebhookDeleted => ("webhook_deleted", "Its webhook was deleted."),
        CancelReason::WebhookDisabled => (
            "webhook_disabled",
            "Its webhook was disabled, and what was pending cancelled with it.",
        ),
        CancelReason::WebhookGone => {
            ("webhook_gone", "The receiver answered 410 Gone to another delivery.")
        }
        CancelReason::Requested => ("requested", "Somebody asked for it."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn answered(status: u16, body: &'static [u8], is_body_cut: bool) -> AttemptResult {
        AttemptResult::Answered(Answer {
            status,
            headers: vec![("x".to_owned(), vec![0xff, b'a'])],
            body: Bytes::from_static(body),
            is_body_cut,
        })
    }

    #[test]
    fn failures_say_what_they_mean_and_successes_nothing() {
        let class = |result: &AttemptResult| error(result).map(|error| error.class);
        assert_eq!(class(&answered(204, b"", false)), None);
        assert_eq!(class(&answered(307, b"", false)), Some("redirect"));
        assert_eq!(class(&answered(410, b"", false)), Some("gone"));
        assert_eq!(class(&answered(418, b"", false)), Some("client_error"));
        assert_eq!(class(&answered(503, b"", false)), Some("server_error"));
        let broke = AttemptResult::Broke {
            class: ErrorClass::Timeout,
            detail: String::new(),
            answer: None,
        };
        assert_eq!(class(&broke), Some("timeout"));
    }

    #[test]
    fn answers_are_shown_as_text_whatever_they_are() {
        let show = |body, is_cut| match answered(200, body, is_cut) {
            AttemptResult::Answered(answer) => response(&answer),
            AttemptResult::Broke { .. } => unreachable!(),
        };
        assert!(!show("é".as_bytes(), false).is_body_lossy);
        assert!(show(b"\xff", true).is_body_lossy);
        assert!(!show(b"a\xc3", true).is_body_lossy, "cut inside a character");
        assert!(show(b"a\xc3", false).is_body_lossy);
        assert_eq!(show(b"", false).headers[0].value, "\u{fffd}a");
    }
}
