//! Test events: sent to one webhook, whatever it wants, and known as tests by their id.

use std::sync::Arc;

use postrider_core::event::{Event, test_id};
use postrider_core::event_type::{EventType, Patterns};
use postrider_core::id::{DeliveryKey, EventKey, TenantKey, WebhookKey};
use postrider_core::matching::{Matching, Unmatched};
use postrider_core::webhook::WebhookState;
use postrider_signature::BodyForm;
use postrider_store::Accept;

use super::Engine;
use super::live::LiveWebhook;
use super::publish::{NewEvent, PublishError, Published, bodies, fingerprint};
use super::registry::Fanout;
use crate::catalogue::builtin_types;

/// What is said of a type that the catalogue has no example of.
const DATA: &str = r#"{"message":"This is a test event."}"#;

/// What to send. What is left out is made up.
#[derive(Clone, Debug, Default)]
pub struct TestEvent {
    pub event_type: Option<EventType>,
    /// Checked and minified.
    pub data: Option<Vec<u8>>,
}

/// Why no test event is sent.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    #[error("there is no such webhook")]
    NotFound,
    #[error("the webhook is disabled; enable it first")]
    Disabled,
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Engine {
    /// Sends a test event to a webhook. When this returns `Ok`, it and its delivery are committed.
    pub async fn test_webhook(
        &self,
        tenant: TenantKey,
        webhook: WebhookKey,
        test: TestEvent,
    ) -> Result<(Published, DeliveryKey), TestError> {
        let live = self.webhook(tenant, webhook).ok_or(TestError::NotFound)?;
        if live.webhook.state != WebhookState::Enabled {
            return Err(TestError::Disabled);
        }
        let accept = self.accept_test(&live, test)?;
        let delivery = DeliveryKey { event: accept.event.key, webhook };
        Ok((self.commit(accept).await?, delivery))
    }

    fn accept_test(&self, live: &LiveWebhook, test: TestEvent) -> Result<Accept, PublishError> {
        let now = self.now();
        let key: EventKey = self.next_key(now);
        let id = test_id(key);
        let wanted = &live.webhook.patterns;
        let event_type = test.event_type.unwrap_or_else(|| first_wanted(wanted));
        let known = self.event_type(live.webhook.tenant, &event_type);
        let example = || known.as_ref().and_then(|known| known.example()).unwrap_or(DATA);
        let data = test.data.unwrap_or_else(|| example().as_bytes().to_vec());
        let numbers = known.as_ref().map(|known| known.large_integers()).unwrap_or_default();
        let new = NewEvent { id: Some(id.clone()), event_type, occurred_at: None, data };
        let form = live.profile().signing.body_form;
        let matching = Matching {
            key: self.next_key(now),
            matched: vec![live.webhook.key],
            unmatched: Unmatched::Named(Vec::new()),
        };
        let fanout = Fanout {
            matching: Arc::new(matching),
            needs_ecma: form == BodyForm::Ecma,
            needs_jcs: form == BodyForm::Jcs,
            asked: Vec::new(),
        };
        let fingerprint = fingerprint(&new);
        let bodies = bodies(&new, &id, now, &fanout, numbers)?;
        let event = Event {
            key,
            tenant: live.webhook.tenant,
            given_id: Some(id.into()),
            event_type: new.event_type,
            occurred_at: now,
            bodies,
            numbers,
            matching: fanout.matching.key,
        };
        Ok(Accept { event: Arc::new(event), matching: fanout.matching, fingerprint })
    }
}

/// The first built-in event type that is wanted; else the first of all.
fn first_wanted(wanted: &Patterns) -> EventType {
    let mut names = builtin_types().iter().map(|builtin| &builtin.name);
    let first = names.clone().next();
    let name = names.find(|name| wanted.matches(name)).or(first);
    name.cloned().expect("there are built-in types")
}
