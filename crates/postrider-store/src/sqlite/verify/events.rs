//! Each event with all of its fan-out: bodies, ids, tenants, and how each delivery came to stand
//! as it does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use postrider_core::delivery::{Happening, HistoryEntry, Standing, Waiting};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, EventKey, HistoryKey, Key, UnixMs, WebhookKey};
use postrider_core::matching::Matching;
use postrider_core::schedule::RetrySchedule;
use postrider_core::webhook::{Webhook, WebhookState};
use rusqlite::OptionalExtension;

use super::{Look, attempts};
use crate::bucket::Bucket;
use crate::sqlite::failure::Outcome;
use crate::sqlite::view::{View, key, sql, sql_limit};
use crate::sqlite::{pending, queries, webhooks};
use crate::verification::ViolationKind;

/// Webhooks held in memory; beyond it they are read anew.
const WEBHOOKS_KNOWN_MAX: usize = 16_384;

/// Events read at a time.
const EVENTS_AT_ONCE: usize = 64;

/// Where the entries of a delivery are, ascending.
type Places = BTreeMap<WebhookKey, Vec<(Bucket, HistoryKey)>>;

pub(super) fn all(look: &mut Look<'_>) -> Outcome<()> {
    let mut walk = Walk::new(look)?;
    let live: Vec<Bucket> = walk.look.view.live.keys().copied().collect();
    for n in live {
        let done = walk.table(&format!("event_{n}"), false);
        walk.look.or_unreadable(&format!("events of bucket {n}"), done)?;
        let done = walk.strays(n);
        walk.look.or_unreadable(&format!("history of bucket {n}"), done)?;
    }
    walk.table("event_kept", true)
}

struct Walk<'a, 'b> {
    look: &'a mut Look<'b>,
    /// What is in no index yet, by event, ascending.
    tails: HashMap<EventKey, Vec<(Bucket, WebhookKey, HistoryKey)>>,
    /// The last matching: events that follow each other most often share one.
    matching: Option<Arc<Matching>>,
    webhooks: HashMap<WebhookKey, Option<Arc<Webhook>>>,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(look: &'a mut Look<'b>) -> Outcome<Self> {
        let mut tails: HashMap<_, Vec<_>> = HashMap::new();
        for (&n, marks) in look.view.live {
            let mut statement = look.view.connection.prepare(&queries::history_tail(n))?;
            let mut rows = statement.query([marks.history])?;
            while let Some(row) = rows.next()? {
                let entry = (n, key(row.get(1)?), key(row.get(2)?));
                tails.entry(key(row.get(0)?)).or_default().push(entry);
            }
        }
        Ok(Self { look, tails, matching: None, webhooks: HashMap::new() })
    }

