//! Compares what clients were told and what receivers saw with how the server says things stand.
//!
//! Plain records in, violations out. It knows neither the simulator nor a store: tests that kill
//! the real server hand it the same records.
//!
//! *Moments* order what clients and receivers did; they only have to ascend (a counter, or true
//! milliseconds). *Times* are the server's own clock, which may jump.

mod attempts;
mod ledger;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use ledger::{
    Answer, Arrival, Change, Delivery, Ledger, ListedAttempt, Moment, Publish, Retry, Setting,
    State, digest,
};

use settings::Settings;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub detail: String,
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// An accepted event stands once for every webhook that it matched.
    NothingLost,
    /// And for no other, above all for none of another tenant.
    NothingStray,
    /// An id names one event.
    IdsNameOneEvent,
    /// `webhook-id` and body never change.
    ContentConstant,
    /// Attempts are numbered without gaps.
    AttemptsDense,
    /// None starts before its time.
    NoneEarly,
    /// None follows a success but those that somebody asked for.
    NoneAfterSuccess,
    /// An exhausted schedule was used up, and no more than that.
    WholeSchedule,
    /// Manual attempts are those that were asked for.
    ManualAsAsked,
    /// Every recorded answer was given, and every request is recorded or was cut off by a crash.
    RecordsAreTrue,
    /// Nothing is cancelled that nobody cancelled.
    CancelledAsAsked,
    /// No attempt that starts after an acknowledged change uses what was before.
    NothingStale,
    /// What can go on has come to an end.
    Settled,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// Everything that is wrong, in the order of the rules' checks.
pub fn check(ledger: &Ledger) -> Vec<Violation> {
    let mut check = Check {
        ledger,
        settings: Settings::new(&ledger.changes, ledger.slack),
        violations: Vec::new(),
    };
    check.publishes();
    check.deliveries();
    check.arrivals();
    check.violations
}

struct Check<'a> {
    ledger: &'a Ledger,
    settings: Settings<'a>,
    violations: Vec<Violation>,
}

/// Names one delivery: tenant, event, webhook.
type Name<'a> = (&'a str, &'a str, &'a str);

