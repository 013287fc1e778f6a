//! Which deliveries are looked for: read from a page's address, written into it, and chosen in a
//! form.

use maud::{Markup, html};
use postrider_core::delivery::{DeliveryState, ErrorClass};
use postrider_core::id::UnixMs;
use postrider_signature::timestamp;
use postrider_store::{DeliveryFilter, StatusClass};

use crate::api::delivery_list::read_filter;
use crate::dashboard::delivery_table;
use crate::dashboard::visit::Visit;
use crate::engine::ReplayRequest;
use crate::http::query::Query;
use crate::meaning;

/// Webhooks that can be chosen from a list; where there are more, an id is typed.
const WEBHOOKS_LISTED_MAX: usize = 100;

const STATUS_CLASSES: [(&str, &str); 6] = [
    ("2xx", "2xx success"),
    ("3xx", "3xx redirect"),
    ("4xx", "4xx refused"),
    ("5xx", "5xx failed"),
    ("1xx", "1xx"),
    ("none", "no answer"),
];

/// What is looked for.
#[derive(Clone, Debug)]
pub(in crate::dashboard::pages) struct Wanted {
    pub(super) filter: DeliveryFilter,
    pub(super) event_id: Option<String>,
}

impl Wanted {
    pub(super) fn read(query: &mut Query) -> Self {
        let (filter, event_id) = read_filter(query);
        Self { filter, event_id }
    }

    /// All of it in one text, for cursors to be bound to.
    pub(super) fn told(&self) -> String {
        format!("{:?} {:?}", self.filter, self.event_id)
    }

    pub(super) fn is_everything(&self) -> bool {
        self.filter == DeliveryFilter::all() && self.event_id.is_none()
    }

    /// The state, where one is chosen.
    pub(super) fn state(&self) -> Option<DeliveryState> {
        match *self.filter.states.as_slice() {
            [state] => Some(state),
            _ => None,
        }
    }

    /// Pending ones are on their way already, and those of one event are retried one by one.
    pub(super) fn is_retriable(&self) -> bool {
        self.state() != Some(DeliveryState::Pending) && self.event_id.is_none()
    }

    /// What is retried: of no state in particular, what failed.
    pub(super) fn request(&self) -> ReplayRequest {
        let DeliveryFilter { webhook, types, after, before, status, error, .. } =
            self.filter.clone();
        ReplayRequest {
            webhook,
            since: after,
            until: before,
            types,
            states: vec![self.state().unwrap_or(DeliveryState::Failed)],
            missed: false,
            status,
            error,
        }
    }

