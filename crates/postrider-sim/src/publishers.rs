//! Publishers: they give events, give them again, and come back when they got no answer.

use std::sync::Arc;

use bytes::Bytes;
use postrider_core::event::{Bodies, Event, Fingerprint};
use postrider_core::event_type::EventType;
use postrider_core::id::{EventKey, Key as _, TenantKey};
use postrider_core::matching::{Matching, Verdict, match_webhooks};
use postrider_signature::NumberPolicy;
use postrider_store::Accept;

use crate::checker::{Answer, Moment, Publish, digest};
use crate::plan::{BODY_BYTES_MAX, EVENT_TYPES, moments};
use crate::world::{Action, World};

/// What a publisher wants to be accepted.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    tenant: TenantKey,
    given_id: Option<String>,
    event_type: &'static str,
    body: Bytes,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    request: Request,
    at: Moment,
    is_answered: bool,
}

impl World {
    /// Plans all that publishers do in this run.
    pub(crate) fn plan_publishes(&mut self) {
        let moments = moments(&mut self.random, self.plan.events, self.plan.busy_ms);
        for (number, at) in moments.into_iter().enumerate() {
            let request = self.request(number);
            self.plan_repeats(&request, number, at);
            self.agenda.plan(at, Action::Publish(request));
        }
    }

    /// Plans a burst at a moment, of so many events.
    pub(crate) fn plan_burst(&mut self, after_ms: i64, count: usize) {
        for number in 0..count {
            let request = self.request(3_000_000 + number);
            let after = after_ms + self.random.between(0, 100);
            self.plan_after(after, Action::Publish(request));
        }
    }

    fn request(&mut self, number: usize) -> Request {
        let has_id = self.random.percent(80);
        Request {
            tenant: self.random.pick(&self.tenants),
            given_id: has_id.then(|| format!("given-{number}")),
            event_type: self.random.pick(&EVENT_TYPES),
            body: self.body(number),
        }
    }

    fn plan_repeats(&mut self, request: &Request, number: usize, at: i64) {
        let later = at + self.random.pick(&[0, 5, 30, 2_000, 100_000]);
        if self.random.percent(15) {
            self.agenda.plan(later, Action::Publish(request.clone()));
        }
        if self.random.percent(5) {
            let body = self.body(number + 1_000_000);
            self.agenda.plan(later, Action::Publish(Request { body, ..request.clone() }));
        }
        if self.random.percent(5) {
            let tenant = self.random.pick(&self.tenants);
            let body = self.body(number + 2_000_000);
            let given_id = request.given_id.as_ref().map(|id| format!("{id}-too"));
            let other = Request { tenant, given_id, body, ..request.clone() };
            self.agenda.plan(later, Action::Publish(other));
        }
    }

    fn body(&mut self, number: usize) -> Bytes {
        let size = self.random.pick(&[20, 40, BODY_BYTES_MAX - 20]);
        let padding = " ".repeat(size);
        Bytes::from(format!("{{\"number\":{number}{padding}}}"))
    }

    pub(crate) fn publish(&mut self, request: Request) {
        if self.process.is_none() {
            let after = self.random.between(500, 5_000);
            self.plan_after(after, Action::Publish(request));
            return;
        }
        let at = self.tick();
        let event_type: EventType = request.event_type.parse().expect("the simulator's are valid");
        let matching = self.matching(request.tenant, &event_type);
        let key: EventKey = self.next_key();
        let mut fingerprint = Fingerprint::default();
        if request.given_id.is_some() {
            fingerprint[..8].copy_from_slice(&digest(&request.body).to_be_bytes());
        }
        let event = Event {
            key,
            tenant: request.tenant,
            given_id: request.given_id.as_deref().map(Into::into),
            event_type,
            occurred_at: key.made_at(),
            bodies: Bodies { verbatim: request.body.clone(), ecma: None, jcs: None },
            numbers: NumberPolicy::Refuse,
            matching: matching.key,
        };
        self.note(format_args!("publish {} for {:?}", event.id(), matching.matched));
        let id = event.id().into_owned();
        let matched = matching.matched.len();
        let accept = Accept { event: Arc::new(event), matching, fingerprint };
        let mut asked = Asked { request, at, is_answered: false };
        if crate::mutated!("acknowledged before the commit") {
            let answer = Answer::Accepted { id, is_repeat: false, matched };
            self.note_answer(&asked, answer);
            asked.is_answered = true;
        }
        self.accept(accept, asked);
    }

    /// Who gets an event type now, worked out once as the server's registry does.
    fn matching(&mut self, tenant: TenantKey, event_type: &EventType) -> Arc<Matching> {
        let name = (tenant, event_type.clone());
        if let Some(known) = self.process.as_ref().and_then(|process| process.fanouts.get(&name)) {
            return known.clone();
        }
        let key = self.next_key();
        let process = self.process.as_mut().expect("only a living process matches");
        let everybody = crate::mutated!("matched across tenants");
        let webhooks = process.registry.values().map(|live| &live.webhook);
        let own = webhooks.filter(|webhook| webhook.tenant == tenant || everybody);
        let matching = Arc::new(match_webhooks(key, event_type, own, |_| Verdict::Yes));
        process.fanouts.insert(name, matching.clone());
        matching
    }

    /// A publisher gets its answer, or learns that it gets none; then it may come back.
    pub(crate) fn answer(&mut self, asked: Asked, answer: Answer) {
        if asked.is_answered {
            return;
        }
        let comes_back = answer == Answer::Unknown && asked.request.given_id.is_some();
        self.note_answer(&asked, answer);
        if comes_back {
            let after = self.random.between(100, 20_000);
            self.plan_after(after, Action::Publish(asked.request));
        }
    }

    fn note_answer(&mut self, asked: &Asked, answer: Answer) {
        let Request { tenant, given_id, event_type, body } = &asked.request;
        self.note(format_args!("answer {given_id:?} {answer:?}"));
        let publish = Publish {
            tenant: tenant.to_string(),
            given_id: given_id.clone(),
            event_type: (*event_type).to_owned(),
            content: digest(body),
            asked: asked.at,
            ended: self.tick(),
            answer,
        };
        self.books.ledger.publishes.push(publish);
    }
}