impl Check<'_> {
    fn report(&mut self, rule: Rule, detail: String) {
        self.violations.push(Violation { rule, detail });
    }

    /// What publishers were told against the deliveries that there are.
    fn publishes(&mut self) {
        let ledger = self.ledger;
        let mut rows: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for row in &ledger.deliveries {
            let of_event = rows.entry((&row.tenant, &row.event)).or_default();
            if !of_event.insert(&row.webhook) {
                let detail = format!("{} goes to {} twice", row.event, row.webhook);
                self.report(Rule::NothingStray, detail);
            }
        }
        let mut by_id: BTreeMap<(&str, &str), Vec<&Publish>> = BTreeMap::new();
        for publish in &ledger.publishes {
            let accepted = match &publish.answer {
                Answer::Accepted { id, .. } => Some(id),
                Answer::Conflict | Answer::Unknown => None,
            };
            if let Some(id) = accepted.or(publish.given_id.as_ref()) {
                by_id.entry((&publish.tenant, id)).or_default().push(publish);
            }
        }
        for (&(tenant, id), publishes) in &by_id {
            let matched = rows.get(&(tenant, id)).cloned().unwrap_or_default();
            self.event(tenant, id, publishes, &matched);
        }
        for (tenant, id) in rows.keys().filter(|name| !by_id.contains_key(*name)) {
            // An event without a given id whose publisher never heard of it.
            let is_unheard = ledger.publishes.iter().any(|publish| {
                publish.tenant == *tenant
                    && publish.given_id.is_none()
                    && publish.answer == Answer::Unknown
            });
            if !is_unheard {
                self.report(Rule::NothingStray, format!("nobody published {id} of {tenant}"));
            }
        }
    }

    /// All that was published under one id.
    fn event(&mut self, tenant: &str, id: &str, publishes: &[&Publish], rows: &BTreeSet<&str>) {
        let mut firsts = 0;
        let mut content = None;
        let mut told_until = None;
        for publish in publishes {
            match &publish.answer {
                Answer::Accepted { is_repeat, matched, .. } => {
                    firsts += u32::from(!is_repeat);
                    told_until = Some(told_until.map_or(publish.ended, |t| publish.ended.min(t)));
                    if *content.get_or_insert(publish.content) != publish.content {
                        let detail = format!("{id} of {tenant} was accepted with two contents");
                        self.report(Rule::IdsNameOneEvent, detail);
                    }
                    if *matched != rows.len() {
                        let rows = rows.len();
                        let detail = format!("{id}: told {matched} webhooks, there are {rows}");
                        self.report(Rule::NothingLost, detail);
                    }
                }
                Answer::Conflict => {
                    let has_other = publishes.iter().any(|other| {
                        other.content != publish.content && other.asked <= publish.ended
                    });
                    if !has_other {
                        let detail = format!("{id} of {tenant} conflicts with nothing");
                        self.report(Rule::IdsNameOneEvent, detail);
                    }
                }
                Answer::Unknown => {}
            }
        }
        if firsts > 1 {
            self.report(Rule::IdsNameOneEvent, format!("{id} of {tenant} was new {firsts} times"));
        }
        let from = publishes.iter().map(|publish| publish.asked).min().unwrap_or_default();
        let ends = publishes.iter().map(|publish| publish.ended);
        let until = told_until.or(ends.max()).unwrap_or_default();
        let types: BTreeSet<&str> = (publishes.iter())
            .filter(|publish| content.is_none_or(|content| content == publish.content))
            .map(|publish| publish.event_type.as_str())
            .collect();
        let wants = |webhook: &str| {
            let settings = self.settings.during(webhook, from, until);
            let wants = |setting: &Setting, event_type| {
                setting.tenant == tenant && setting.is_enabled && setting.wants(event_type)
            };
            let all = |event_type| settings.iter().all(|setting| wants(setting, event_type));
            let any = |event_type| settings.iter().any(|setting| wants(setting, event_type));
            (!settings.is_empty() && types.iter().copied().all(all), types.iter().copied().any(any))
        };
        let stray: Vec<_> = rows.iter().filter(|row| !wants(row).1).collect();
        let mut lost = Vec::new();
        if told_until.is_some() {
            let webhooks: Vec<&str> = self.settings.webhooks().collect();
            lost =
                webhooks.into_iter().filter(|name| !rows.contains(name) && wants(name).0).collect();
        }
        if !stray.is_empty() {
            self.report(Rule::NothingStray, format!("{id} of {tenant} goes to {stray:?}"));
        }
        if !lost.is_empty() {
            self.report(Rule::NothingLost, format!("{id} of {tenant} doesn't go to {lost:?}"));
        }
    }

    /// Each delivery's attempts, and whether it has come to an end.
    fn deliveries(&mut self) {
        let ledger = self.ledger;
        let gone: BTreeSet<&str> = (ledger.arrivals.iter())
            .filter(|arrival| arrival.answered == Some(410))
            .map(|arrival| arrival.webhook.as_str())
            .collect();
        for row in &ledger.deliveries {
            let retries: Vec<&Retry> = (ledger.retries.iter())
                .filter(|retry| retry.event == row.event && retry.webhook == row.webhook)
                .collect();
            attempts::check(row, &retries, &mut self.violations);
            let changes = self.settings.of(&row.webhook);
            // A receiver that is gone cancels its deliveries itself.
            let is_gone = gone.contains(row.webhook.as_str());
            let is_asked = is_gone || changes.iter().any(|change| change.cancels);
            if row.state == State::Cancelled && !is_asked {
                let detail = format!("{} to {} was cancelled by nobody", row.event, row.webhook);
                self.report(Rule::CancelledAsAsked, detail);
            }
            let last = self.settings.during(&row.webhook, Moment::MAX, Moment::MAX);
            let goes_on = last.iter().all(|setting| setting.is_enabled || setting.is_closed);
            if row.state == State::Pending && goes_on {
                let detail = format!("{} to {} is pending still", row.event, row.webhook);
                self.report(Rule::Settled, detail);
            }
        }
    }

    /// What receivers saw.
    fn arrivals(&mut self) {
        let ledger = self.ledger;
        let mut rows: BTreeMap<Name<'_>, &Delivery> = BTreeMap::new();
        for row in &ledger.deliveries {
            rows.insert((&row.tenant, &row.event, &row.webhook), row);
        }
        let contents: BTreeMap<(&str, &str), u64> = (ledger.publishes.iter())
            .filter_map(|publish| match &publish.answer {
                Answer::Accepted { id, .. } => {
                    Some(((publish.tenant.as_str(), id.as_str()), publish.content))
                }
                Answer::Conflict | Answer::Unknown => None,
            })
            .collect();
        let mut bodies: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut seen: BTreeMap<Name<'_>, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &ledger.arrivals {
            let Some(tenant) = self.settings.tenant_of(&arrival.webhook) else {
                self.report(Rule::NothingStray, format!("{} is unknown", arrival.webhook));
                continue;
            };
            let event = (tenant, arrival.event.as_str());
            let body = *bodies.entry(event).or_insert(arrival.body);
            let is_published = contents.get(&event).is_none_or(|&known| known == arrival.content);
            if body != arrival.body || !is_published {
                let detail = format!("{} came to {} changed", arrival.event, arrival.webhook);
                self.report(Rule::ContentConstant, detail);
            }
            let now = self.settings.at(&arrival.webhook, arrival.started);
            let is_current = now.iter().any(|setting| {
                setting.is_enabled && setting.url == arrival.url && setting.secret == arrival.secret
            });
            if !is_current {
                let detail = format!(
                    "{} to {} at {} used {} and {}",
                    arrival.event, arrival.webhook, arrival.started, arrival.url, arrival.secret
                );
                self.report(Rule::NothingStale, detail);
            }
            let name = (tenant, arrival.event.as_str(), arrival.webhook.as_str());
            if rows.contains_key(&name) {
                seen.entry(name).or_default().push(arrival);
            } else {
                let detail = format!("{} has no delivery to {}", arrival.event, arrival.webhook);
                self.report(Rule::NothingStray, detail);
            }
        }
        self.records(&rows, &seen);
    }

    /// What was recorded against what receivers saw.
    fn records(
        &mut self,
        rows: &BTreeMap<Name<'_>, &Delivery>,
        seen: &BTreeMap<Name<'_>, Vec<&Arrival>>,
    ) {
        let mut unrecorded = 0;
        for (name, row) in rows {
            let arrivals = seen.get(name).map(Vec::as_slice).unwrap_or_default();
            let statuses: BTreeSet<u16> =
                row.attempts.iter().filter_map(|attempt| attempt.status).collect();
            for status in statuses {
                let told = row.attempts.iter().filter(|a| a.status == Some(status)).count();
                let given = arrivals.iter().filter(|a| a.answered == Some(status)).count();
                if told > given {
                    let detail =
                        format!("{name:?}: {told} answers {status} recorded, {given} given");
                    self.report(Rule::RecordsAreTrue, detail);
                }
            }
            unrecorded += arrivals.len().saturating_sub(row.attempts.len());
        }
        if unrecorded > self.ledger.cut_off {
            let cut_off = self.ledger.cut_off;
            let detail = format!("{unrecorded} requests are not recorded, {cut_off} were cut off");
            self.report(Rule::RecordsAreTrue, detail);
        }
    }
}
