//! The built-in receiver at `/dev/inbox` and `/dev/inbox/{name}`: verifies what arrives as a
//! receiver would, keeps the last of it in memory, and shows it.
//!
//! `POST` takes a delivery: 200 when a signature is valid, 401 when none is. `GET` shows what
//! arrived, newest first, as JSON or to browsers as a page; `?wait=SECONDS` (to 10) waits for the
//! first arrival, `?after=NUMBER&wait=SECONDS` for one later than that.
//!
//! It knows the webhooks only as candidates: id, profile and secret.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use postrider_signature::{Secret, SigningProfile, Tolerance, timestamp, verify};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::page;

/// Arrivals kept; with the body bound below at most 13 MiB.
const ARRIVALS_MAX: usize = 200;
/// Of a body, for showing.
const KEPT_BODY_BYTES: usize = 64 << 10;
/// The largest event that a server can be set to accept, and its envelope.
const BODY_BYTES_MAX: usize = (16 << 20) + (64 << 10);
/// Longest wait for an arrival; less than half the usual time for draining.
const WAIT_SECONDS_MAX: u64 = 10;

/// A webhook whose delivery an arrival may be.
#[derive(Debug)]
pub struct Candidate {
    webhook_id: String,
    profile: SigningProfile,
    secret: Secret,
}

/// What arrived, and how it was judged.
#[derive(Clone, Debug, Serialize)]
pub struct Arrival {
    /// Counts from 1.
    pub number: u64,
    pub received_at: String,
    pub path: String,
    /// Out of the body, whether or not it was verified.
    pub id: Option<String>,
    pub r#type: Option<String>,
    pub verified: bool,
    /// Of the webhook whose secret matched.
    pub profile: Option<String>,
    pub webhook_id: Option<String>,
    /// Why it was not verified.
    pub reason: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Whether `body` is only the beginning.
    pub is_body_cut: bool,
}

/// Finds the webhooks that have a path of the inbox as their URL.
type FindCandidates = dyn Fn(&str) -> Vec<Candidate> + Send + Sync;

/// The inbox. Everything in it is gone when the server stops.
pub struct Inbox {
    candidates: Box<FindCandidates>,
    now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Default)]
struct Kept {
    arrivals: VecDeque<Arrival>,
    count: u64,
}

/// What a `GET` asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    after: u64,
    wait_seconds: u64,
}

impl Candidate {
    /// `None` when the secret isn't one of the profile's.
    pub fn new(webhook_id: String, profile: &SigningProfile, secret: &str) -> Option<Self> {
        let secret = Secret::parse(secret, &profile.secret_format).ok()?;
        Some(Self { webhook_id, profile: profile.clone(), secret })
    }
}

impl Inbox {
    /// `candidates` are the webhooks that have a path of the inbox as their URL, `now_ms` is the
    /// server's clock.
    pub fn new(
        candidates: impl Fn(&str) -> Vec<Candidate> + Send + Sync + 'static,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            candidates: Box::new(candidates),
            now_ms: Box::new(now_ms),
            kept: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Judges and keeps a delivery.
    fn receive(&self, parts: &Parts, body: &[u8]) -> Arrival {
        let candidates = (self.candidates)(parts.uri.path());
        let now_ms = (self.now_ms)();
        let judged = judge(&candidates, &parts.headers, body, now_ms);
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let member = |name| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let matching = judged.as_ref().ok();
        let kept_len = body.len().min(KEPT_BODY_BYTES);
        let mut arrival = Arrival {
            number: 0,
            received_at: timestamp::format_ms(now_ms),
            path: parts.uri.path().to_owned(),
            id: member("id"),
            r#type: member("type"),
            verified: matching.is_some(),
            profile: matching.map(|candidate| candidate.profile.name.to_string()),
            webhook_id: matching.map(|candidate| candidate.webhook_id.clone()),
            reason: judged.as_ref().err().cloned(),
            headers: texts(&parts.headers),
            body: String::from_utf8_lossy(&body[..kept_len]).into_owned(),
            is_body_cut: kept_len < body.len(),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.count += 1;
        arrival.number = kept.count;
        kept.arrivals.truncate(ARRIVALS_MAX - 1);
        kept.arrivals.push_front(arrival.clone());
        drop(kept);
        self.arrived.notify_waiters();
        arrival
    }

    /// What arrived after a number, newest first.
    fn arrivals_after(&self, number: u64) -> Vec<Arrival> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.arrivals.iter().take_while(|arrival| arrival.number > number).cloned().collect()
    }

    async fn arrivals(&self, wanted: Wanted) -> Vec<Arrival> {
        let some = async {
            loop {
                let mut arrived = std::pin::pin!(self.arrived.notified());
                // counts as waiting from here, so nothing slips in between looking and waiting
                arrived.as_mut().enable();
                let found = self.arrivals_after(wanted.after);
                if !found.is_empty() {
                    return found;
                }
                arrived.await;
            }
        };
        let wait = Duration::from_secs(wanted.wait_seconds.min(WAIT_SECONDS_MAX));
        tokio::time::timeout(wait, some).await.unwrap_or_default()
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// The inbox's routes.
pub fn router(inbox: Inbox) -> Router {
    Router::new()
        .route("/dev/inbox", get(show).post(receive))
        .route("/dev/inbox/{name}", get(show).post(receive))
        .with_state(Arc::new(inbox))
}

async fn receive(State(inbox): State<Arc<Inbox>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broke off\n")
            .into_response();
    };
    let arrival = inbox.receive(&parts, &body.to_bytes());
    let status = if arrival.verified { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    let answer = serde_json::json!({
        "verified": arrival.verified, "profile": arrival.profile, "reason": arrival.reason,
    });
    (status, [(CONTENT_TYPE, "application/json")], format!("{answer}\n")).into_response()
}

async fn show(State(inbox): State<Arc<Inbox>>, request: Request<Body>) -> Response {
    if !is_for_this_machine(request.headers()) {
        let text =
            "the inbox is shown to this machine only; open it by its address, such as 127.0.0.1\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    let wanted = wanted(request.uri().query().unwrap_or_default());
    let arrivals = inbox.arrivals(wanted).await;
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let (content_type, text) = if accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        ("text/html; charset=utf-8", page::page(&arrivals))
    } else {
        ("application/json", format!("{}\n", serde_json::json!({ "data": arrivals })))
    };
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (headers, text).into_response()
}

/// The candidate whose signature is valid, or why none is: the reason of the first.
fn judge<'a>(
    candidates: &'a [Candidate],
    headers: &HeaderMap,
    body: &[u8],
    now_ms: i64,
) -> Result<&'a Candidate, String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut reason = None;
    for candidate in candidates {
        let keys = [(&candidate.secret).into()];
        let tolerance = Tolerance::default();
        match verify(&candidate.profile, &keys, header, body, now_ms, tolerance) {
            Ok(_) => return Ok(candidate),
            Err(error) => {
                reason.get_or_insert_with(|| error.to_string());
            }
        }
    }
    Err(reason.unwrap_or_else(|| "no webhook has this address as its URL".to_owned()))
}

/// A page of another site whose name was pointed at this machine (DNS rebinding) would send its
/// own name as `Host`.
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Unreadable numbers count as not given.
fn wanted(query: &str) -> Wanted {
    let mut wanted = Wanted::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "after" => wanted.after = value.parse().unwrap_or_default(),
            "wait" => wanted.wait_seconds = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    wanted
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

#[cfg(test)]
mod tests;