    fn table(&mut self, table: &str, is_kept: bool) -> Outcome<()> {
        let query = format!("SELECT key FROM {table} WHERE key > ?1 ORDER BY key LIMIT ?2");
        let mut after = -1;
        loop {
            let connection = self.look.view.connection;
            let mut statement = connection.prepare_cached(&query)?;
            let keys: Vec<i64> = statement
                .query_map((after, sql_limit(EVENTS_AT_ONCE)), |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let Some(&last) = keys.last() else {
                return Ok(());
            };
            after = last;
            for event in keys {
                self.look.row()?;
                let done = self.event(key(event), is_kept);
                self.look.or_unreadable(&key::<EventKey>(event), done)?;
            }
        }
    }

    fn event(&mut self, event: EventKey, is_kept: bool) -> Outcome<()> {
        let Some(event) = self.look.view.event_by_key(event)? else {
            return Ok(());
        };
        self.look.checked.events += 1;
        self.bodies(&event);
        self.given_id(&event)?;
        let matching = match self.matching.take() {
            Some(last) if last.key == event.matching => last,
            _ => Arc::new(self.look.view.matching_of(&event)?),
        };
        let targets = self.look.view.targets(&event, &matching.matched)?;
        self.matching = Some(matching);
        let kept = self.look.view.kept_standings(
            event.key,
            WebhookKey::from_raw(0),
            WebhookKey::from_raw(u64::MAX >> 1),
        )?;
        let mut places = self.places(event.key)?;
        let mut pending = 0;
        let mut last = None;
        for target in targets {
            let delivery = DeliveryKey { event: event.key, webhook: target.webhook };
            if last.replace(target.webhook) == Some(target.webhook) {
                let detail = "it is in the matching too";
                self.look.violation(ViolationKind::FanOutTwice, &delivery, detail);
                continue;
            }
            let begins = kept.get(&target.webhook).copied();
            let begins = begins.unwrap_or_else(|| Standing::accepted(target.since));
            let entries = places.remove(&target.webhook).unwrap_or_default();
            pending += self.delivery(&event, delivery, begins, &entries)?;
        }
        for (webhook, entries) in places {
            let delivery = DeliveryKey { event: event.key, webhook };
            let detail = format!("{} entries, {} the first", entries.len(), entries[0].1);
            self.look.violation(ViolationKind::HistoryWithoutDelivery, &delivery, detail);
        }
        if is_kept { self.kept(&event, pending) } else { Ok(()) }
    }

    fn bodies(&mut self, event: &Event) {
        let bodies = &event.bodies;
        let made = [Some(&bodies.verbatim), bodies.ecma.as_ref(), bodies.jcs.as_ref()];
        if made.into_iter().flatten().any(Bytes::is_empty) {
            self.look.violation(ViolationKind::BodyMissing, &event.key, "a body of no bytes");
        }
    }

    fn given_id(&mut self, event: &Event) -> Outcome<()> {
        let Some(given) = &event.given_id else {
            return Ok(());
        };
        let found = self.look.view.event_by_given_id(event.tenant, given)?;
        if found.as_ref().is_none_or(|(found, _)| found.key != event.key) {
            let detail = match found {
                Some((other, _)) => format!("the id {given} leads to {}", other.key),
                None => format!("the id {given} leads nowhere"),
            };
            self.look.violation(ViolationKind::IdLost, &event.key, detail);
        }
        Ok(())
    }

    /// Where what happened to an event's deliveries is.
    fn places(&self, event: EventKey) -> Outcome<Places> {
        let view = self.look.view;
        let mut places = Places::new();
        for (&n, marks) in view.live.range(view.buckets.of(event)..) {
            let query = format!(
                "SELECT webhook, history FROM history_by_delivery_{n} \
                 WHERE event = ?1 AND history <= ?2"
            );
            let mut statement = view.connection.prepare_cached(&query)?;
            let mut rows = statement.query((sql(event), marks.history))?;
            while let Some(row) = rows.next()? {
                places.entry(key(row.get(0)?)).or_default().push((n, key(row.get(1)?)));
            }
        }
        for &(n, webhook, entry) in self.tails.get(&event).into_iter().flatten() {
            places.entry(webhook).or_default().push((n, entry));
        }
        for entries in places.values_mut() {
            entries.sort_unstable_by_key(|&(_, entry)| entry);
        }
        Ok(places)
    }

    /// 1 when it is pending.
    fn delivery(
        &mut self,
        event: &Event,
        delivery: DeliveryKey,
        begins: Standing,
        entries: &[(Bucket, HistoryKey)],
    ) -> Outcome<i64> {
        self.look.checked.deliveries += 1;
        let webhook = self.webhook(delivery.webhook)?;
        if let Some(webhook) = &webhook
            && webhook.tenant != event.tenant
        {
            let detail = format!("{} of {}", event.tenant, webhook.tenant);
            self.look.violation(ViolationKind::WrongTenant, &delivery, detail);
        }
        let mut stands = begins;
        for &(n, entry) in entries {
            self.look.row()?;
            let entry = self.look.view.entry(n, entry, delivery)?;
            self.look.checked.history += 1;
            let attempts_max = attempts_max(webhook.as_deref(), &entry);
            self.look.checked.attempts += u64::from(matches!(entry.what, Happening::Attempt(_)));
            for (kind, detail) in attempts::broken(&stands, &entry, attempts_max) {
                self.look.violation(kind, &delivery, detail);
            }
            stands = entry.standing;
        }
        match &stands {
            Standing::Final { .. } => Ok(0),
            Standing::Pending(waiting) => self.pending(delivery, waiting),
        }
    }

    fn pending(&mut self, delivery: DeliveryKey, waiting: &Waiting) -> Outcome<i64> {
        if pending::is_there(self.look.view.connection, delivery, waiting)? {
            self.look.checked.pending += 1;
            return Ok(1);
        }
        let detail = format!("attempt {} is due", waiting.progress.attempts + 1);
        self.look.violation(ViolationKind::PendingMissing, &delivery, detail);
        Ok(0)
    }

    fn webhook(&mut self, webhook: WebhookKey) -> Outcome<Option<Arc<Webhook>>> {
        if let Some(known) = self.webhooks.get(&webhook) {
            return Ok(known.clone());
        }
        if self.webhooks.len() >= WEBHOOKS_KNOWN_MAX {
            self.webhooks.clear();
        }
        let found = webhooks::stored(self.look.view.connection, webhook)?.map(Arc::new);
        self.webhooks.insert(webhook, found.clone());
        Ok(found)
    }

    fn kept(&mut self, event: &Event, pending: i64) -> Outcome<()> {
        let query = "SELECT pending FROM event_kept WHERE key = ?1";
        let mut statement = self.look.view.connection.prepare_cached(query)?;
        let counted: Option<i64> =
            statement.query_row([sql(event.key)], |row| row.get(0)).optional()?;
        if counted.is_some_and(|counted| counted != pending) {
            let detail = format!("{} counted, {pending} there", counted.unwrap_or_default());
            self.look.violation(ViolationKind::KeptMiscounted, &event.key, detail);
        }
        Ok(())
    }

    /// Entries of a bucket about events that should be there and are not. Those of events that
    /// retention took may stay longer than these.
    fn strays(&mut self, n: Bucket) -> Outcome<()> {
        let view = self.look.view;
        let query = format!("SELECT key, event, webhook FROM history_{n}");
        let mut statement = view.connection.prepare(&query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.look.row()?;
            let entry: HistoryKey = key(row.get(0)?);
            let delivery = DeliveryKey { event: key(row.get(1)?), webhook: key(row.get(2)?) };
            let bucket = view.buckets.of(delivery.event);
            if bucket < view.kept_below || has_event(&view, bucket, delivery.event)? {
                continue;
            }
            let detail = format!("{entry} is of an event that is not there");
            self.look.violation(ViolationKind::HistoryWithoutDelivery, &delivery, detail);
        }
        Ok(())
    }
}

fn has_event(view: &View<'_>, bucket: Bucket, event: EventKey) -> Outcome<bool> {
    if !view.live.contains_key(&bucket) {
        return Ok(false);
    }
    let query = format!("SELECT 1 FROM event_{bucket} WHERE key = ?1");
    let mut statement = view.connection.prepare_cached(&query)?;
    Ok(statement.exists([sql(event)])?)
}

/// How many scheduled attempts a delivery has, as far as the store shows: by the webhook's own
/// schedule or that of a built-in profile, and only where the webhook was not changed since.
fn attempts_max(webhook: Option<&Webhook>, entry: &HistoryEntry) -> Option<usize> {
    let webhook = webhook?;
    if webhook.state == WebhookState::Deleted || webhook.updated_at > began_at(entry)? {
        return None;
    }
    if let Some(schedule) = &webhook.schedule {
        return Some(schedule.attempts_max());
    }
    match &*webhook.profile {
        "standard" | "autonoma" => Some(RetrySchedule::standard().attempts_max()),
        "automa" => Some(RetrySchedule::automa().attempts_max()),
        _ => None,
    }
}

fn began_at(entry: &HistoryEntry) -> Option<UnixMs> {
    match &entry.what {
        Happening::Attempt(attempt) => Some(attempt.started_at),
        Happening::Cancelled { .. } | Happening::RetryRequested { .. } => None,
    }
}
