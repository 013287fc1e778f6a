//! Which webhooks get an event, and why the others don't.
//!
//! Without filters the answer depends on the event's type and on the tenant's webhooks, not on the
//! event, so it is worked out once per type and change of webhooks, stored once, and named by the
//! events that share it: publishing costs the same at a thousand webhooks as at a million. With
//! filters it depends on what they say of the event too, and is shared by the events of which they
//! say the same.
//!
//! How a filter comes to its verdict is not known here.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event_type::EventType;
use crate::id::{MatchingKey, WebhookKey};
use crate::webhook::{Webhook, WebhookState};

/// Beyond this many webhooks that don't match, an explanation counts them by reason instead of
/// naming each: a person reads names up to about here, and the stored answer stays small.
pub const UNMATCHED_NAMED_MAX: usize = 1_000;
/// Bytes of filters' texts and failures that one matching keeps, each different text counted once.
/// It may be stored with every event, so it stays within a few times an event's own size; it holds
/// dozens of filters as people write them.
pub const FILTER_TEXTS_BYTES_MAX: usize = 8 << 10;

/// The outcome of matching an event against a tenant's webhooks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    pub key: MatchingKey,
    /// The fan-out, in ascending order of key.
    pub matched: Vec<WebhookKey>,
    pub unmatched: Unmatched,
}

/// The webhooks that were considered and didn't match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmatched {
    Named(Vec<(WebhookKey, Reason)>),
    Counted(UnmatchedCounts),
}

/// How many webhooks didn't match, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnmatchedCounts {
    pub disabled: u64,
    pub type_not_wanted: u64,
    pub deleted: u64,
    pub filter_said_no: u64,
    pub filter_failed: u64,
}

/// Why a webhook did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Disabled,
    TypeNotWanted,
    /// Deleted before the event was accepted.
    Deleted,
    /// Its filter said no: the text as it was then, unless too many would have had to be kept.
    FilterSaidNo {
        filter: Option<Arc<str>>,
    },
    /// Its filter came to no answer, and why; the texts with the same reservation.
    FilterFailed {
        filter: Option<Arc<str>>,
        error: Option<Arc<str>>,
    },
}

/// What a webhook's filter says of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Yes,
    No,
    /// It came to no answer; why, in a few words.
    Failed(Arc<str>),
}

impl UnmatchedCounts {
    pub fn add(&mut self, reason: &Reason) {
        let count = match reason {
            Reason::Disabled => &mut self.disabled,
            Reason::TypeNotWanted => &mut self.type_not_wanted,
            Reason::Deleted => &mut self.deleted,
            Reason::FilterSaidNo { .. } => &mut self.filter_said_no,
            Reason::FilterFailed { .. } => &mut self.filter_failed,
        };
        *count += 1;
    }
}

/// Whether one webhook gets events of this type, or why not; its filter, if it has one, is still
/// to be asked.
pub fn explain(webhook: &Webhook, event_type: &EventType) -> Result<(), Reason> {
    match webhook.state {
        WebhookState::Deleted => Err(Reason::Deleted),
        _ if !webhook.patterns.matches(event_type) => Err(Reason::TypeNotWanted),
        WebhookState::Disabled(_) => Err(Reason::Disabled),
        WebhookState::Enabled => Ok(()),
    }
}

/// Matches `event_type` against `webhooks`, all of one tenant.
///
/// `verdict` is asked about each webhook that has a filter and wants the type.
pub fn match_webhooks<'a>(
    key: MatchingKey,
    event_type: &EventType,
    webhooks: impl IntoIterator<Item = &'a Webhook>,
    mut verdict: impl FnMut(&Webhook) -> Verdict,
) -> Matching {
    let mut matched = Vec::new();
    let mut named = Vec::new();
    let mut counts = UnmatchedCounts::default();
    let mut texts = FilterTexts::default();
    for webhook in webhooks {
        let explained = explain(webhook, event_type).and_then(|()| match &webhook.filter {
            None => Ok(()),
            Some(filter) => texts.reason(filter, verdict(webhook)),
        });
        let Err(reason) = explained else {
            matched.push(webhook.key);
            continue;
        };
        counts.add(&reason);
        if named.len() <= UNMATCHED_NAMED_MAX {
            named.push((webhook.key, reason));
        }
    }
    matched.sort_unstable();
    named.sort_unstable_by_key(|&(webhook, _)| webhook);
    let unmatched = if named.len() > UNMATCHED_NAMED_MAX {
        Unmatched::Counted(counts)
    } else {
        Unmatched::Named(named)
    };
    Matching { key, matched, unmatched }
}

/// The texts that a matching keeps, each once.
#[derive(Default)]
struct FilterTexts {
    kept: BTreeSet<Arc<str>>,
    bytes: usize,
}

impl FilterTexts {
    fn reason(&mut self, filter: &str, verdict: Verdict) -> Result<(), Reason> {
        match verdict {
            Verdict::Yes => Ok(()),
            Verdict::No => Err(Reason::FilterSaidNo { filter: self.keep(filter) }),
            Verdict::Failed(error) => {
                Err(Reason::FilterFailed { filter: self.keep(filter), error: self.keep(&error) })
            }
        }
    }

