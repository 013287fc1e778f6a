//! The form of a webhook: what it asks, and the JSON that says the same to what the API reads.

use maud::{Markup, html};
use postrider_signature::BodyForm;
use serde_json::{Map, Value};

use super::picker;
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind, check};
use crate::dashboard::form::Form;
use crate::dashboard::visit::Visit;
use crate::engine::{HIDDEN_VALUE, LiveWebhook};
use crate::profile::{Profile, Profiles};

/// What the form tells beside its fields.
pub(super) const FIELDS: [&str; 12] = [
    "url",
    "description",
    "profile",
    "events",
    "filter",
    "headers",
    "secret",
    "signing_key",
    "timeout_ms",
    "concurrency",
    "rate_limit",
    "retry_schedule",
];
/// What is read as a number where it is one.
const NUMBERS: [&str; 3] = ["timeout_ms", "concurrency", "rate_limit"];

/// What a webhook's form is about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    New,
    Present(&'a LiveWebhook),
}

/// A form of a webhook, as it was sent or as the webhook is.
pub(super) struct WebhookForm<'a> {
    pub(super) visit: &'a Visit,
    pub(super) subject: Subject<'a>,
    pub(super) form: &'a Form,
    pub(super) faults: &'a Faults,
    /// What the filter said of a past event.
    pub(super) trial: Markup,
}

impl WebhookForm<'_> {
    pub(super) fn show(&self) -> Markup {
        let Self { visit, form, faults, .. } = self;
        let text = |name| form.text(name).unwrap_or_default();
        let (action, word) = match self.subject {
            Subject::New => (visit.href("/webhooks/new"), "Create webhook"),
            Subject::Present(live) => {
                (visit.href(format_args!("/webhooks/{}/edit", live.webhook.key)), "Save")
            }
        };
        html! {
            form.form.card method="post" action=(action) {
                // what Enter presses: the first button of a form
                button.hidden type="submit" tabindex="-1" aria-hidden="true" { (word) }
                (faults.above(&FIELDS))
                (Field { name: "url", label: "URL", value: text("url"), kind: Kind::Required,
                    hint: html! { "Where events are sent by POST." } }.show(faults))
                (Field { name: "description", label: "Description", value: text("description"),
                    kind: Kind::Line, hint: html! { "For people; optional." } }.show(faults))
                (picker::show(visit, form, faults))
                (self.filter())
                (self.profiles())
                @if let Subject::New = self.subject { (self.secret()) }
                (self.headers())
                (self.settings())
                div.row {
                    button.primary type="submit" { (word) }
                    a.button href=(self.back()) { "Cancel" }
                }
            }
        }
    }

    fn back(&self) -> String {
        match self.subject {
            Subject::New => self.visit.href("/webhooks"),
            Subject::Present(live) => {
                self.visit.href(format_args!("/webhooks/{}", live.webhook.key))
            }
        }
    }

    fn filter(&self) -> Markup {
        let hint = html! {
            "Optional: an expression that must be true of an event besides, such as "
            code { "data.confidence > 0.8" } " (CEL)."
        };
        let value = self.form.text("filter").unwrap_or_default();
        let filter = Field { name: "filter", label: "Filter", hint, value, kind: Kind::Lines(3) };
        let id = self.form.text("try_event").unwrap_or_default();
        html! {
            (filter.show(self.faults))
            div.trial id="trial" {
                label for="try_event" { "Try it on a past event" }
                div.row {
                    input id="try_event" name="try_event" value=(id) spellcheck="false"
                        placeholder="Event id; empty: the newest that fits";
                    button type="submit" name="do" value="try" formnovalidate { "Try it" }
                }
                (self.trial)
            }
        }
    }

    fn profiles(&self) -> Markup {
        let chosen = self.form.text("profile").unwrap_or_default();
        let profiles = self.visit.engine().profiles();
        let by_secret = html! { strong { "By the secret" }
        span.hint { "The one whose format your own secret has; otherwise this server's default, "
            code { (profiles.for_secret(None).name()) } "." } };
        html! {
            fieldset {
                legend { "Profile" }
                @if let Subject::New = self.subject {
                    (check("radio", "profile", "", chosen.is_empty(), &by_secret))
                }
                @for profile in in_order(profiles) {
                    @let label = html! { strong { (profile.name()) }
                        span.hint { (meaning(profile)) } };
                    (check("radio", "profile", profile.name(), chosen == profile.name(), &label))
                }
                (self.faults.beside("profile"))
            }
        }
    }

    fn secret(&self) -> Markup {
        let kind = self.form.text("secret_kind").unwrap_or("hmac");
        let choice = |value: &str, name: &str, what: &str| {
            let label = html! { strong { (name) } span.hint { (what) } };
            check("radio", "secret_kind", value, kind == value, &label)
        };
        html! {
            fieldset {
                legend { "Secret" }
                (choice("hmac", "Made here", "Random, in the profile's format."))
                (choice("ed25519", "Made here, as a pair of keys",
                    "Signatures by ed25519: the receiver knows the public half only. Profile standard."))
                (choice("own", "My own", "One that the receiver has already."))
                (self.faults.beside("signing_key"))
            }
            div.own { (Field { name: "secret", label: "My own secret", kind: Kind::Secret,
                value: self.form.text("secret").unwrap_or_default(),
                hint: html! { "In the format of the profile, and nothing that anybody could guess." } }
                .show(self.faults)) }
        }
    }

    fn headers(&self) -> Markup {
        let hint = html! {
            "Sent along with every attempt, one on a line: " code { "Name: value" } ". Values are kept \
            sealed and not shown again; " code { (HIDDEN_VALUE) } " stands for one that is kept."
        };
        let value = self.form.text("headers").unwrap_or_default();
        Field { name: "headers", label: "Custom headers", hint, value, kind: Kind::Lines(3) }
            .show(self.faults)
    }

    fn settings(&self) -> Markup {
        let text = |name| self.form.text(name).unwrap_or_default();
        let names = ["timeout_ms", "concurrency", "rate_limit", "retry_schedule"];
        let is_open =
            names.iter().any(|name| !text(name).is_empty() || !self.faults.at(name).is_empty());
        let number = |name: &'static str, label: &'static str, hint: &str| {
            let hint = html! { (hint) };
            Field { name, label, hint, value: text(name), kind: Kind::Number }.show(self.faults)
        };
        html! {
            details open[is_open] {
                summary { "More settings" }
                div.stack {
                    (number("timeout_ms", "Deadline of an attempt, ms", "1,000 to 30,000."))
                    (number("concurrency", "Attempts at once", "Under way at the same time, 1 to 256."))
                    (number("rate_limit", "Attempts a second", "1 to 10,000; empty for no limit."))
                    (Field { name: "retry_schedule", label: "Retry schedule, s", kind: Kind::Line,
                        value: text("retry_schedule"),
                        hint: html! { "Seconds before each attempt, the first included: "
                            code { "0, 5, 300, 1800" } ". Empty for the profile's." } }
                        .show(self.faults))
                }
            }
        }
    }
}

