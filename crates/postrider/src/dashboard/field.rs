//! Fields of forms: a label, a control, a hint, and what is wrong.

use maud::{Markup, html};

use super::faults::Faults;

/// One field that is written into.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) hint: Markup,
    pub(super) value: &'a str,
    pub(super) kind: Kind,
}

/// How a field is written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Line,
    /// One line that must not be left empty.
    Required,
    Number,
    /// One line that a browser keeps no memory of.
    Secret,
    /// Several lines of code.
    Lines(u8),
}

impl Field<'_> {
    pub(super) fn show(&self, faults: &Faults) -> Markup {
        let hint = self.hint.0.as_str();
        let hint_id = format!("{}-hint", self.name);
        let described = described(&hint_id, !hint.is_empty(), self.name, faults);
        let is_invalid = !faults.at(self.name).is_empty();
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                (self.control(described.as_deref(), is_invalid.then_some("true")))
                @if !hint.is_empty() { p.hint id=(hint_id) { (self.hint) } }
                (faults.beside(self.name))
            }
        }
    }

    fn control(&self, described: Option<&str>, invalid: Option<&str>) -> Markup {
        let (name, value) = (self.name, self.value);
        let line = |kind: &str, required: bool, autocomplete: Option<&str>, mode: Option<&str>| {
            html! {
                input id=(name) name=(name) type=(kind) value=(value) required[required]
                    autocomplete=[autocomplete] inputmode=[mode] spellcheck="false"
                    aria-describedby=[described] aria-invalid=[invalid];
            }
        };
        match self.kind {
            Kind::Line => line("text", false, None, None),
            Kind::Required => line("text", true, None, None),
            Kind::Number => line("text", false, Some("off"), Some("numeric")),
            Kind::Secret => line("text", false, Some("off"), None),
            Kind::Lines(rows) => html! {
                textarea id=(name) name=(name) rows=(rows) spellcheck="false"
                    aria-describedby=[described] aria-invalid=[invalid] { "\n" (value) }
            },
        }
    }
}

/// One of a few that are too many to show at once.
pub(super) fn select(
    (name, label): (&str, &str),
    options: &[(&str, &str)],
    chosen: &str,
    hint: &Markup,
    faults: &Faults,
) -> Markup {
    let hint_id = format!("{name}-hint");
    let described = described(&hint_id, !hint.0.is_empty(), name, faults);
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) aria-describedby=[described] {
                @for (value, text) in options {
                    option value=(value) selected[*value == chosen] { (text) }
                }
            }
            @if !hint.0.is_empty() { p.hint id=(hint_id) { (hint) } }
            (faults.beside(name))
        }
    }
}

/// A box to tick, or one of several to choose from: `kind` is `checkbox` or `radio`.
pub(super) fn check(
    kind: &str,
    name: &str,
    value: &str,
    is_chosen: bool,
    label: &Markup,
) -> Markup {
    html! {
        label.check {
            input type=(kind) name=(name) value=(value) checked[is_chosen];
            span { (label) }
        }
    }
}

fn described(hint_id: &str, has_hint: bool, field: &str, faults: &Faults) -> Option<String> {
    let fault_id = (!faults.at(field).is_empty()).then(|| Faults::id(field));
    let hint_id = has_hint.then(|| hint_id.to_owned());
    let ids: Vec<_> = hint_id.into_iter().chain(fault_id).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::{ApiError, Code};

    #[test]
    fn a_field_is_described_by_its_hint_and_its_fault() {
        let faults = Faults::new(ApiError::at(Code::Validation, "/url", "not a URL"));
        let hint = html! { "Where to" };
        let field = Field { name: "url", label: "URL", hint, value: "\"><b>", kind: Kind::Line };
        let page = field.show(&faults).into_string();
        for expected in [
            "aria-describedby=\"url-hint url-fault\"",
            "aria-invalid=\"true\"",
            "<label for=\"url\">",
            "value=\"&quot;&gt;&lt;b&gt;\"",
            "<div id=\"url-fault\"><p class=\"fault\">not a URL</p>",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }

    #[test]
    fn the_first_line_of_a_text_may_be_empty() {
        let field = Field {
            name: "t",
            label: "T",
            hint: html! {},
            value: "\nsecond",
            kind: Kind::Lines(3),
        };
        let page = field.show(&Faults::default()).into_string();
        assert!(page.contains(">\n\nsecond</textarea>"), "{page}");
        assert!(!page.contains("aria-describedby"), "{page}");
    }
}
