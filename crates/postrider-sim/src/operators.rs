//! Operators: they change webhooks and ask for retries, one change at a time as in
//! `engine/webhooks.rs`: stored, matched against, told to the dispatcher, acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use postrider_core::delivery::CancelReason;
use postrider_core::dispatcher::Input;
use postrider_core::event_type::Patterns;
use postrider_core::id::{KeyMaker, TenantKey, WebhookKey};
use postrider_core::lane::{Gate, LaneSettings};
use postrider_core::webhook::{DisabledReason, StoredSecret, Webhook, WebhookKind, WebhookState};
use postrider_store::WebhookStore as _;

use crate::checker::{Change, Moment, Setting};
use crate::plan::{EVENT_TYPES, START, moments, schedule};
use crate::process::{Live, RETRY_PAUSE_MS, Work};
use crate::rare::Rare;
use crate::receivers::Mood;
use crate::store_calls::{Fault, at_once};
use crate::world::{Action, World};

/// What somebody wants of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Disable,
    DisableAndCancel,
    Enable,
    Delete,
    Rotate,
    Move,
    /// Other bounds.
    Tune,
    /// The server's own: its receiver answered 410.
    Gone,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) webhook: WebhookKey,
    pub(crate) wish: Wish,
    pub(crate) asked: Moment,
}

/// A change that has begun.
#[derive(Debug)]
pub(crate) struct Changing {
    pub(crate) operation: Operation,
    pub(crate) webhook: Webhook,
}

impl World {
    /// Tenants and webhooks as they are before anything happens, and what will happen to them.
    pub(crate) fn set_up(&mut self) {
        let mut keys = KeyMaker::new(0, START - 1_000);
        self.tenants = (0..self.plan.tenants).map(|_| keys.next(START - 1_000)).collect();
        for index in 0..self.plan.webhooks {
            let webhook = self.webhook(keys.next(START - 1_000), index);
            self.moods.insert(webhook.key, Mood::Healthy);
            let operation = Operation { webhook: webhook.key, wish: Wish::Enable, asked: 0 };
            let stored = at_once(self.store.insert_webhook(webhook.clone()));
            stored.expect("keys of one maker are never equal");
            self.note_change(&Changing { operation, webhook }, true);
        }
        self.plan_publishes();
        let busy_ms = self.plan.busy_ms;
        for at in moments(&mut self.random, self.plan.operations, busy_ms) {
            self.agenda.plan(at, Action::Operate(None));
        }
        for at in moments(&mut self.random, self.plan.webhooks * 4, busy_ms) {
            self.agenda.plan(at, Action::Mood);
        }
        for at in moments(&mut self.random, self.plan.clock_jumps, busy_ms) {
            self.agenda.plan(at, Action::Jump);
        }
        self.agenda.plan(busy_ms + 100, Action::Quiet);
        self.start_process();
    }

    fn webhook(&mut self, key: WebhookKey, index: usize) -> Webhook {
        let tenant: TenantKey = self.tenants[index % self.tenants.len()];
        let patterns = if self.random.percent(50) {
            Patterns::all()
        } else {
            let wanted = self.random.pick(&EVENT_TYPES);
            Patterns::parse(&[wanted]).expect("the simulator's event types are valid")
        };
        Webhook {
            key,
            tenant,
            version: 1,
            kind: WebhookKind::Url,
            url: format!("https://r{index}.example/0"),
            patterns,
            filter: None,
            profile: "standard".to_owned(),
            description: None,
            metadata: BTreeMap::new(),
            headers: Vec::new(),
            timeout_ms: None,
            concurrency: Some(self.random.pick(&[1, 2, 4, 8])),
            rate_per_s: self.random.pick(self.plan.rates),
            schedule: Some(schedule(&mut self.random)),
            secrets: vec![StoredSecret { sealed: b"secret-0".to_vec(), live_until: None }],
            state: WebhookState::Enabled,
            disabled_at: None,
            created_at: START,
            updated_at: START,
        }
    }