/// The profile for new receivers first.
fn in_order(profiles: &Profiles) -> Vec<&Profile> {
    let all = profiles.names().filter_map(|name| profiles.get(name));
    let mut all: Vec<&Profile> = all.map(|profile| &**profile).collect();
    all.sort_by_key(|profile| profile.name() != "standard");
    all
}

/// What a profile means for a receiver.
fn meaning(profile: &Profile) -> String {
    let known = match profile.name() {
        "standard" => {
            "Standard Webhooks, for new receivers: signed in webhook-signature, the body as \
                       it was published, ten attempts over three days."
        }
        "automa" => {
            "For receivers written for Automa: atma_whsec_ secrets, the body with sorted keys, \
                     five attempts over two and a half hours."
        }
        "autonoma" => {
            "For receivers written for Autonoma: x-autonoma-signature over the body as \
                       JavaScript writes it, beside the standard headers; ten attempts over three days."
        }
        _ => {
            let form = match profile.signing.body_form {
                BodyForm::Verbatim => "the body as it was published",
                BodyForm::Ecma => "the body as JavaScript writes it",
                BodyForm::Jcs => "the body with sorted keys",
            };
            return format!("One of this server's own: {form}.");
        }
    };
    known.to_owned()
}

/// What a present webhook's form says before it is changed.
pub(super) fn of_webhook(live: &LiveWebhook) -> Form {
    let webhook = &live.webhook;
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let headers = live.header_names().map(|name| format!("{name}: {HIDDEN_VALUE}\n"));
    let schedule = webhook.schedule.as_ref().map(|schedule| {
        let seconds = schedule.delays_ms().iter().map(|ms| (ms / 1_000).to_string());
        seconds.collect::<Vec<_>>().join(", ")
    });
    let mut fields = vec![
        ("url", webhook.url.clone()),
        ("description", webhook.description.clone().unwrap_or_default()),
        ("profile", webhook.profile.clone()),
        ("filter", webhook.filter.clone().unwrap_or_default()),
        ("headers", headers.collect()),
        ("timeout_ms", number(webhook.timeout_ms)),
        ("concurrency", number(webhook.concurrency.map(u32::from))),
        ("rate_limit", number(webhook.rate_per_s)),
        ("retry_schedule", schedule.unwrap_or_default()),
    ];
    let patterns = webhook.patterns.as_slice().iter();
    fields.extend(patterns.map(|pattern| ("events", pattern.to_string())));
    Form::of(fields)
}

