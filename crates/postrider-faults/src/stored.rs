//! How the server's file says things stand, read when no server has it open.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use postrider_core::delivery::{Attempt, AttemptResult, DeliveryState, Happening};
use postrider_core::id::{EventKey, WebhookKey};
use postrider_sim::checker::{Delivery, ListedAttempt, State};
use postrider_store::{
    Counts, DeliveryStore as _, EventStore as _, MaintenanceStore as _, SqliteOptions, SqliteStore,
    WebhookStore as _,
};

use crate::publishers::TENANT;

/// As the server names it.
const DATABASE_FILE: &str = "postrider.db";
const PAGE: usize = 1_000;

/// All that the checker asks of a store.
#[derive(Debug)]
pub struct Stored {
    pub counts: Counts,
    /// Of the webhooks that were asked for.
    pub deliveries: Vec<Delivery>,
}

/// Reads how the deliveries of some webhooks stand. `schedule_ms` is theirs.
pub async fn read(data_dir: &Path, webhooks: &[String], schedule_ms: &[u64]) -> Stored {
    let store = SqliteStore::open(data_dir.join(DATABASE_FILE), SqliteOptions::default()).unwrap();
    let counts = store.counts().await.unwrap();
    let known = store.webhooks(None, PAGE).await.unwrap();
    let mut rows: BTreeMap<(EventKey, WebhookKey), Delivery> = BTreeMap::new();
    let mut fanouts = HashMap::new();
    let tenant = known.first().expect("the rig made webhooks").tenant;
    let mut before = None;
    loop {
        let page = store.events(tenant, before, PAGE).await.unwrap();
        for event in &page {
            if let Entry::Vacant(unread) = fanouts.entry(event.matching) {
                let matching = store.matching(event.matching).await.unwrap();
                unread.insert(matching.expect("it is stored").matched.clone());
            }
            let asked = |key: &&WebhookKey| webhooks.contains(&key.to_string());
            for &webhook in fanouts[&event.matching].iter().filter(asked) {
                let row = Delivery {
                    tenant: TENANT.to_owned(),
                    event: event.id().into_owned(),
                    webhook: webhook.to_string(),
                    state: State::Pending,
                    delays_ms: schedule_ms.to_vec(),
                    attempts: Vec::new(),
                };
                rows.insert((event.key, webhook), row);
            }
        }
        before = page.last().map(|event| event.key);
        if page.len() < PAGE {
            break;
        }
    }
    for webhook in known.iter().filter(|webhook| webhooks.contains(&webhook.key.to_string())) {
        let history = store.history_of_webhook(webhook.key, None, usize::MAX >> 8).await.unwrap();
        // newest first
        for entry in history.iter().rev() {
            let key = (entry.delivery.event, entry.delivery.webhook);
            let row = rows.get_mut(&key).expect("what has a history was matched");
            row.state = state(entry.standing.state());
            if let Happening::Attempt(attempt) = &entry.what {
                row.attempts.push(listed(attempt));
            }
        }
    }
    Stored { counts, deliveries: rows.into_values().collect() }
}

fn listed(attempt: &Attempt) -> ListedAttempt {
    let total_ms = i64::from(attempt.timing.total_us / 1_000);
    // an answer that broke off is none
    let is_whole = matches!(attempt.result, AttemptResult::Answered(_));
    ListedAttempt {
        number: attempt.number,
        is_manual: attempt.is_manual,
        started_at: attempt.started_at,
        ended_at: attempt.started_at + total_ms,
        status: attempt.result.status().filter(|_| is_whole),
        retry_after_ms: 0,
    }
}

fn state(state: DeliveryState) -> State {
    match state {
        DeliveryState::Pending => State::Pending,
        DeliveryState::Succeeded => State::Succeeded,
        DeliveryState::Failed => State::Failed,
        DeliveryState::Cancelled => State::Cancelled,
    }
}
