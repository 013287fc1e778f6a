//! Creating an event type, and changing one.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use maud::html;
use postrider_core::catalogue::Validation;
use postrider_signature::NumberPolicy;
use serde_json::value::{RawValue, to_raw_value};

use super::find;
use crate::api::event_types;
use crate::dashboard::faults::Faults;
use crate::dashboard::field::{Field, Kind, select};
use crate::dashboard::form::Form;
use crate::dashboard::layout::{Notice, Page, Place};
use crate::dashboard::pretty;
use crate::dashboard::visit::{Answer, Deed, Visit};
use crate::engine::KnownType;
use crate::http::json::JsonText;
use crate::http::problem::{ApiError, Faults as Found};

const FIELDS: [&str; 6] =
    ["name", "description", "schema", "example", "validation", "large_integers"];
const VALIDATIONS: [(&str, &str); 3] =
    [("off", "Accept it"), ("warn", "Accept it, with a warning"), ("reject", "Refuse it")];
const LARGE_INTEGERS: [(&str, &str); 3] = [
    ("refuse", "Refuse the event"),
    ("stringify", "Send them as texts"),
    ("round", "Send the nearest that it can hold"),
];

/// `GET /dashboard/t/{tenant}/event-types/new`
pub(super) async fn new(visit: Visit) -> Answer {
    if !visit.rights.may_manage {
        return Err(visit.not_found());
    }
    Ok(page(&visit, None, &Form::default(), &Faults::default()))
}

/// `POST /dashboard/t/{tenant}/event-types/new`
pub(super) async fn create(deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let draft = text(&form, None).and_then(|text| event_types::draft(&text));
    let created = match draft {
        Ok(draft) => visit.engine().create_event_type(visit.tenant_key(), draft).await,
        Err(error) => return Ok(page(&visit, None, &form, &Faults::new(error))),
    };
    match created.map_err(|error| event_types::refusal(&error)) {
        Ok(known) => {
            Ok(visit.go_to(format_args!("/event-types/{}", known.name.as_str()), Notice::Created))
        }
        Err(error) if Faults::is_of_form(&error) => {
            Ok(page(&visit, None, &form, &Faults::new(error)))
        }
        Err(error) => Err(visit.refuse(&error)),
    }
}

/// `GET /dashboard/t/{tenant}/event-types/{name}/edit`
pub(super) async fn show(visit: Visit, Path((_, name)): Path<(String, String)>) -> Answer {
    let known = find(&visit, &name)?;
    if !visit.rights.may_manage {
        return Err(visit.not_found());
    }
    Ok(page(&visit, Some(&known), &of_type(&known), &Faults::default()))
}

/// `POST /dashboard/t/{tenant}/event-types/{name}/edit`
pub(super) async fn save(Path((_, name)): Path<(String, String)>, deed: Deed) -> Answer {
    let Deed { visit, form } = deed;
    let known = find(&visit, &name)?;
    let name = known.name.clone();
    let patch = text(&form, Some(&known)).and_then(|text| event_types::patch(&text));
    let changed = match patch {
        Ok(patch) => visit.engine().patch_event_type(visit.tenant_key(), name.clone(), patch).await,
        Err(error) => return Ok(page(&visit, Some(&known), &form, &Faults::new(error))),
    };
    match changed.map_err(|error| event_types::refusal(&error)) {
        Ok(_) => Ok(visit.go_to(format_args!("/event-types/{}", name.as_str()), Notice::Saved)),
        Err(error) if Faults::is_of_form(&error) => {
            Ok(page(&visit, Some(&known), &form, &Faults::new(error)))
        }
        Err(error) => Err(visit.refuse(&error)),
    }
}

/// What a present type's form says before it is changed.
fn of_type(known: &KnownType) -> Form {
    let document = |text: Option<&str>| text.map(pretty::text).unwrap_or_default();
    let validation = match known.validation() {
        Validation::Off => "off",
        Validation::Warn => "warn",
        Validation::Reject => "reject",
    };
    let large_integers = match known.large_integers() {
        NumberPolicy::Refuse => "refuse",
        NumberPolicy::Stringify => "stringify",
        NumberPolicy::Round => "round",
    };
    Form::of(vec![
        ("description", known.description().unwrap_or_default().to_owned()),
        ("schema", document(known.schema())),
        ("example", document(known.example())),
        ("validation", validation.to_owned()),
        ("large_integers", large_integers.to_owned()),
    ])
}

