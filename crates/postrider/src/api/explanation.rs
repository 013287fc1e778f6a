//! Why an event goes where it goes, in words.

use postrider_core::event::Event;
use postrider_core::event_type::EventType;
use postrider_core::id::WebhookKey;
use postrider_core::matching::{self, Matching, Reason, Unmatched};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::time;
use crate::engine::Engine;

/// Webhooks named in an explanation; the deliveries of the event name the rest.
const MATCHED_NAMED_MAX: usize = 1_000;

/// Which webhooks were considered for an event, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// The whole of it in a sentence.
    pub summary: String,
    /// The number of webhooks that get the event.
    pub matched: usize,
    /// The first 1,000 of them.
    pub matched_webhooks: Vec<ConsideredView>,
    /// Those that don't get it, and why. Empty beyond 1,000 of them: then they are counted.
    pub unmatched_webhooks: Vec<ConsideredView>,
    pub unmatched_counts: UnmatchedCounts,
}

/// A webhook that was considered.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsideredView {
    pub webhook_id: String,
    pub outcome: Outcome,
    /// The outcome in words.
    pub text: String,
    /// The text of its filter then, where its filter decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub filter: Option<String>,
}

/// What came of considering a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Matched,
    Disabled,
    TypeNotWanted,
    Deleted,
    /// Its filter said no.
    FilterSaidNo,
    /// Its filter came to no answer, which counts as no.
    FilterFailed,
}

/// How many webhooks don't get the event, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnmatchedCounts {
    pub disabled: u64,
    pub type_not_wanted: u64,
    pub deleted: u64,
    pub filter_said_no: u64,
    pub filter_failed: u64,
}

impl Explanation {
    pub(crate) fn new(engine: &Engine, event: &Event, matching: &Matching) -> Self {
        let considered_at = event.accepted_at();
        // as it was then, where it was not changed since
        let unchanged = |webhook| {
            let live = engine.any_webhook(event.tenant, webhook);
            live.filter(|live| live.webhook.updated_at <= considered_at)
        };
        let matched = matching.matched.iter().take(MATCHED_NAMED_MAX).map(|&webhook| {
            if event.is_test() {
                let text = "it was sent to it as a test".to_owned();
                return considered(webhook, Outcome::Matched, text);
            }
            let live = engine.any_webhook(event.tenant, webhook);
            let pattern =
                live.and_then(|live| live.webhook.patterns.matching(&event.event_type).cloned());
            let filter = unchanged(webhook).and_then(|live| live.webhook.filter.clone());
            let wanted = pattern.map_or_else(
                || "it wanted this event type when the event was accepted".to_owned(),
                |pattern| format!("it wants {pattern}"),
            );
            let said = filter.as_ref().map_or("", |_| ", and its filter said yes");
            let text = format!("{wanted}{said}");
            ConsideredView { filter, ..considered(webhook, Outcome::Matched, text) }
        });
        let (counts, unmatched_webhooks) = match &matching.unmatched {
            Unmatched::Counted(counts) => (*counts, Vec::new()),
            Unmatched::Named(named) => {
                let mut counts = matching::UnmatchedCounts::default();
                let views = named.iter().map(|(webhook, reason)| {
                    counts.add(reason);
                    let now = || unchanged(*webhook).and_then(|live| live.webhook.filter.clone());
                    unmatched(*webhook, reason, event, now)
                });
                let views = views.collect();
                (counts, views)
            }
        };
        let counts = UnmatchedCounts {
            disabled: counts.disabled,
            type_not_wanted: counts.type_not_wanted,
            deleted: counts.deleted,
            filter_said_no: counts.filter_said_no,
            filter_failed: counts.filter_failed,
        };
        Self {
            summary: if event.is_test() {
                format!("1 webhook gets {}, as a test.", event.event_type)
            } else {
                summary(&event.event_type, matching.matched.len(), counts)
            },
            matched: matching.matched.len(),
            matched_webhooks: matched.collect(),
            unmatched_webhooks,
            unmatched_counts: counts,
        }
    }
}

/// `present` is the webhook's filter as it is now, if it is the one that it had then.
fn unmatched(
    webhook: WebhookKey,
    reason: &Reason,
    event: &Event,
    present: impl FnOnce() -> Option<String>,
) -> ConsideredView {
    let at = time(event.accepted_at());
    match reason {
        Reason::Disabled => {
            let text = "it was disabled when the event was accepted".to_owned();
            considered(webhook, Outcome::Disabled, text)
        }
        Reason::TypeNotWanted => {
            let text = format!("none of its patterns matched {}", event.event_type);
            considered(webhook, Outcome::TypeNotWanted, text)
        }
        Reason::Deleted => considered(webhook, Outcome::Deleted, "it had been deleted".to_owned()),
        Reason::FilterSaidNo { filter } => {
            let text = format!("its filter said no when the event was accepted, at {at}");
            let filter = filter.as_deref().map(str::to_owned).or_else(present);
            ConsideredView { filter, ..considered(webhook, Outcome::FilterSaidNo, text) }
        }
        Reason::FilterFailed { filter, error } => {
            let why = error.as_deref().unwrap_or("the reason was not kept");
            let text =
                format!("its filter came to no answer when the event was accepted, at {at}: {why}");
            let filter = filter.as_deref().map(str::to_owned).or_else(present);
            ConsideredView { filter, ..considered(webhook, Outcome::FilterFailed, text) }
        }
    }
}

fn considered(webhook: WebhookKey, outcome: Outcome, text: String) -> ConsideredView {
    ConsideredView { webhook_id: webhook.to_string(), outcome, text, filter: None }
}

fn summary(event_type: &EventType, matched: usize, counts: UnmatchedCounts) -> String {
    let others = [
        (counts.type_not_wanted, "did not want this event type"),
        (counts.filter_said_no, "did not want it by its filter"),
        (counts.filter_failed, "had a filter that came to no answer"),
        (counts.disabled, "wanted it but was disabled"),
        (counts.deleted, "had been deleted"),
    ];
    let others: Vec<_> = others
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let to = match matched {
        0 => format!("No webhook gets {event_type}"),
        1 => format!("1 webhook gets {event_type}"),
        many => format!("{many} webhooks get {event_type}"),
    };
    match others.as_slice() {
        [] if matched == 0 => format!("{to}: the tenant had no webhooks."),
        [] => format!("{to}."),
        others => format!("{to}; of the others, {}.", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_nobody_gets_says_why() {
        let event_type = "code.generated".parse().unwrap();
        let check = |matched, disabled, type_not_wanted, expected: &str| {
            let counts =
                UnmatchedCounts { disabled, type_not_wanted, ..UnmatchedCounts::default() };
            assert_eq!(summary(&event_type, matched, counts), expected);
        };
        check(0, 0, 0, "No webhook gets code.generated: the tenant had no webhooks.");
        check(
            0,
            1,
            2,
            "No webhook gets code.generated; of the others, 2 did not want this event type, \
             1 wanted it but was disabled.",
        );
        check(2, 0, 0, "2 webhooks get code.generated.");
    }
}
