//! Choosing event types: all, those below a name, single ones, and whatever else one writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{Markup, html};

use crate::dashboard::elements::several;
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind, check};
use crate::dashboard::form::Form;
use crate::dashboard::visit::Visit;
use crate::engine::{
    DELIVERY_FAILED, KnownType, WEBHOOK_DISABLED, WEBHOOK_FAILING, WEBHOOK_RECOVERED,
};

/// What a webhook can be told about the delivery to others.
const OPERATIONAL: [(&str, &str); 4] = [
    (
        WEBHOOK_DISABLED,
        "A webhook was disabled: on request, because it is gone, or because it failed for too long.",
    ),
    (WEBHOOK_FAILING, "A webhook has failed several times in a row."),
    (WEBHOOK_RECOVERED, "A failing webhook has succeeded again."),
    (DELIVERY_FAILED, "A delivery failed and is not tried again."),
];

/// Event types under the name that they have in common.
struct Group {
    name: String,
    types: Vec<(String, String)>,
}

/// All patterns that a form asks for.
pub(super) fn chosen(form: &Form) -> Vec<&str> {
    let written = form.text("patterns").unwrap_or_default();
    let written = written.split([',', '\n', ' ', '\r', '\t']).filter(|text| !text.is_empty());
    let mut all: Vec<&str> = Vec::new();
    for pattern in form.all("events").chain(written) {
        if !all.contains(&pattern) {
            all.push(pattern);
        }
    }
    all
}

pub(super) fn show(visit: &Visit, form: &Form, faults: &Faults) -> Markup {
    let chosen = chosen(form);
    let has = |pattern: &str| chosen.contains(&pattern);
    let groups = groups(&visit.engine().event_types(visit.tenant_key()));
    let offered = |pattern: &&str| {
        *pattern == "*"
            || groups.iter().any(|group| {
                *pattern == format!("{}.*", group.name)
                    || group.types.iter().any(|(name, _)| name == pattern)
            })
    };
    let others: Vec<_> = chosen.iter().filter(|pattern| !offered(pattern)).copied().collect();
    let all = html! { strong { "All event types" }
    span.hint { "Also those that are made later; not the server's own." } };
    html! {
        fieldset.picker aria-describedby=[(!faults.at("events").is_empty()).then_some("events-fault")] {
            legend { "Event types" }
            (check("checkbox", "events", "*", has("*"), &all))
            @for group in &groups {
                (group.show(&has))
            }
            (faults.beside("events"))
        }
        (Field {
            name: "patterns",
            label: "Other event types",
            hint: html! { "Names or patterns such as " code { "code.*" } ", one on a line." },
            value: &others.join("\n"),
            kind: Kind::Lines(2),
        }.show(&Faults::default()))
    }
}

impl Group {
    fn show(&self, has: &impl Fn(&str) -> bool) -> Markup {
        let below = format!("{}.*", self.name);
        let is_open = has(&below) || self.types.iter().any(|(name, _)| has(name));
        let all = html! { code { (below) }
        span.hint { "Everything below " (self.name) ", also what is made later." } };
        html! {
            details.group open[is_open] {
                summary { strong { (self.name) } " " span.muted { (several(self.types.len() as u64, "type")) } }
                div.choices {
                    (check("checkbox", "events", &below, has(&below), &all))
                    @for (name, description) in &self.types {
                        @let label = html! { code { (name) } span.hint { (description) } };
                        (check("checkbox", "events", name, has(name), &label))
                    }
                }
            }
        }
    }
}

/// The catalogue without what is archived, and at its end what the server itself tells.
fn groups(catalogue: &[Arc<KnownType>]) -> Vec<Group> {
    let mut by_name: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    for known in catalogue.iter().filter(|known| known.archived_at().is_none()) {
        let name = known.name.as_str();
        let group = name.split('.').next().unwrap_or(name);
        let description = known.description().unwrap_or_default().to_owned();
        by_name.entry(group).or_default().push((name.to_owned(), description));
    }
    let own = OPERATIONAL.map(|(name, what)| (name.to_owned(), what.to_owned()));
    let own = Group { name: "postrider".to_owned(), types: own.into() };
    let groups = by_name.into_iter().map(|(name, types)| Group { name: name.to_owned(), types });
    groups.chain([own]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ticked_and_what_is_written_are_chosen_once() {
        let form = Form::parse(b"events=a.*&events=b&patterns=c%0Ab,+d.*%0D%0A").unwrap();
        assert_eq!(chosen(&form), ["a.*", "b", "c", "d.*"]);
    }
}