/// The JSON that says the same. What a change leaves as it is stays out of it, so that what is
/// built in goes on following the server's version.
fn text(form: &Form, before: Option<&KnownType>) -> Result<String, ApiError> {
    let mut members: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    let mut add = |name, text: Option<&str>| {
        if let Ok(raw) = to_raw_value(&text) {
            members.insert(name, raw);
        }
    };
    if before.is_none() {
        add("name", Some(form.text("name").unwrap_or_default()));
    }
    if before.is_none_or(|known| known.description() != form.text("description")) {
        add("description", form.text("description"));
    }
    add("validation", form.text("validation"));
    add("large_integers", form.text("large_integers"));
    let schema = document(form, "schema", before.and_then(KnownType::schema));
    let example = document(form, "example", before.and_then(KnownType::example));
    let mut found = Found::default();
    for (name, document) in [("schema", schema), ("example", example)] {
        match document {
            Ok(document) => members.extend(document.map(|raw| (name, raw))),
            Err(error) => {
                found.push(error.code(), format!("/{name}"), error.problem().detail.clone());
            }
        }
    }
    found.finish()?;
    // a map of texts and JSON always serialises
    Ok(serde_json::to_string(&members).unwrap_or_default())
}

/// A field that holds JSON, checked; `None` where it says what is there already.
fn document(
    form: &Form,
    name: &str,
    before: Option<&str>,
) -> Result<Option<Box<RawValue>>, ApiError> {
    let checked = match form.text(name) {
        None => "null".to_owned(),
        Some(text) => JsonText::parse(text.as_bytes())?.as_str().to_owned(),
    };
    let is_same = before.unwrap_or("null") == checked;
    Ok(RawValue::from_string(checked).ok().filter(|_| !is_same))
}

fn page(visit: &Visit, known: Option<&KnownType>, form: &Form, faults: &Faults) -> Response {
    let back = match known {
        None => visit.href("/event-types"),
        Some(known) => visit.href(format_args!("/event-types/{}", known.name.as_str())),
    };
    let (action, word) = match known {
        None => (visit.href("/event-types/new"), "Create event type"),
        Some(_) => (format!("{back}/edit"), "Save"),
    };
    let text = |name| form.text(name).unwrap_or_default();
    let is_builtin = known.is_some_and(KnownType::is_builtin);
    let empty = if is_builtin { "Empty: as it is built in." } else { "Optional." };
    let body = html! {
        form.form.card method="post" action=(action) {
            (faults.above(&FIELDS))
            @if known.is_none() {
                (Field { name: "name", label: "Name", value: text("name"), kind: Kind::Required,
                    hint: html! { "Dotted, such as " code { "invoice.paid" } ". It can't be changed later." } }
                    .show(faults))
            }
            (Field { name: "description", label: "Description", value: text("description"),
                kind: Kind::Lines(3), hint: html! { "When it happens, for whoever chooses event types. " (empty) } }
                .show(faults))
            (Field { name: "schema", label: "Schema", value: text("schema"), kind: Kind::Lines(12),
                hint: html! { "JSON Schema of " code { "data" } ". " (empty) } }.show(faults))
            (select(("validation", "What becomes of data that the schema does not allow"), &VALIDATIONS,
                text("validation"), &html! {}, faults))
            (Field { name: "example", label: "Example", value: text("example"), kind: Kind::Lines(12),
                hint: html! { "What " code { "data" } " may look like: for tests and for people. " (empty) } }
                .show(faults))
            (select(("large_integers", "Integers that JavaScript can't hold exactly"), &LARGE_INTEGERS,
                text("large_integers"),
                &html! { "Only where a webhook's profile rewrites the body as JavaScript would." }, faults))
            div.row {
                button.primary type="submit" { (word) }
                a.button href=(back) { "Cancel" }
            }
        }
    };
    let status = if faults.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let title = known.map_or_else(
        || "New event type".to_owned(),
        |known| format!("Edit {}", known.name.as_str()),
    );
    let actions = html! {};
    Page { visit, place: Place::EventTypes, title: &title, actions, body }.answer_with(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(form: &[(&'static str, &str)]) -> Result<String, ApiError> {
        let fields = form.iter().map(|(name, value)| (*name, (*value).to_owned()));
        text(&Form::of(fields.collect()), None)
    }

    #[test]
    fn json_goes_through_as_it_was_written() {
        let made = made(&[("name", "a.b"), ("example", "{\n \"n\": 1.50 }")]).unwrap();
        assert_eq!(
            made,
            r#"{"description":null,"example":{"n":1.50},"large_integers":null,"name":"a.b","validation":null}"#
        );
    }

    #[test]
    fn what_is_no_json_is_told_beside_its_field_and_never_breaks_out() {
        let error = made(&[("schema", "{} , \"name\":\"x\""), ("example", "{")]).unwrap_err();
        let faults = Faults::new(error);
        assert_eq!((faults.at("schema").len(), faults.at("example").len()), (1, 1));
    }
}
