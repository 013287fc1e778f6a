//! A delivery: how it stands, its attempts side by side, and one of them in every detail.

mod attempt;
mod check;
pub(super) mod deeds;
mod history;

use std::sync::Arc;

use axum::extract::Path;
use maud::{Markup, html};
use postrider_core::delivery::{Attempt, DeliveryState, Happening, HistoryEntry, Standing};
use postrider_core::event::Event;
use postrider_core::webhook::WebhookState;
use postrider_store::FoundDelivery;

use crate::api::deliveries::{find, found};
use crate::dashboard::layout::{Page, Place};
use crate::dashboard::visit::{Answer, Visit};
use crate::dashboard::{delivery_table, elements};
use crate::engine::LiveWebhook;
use crate::http::problem::ApiError;
use crate::meaning;

/// What the page's parts share.
struct Shown<'a> {
    visit: &'a Visit,
    event: Arc<Event>,
    found: FoundDelivery,
    history: Vec<HistoryEntry>,
    live: Option<Arc<LiveWebhook>>,
    /// The number of the attempt that is shown; `None`: the last one.
    chosen: Option<u32>,
    /// Whether the answer's body is shown in hexadecimal.
    is_hex: bool,
}

/// `GET /dashboard/t/{tenant}/deliveries/{id}`
pub(super) async fn show(visit: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    let refuse = |error: ApiError| visit.refuse(&error);
    let mut query = visit.query();
    let chosen = query.parsed("attempt", "not a number", |text| text.parse().ok());
    let is_hex = query.text("as").as_deref() == Some("hex");
    query.finish_page().map_err(refuse)?;
    let (server, tenant) = (&visit.dashboard.server, visit.tenant_key());
    let (key, event) = find(server, tenant, &id).await.map_err(refuse)?;
    let found = found(server, tenant, key).await.map_err(refuse)?;
    let history = visit.engine().store().history(key).await;
    let history = history.map_err(|error| refuse(ApiError::store(&error)))?;
    let live = visit.engine().any_webhook(tenant, key.webhook);
    let shown = Shown { visit: &visit, event, found, history, live, chosen, is_hex };
    let body = html! {
        div.stack {
            (shown.standing())
            (history::table(&shown))
            section.stack id="attempt" data-live data-live-tail {
                @match shown.attempt() {
                    Some(attempt) => (attempt::details(&shown, attempt)),
                    None => (shown.untried()),
                }
            }
        }
    };
    let actions = html! {
        div.row id="deeds" data-live { (shown.deeds()) }
        span.live data-live-state data-state="off" { "Not live" }
        button type="button" data-resume hidden { "Show new" }
    };
    let title = format!("Delivery of {}", shown.event.event_type);
    let page = Page { visit: &visit, place: Place::Deliveries, title: &title, actions, body };
    Ok(page.answer())
}

