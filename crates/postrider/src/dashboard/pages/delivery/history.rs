//! All that happened to a delivery, with its attempts side by side.

use maud::{Markup, html};
use postrider_core::delivery::{Attempt, Happening, HistoryEntry};

use super::{Shown, outcome};
use crate::dashboard::chart::Waterfall;
use crate::dashboard::elements;

/// Happenings shown, the newest ones: manual retries have no end.
const SHOWN_MAX: usize = 50;
/// Attempts whose timing is compared beneath the table.
const COMPARED_MAX: usize = 4;

pub(super) fn table(shown: &Shown<'_>) -> Markup {
    let hidden = shown.history.len().saturating_sub(SHOWN_MAX);
    let entries = shown.history.iter().skip(hidden);
    let chosen = shown.attempt().map(|attempt| attempt.number);
    html! {
        section.card.flush id="history" data-live {
            header { h2 { "Attempts" } }
            @if shown.history.is_empty() {
                (elements::empty("Nothing happened yet", &html! { "Its first attempt is due." }))
            } @else {
                div.table { table {
                    caption.hidden { "What happened to the delivery, oldest first" }
                    thead { tr {
                        th scope="col" { "Attempt" }
                        th scope="col" { "Outcome" }
                        th scope="col" { "Address" }
                        th scope="col" { "Took" }
                        th scope="col" { "When" }
                        th scope="col" { "Next" }
                    } }
                    tbody { @for entry in entries { (row(shown, entry, chosen)) } }
                } }
                @if hidden > 0 { p.cut.pad { (elements::several(hidden as u64, "earlier entry")) " not shown." } }
                (compared(shown))
            }
        }
    }
}

fn row(shown: &Shown<'_>, entry: &HistoryEntry, chosen: Option<u32>) -> Markup {
    match &entry.what {
        Happening::Attempt(attempt) => attempt_row(shown, entry, attempt, chosen),
        Happening::RetryRequested { at } => told_row(shown, *at, "Somebody asked for a retry."),
        Happening::Cancelled { at, reason } => {
            let (_, why) = crate::api::attempt::cancelled(*reason);
            told_row(shown, *at, &format!("Cancelled. {why}"))
        }
    }
}

fn attempt_row(
    shown: &Shown<'_>,
    entry: &HistoryEntry,
    attempt: &Attempt,
    chosen: Option<u32>,
) -> Markup {
    let now = shown.visit.engine().now();
    let is_chosen = chosen == Some(attempt.number);
    let href = format!("{}?attempt={}#attempt", shown.path(), attempt.number);
    html! {
        tr.chosen[is_chosen] data-row id={ "a" (attempt.number) } {
            td {
                a.cover href=(href) aria-current=[is_chosen.then_some("true")] { "#" (attempt.number) }
                @if attempt.is_manual { " " span.tag { "by hand" } }
            }
            td { (outcome(attempt)) }
            td {
                @match attempt.address {
                    Some(address) => code { (address) },
                    None => span.none { "–" },
                }
            }
            td.nowrap { (elements::duration_us(attempt.timing.total_us.into())) }
            td { (elements::ago(attempt.started_at, now)) }
            td {
                @match entry.standing.due() {
                    Some(due) => (elements::exactly(due)),
                    None => (entry.standing.state().name()),
                }
            }
        }
    }
}

fn told_row(shown: &Shown<'_>, at: i64, what: &str) -> Markup {
    html! {
        tr {
            td { span.none { "–" } }
            td colspan="3" { (what) }
            td { (elements::ago(at, shown.visit.engine().now())) }
            td {}
        }
    }
}

/// The timing of the last few attempts at one scale.
fn compared(shown: &Shown<'_>) -> Markup {
    let mut last: Vec<&Attempt> = shown.attempts().rev().take(COMPARED_MAX).collect();
    last.reverse();
    let width_us = last.iter().map(|attempt| attempt.timing.total_us).max().unwrap_or(0);
    html! {
        @if last.len() > 1 {
            details.pad id="compared" {
                summary { "Compare timing" }
                div.grid.small {
                    @for attempt in last {
                        div {
                            h3 { "#" (attempt.number) " " (outcome(attempt)) }
                            (Waterfall { timing: attempt.timing, width_us })
                        }
                    }
                }
            }
        }
    }
}
