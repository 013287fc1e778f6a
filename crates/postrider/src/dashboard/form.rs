//! Forms, as browsers send them.

use crate::http::problem::{ApiError, Code};

/// More fields than any page of ours has.
const FIELDS_MAX: usize = 2_000;

/// The fields of a form that was sent, in their order.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let fields: Vec<_> = form_urlencoded::parse(bytes)
            .take(FIELDS_MAX + 1)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if fields.len() > FIELDS_MAX {
            return Err(ApiError::new(Code::BadRequest, "the form has too many fields"));
        }
        Ok(Self(fields))
    }

    /// What a field holds, without white space around it; `None` when it is empty or not there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, _)| given == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// Everything that was chosen under a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(given, _)| given == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The fields as the query of an address.
    pub(super) fn as_query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// Whether a box is ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        self.text(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_name() {
        let form =
            Form::parse(b"url=+https%3A%2F%2Fa.example+&type=a&type=b&empty=&box=on").unwrap();
        assert_eq!(form.text("url"), Some("https://a.example"));
        assert_eq!(form.text("empty"), None);
        assert_eq!(form.text("missing"), None);
        assert_eq!(form.all("type").collect::<Vec<_>>(), ["a", "b"]);
        assert!(form.is_ticked("box") && !form.is_ticked("empty"));
    }

    #[test]
    fn a_form_has_an_end() {
        assert!(Form::parse("a=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
        assert!(Form::parse(b"\xff\xfe=%ff%00&=&&").is_ok());
    }
}