    fn keep(&mut self, text: &str) -> Option<Arc<str>> {
        if let Some(kept) = self.kept.get(text) {
            return Some(kept.clone());
        }
        if self.bytes + text.len() > FILTER_TEXTS_BYTES_MAX {
            return None;
        }
        self.bytes += text.len();
        let text: Arc<str> = text.into();
        self.kept.insert(text.clone());
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_type::Patterns;
    use crate::id::{Key, TenantKey};
    use crate::webhook::{DisabledReason, WebhookKind};
    use proptest::prelude::*;

    fn webhook(n: u64, pattern: &str, filter: Option<&str>, state: WebhookState) -> Webhook {
        Webhook {
            key: WebhookKey::from_raw(n),
            tenant: TenantKey::from_raw(1),
            version: 1,
            kind: WebhookKind::Url,
            url: "https://example.com".to_owned(),
            patterns: Patterns::parse(&[pattern]).unwrap(),
            filter: filter.map(str::to_owned),
            profile: "standard".to_owned(),
            description: None,
            metadata: std::collections::BTreeMap::new(),
            headers: Vec::new(),
            timeout_ms: None,
            concurrency: None,
            rate_per_s: None,
            schedule: None,
            secrets: Vec::new(),
            state,
            disabled_at: None,
            created_at: 0,
            updated_at: 0,
        }
    }

    fn matching(webhooks: &[Webhook], verdict: impl FnMut(&Webhook) -> Verdict) -> Matching {
        let event_type = "code.generated".parse().unwrap();
        match_webhooks(MatchingKey::from_raw(1), &event_type, webhooks, verdict)
    }

    #[test]
    fn a_filter_is_asked_only_when_all_else_says_yes() {
        let filter = Some("false");
        let disabled = WebhookState::Disabled(DisabledReason::Requested);
        let webhooks = [
            webhook(1, "code.*", filter, WebhookState::Enabled),
            webhook(2, "other", filter, WebhookState::Enabled),
            webhook(3, "code.*", filter, disabled),
            webhook(4, "code.*", filter, WebhookState::Deleted),
            webhook(5, "code.*", None, WebhookState::Enabled),
        ];
        let mut asked = Vec::new();
        let found = matching(&webhooks, |webhook| {
            asked.push(webhook.key.raw());
            Verdict::No
        });
        assert_eq!(asked, [1]);
        assert_eq!(found.matched, [webhooks[4].key]);
        let Unmatched::Named(named) = found.unmatched else { panic!("named") };
        let reasons: Vec<_> = named.into_iter().map(|(_, reason)| reason).collect();
        let said_no = Reason::FilterSaidNo { filter: filter.map(Arc::from) };
        assert_eq!(reasons, [said_no, Reason::TypeNotWanted, Reason::Disabled, Reason::Deleted]);
    }

    #[test]
    fn what_is_kept_of_filters_is_bounded_and_equal_texts_count_once() {
        let long = "x".repeat(FILTER_TEXTS_BYTES_MAX - 4);
        let texts = [long.as_str(), "some", &long, "more"];
        let webhooks: Vec<_> = (1..)
            .zip(texts)
            .map(|(n, text)| webhook(n, "*", Some(text), WebhookState::Enabled))
            .collect();
        let found = matching(&webhooks, |_| Verdict::Failed("some".into()));
        let Unmatched::Named(named) = found.unmatched else { panic!("named") };
        let kept = named.into_iter().map(|(_, reason)| match reason {
            Reason::FilterFailed { filter, error } => (filter.is_some(), error.is_some()),
            other => panic!("{other:?}"),
        });
        let kept: Vec<_> = kept.collect();
        assert_eq!(kept, [(true, true), (true, true), (true, true), (false, true)]);
    }

    proptest! {
        #[test]
        fn filters_never_change_who_gets_an_event_without_one(
            kinds in prop::collection::vec((any::<bool>(), 0u8..3, 0u8..3), 0..20),
        ) {
            let with: Vec<_> = (1..)
                .zip(&kinds)
                .map(|(n, &(wants, has_filter, _))| {
                    let pattern = if wants { "code.*" } else { "other" };
                    let filter = (has_filter == 0).then_some("f");
                    webhook(n, pattern, filter, WebhookState::Enabled)
                })
                .collect();
            let without: Vec<_> =
                with.iter().map(|webhook| Webhook { filter: None, ..webhook.clone() }).collect();
            let verdict = |webhook: &Webhook| {
                let index = usize::try_from(webhook.key.raw()).unwrap() - 1;
                match kinds[index].2 {
                    0 => Verdict::Yes,
                    1 => Verdict::No,
                    _ => Verdict::Failed("why".into()),
                }
            };
            let filtered = matching(&with, verdict);
            let plain = matching(&without, |_| panic!("there is no filter to ask"));
            for webhook in &with {
                let gets = |matching: &Matching| matching.matched.contains(&webhook.key);
                let expected = gets(&plain)
                    && (webhook.filter.is_none() || verdict(webhook) == Verdict::Yes);
                prop_assert_eq!(gets(&filtered), expected);
            }
        }
    }
}
