//! Replays: past events on their way once more, and how far each has come.

use axum::extract::Path;
use maud::{Markup, html};
use postrider_core::id::{Key, ReplayKey, UnixMs};
use postrider_store::{Replay, ReplayState};

use crate::api::replays;
use crate::dashboard::elements::{
    ago, badge, button, count, duration_ms, exactly, facts, id, several,
};
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::visit::{Answer, Deed, Visit};
use crate::http::problem::ApiError;

/// What `progress` is told in.
const WHOLE: u64 = 1_000;

/// `GET /dashboard/t/{tenant}/replays/{id}`
pub(super) async fn show(visit: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    let replay = find(&visit, &id).await?;
    let mut query = visit.query();
    let of = query.parsed("of", "not a number", |text| text.parse::<u64>().ok());
    query.finish_page().map_err(|error| visit.refuse(&error))?;
    let now = visit.engine().now();
    let body = html! {
        div.stack {
            section.card.stack id="progress" data-live { (progress(&visit, &replay, of, now)) }
            section.card { h2 { "What is sent" } (told(&visit, &replay)) }
        }
    };
    let actions = html! { span.live data-live-state data-state="off" { "Not live" } };
    Ok(Page { visit: &visit, place: Place::Webhooks, title: "Replay", actions, body }.answer())
}

/// `POST /dashboard/t/{tenant}/replays/{id}/cancel`
pub(super) async fn cancel(Path((_, id)): Path<(String, String)>, deed: Deed) -> Answer {
    let visit = deed.visit;
    let key = ReplayKey::parse(&id).ok_or_else(|| visit.not_found())?;
    let ended = visit.engine().cancel_replay(visit.tenant_key(), key).await;
    ended.map_err(|error| visit.refuse(&replays::ending_refusal(&error)))?;
    Ok(visit.go_to(format_args!("/replays/{key}"), Notice::ReplayCancelled))
}

async fn find(visit: &Visit, id: &str) -> Result<Replay, crate::dashboard::visit::Stop> {
    let key = ReplayKey::parse(id).ok_or_else(|| visit.not_found())?;
    let found = visit.engine().replay(visit.tenant_key(), key).await;
    let found = found.map_err(|error| visit.refuse(&ApiError::store(&error)))?;
    found.ok_or_else(|| visit.not_found())
}

/// How far a replay has come, in thousandths: by the deliveries that were counted before it
/// began, or else by the time of the events that it has passed.
fn thousandths(replay: &Replay, of: Option<u64>) -> Option<u64> {
    if replay.state == ReplayState::Done {
        return Some(WHOLE);
    }
    if let Some(of) = of.filter(|of| *of > 0) {
        return Some((replay.replayed.saturating_mul(WHOLE) / of).min(WHOLE - 1));
    }
    let (from, until) = (replay.filter.after?, replay.filter.before?);
    let at = replay.position.map_or(from, |position| position.event.made_at());
    let (passed, length) = (at.clamp(from, until) - from, until - from);
    let passed = u64::try_from(passed).ok()?.saturating_mul(WHOLE);
    Some(passed.checked_div(u64::try_from(length).ok()?)?.min(WHOLE - 1))
}

fn progress(visit: &Visit, replay: &Replay, of: Option<u64>, now: UnixMs) -> Markup {
    let is_running = replay.state == ReplayState::Running;
    let thousandths = thousandths(replay, of);
    html! {
        div.row {
            (state_badge(replay.state))
            strong { (several(replay.replayed, "delivery")) " sent once more" }
            @if is_running && let Some(of) = of { span.muted { "of " (count(of)) } }
        }
        @match (is_running, thousandths) {
            (true, Some(done)) => progress max=(WHOLE) value=(done) aria-label="How far it has come" {},
            (true, None) => progress aria-label="Running" {},
            (false, Some(done)) => progress max=(WHOLE) value=(done) aria-label="How far it came" {},
            (false, None) => {},
        }
        p.muted {
            (several(replay.considered, "event")) " looked at. Begun " (ago(replay.created_at, now))
            @match replay.finished_at {
                Some(at) => { ", ended after " (duration_ms(at.abs_diff(replay.created_at))) "." },
                None => { "." },
            }
        }
        @if is_running && visit.rights.may_manage {
            div { (button(&visit.href(format_args!("/replays/{}/cancel", replay.key)), "Stop", "danger",
                Some("Stop this replay? What it has sent stays sent; nothing more follows."))) }
        }
    }
}

fn told(visit: &Visit, replay: &Replay) -> Markup {
    let filter = &replay.filter;
    let states = filter.states.iter().map(|state| state.name());
    let states: Vec<_> = states.chain(replay.with_missed.then_some("missed")).collect();
    let time =
        |at: Option<UnixMs>, otherwise: &str| at.map_or_else(|| html! { (otherwise) }, exactly);
    let webhook =
        filter.webhook.and_then(|key| visit.engine().any_webhook(visit.tenant_key(), key));
    facts(&[
        ("Id", id(replay.key)),
        (
            "Webhook",
            match (&webhook, filter.webhook) {
                (Some(live), _) => html! {
                    a.break href=(visit.href(format_args!("/webhooks/{}", live.webhook.key))) { (live.webhook.url) }
                },
                (None, Some(_)) => html! { span.none { "deleted" } },
                (None, None) => html! { "All that are enabled" },
            },
        ),
        ("Deliveries", html! { (states.join(", ")) }),
        ("Accepted from", time(filter.after, "the first that is kept")),
        ("Until", time(filter.before, "now")),
        (
            "Event types",
            html! {
                @if let Some(types) = &filter.types {
                    span.row { @for pattern in types.as_slice() { span.tag { (pattern) } } }
                } @else { "all" }
            },
        ),
    ])
}

fn state_badge(state: ReplayState) -> Markup {
    match state {
        ReplayState::Running => badge("info", "running"),
        ReplayState::Done => badge("ok", "done"),
        ReplayState::Cancelled => badge("idle", "stopped"),
    }
}

/// Replays as rows.
pub(super) fn table(visit: &Visit, replays: &[Replay], now: UnixMs) -> Markup {
    html! {
        div.table {
            table aria-label="Replays" {
                thead {
                    tr {
                        th scope="col" { "Begun" }
                        th scope="col" { "State" }
                        th.number scope="col" { "Sent" }
                        th scope="col" { "Progress" }
                        @if visit.rights.may_manage { th scope="col" { span.hidden { "Stop" } } }
                    }
                }
                tbody {
                    @for replay in replays {
                        tr data-row id=(replay.key) {
                            td { a.cover href=(visit.href(format_args!("/replays/{}", replay.key))) {
                                (ago(replay.created_at, now)) } }
                            td { (state_badge(replay.state)) }
                            td.number { (count(replay.replayed)) }
                            td.bar { @if let Some(done) = thousandths(replay, None) {
                                progress max=(WHOLE) value=(done) aria-label="How far it has come" {}
                            } }
                            @if visit.rights.may_manage {
                                td { @if replay.state == ReplayState::Running {
                                    (button(&visit.href(format_args!("/replays/{}/cancel", replay.key)),
                                        "Stop", "quiet", Some("Stop this replay? Nothing more of it follows.")))
                                } }
                            }
                        }
                    }
                }
            }
        }
    }
}