    /// By their names in an address.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let filter = &self.filter;
        let types = filter.types.as_ref().and_then(|types| types.as_slice().first());
        let time = |at: Option<UnixMs>| at.map(timestamp::format_ms);
        [
            ("state", self.state().map(|state| state.name().to_owned())),
            ("webhook_id", filter.webhook.map(|webhook| webhook.to_string())),
            ("event_type", types.map(ToString::to_string)),
            ("status_class", filter.status.map(|class| status_name(class).to_owned())),
            ("error_class", filter.error.map(|class| meaning::by_class(class).class.to_owned())),
            ("event_id", self.event_id.clone()),
            ("after", time(filter.after)),
            ("before", time(filter.before)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// The same as an address has it, with the question mark; empty where there are none.
    pub(super) fn query(&self) -> String {
        let parameters = self.parameters();
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

fn status_name(class: StatusClass) -> &'static str {
    match class {
        StatusClass::Hundreds(1) => "1xx",
        StatusClass::Hundreds(2) => "2xx",
        StatusClass::Hundreds(3) => "3xx",
        StatusClass::Hundreds(4) => "4xx",
        StatusClass::Hundreds(_) => "5xx",
        StatusClass::NoAnswer => "none",
    }
}

/// The form that filters the list. Its fields are what the address says.
pub(super) fn form(visit: &Visit, wanted: &Wanted) -> Markup {
    let filter = &wanted.filter;
    let states = DeliveryState::ALL.map(|state| (state.name().to_owned(), state.name().to_owned()));
    let statuses = STATUS_CLASSES.map(|(name, words)| (name.to_owned(), words.to_owned()));
    let classes = ErrorClass::ALL.map(|class| {
        let name = meaning::by_class(class).class;
        (name.to_owned(), delivery_table::words(name))
    });
    let state = wanted.state().map(DeliveryState::name);
    let types = filter.types.as_ref().and_then(|types| types.as_slice().first());
    let error = filter.error.map(|class| meaning::by_class(class).class);
    html! {
        form.filters method="get" action=(visit.href("/deliveries")) role="search" aria-label="Filter deliveries" {
            (choice("state", "State", "any", &states, state))
            (webhook(visit, wanted))
            label { "Event type"
                input name="event_type" value=[types] placeholder="code.*" list="event-types" maxlength="128"
                    autocomplete="off" spellcheck="false";
            }
            (event_types(visit))
            (choice("status_class", "Answer", "any", &statuses, filter.status.map(status_name)))
            (choice("error_class", "Error", "any", &classes, error))
            label { "Event id"
                input name="event_id" value=[wanted.event_id.as_deref()] maxlength="128" autocomplete="off" spellcheck="false";
            }
            (time_field("after", "From (UTC)", filter.after))
            (time_field("before", "Until (UTC)", filter.before))
            button type="submit" { "Filter" }
            @if !wanted.is_everything() { a.button href=(visit.href("/deliveries")) { "Clear" } }
        }
    }
}

fn webhook(visit: &Visit, wanted: &Wanted) -> Markup {
    let chosen = wanted.filter.webhook.map(|webhook| webhook.to_string());
    let limit = WEBHOOKS_LISTED_MAX + 1;
    let webhooks = visit.engine().webhooks(visit.tenant_key(), None, limit, |_| true);
    let listed: Vec<_> = (webhooks.iter())
        .map(|live| (live.webhook.key.to_string(), live.webhook.url.clone()))
        .collect();
    let is_listed = |id: &String| listed.iter().any(|(listed, _)| listed == id);
    if listed.len() > WEBHOOKS_LISTED_MAX || chosen.as_ref().is_some_and(|id| !is_listed(id)) {
        return html! {
            label { "Webhook"
                input name="webhook_id" value=[chosen] placeholder="wh_…" maxlength="64"
                    autocomplete="off" spellcheck="false";
            }
        };
    }
    choice("webhook_id", "Webhook", "any", &listed, chosen.as_deref())
}

/// The tenant's event types, to complete what is typed.
pub(in crate::dashboard::pages) fn event_types(visit: &Visit) -> Markup {
    html! {
        datalist id="event-types" {
            @for known in visit.engine().event_types(visit.tenant_key()) {
                option value=(known.name.as_str()) {}
            }
        }
    }
}

/// A field of a list: `none` stands for no choice.
fn choice(
    name: &str,
    label: &str,
    none: &str,
    options: &[(String, String)],
    chosen: Option<&str>,
) -> Markup {
    html! {
        label { (label)
            select name=(name) {
                option value="" { (none) }
                @for (value, words) in options {
                    option value=(value) selected[chosen == Some(value)] { (words) }
                }
            }
        }
    }
}

/// A field for a time, as browsers have it: without a zone.
pub(in crate::dashboard::pages) fn time_field(
    name: &str,
    label: &str,
    at: Option<UnixMs>,
) -> Markup {
    let text = at.map(timestamp::format_ms);
    let text = text.as_ref().map(|text| text.trim_end_matches('Z').trim_end_matches(".000"));
    html! {
        label { (label)
            input type="datetime-local" name=(name) value=[text] step="any" max="9999-12-31T23:59";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_is_written_back_into_it() {
        let query = "?state=failed&webhook_id=wh_0000000000001&event_type=code.*&status_class=5xx\
                     &event_id=a-1&after=2026-01-02T03%3A04%3A05.006Z";
        let read = |query: &str| Wanted::read(&mut Query::of_page(query.trim_start_matches('?')));
        let told = read(query).query();
        assert_eq!(read(&told).told(), read(query).told(), "{told}");
        assert_eq!(read("").query(), "");
        assert!(read("").is_everything() && !read(query).is_everything());
    }

    #[test]
    fn what_failed_is_retried_where_no_state_is_chosen() {
        let read = |query: &str| Wanted::read(&mut Query::of_page(query));
        assert_eq!(read("").request().states, [DeliveryState::Failed]);
        assert_eq!(read("state=cancelled").request().states, [DeliveryState::Cancelled]);
        let error = read("error_class=timeout").request().error;
        assert_eq!(error, Some(ErrorClass::Timeout));
        assert!(!read("state=pending").is_retriable() && !read("event_id=a").is_retriable());
    }
}