impl Shown<'_> {
    fn attempts(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.history.iter().filter_map(|entry| match &entry.what {
            Happening::Attempt(attempt) => Some(&**attempt),
            Happening::Cancelled { .. } | Happening::RetryRequested { .. } => None,
        })
    }

    /// The attempt that is shown: the chosen one, where there is such a one, else the last.
    fn attempt(&self) -> Option<&Attempt> {
        let chosen = self.attempts().find(|attempt| Some(attempt.number) == self.chosen);
        chosen.or_else(|| self.attempts().next_back())
    }

    fn state(&self) -> DeliveryState {
        self.found.standing.as_ref().map_or(DeliveryState::Pending, Standing::state)
    }

    fn path(&self) -> String {
        self.visit.href(format_args!("/deliveries/{}", self.found.delivery))
    }

    /// What may be done now. A retry brings back whatever its state; only pending ones are
    /// cancelled.
    fn deeds(&self) -> Markup {
        let is_enabled =
            self.live.as_ref().is_some_and(|live| live.webhook.state == WebhookState::Enabled);
        let path = self.path();
        html! {
            @if self.visit.rights.may_manage {
                @if is_enabled {
                    form.inline method="post" action={ (path) "/retry" } data-retry {
                        button.primary type="submit" title="Make one attempt now (r)" { "Retry now" }
                    }
                }
                @if self.state() == DeliveryState::Pending {
                    (elements::button(&format!("{path}/cancel"), "Cancel", "danger",
                        Some("Cancel this delivery? No further attempt of it is made.")))
                }
            }
        }
    }

    fn standing(&self) -> Markup {
        let now = self.visit.engine().now();
        let FoundDelivery { delivery, standing, last_attempt, .. } = &self.found;
        let attempts = standing.as_ref().map_or(0, |standing| standing.progress().attempts);
        let due = standing.as_ref().and_then(Standing::due);
        let url = self.live.as_ref().map_or("deleted", |live| live.webhook.url.as_str());
        let event = self.visit.href(format_args!("/events/{}", self.event.key));
        let webhook = self.visit.href(format_args!("/webhooks/{}", delivery.webhook));
        let next = html! {
            @match due {
                Some(due) if due <= now => "now",
                Some(due) => { (elements::ago(due, now)) " · " (elements::exactly(due)) },
                None => span.none { "none" },
            }
        };
        let facts = [
            (
                "Delivery",
                html! {
                    (elements::id(delivery)) (elements::copy(delivery, "the delivery's id"))
                },
            ),
            (
                "Event",
                html! {
                    a href=(event) { (elements::id(self.event.id())) } " "
                    span.tag { (self.event.event_type.as_str()) }
                    @if self.event.is_test() { " " span.tag { "test" } }
                },
            ),
            (
                "Webhook",
                html! { a href=(webhook) { (elements::id(delivery.webhook)) } " " span.break { (url) } },
            ),
            ("Accepted", elements::exactly(self.event.accepted_at())),
            ("Next attempt", next),
        ];
        html! {
            section.card id="standing" data-live {
                header {
                    (elements::state_badge(self.state(), attempts))
                    (delivery_table::dots(attempts, last_attempt.as_ref()))
                    (delivery_table::last_answer(last_attempt.as_ref()))
                }
                (elements::facts(&facts))
                (self.cancellation())
                (self.closed_webhook())
            }
        }
    }

    /// Why nothing follows, where it was cancelled.
    fn cancellation(&self) -> Markup {
        let last = self.history.last().map(|entry| &entry.what);
        html! {
            @if let Some(Happening::Cancelled { at, reason }) = last {
                p.caution.spaced {
                    "Cancelled at " (elements::exactly(*at)) ". "
                    (crate::api::attempt::cancelled(*reason).1)
                }
            }
        }
    }

    /// Why it can't be retried, or why what is pending waits.
    fn closed_webhook(&self) -> Markup {
        let state = self.live.as_ref().map(|live| live.webhook.state);
        html! {
            @match state {
                Some(WebhookState::Enabled) => {},
                Some(WebhookState::Disabled(_)) => p.caution.spaced {
                    "Its webhook is disabled: no attempt is made until it is enabled."
                },
                Some(WebhookState::Deleted) | None => p.caution.spaced {
                    "Its webhook was deleted: no further attempt can be made."
                },
            }
        }
    }

    fn untried(&self) -> Markup {
        let hint = match self.found.standing.map(|standing| standing.progress().attempts) {
            Some(1..) => "The records of its attempts are older than the server keeps them.",
            _ => "The first attempt is shown here as soon as it has ended.",
        };
        html! {
            div.card { (elements::empty("No attempt to show", &html! { (hint) })) }
        }
    }
}

/// Why an attempt failed, in plain words, and what would mend it.
fn why(attempt: &Attempt) -> Markup {
    let error = crate::api::attempt::error(&attempt.result);
    html! {
        @if let Some(error) = error {
            div.alarm role="note" {
                p { strong { (delivery_table::words(error.class)) } ". " (error.explanation) }
                @if let Some(detail) = &error.detail {
                    p.break { code { (crate::dashboard::stranger::Text(detail.as_bytes())) } }
                }
                p { strong { "What would mend it: " } (error.mend) }
            }
        }
    }
}

/// The outcome of an attempt in a badge.
fn outcome(attempt: &Attempt) -> Markup {
    let class = meaning::of(&attempt.result).map(|meaning| delivery_table::words(meaning.class));
    html! {
        @match (attempt.result.status(), class) {
            (Some(status), None) => (elements::badge("ok", &status.to_string())),
            (Some(status), Some(class)) => (elements::badge("bad", &format!("{status} {class}"))),
            (None, Some(class)) => (elements::badge("bad", &class)),
            (None, None) => {},
        }
    }
}
