//! Why an event goes where it goes, in words.

use postrider_core::event_type::EventType;
use postrider_core::id::{TenantKey, WebhookKey};
use postrider_core::matching::{Matching, Reason, Unmatched};
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Engine;

/// Webhooks named in an explanation; the deliveries of the event name the rest.
const MATCHED_NAMED_MAX: usize = 250;

/// Which webhooks were considered for an event, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// The whole of it in a sentence.
    pub summary: String,
    /// The number of webhooks that get the event.
    pub matched: usize,
    /// The first 250 of them.
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
}

/// What came of considering a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Matched,
    Disabled,
    TypeNotWanted,
    Deleted,
}

/// How many webhooks don't get the event, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnmatchedCounts {
    pub disabled: u64,
    pub type_not_wanted: u64,
    pub deleted: u64,
}

impl Explanation {
    pub(super) fn new(
        engine: &Engine,
        tenant: TenantKey,
        event_type: &EventType,
        matching: &Matching,
    ) -> Self {
        let wanted = |webhook| {
            let live = engine.any_webhook(tenant, webhook);
            let pattern =
                live.and_then(|live| Some(live.webhook.patterns.matching(event_type)?.to_string()));
            pattern.map_or_else(
                || "it wanted this event type when the event was accepted".to_owned(),
                |pattern| format!("it wants {pattern}"),
            )
        };
        let matched = matching.matched.iter().take(MATCHED_NAMED_MAX);
        let matched_webhooks =
            matched.map(|&webhook| considered(webhook, Outcome::Matched, wanted(webhook)));
        let (counts, named) = unmatched(&matching.unmatched, event_type);
        Self {
            summary: summary(event_type, matching.matched.len(), counts),
            matched: matching.matched.len(),
            matched_webhooks: matched_webhooks.collect(),
            unmatched_webhooks: named,
            unmatched_counts: counts,
        }
    }
}

fn unmatched(
    unmatched: &Unmatched,
    event_type: &EventType,
) -> (UnmatchedCounts, Vec<ConsideredView>) {
    match unmatched {
        &Unmatched::Counted { disabled, type_not_wanted, deleted } => {
            (UnmatchedCounts { disabled, type_not_wanted, deleted }, Vec::new())
        }
        Unmatched::Named(named) => {
            let mut counts = UnmatchedCounts::default();
            let views = named.iter().map(|&(webhook, reason)| {
                let (count, outcome, text) = match reason {
                    Reason::Disabled => (
                        &mut counts.disabled,
                        Outcome::Disabled,
                        "it was disabled when the event was accepted".to_owned(),
                    ),
                    Reason::TypeNotWanted => (
                        &mut counts.type_not_wanted,
                        Outcome::TypeNotWanted,
                        format!("none of its patterns matched {event_type}"),
                    ),
                    Reason::Deleted => {
                        (&mut counts.deleted, Outcome::Deleted, "it had been deleted".to_owned())
                    }
                };
                *count += 1;
                considered(webhook, outcome, text)
            });
            let views = views.collect();
            (counts, views)
        }
    }
}

fn considered(webhook: WebhookKey, outcome: Outcome, text: String) -> ConsideredView {
    ConsideredView { webhook_id: webhook.to_string(), outcome, text }
}

fn summary(event_type: &EventType, matched: usize, counts: UnmatchedCounts) -> String {
    let UnmatchedCounts { disabled, type_not_wanted, deleted } = counts;
    let others = [
        (type_not_wanted, "did not want this event type"),
        (disabled, "wanted it but was disabled"),
        (deleted, "had been deleted"),
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
            let counts = UnmatchedCounts { disabled, type_not_wanted, deleted: 0 };
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

    #[test]
    fn reasons_are_counted_and_named() {
        use postrider_core::id::Key;
        let event_type = "code.generated".parse().unwrap();
        let named = Unmatched::Named(vec![
            (WebhookKey::from_raw(1), Reason::Disabled),
            (WebhookKey::from_raw(2), Reason::TypeNotWanted),
            (WebhookKey::from_raw(3), Reason::TypeNotWanted),
        ]);
        let (counts, views) = unmatched(&named, &event_type);
        assert_eq!(counts, UnmatchedCounts { disabled: 1, type_not_wanted: 2, deleted: 0 });
        assert_eq!(views[1].text, "none of its patterns matched code.generated");
    }
}
