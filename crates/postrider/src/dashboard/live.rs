//! What changed, told to pages that are open: a stream of server-sent events.
//!
//! It says only *that* something changed. A page then fetches itself and takes what it shows live,
//! so there is one way in which a page is made. (WHATWG HTML, "Server-sent events".)

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::session::Session;
use super::visit::Visit;
use crate::engine::Watching;

/// Between two looks, whether anything changed, the session still holds and the server goes on:
/// often enough to feel live, seldom enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often something is said at least, see the same of `api::listen`.
const PING_EVERY: Duration = Duration::from_secs(15);
/// A browser connects again by itself; so none is held for ever.
const STREAM_MAX: Duration = Duration::from_mins(15);

const CHANGED: &[u8] = b"event: changed\ndata:\n\n";
const PING: &[u8] = b": still there\n\n";

/// `GET /dashboard/t/{tenant}/live`.
pub(super) async fn stream(visit: Visit, headers: HeaderMap) -> Response {
    let Some(session) = Session::of(visit.engine(), &headers) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let watching = visit.engine().watch_changes(visit.tenant_key());
    let body = Watch::new(visit, session, watching).into_body();
    let told = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::OK, told, body).into_response()
}

struct Watch {
    visit: Visit,
    session: Session,
    watching: Watching,
    looks: Interval,
    began: Instant,
    said: Instant,
}

impl Watch {
    fn new(visit: Visit, session: Session, watching: Watching) -> Self {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self { visit, session, watching, looks, began: now, said: now }
    }

    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut watch| async {
            let next = watch.next().await?;
            Some((Ok::<_, Infallible>(next), watch))
        }))
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let now = self.looks.tick().await;
            let rights = self.session.rights(&self.visit.dashboard)?;
            let is_over = now - self.began > STREAM_MAX || !self.visit.dashboard.server.is_ready();
            if is_over || !rights.may_see(self.visit.tenant_key()) {
                return None;
            }
            let said = if self.watching.take_change() {
                CHANGED
            } else if now - self.said >= PING_EVERY {
                PING
            } else {
                continue;
            };
            self.said = now;
            return Some(Bytes::from_static(said));
        }
    }
}
