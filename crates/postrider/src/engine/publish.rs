//! Publishing: an event is written in every form that somebody wants, and committed with all
//! its deliveries before the publisher hears of it.

use std::sync::Arc;

use bytes::Bytes;
use postrider_core::catalogue::Validation;
use postrider_core::event::{Bodies, Event, Fingerprint};
use postrider_core::event_type::EventType;
use postrider_core::id::{EventKey, TenantKey, UnixMs};
use postrider_signature::{BodyForm, FormError, NumberPolicy, envelope};
use postrider_store::{Accept, Accepted, StoreError, failpoint};
use sha2::{Digest, Sha256};

use super::Engine;
use super::event_types::UnknownEventTypes;
use super::filtering::data_of;
use super::registry::Fanout;
use crate::schema::SchemaFault;

/// Longest id that a publisher may give (contract §2).
const GIVEN_ID_BYTES_MAX: usize = 128;

/// An event as a publisher says it.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// 1–128 of `[A-Za-z0-9_-]`. Also the idempotency key.
    pub id: Option<String>,
    pub event_type: EventType,
    /// When it happened; without it, when it is accepted.
    pub occurred_at: Option<UnixMs>,
    /// Checked and minified by [`postrider_signature::json::minify`].
    pub data: Vec<u8>,
}

/// An event that is safe now.
#[derive(Clone, Debug)]
pub struct Published {
    pub event: Arc<Event>,
    /// To how many webhooks it goes.
    pub matched: usize,
    /// The same was accepted before; this is the first one.
    pub is_repeat: bool,
    /// Where `data` is not what the schema of its type asks for, when that is only warned about.
    pub warnings: Vec<SchemaFault>,
}

