//! That something changed in a tenant, for pages that are looked at meanwhile.
//!
//! It says no more than "look again", and nothing at all of a tenant that nobody watches.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use postrider_core::id::{TenantKey, WebhookKey};
use tokio::sync::watch;

use super::{Engine, lock};

/// Who watches which tenant.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Whether anybody watches: what is asked at each outcome.
    is_watched: AtomicBool,
    watched: Mutex<HashMap<TenantKey, watch::Sender<()>>>,
}

/// Somebody who watches a tenant until it is dropped.
#[derive(Debug)]
pub struct Watching {
    receiver: watch::Receiver<()>,
}

impl Changes {
    /// Notes that an event, a delivery, a webhook or a replay of the tenant changed.
    pub(super) fn note(&self, tenant: TenantKey) {
        if !self.is_watched() {
            return;
        }
        let mut watched = lock(&self.watched);
        if let Some(sender) = watched.get(&tenant)
            && sender.send(()).is_err()
        {
            watched.remove(&tenant);
            self.is_watched.store(!watched.is_empty(), Ordering::Relaxed);
        }
    }

    fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    fn watch(&self, tenant: TenantKey) -> Watching {
        let mut watched = lock(&self.watched);
        self.is_watched.store(true, Ordering::Relaxed);
        let sender = watched.entry(tenant).or_insert_with(|| watch::Sender::new(()));
        Watching { receiver: sender.subscribe() }
    }
}

impl Engine {
    /// Notes a change of a webhook or of one of its deliveries.
    pub(super) fn note_change_of(&self, webhook: WebhookKey) {
        let changes = &self.inner.changes;
        if changes.is_watched()
            && let Some(live) = self.inner.registry.get(webhook)
        {
            changes.note(live.webhook.tenant);
        }
    }

    /// Watches what changes in a tenant from now on.
    pub fn watch_changes(&self, tenant: TenantKey) -> Watching {
        self.inner.changes.watch(tenant)
    }
}

impl Watching {
    /// Whether anything changed since this was last asked.
    pub fn take_change(&mut self) -> bool {
        let has_changed = self.receiver.has_changed().unwrap_or(false);
        if has_changed {
            self.receiver.mark_unchanged();
        }
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::id::Key as _;

    #[test]
    fn only_the_watched_tenant_is_told_of() {
        let changes = Changes::default();
        let (own, other) = (TenantKey::from_raw(1), TenantKey::from_raw(2));
        let mut watching = changes.watch(own);
        changes.note(other);
        assert!(!watching.take_change());
        changes.note(own);
        changes.note(own);
        assert!(watching.take_change());
        assert!(!watching.take_change());
    }

    #[test]
    fn a_tenant_that_nobody_watches_any_more_is_forgotten() {
        let changes = Changes::default();
        let tenant = TenantKey::from_raw(1);
        drop(changes.watch(tenant));
        changes.note(tenant);
        assert!(lock(&changes.watched).is_empty());
        assert!(!changes.is_watched());
    }
}
