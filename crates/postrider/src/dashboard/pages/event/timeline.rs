//! The life of an event, over all of its deliveries: what happened when, and how long it took.

use maud::{Markup, html};
use postrider_core::delivery::{Happening, HistoryEntry, Standing};
use postrider_core::event::Event;
use postrider_core::id::UnixMs;
use postrider_store::FoundDelivery;

use crate::api::attempt;
use crate::dashboard::visit::Visit;
use crate::dashboard::{delivery_table, elements};
use crate::http::problem::ApiError;
use crate::meaning;

/// Happenings shown, the first ones.
const SHOWN_MAX: usize = 60;

/// One thing that happened.
struct Step {
    at: UnixMs,
    kind: &'static str,
    what: Markup,
}

/// The card of the first deliveries of an event.
pub(super) async fn of(
    visit: &Visit,
    event: &Event,
    deliveries: &[FoundDelivery],
    is_more: bool,
) -> Result<Markup, ApiError> {
    let mut steps = Vec::new();
    for found in deliveries {
        let history = visit.engine().store().history(found.delivery).await;
        let history = history.map_err(|error| ApiError::store(&error))?;
        steps.extend(history.iter().map(|entry| step(visit, entry)));
    }
    steps.sort_by_key(|step| step.at);
    let hidden = steps.len().saturating_sub(SHOWN_MAX);
    let end = end(event, deliveries, &steps).filter(|_| !is_more && hidden == 0);
    steps.truncate(SHOWN_MAX);
    let first = [
        Step { at: event.occurred_at, kind: "info", what: html! { "Occurred" } },
        Step { at: event.accepted_at(), kind: "info", what: html! { "Accepted" } },
    ];
    let all: Vec<Step> = first.into_iter().chain(steps).chain(end).collect();
    Ok(html! {
        section.card id="timeline" data-live {
            header { h2 { "Timeline" } }
            ol.timeline {
                @for (at, step) in all.iter().enumerate() {
                    @let before = at.checked_sub(1).and_then(|before| all.get(before));
                    li class=(step.kind) {
                        div { (step.what) }
                        div.gap {
                            (elements::exactly(step.at))
                            @if let Some(before) = before { " · " (gap(step.at - before.at)) }
                        }
                    }
                }
            }
            @if hidden > 0 { p.cut { (elements::several(hidden as u64, "later step")) " not shown." } }
            @if is_more { p.cut { "Of the first " (deliveries.len()) " deliveries." } }
        }
    })
}

fn step(visit: &Visit, entry: &HistoryEntry) -> Step {
    let to = visit.href(format_args!("/deliveries/{}", entry.delivery));
    let end = entry.standing.state();
    match &entry.what {
        Happening::Attempt(attempt) => {
            let meaning = meaning::of(&attempt.result);
            let kind = match meaning {
                None => "ok",
                Some(_) if end.is_final() => "bad",
                Some(_) => "warn",
            };
            let what = html! {
                a href={ (to) "?attempt=" (attempt.number) } { "Attempt " (attempt.number) }
                " to " code.id { (entry.delivery.webhook) } ": "
                @if let Some(status) = attempt.result.status() { (status) " " }
                @if let Some(meaning) = meaning { (delivery_table::words(meaning.class)) " " }
                span.none { "took " (elements::duration_us(attempt.timing.total_us.into())) }
                @if end.is_final() { " → " (elements::state_badge(end, attempt.number)) }
                @else if let Some(due) = entry.standing.due() { " → next " (elements::exactly(due)) }
            };
            Step { at: attempt.started_at, kind, what }
        }
        Happening::RetryRequested { at } => {
            let what = html! { "Retry of " a href=(to) { code.id { (entry.delivery.webhook) } } " asked for" };
            Step { at: *at, kind: "info", what }
        }
        Happening::Cancelled { at, reason } => {
            let (_, why) = attempt::cancelled(*reason);
            let what =
                html! { a href=(to) { code.id { (entry.delivery.webhook) } } " cancelled. " (why) };
            Step { at: *at, kind: "warn", what }
        }
    }
}

/// The last step, once all deliveries are final.
fn end(event: &Event, deliveries: &[FoundDelivery], steps: &[Step]) -> Option<Step> {
    let is_final = |found: &FoundDelivery| {
        found.standing.as_ref().is_some_and(|standing: &Standing| standing.state().is_final())
    };
    let at = steps.last()?.at;
    deliveries.iter().all(is_final).then(|| {
        let took = elements::duration_ms((at - event.accepted_at()).unsigned_abs());
        Step {
            at,
            kind: "info",
            what: html! { "All deliveries final, " (took) " after it was accepted" },
        }
    })
}

/// How long after the step before.
fn gap(ms: UnixMs) -> Markup {
    let told = elements::duration_ms(ms.unsigned_abs());
    html! {
        @match ms {
            0 => "at once",
            ..0 => { (told) " earlier" },
            _ => { (told) " later" },
        }
    }
}
