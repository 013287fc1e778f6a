//! Asking webhooks' filters about events.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_core::event::Event;
use postrider_core::event_type::EventType;
use postrider_core::id::{TenantKey, UnixMs};
use postrider_core::matching::{Reason, Verdict};

use super::Engine;
use super::live::LiveWebhook;
use super::registry::Fanout;
use crate::filter::Subject;

/// What stands before `data` in a verbatim body, for the first time: ids, names of event types
/// and times have no quotes in them.
const DATA_MEMBER: &[u8] = b",\"data\":";

impl Engine {
    /// Whether a webhook wants an event, past or new, by its patterns and its filter as they are
    /// now; whether it is enabled is another question.
    pub fn wants(&self, live: &LiveWebhook, event: &Event) -> Result<(), Reason> {
        if !live.webhook.patterns.matches(&event.event_type) {
            return Err(Reason::TypeNotWanted);
        }
        let Some(text) = &live.webhook.filter else { return Ok(()) };
        let filter = Some(text.as_str().into());
        match verdict(live, &mut subject_of(event)) {
            Verdict::Yes => Ok(()),
            Verdict::No => Err(Reason::FilterSaidNo { filter }),
            Verdict::Failed(error) => Err(Reason::FilterFailed { filter, error: Some(error) }),
        }
    }

    /// Who gets an event that is being accepted at `now`.
    pub(super) fn fanout(
        &self,
        tenant: TenantKey,
        event_type: &EventType,
        (occurred_at, now): (UnixMs, UnixMs),
        data: &[u8],
    ) -> Arc<Fanout> {
        let registry = &self.inner.registry;
        loop {
            let fanout = registry.fanout(tenant, event_type, || self.next_key(now));
            if fanout.asked.is_empty() {
                return fanout;
            }
            let mut subject = Subject::new(event_type, occurred_at, data);
            let verdicts = verdicts(&fanout.asked, &mut subject);
            let make_key = || self.next_key(now);
            let narrowed = registry.narrowed(tenant, event_type, &fanout, verdicts, make_key);
            if let Some(fanout) = narrowed {
                return fanout;
            }
        }
    }
}

/// An accepted event as filters see it.
pub fn subject_of(event: &Event) -> Subject {
    Subject::new(&event.event_type, event.occurred_at, data_of(event))
}

/// The member `data` of the verbatim body.
pub(super) fn data_of(event: &Event) -> &[u8] {
    let body = &event.bodies.verbatim[..];
    let at = body.windows(DATA_MEMBER.len()).position(|window| window == DATA_MEMBER);
    let data = at.and_then(|at| body.get(at + DATA_MEMBER.len()..)).unwrap_or_default();
    data.strip_suffix(b"}").unwrap_or(data)
}

/// What each webhook's filter says. Equal filters are asked once.
fn verdicts(asked: &[Arc<LiveWebhook>], subject: &mut Subject) -> Vec<Verdict> {
    let mut said: HashMap<&str, Verdict> = HashMap::new();
    let verdicts = asked.iter().map(|live| {
        let text = live.webhook.filter.as_deref().unwrap_or_default();
        said.entry(text).or_insert_with(|| verdict(live, subject)).clone()
    });
    verdicts.collect()
}

fn verdict(live: &LiveWebhook, subject: &mut Subject) -> Verdict {
    match live.filter() {
        None => Verdict::Yes,
        Some(Ok(filter)) => subject.verdict(filter),
        Some(Err(error)) => Verdict::Failed(error.to_string().into()),
    }
}
