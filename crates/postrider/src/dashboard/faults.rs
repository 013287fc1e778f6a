//! What was wrong with a form: said beside the fields that it is about, and above the form.

use maud::{Markup, html};

use crate::http::problem::{ApiError, Code, Fault};

/// Nothing, before a form was sent.
#[derive(Debug, Default)]
pub(super) struct Faults(Option<ApiError>);

impl Faults {
    pub(super) fn new(error: ApiError) -> Self {
        Self(Some(error))
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a form is shown again with an error: of some there is nothing to mend in it.
    pub(super) fn is_of_form(error: &ApiError) -> bool {
        !matches!(
            error.code(),
            Code::NotFound | Code::Forbidden | Code::Internal | Code::Unavailable
        )
    }

    /// What is wrong with a field, or with something below it.
    pub(super) fn at(&self, field: &str) -> Vec<&str> {
        let below = self.all().filter(|fault| first_step(fault) == Some(field));
        below.map(|fault| &*fault.message).collect()
    }

    /// Beside a field, under the id that [`Self::id`] gives.
    pub(super) fn beside(&self, field: &str) -> Markup {
        let messages = self.at(field);
        html! {
            @if !messages.is_empty() {
                div id=(Self::id(field)) {
                    @for message in messages { p.fault { (message) } }
                }
            }
        }
    }

    pub(super) fn id(field: &str) -> String {
        format!("{field}-fault")
    }

    /// Above a form which tells what is wrong with `fields` beside them.
    pub(super) fn above(&self, fields: &[&str]) -> Markup {
        let Some(error) = &self.0 else { return html! {} };
        let is_beside =
            |fault: &Fault| first_step(fault).is_some_and(|step| fields.contains(&step));
        let elsewhere: Vec<_> = self.all().filter(|fault| !is_beside(fault)).collect();
        html! {
            div.alarm role="alert" {
                @if self.all().next().is_none() {
                    p { "This was not done: " (error.problem().detail) "." }
                } @else {
                    p { "This was not done. What is wrong is said beside the fields below." }
                }
                @for fault in elsewhere { p { (fault.message) } }
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter().flat_map(|error| &error.problem().errors)
    }
}

/// The name of the member that a fault is in.
fn first_step(fault: &Fault) -> Option<&str> {
    fault.pointer.as_deref()?.split('/').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem;

    #[test]
    fn a_fault_is_told_beside_its_field_or_above_the_form() {
        let mut found = problem::Faults::default();
        found.push(Code::Validation, "/events/2", "not a pattern");
        found.push(Code::Validation, "/metadata/a", "too <long>");
        let faults = Faults::new(found.into_error());
        assert_eq!(faults.at("events"), ["not a pattern"]);
        assert!(faults.at("url").is_empty());
        let above = faults.above(&["events", "url"]).into_string();
        assert!(above.contains("too &lt;long&gt;") && !above.contains("not a pattern"), "{above}");
    }

    #[test]
    fn what_is_about_no_field_is_told_above() {
        let faults = Faults::new(ApiError::new(Code::Quota, "there are too many"));
        assert!(faults.above(&["url"]).into_string().contains("there are too many."));
        assert_eq!(Faults::default().above(&["url"]).into_string(), "");
    }
}
