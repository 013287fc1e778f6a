//! What a webhook may have looked like at some moment, from what its changers were told.

use std::collections::BTreeMap;

use super::ledger::{Change, Moment, Setting};

pub(super) struct Settings<'a> {
    by_webhook: BTreeMap<&'a str, Vec<&'a Change>>,
    slack: Moment,
}

impl<'a> Settings<'a> {
    pub(super) fn new(changes: &'a [Change], slack: Moment) -> Self {
        let mut by_webhook: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for change in changes {
            by_webhook.entry(&change.webhook).or_default().push(change);
        }
        Self { by_webhook, slack }
    }

    pub(super) fn webhooks(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.by_webhook.keys().copied()
    }

    pub(super) fn of(&self, webhook: &str) -> &[&'a Change] {
        self.by_webhook.get(webhook).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn tenant_of(&self, webhook: &str) -> Option<&'a str> {
        self.of(webhook).first().map(|change| change.setting.tenant.as_str())
    }

    /// All settings that may have held at some moment between `from` and `until`: those of every
    /// change that had been asked for by then, unless a later one was acknowledged before.
    pub(super) fn during(&self, webhook: &str, from: Moment, until: Moment) -> Vec<&'a Setting> {
        let changes = self.of(webhook);
        let possible = changes.iter().filter(move |change| {
            let is_replaced = changes
                .iter()
                .any(|later| later.is_certain && later.asked > change.ended && later.ended <= from);
            change.asked <= until && !is_replaced
        });
        possible.map(|change| &change.setting).collect()
    }

    /// What an attempt may use that was seen at this moment.
    pub(super) fn at(&self, webhook: &str, moment: Moment) -> Vec<&'a Setting> {
        self.during(webhook, moment.saturating_sub(self.slack), moment)
    }
}
