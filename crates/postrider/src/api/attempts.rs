//! The attempts of one delivery, each with what was sent and what came back.

use axum::extract::State;
use http::StatusCode;
use postrider_core::delivery::{Attempt, Happening, HistoryEntry};
use postrider_core::event::Event;
use postrider_core::id::HistoryKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::attempt::{self, AttemptError, HeaderView, ResponseView};
use super::deliveries::find;
use super::wire::{Page, Paging, time};
use super::{Answer, PathId};
use crate::engine::{FIXED_HEADERS, sent_body};
use crate::http::auth::Reader;
use crate::http::cursor::List;
use crate::http::json;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::http::state::ServerState;

/// Stands for the value of a custom header, which is sealed.
pub(crate) const MASK: &str = "***";

/// One HTTP request that was made for a delivery, as it was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentAttemptView {
    pub id: String,
    pub delivery_id: String,
    /// 1 for the first.
    pub number: u32,
    /// Asked for by somebody, and so without a place in the retry schedule.
    pub is_manual: bool,
    pub is_success: bool,
    pub started_at: String,
    pub timing: SentTimingView,
    /// The address that was dialled, where it came to that.
    pub address: Option<String>,
    pub request: SentRequestView,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// The answer, as far as it is kept; null when none came.
    pub answer: Option<ResponseView>,
    /// Null after a success.
    pub error: Option<AttemptError>,
}

/// How long the phases took, in milliseconds; zero where one did not happen.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct SentTimingView {
    pub dns_ms: f64,
    pub connect_ms: f64,
    pub tls_ms: f64,
    /// From the first byte sent to the first byte of the answer.
    pub wait_ms: f64,
    pub total_ms: f64,
}

/// What was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentRequestView {
    pub method: &'static str,
    /// False where the record keeps the signing headers alone, as those of older versions do: URL and
    /// body are null then, and custom headers are left out.
    pub is_known: bool,
    /// The webhook's as it was then.
    pub url: Option<String>,
    /// Those that were sent, values of custom ones masked; none when no request could be built.
    pub headers: Vec<HeaderView>,
    /// The exact bytes, which are UTF-8; null when no request could be built.
    pub body: Option<String>,
}

/// List the attempts of a delivery, oldest first.
#[utoipa::path(get, path = "/v1/deliveries/{id}/attempts", tag = "deliveries",
    params(
        ("id" = String, Path, description = "The delivery's id"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1–250, by default 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page of attempts", body = Page<SentAttemptView>)))]
pub(super) async fn list(
    State(state): State<ServerState>,
    Reader(tenant): Reader,
    PathId(id): PathId,
    query: Query,
) -> Answer {
    let (key, event) = find(&state, tenant, &id).await?;
    let list = List::new(tenant, "deliveries/attempts", &[&key.to_string()]);
    let paging: Paging<HistoryKey> = Paging::read(query, list)?;
    let store = state.engine.store();
    let known = store.delivery(key).await.map_err(|error| ApiError::store(&error))?;
    known.ok_or_else(ApiError::not_found)?;
    let mut history = store.history(key).await.map_err(|error| ApiError::store(&error))?;
    history.retain(|entry| {
        matches!(entry.what, Happening::Attempt(_)) && Some(entry.key) > paging.after
    });
    history.truncate(paging.fetch());
    let page = paging.page(history, |entry| entry.key, |entry| view(&event, &entry));
    let data = page.data.into_iter().flatten().collect();
    Ok(json::answer(StatusCode::OK, &Page { data, next_cursor: page.next_cursor }))
}

fn view(event: &Event, entry: &HistoryEntry) -> Option<SentAttemptView> {
    let Happening::Attempt(attempt) = &entry.what else { return None };
    Some(SentAttemptView {
        id: entry.key.to_string(),
        delivery_id: entry.delivery.to_string(),
        number: attempt.number,
        is_manual: attempt.is_manual,
        is_success: attempt.result.is_success(),
        started_at: time(attempt.started_at),
        timing: timing(attempt),
        address: attempt.address.map(|address| address.to_string()),
        request: request(event, attempt),
        status: attempt.result.status(),
        answer: attempt::answer(&attempt.result),
        error: attempt::error(&attempt.result),
    })
}

/// Nothing was sent where nothing was signed.
pub(crate) fn request(event: &Event, attempt: &Attempt) -> SentRequestView {
    let outline = attempt.outline.as_deref();
    let sent = outline.filter(|_| !attempt.signed_headers.is_empty());
    let body = sent.and_then(|outline| sent_body(event, outline.body_form));
    SentRequestView {
        method: "POST",
        is_known: outline.is_some(),
        url: outline.map(|outline| outline.url.to_string()),
        headers: headers(attempt),
        body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
    }
}

fn headers(attempt: &Attempt) -> Vec<HeaderView> {
    if attempt.signed_headers.is_empty() {
        return Vec::new();
    }
    let header =
        |name: &str, value: &str| HeaderView { name: name.to_owned(), value: value.to_owned() };
    let fixed = FIXED_HEADERS.iter().map(|(name, value)| header(name, value));
    let signed = attempt.signed_headers.iter().map(|(name, value)| header(name, value));
    let custom = attempt.outline.iter().flat_map(|outline| &outline.header_names);
    fixed.chain(signed).chain(custom.map(|name| header(name, MASK))).collect()
}

fn timing(attempt: &Attempt) -> SentTimingView {
    let ms = |us: u32| f64::from(us) / 1_000.0;
    let timing = attempt.timing;
    SentTimingView {
        dns_ms: ms(timing.dns_us),
        connect_ms: ms(timing.connect_us),
        tls_ms: ms(timing.tls_us),
        wait_ms: ms(timing.wait_us),
        total_ms: ms(timing.total_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use postrider_core::delivery::{AttemptResult, ErrorClass, Timing};
    use postrider_core::event::Bodies;
    use postrider_core::id::{EventKey, Key, MatchingKey, TenantKey};
    use postrider_signature::NumberPolicy;

    #[test]
    fn of_an_older_record_nothing_is_shown_that_may_not_have_been_sent() {
        let event = Event {
            key: EventKey::from_raw(1),
            tenant: TenantKey::from_raw(1),
            given_id: None,
            event_type: "a.b".parse().unwrap(),
            occurred_at: 0,
            bodies: Bodies { verbatim: Bytes::from_static(b"{}"), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: MatchingKey::from_raw(1),
        };
        let (class, detail) = (ErrorClass::Timeout, String::new());
        let attempt = Attempt {
            number: 1,
            is_manual: false,
            started_at: 0,
            timing: Timing::default(),
            address: None,
            outline: None,
            signed_headers: vec![("webhook-id".to_owned(), "e-1".to_owned())],
            result: AttemptResult::Broke { class, detail, answer: None },
        };
        let shown = request(&event, &attempt);
        assert_eq!((shown.is_known, shown.url, shown.body), (false, None, None));
        let names: Vec<_> = shown.headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(names, ["content-type", "user-agent", "webhook-id"]);
    }
}