    pub(crate) fn operate(&mut self, operation: Option<Operation>) {
        if self.process.is_none() {
            return;
        }
        if let Some(Operation { webhook, wish, .. }) = operation {
            let asked = self.tick();
            self.queue_change(Operation { webhook, wish, asked });
            return;
        }
        if self.random.percent(40) {
            let count = self.random.pick(&[1, 1, 1, 10]);
            (0..count).for_each(|_| self.ask_retry());
            return;
        }
        let mut webhooks: Vec<WebhookKey> = self.moods.keys().copied().collect();
        if !self.random.once_in(10) {
            webhooks = vec![self.random.pick(&webhooks)];
        }
        let wish = match self.random.below(20) {
            0..=3 => Wish::Disable,
            4..=6 => Wish::DisableAndCancel,
            7..=11 => Wish::Enable,
            12 if webhooks.len() == 1 => Wish::Delete,
            12..=14 => Wish::Rotate,
            15..=16 => Wish::Move,
            _ => Wish::Tune,
        };
        for webhook in webhooks {
            self.wish(webhook, wish);
        }
    }

    fn wish(&mut self, webhook: WebhookKey, wish: Wish) {
        let asked = self.tick();
        if wish == Wish::DisableAndCancel && self.random.percent(50) {
            // Somebody who only wants to be rid of what is pending.
            let enable = Operation { webhook, wish: Wish::Enable, asked };
            let after = self.random.between(1, 100);
            self.plan_after(after, Action::Operate(Some(enable)));
        }
        self.queue_change(Operation { webhook, wish, asked });
    }

    pub(crate) fn queue_change(&mut self, operation: Operation) {
        let Some(process) = &mut self.process else { return };
        process.changes.push_back(operation);
        self.next_change();
    }

    /// Begins the first change that need not wait, unless one runs.
    pub(crate) fn next_change(&mut self) {
        let Some(process) = &mut self.process else { return };
        if process.changing.is_some() {
            return;
        }
        let dispatcher = &process.dispatcher;
        let waits = |operation: &Operation| {
            operation.wish == Wish::Enable && dispatcher.is_cancelling(operation.webhook)
        };
        let next = process.changes.iter().position(|operation| !waits(operation));
        if next != Some(0) && !process.changes.is_empty() {
            self.rare.meet(Rare::EnableWaits);
        }
        let Some(operation) = next.and_then(|index| process.changes.remove(index)) else { return };
        let live = process.registry.get(&operation.webhook).cloned();
        let webhook = live.and_then(|live| self.changed(operation.wish, &live.webhook));
        self.note(format_args!("{operation:?}: {}", webhook.is_some()));
        let Some(webhook) = webhook else {
            self.next_change();
            return;
        };
        if let Some(process) = &mut self.process {
            process.changing = Some(Changing { operation, webhook });
        }
        let after = self.store_delay();
        self.plan_work(after, Work::StoreChange);
    }

    /// The webhook that a wish makes of another; `None` where it is refused.
    fn changed(&mut self, wish: Wish, before: &Webhook) -> Option<Webhook> {
        let mut webhook = before.clone();
        if before.state == WebhookState::Deleted {
            return None;
        }
        match wish {
            Wish::Enable => webhook.state = WebhookState::Enabled,
            Wish::Disable | Wish::DisableAndCancel => {
                if before.state == WebhookState::Enabled {
                    webhook.state = WebhookState::Disabled(DisabledReason::Requested);
                }
            }
            Wish::Delete => webhook.state = WebhookState::Deleted,
            Wish::Gone if before.state == WebhookState::Enabled && self.is_gone(before) => {
                webhook.state = WebhookState::Disabled(DisabledReason::Gone);
            }
            Wish::Gone => return None,
            Wish::Rotate => {
                let sealed = format!("secret-{}", before.version).into_bytes();
                webhook.secrets.insert(0, StoredSecret { sealed, live_until: None });
            }
            Wish::Move => {
                let (host, _) = before.url.rsplit_once('/')?;
                webhook.url = format!("{host}/{}", before.version);
            }
            Wish::Tune => {
                webhook.concurrency = Some(self.random.pick(&[1, 2, 4, 8]));
                webhook.rate_per_s = self.random.pick(self.plan.rates);
            }
        }
        webhook.version += 1;
        webhook.updated_at = self.wall();
        Some(webhook)
    }