/// The JSON of a webhook to register.
pub(super) fn draft_text(form: &Form) -> String {
    let mut object = settings(form);
    object.retain(|_, value| !value.is_null());
    if let Some(profile) = form.text("profile") {
        object.insert("profile".to_owned(), profile.into());
    }
    match form.text("secret_kind") {
        Some("own") => {
            object.insert("secret".to_owned(), form.text("secret").unwrap_or_default().into());
        }
        Some(kind @ "ed25519") => {
            object.insert("signing_key".to_owned(), kind.into());
        }
        _ => {}
    }
    Value::Object(object).to_string()
}

/// The JSON of a change that makes a webhook what the form says.
pub(super) fn patch_text(form: &Form, before: &LiveWebhook) -> String {
    let mut object = settings(form);
    if let Some(profile) = form.text("profile")
        && profile != before.webhook.profile
    {
        object.insert("profile".to_owned(), profile.into());
    }
    if form.text("url") == Some(&before.webhook.url) {
        object.remove("url");
    }
    Value::Object(object).to_string()
}

/// What creating and changing have in common: null for what is empty.
fn settings(form: &Form) -> Map<String, Value> {
    let text = |name| form.text(name).map_or(Value::Null, Value::from);
    let mut object = Map::new();
    object.insert("url".to_owned(), form.text("url").unwrap_or_default().into());
    object.insert("events".to_owned(), picker::chosen(form).into());
    for name in ["description", "filter"] {
        object.insert(name.to_owned(), text(name));
    }
    for name in NUMBERS {
        let number = form.text(name).and_then(|text| text.parse::<i64>().ok());
        object.insert(name.to_owned(), number.map_or_else(|| text(name), Value::from));
    }
    let schedule = form.text("retry_schedule").map(|text| {
        let seconds = text.split([',', ' ']).filter(|part| !part.is_empty());
        let seconds =
            seconds.map(|part| part.parse::<i64>().map_or_else(|_| part.into(), Value::from));
        seconds.collect::<Value>()
    });
    object.insert("retry_schedule".to_owned(), schedule.unwrap_or_default());
    object.insert("headers".to_owned(), headers(form.text("headers").unwrap_or_default()));
    object
}

/// A line without a colon is a name without a value, which is then refused by its name.
fn headers(text: &str) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| line.split_once(':').unwrap_or((line, "")));
    let headers: Map<_, _> = pairs
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), Value::from(value.trim())))
        .collect();
    if headers.is_empty() { Value::Null } else { Value::Object(headers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(form: &str) -> Value {
        serde_json::from_str(&draft_text(&Form::parse(form.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn only_what_was_filled_in_is_asked_for() {
        let made = draft("url=https%3A%2F%2Fa.example&events=*&description=&timeout_ms=&profile=");
        assert_eq!(made, serde_json::json!({"url": "https://a.example", "events": ["*"]}));
    }

    #[test]
    fn numbers_are_numbers_and_everything_else_is_left_to_be_refused() {
        let made = draft("timeout_ms=2000&rate_limit=many&retry_schedule=0,+5+x");
        assert_eq!(made["timeout_ms"], 2_000);
        assert_eq!(made["rate_limit"], "many");
        assert_eq!(made["retry_schedule"], serde_json::json!([0, 5, "x"]));
    }

    #[test]
    fn headers_are_read_line_by_line() {
        assert_eq!(
            headers("X-A: 1\r\n\n authorization:Bearer a:b \nodd"),
            serde_json::json!({"x-a": "1", "authorization": "Bearer a:b", "odd": ""})
        );
        assert_eq!(headers(" \n"), Value::Null);
    }

    #[test]
    fn a_secret_is_sent_only_where_it_is_ones_own() {
        let made = draft("secret=abc&secret_kind=hmac");
        assert_eq!(made.get("secret"), None);
        assert_eq!(draft("secret=abc&secret_kind=own")["secret"], "abc");
        assert_eq!(draft("secret_kind=ed25519")["signing_key"], "ed25519");
    }
}
