//! What happened to a delivery, as a person can read it: what was sent where, what came back,
//! what that means, and what would mend it.

use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, CancelReason, Happening, HistoryEntry, Timing,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::deliveries::StateView;
use super::wire::time;
use crate::meaning::{self, Meaning};

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
            response: answer(&attempt.result),
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

/// The answer, where one came.
pub(crate) fn answer(result: &AttemptResult) -> Option<ResponseView> {
    match result {
        AttemptResult::Answered(answer) => Some(response(answer)),
        AttemptResult::Broke { answer, .. } => answer.as_ref().map(response),
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

/// Why an attempt failed; `None` after a success.
pub(crate) fn error(result: &AttemptResult) -> Option<AttemptError> {
    let Meaning { class, text, mend } = meaning::of(result)?;
    let detail = match result {
        AttemptResult::Answered(_) => None,
        AttemptResult::Broke { detail, .. } => Some(detail.clone()),
    };
    let detail = detail.filter(|detail| !detail.is_empty());
    Some(AttemptError { class, detail, explanation: text, mend })
}

pub(crate) fn cancelled(reason: CancelReason) -> (&'static str, &'static str) {
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