    /// Whether the receiver that a webhook leads to said that it is gone.
    fn is_gone(&self, webhook: &Webhook) -> bool {
        let gone = self.process.as_ref().and_then(|process| process.gone.get(&webhook.key));
        gone == Some(&webhook.url)
    }

    pub(crate) fn store_change(&mut self) {
        if self.dies() {
            return;
        }
        let Some(changing) = self.process.as_ref().and_then(|process| process.changing.as_ref())
        else {
            return;
        };
        let webhook = changing.webhook.clone();
        let fault = self.fault();
        if fault != Fault::Fails
            && let Err(error) = at_once(self.store.update_webhook(webhook))
        {
            self.break_off(format!("a webhook's only changer is told: {error}"));
            return;
        }
        if fault == Fault::Fails {
            self.meet(Rare::ChangeFailed);
        }
        // A store that can't say whether it wrote a webhook ends its process, which reads it anew.
        if fault == Fault::Unknown || self.dies_now() {
            self.meet(Rare::CrashWhileChanging);
            self.crash();
            return;
        }
        self.plan_answer(Work::ChangeStored { is_stored: fault == Fault::None });
    }

    pub(crate) fn change_stored(&mut self, is_stored: bool) {
        let Some(process) = &mut self.process else { return };
        if let Some(changing) = process.changing.take() {
            let Operation { webhook, wish, .. } = changing.operation;
            if is_stored {
                self.tell_change(changing);
            } else {
                self.note_change(&changing, false);
                if wish == Wish::Gone {
                    let asked = self.tick();
                    let again = Operation { webhook, wish, asked };
                    self.plan_work(RETRY_PAUSE_MS, Work::Change(again));
                }
            }
        }
        self.next_change();
    }

    /// Lets everybody know of a stored change, and then acknowledges it.
    fn tell_change(&mut self, changing: Changing) {
        let live = Arc::new(Live::new(changing.webhook.clone()));
        let key = live.webhook.key;
        let cancels = changing.operation.wish == Wish::DisableAndCancel;
        let is_told_late = crate::mutated!("acknowledged before it is told");
        if is_told_late && !cancels {
            self.acknowledge(&changing);
        }
        if let Some(process) = &mut self.process {
            process.fanouts.clear();
            process.registry.insert(key, live.clone());
            process.watch.tuned(key);
            // Until it is told, or dead, it is neither acknowledged nor refused.
            process.unacknowledged.push(changing);
        }
        if is_told_late {
            return;
        }
        let mut inputs = vec![Input::Configured(live.lane.clone())];
        if cancels {
            let gate = Gate::Closed(CancelReason::WebhookDisabled);
            let closed = LaneSettings { gate, ..(*live.lane).clone() };
            inputs.push(Input::Configured(Arc::new(closed)));
        }
        self.tell_all(inputs);
    }

    pub(crate) fn acknowledge(&mut self, changing: &Changing) {
        self.note_change(changing, changing.operation.wish != Wish::Gone);
    }

    pub(crate) fn note_change(&mut self, changing: &Changing, is_certain: bool) {
        let Changing { operation, webhook } = changing;
        self.note(format_args!("changed {operation:?} {is_certain}"));
        let wants = (EVENT_TYPES.iter())
            .filter(|text| text.parse().is_ok_and(|name| webhook.patterns.matches(&name)))
            .map(|text| (*text).to_owned())
            .collect();
        let setting = Setting {
            tenant: webhook.tenant.to_string(),
            url: webhook.url.clone(),
            secret: Live::new(webhook.clone()).secret(),
            wants: Some(wants),
            is_enabled: webhook.state == WebhookState::Enabled,
            is_closed: matches!(
                webhook.state,
                WebhookState::Deleted | WebhookState::Disabled(DisabledReason::Gone)
            ),
        };
        let change = Change {
            webhook: webhook.key.to_string(),
            asked: operation.asked,
            ended: self.tick(),
            is_certain,
            cancels: matches!(operation.wish, Wish::DisableAndCancel | Wish::Delete | Wish::Gone),
            setting,
        };
        self.books.ledger.changes.push(change);
    }
}