/// Why an event is not accepted. Nothing of it was stored, unless `Store` says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("an id has 1 to 128 of the characters A–Z, a–z, 0–9, _ and -")]
    InvalidId,
    #[error("this id was used before for an event with other content")]
    IdConflict,
    #[error("the tenant's catalogue has no such event type")]
    UnknownType,
    #[error("this event type is archived")]
    ArchivedType,
    #[error("its data is not what the schema of its type asks for")]
    Schema(Vec<SchemaFault>),
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("too much is waiting to be stored; try again in a second")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Accepts an event. When this returns `Ok`, it and all its deliveries are committed.
    pub async fn publish(
        &self,
        tenant: TenantKey,
        new: NewEvent,
    ) -> Result<Published, PublishError> {
        if new.id.as_ref().is_some_and(|id| !is_valid_id(id)) {
            return Err(PublishError::InvalidId);
        }
        let Terms { numbers, warnings } = match self.terms(tenant, &new) {
            Ok(terms) => terms,
            // what was accepted stays accepted, whatever became of its type since
            Err(refused) => return self.earlier(tenant, &new).await?.ok_or(refused),
        };
        let published = self.commit(self.accept(tenant, &new, numbers)?).await?;
        Ok(Published { warnings, ..published })
    }

    /// Has an event committed with all its deliveries.
    pub(super) async fn commit(&self, accept: Accept) -> Result<Published, PublishError> {
        let warnings = Vec::new();
        let (event, matched) = (accept.event.clone(), accept.matching.matched.len());
        let answer = self.inner.commits.accept(accept).map_err(|_| PublishError::Busy)?;
        failpoint!(Queued);
        let gone =
            || StoreError::Unavailable("the writer has ended; restart the server".to_owned());
        match answer.await.map_err(|_| gone())?? {
            Accepted::New => Ok(Published { event, matched, is_repeat: false, warnings }),
            Accepted::Repeat { first, matched } => {
                Ok(Published { event: first, matched, is_repeat: true, warnings })
            }
            Accepted::IdConflict => Err(PublishError::IdConflict),
        }
    }

    /// The event that was accepted with this id and content before.
    async fn earlier(
        &self,
        tenant: TenantKey,
        new: &NewEvent,
    ) -> Result<Option<Published>, StoreError> {
        let Some(id) = &new.id else { return Ok(None) };
        let first = self.store().event(tenant, id).await?.filter(|first| {
            first.given_id.as_deref() == Some(id)
                && first.event_type == new.event_type
                && new.occurred_at.is_none_or(|time| time == first.occurred_at)
                && data_of(first) == new.data
        });
        let Some(event) = first else { return Ok(None) };
        let matching = self.store().matching(event.matching).await?;
        let matched = matching.map_or(0, |matching| matching.matched.len());
        Ok(Some(Published { event, matched, is_repeat: true, warnings: Vec::new() }))
    }

    /// What the tenant's catalogue says about an event.
    fn terms(&self, tenant: TenantKey, new: &NewEvent) -> Result<Terms, PublishError> {
        let Some(known) = self.event_type(tenant, &new.event_type) else {
            // the server's own events are in no catalogue
            let is_accepted = new.event_type.is_reserved()
                || self.inner.parts.unknown_event_types == UnknownEventTypes::Accept;
            return if is_accepted { Ok(Terms::default()) } else { Err(PublishError::UnknownType) };
        };
        if known.archived_at().is_some() {
            return Err(PublishError::ArchivedType);
        }
        let warnings = match known.validation() {
            Validation::Off => Vec::new(),
            Validation::Warn => known.check(&new.data),
            Validation::Reject => match known.check(&new.data) {
                faults if faults.is_empty() => faults,
                faults => return Err(PublishError::Schema(faults)),
            },
        };
        Ok(Terms { numbers: known.large_integers(), warnings })
    }

    pub(super) fn accept(
        &self,
        tenant: TenantKey,
        new: &NewEvent,
        numbers: NumberPolicy,
    ) -> Result<Accept, FormError> {
        let now = self.now();
        let occurred_at = new.occurred_at.unwrap_or(now);
        let fanout = self.fanout(tenant, &new.event_type, (occurred_at, now), &new.data);
        failpoint!(Matched);
        let key: EventKey = self.next_key(now);
        let id = new.id.clone().unwrap_or_else(|| key.to_string());
        let bodies = bodies(new, &id, occurred_at, &fanout, numbers)?;
        let event = Event {
            key,
            tenant,
            given_id: new.id.as_deref().map(Into::into),
            event_type: new.event_type.clone(),
            occurred_at,
            bodies,
            numbers,
            matching: fanout.matching.key,
        };
        let fingerprint = if new.id.is_some() { fingerprint(new) } else { Fingerprint::default() };
        Ok(Accept { event: Arc::new(event), matching: fanout.matching.clone(), fingerprint })
    }
}

/// On which terms an event is accepted.
#[derive(Default)]
struct Terms {
    numbers: NumberPolicy,
    warnings: Vec<SchemaFault>,
}

/// The body in each form in use. Forms of the same bytes share them.
pub(super) fn bodies(
    new: &NewEvent,
    id: &str,
    occurred_at: UnixMs,
    fanout: &Fanout,
    numbers: NumberPolicy,
) -> Result<Bodies, FormError> {
    let make = |form| {
        let event_type = new.event_type.as_str();
        envelope(id, event_type, occurred_at, &new.data, form, numbers).map(Bytes::from)
    };
    let verbatim = make(BodyForm::Verbatim)?;
    let shared = |body: Bytes| if body == verbatim { verbatim.clone() } else { body };
    let ecma = fanout.needs_ecma.then(|| make(BodyForm::Ecma)).transpose()?.map(shared);
    let jcs = fanout.needs_jcs.then(|| make(BodyForm::Jcs)).transpose()?.map(shared);
    Ok(Bodies { verbatim, ecma, jcs })
}

fn is_valid_id(id: &str) -> bool {
    (1..=GIVEN_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// What two events with the same id are compared by.
pub(super) fn fingerprint(new: &NewEvent) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(new.event_type.as_str());
    hash.update(b"\0");
    if let Some(time) = new.occurred_at {
        hash.update(time.to_be_bytes());
    }
    hash.update(b"\0");
    hash.update(&new.data);
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(&hash.finalize()[..16]);
    fingerprint
}
