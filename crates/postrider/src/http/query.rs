//! Strict reading of query strings: each parameter at most once, and none that isn't known.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use http::request::Parts;
use postrider_core::id::UnixMs;
use postrider_signature::timestamp;

use super::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use super::problem::{ApiError, Code, Faults};
use super::state::ServerState;
use crate::config::nearest::nearest;

/// Characters of an unknown parameter's name that are repeated to whoever sent it.
const UNKNOWN_CHARS_MAX: usize = 40;

/// A request's query parameters, decoded.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    /// The names that the route asked for.
    known: Vec<&'static str>,
    faults: Faults,
    /// Whether times may be as browsers' fields have them, without a zone: then they are UTC.
    may_lack_zone: bool,
}

impl FromRequestParts<ServerState> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ServerState) -> Result<Self, ApiError> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let owned = pairs.map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self {
            pairs: owned.collect(),
            known: Vec::new(),
            faults: Faults::default(),
            may_lack_zone: false,
        }
    }

    /// The query of a page's address: what a form left empty is as good as not there.
    pub(crate) fn of_page(query: &str) -> Self {
        let mut query = Self::parse(query);
        query.pairs.retain(|(_, value)| !value.trim().is_empty());
        query.may_lack_zone = true;
        query
    }

    /// Ends the reading of a page's address: all that is wrong comes out. What is not known is
    /// left alone; a person can't mend a link.
    pub(crate) fn finish_page(self) -> Result<(), ApiError> {
        self.faults.finish()
    }

    /// The value of a parameter.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let index = self.pairs.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.pairs.remove(index);
        if self.pairs.iter().any(|(given, _)| given == name) {
            self.pairs.retain(|(given, _)| given != name);
            self.fault(name, format!("{name} is given more than once"));
            return None;
        }
        Some(value)
    }

    /// How many items a page has.
    pub fn limit(&mut self) -> usize {
        let Some(text) = self.text("limit") else {
            return PAGE_ITEMS_DEFAULT;
        };
        if let Ok(limit @ 1..=PAGE_ITEMS_MAX) = text.parse() {
            return limit;
        }
        self.fault("limit", format!("limit must be from 1 to {PAGE_ITEMS_MAX}"));
        PAGE_ITEMS_DEFAULT
    }

    /// A time in RFC 3339.
    pub fn time(&mut self, name: &'static str) -> Option<UnixMs> {
        let text = self.text(name)?;
        let with_zone = [format!("{text}Z"), format!("{text}:00Z")];
        let mut completed = with_zone.iter().filter(|_| self.may_lack_zone);
        let parsed = timestamp::parse(&text)
            .or_else(|error| completed.find_map(|text| timestamp::parse(text).ok()).ok_or(error));
        match parsed {
            Ok(time) => Some(time),
            Err(error) => {
                self.fault(name, format!("{name}: {error}"));
                None
            }
        }
    }

    /// The times `after` and `before`, of which the second is not earlier than the first.
    pub fn after_and_before(&mut self) -> (Option<UnixMs>, Option<UnixMs>) {
        let (after, before) = (self.time("after"), self.time("before"));
        if after.zip(before).is_some_and(|(after, before)| after > before) {
            self.fault("before", "before must not be earlier than after");
        }
        (after, before)
    }

    /// A value that `parse` understands; of any other the fault says `message`.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        message: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.fault(name, format!("{name}: {message}"));
        }
        parsed
    }

    /// Notes that something is wrong with a parameter.
    pub fn fault(&mut self, name: &'static str, message: impl Into<Cow<'static, str>>) {
        self.faults.push_parameter(Code::Validation, name, message);
    }

    /// Ends the reading: what was not taken is not known, and all that is wrong comes out.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in &self.pairs {
            let shown: String = name.escape_debug().take(UNKNOWN_CHARS_MAX).collect();
            let message = match (nearest(name, self.known.iter().copied()), &*self.known) {
                (Some(near), _) => format!("there is no parameter {shown}; is it {near}?"),
                (None, []) => format!("there is no parameter {shown}; this route takes none"),
                (None, known) => {
                    format!("there is no parameter {shown}; there are {}", known.join(", "))
                }
            };
            self.faults.push_parameter(Code::Validation, shown, message);
        }
        self.faults.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(query: &str) -> Result<usize, Code> {
        let mut query = Query::parse(query);
        let limit = query.limit();
        query.finish().map(|()| limit).map_err(|error| error.code())
    }

    #[test]
    fn limits_are_bounded_and_given_once() {
        assert_eq!(limit(""), Ok(PAGE_ITEMS_DEFAULT));
        assert_eq!(limit("limit=250"), Ok(250));
        assert_eq!(limit("l%69mit=7"), Ok(7));
        for bad in [
            "limit=0",
            "limit=-1",
            "limit=1000000",
            "limit=",
            "limit=1e2",
            "limit=10&limit=20",
            "limit=10&other=1",
        ] {
            assert_eq!(limit(bad), Err(Code::Validation), "{bad}");
        }
    }

    #[test]
    fn a_browsers_field_for_a_time_is_read_as_utc() {
        let time = |mut query: Query| query.time("after");
        for text in ["2026-01-02T03:04", "2026-01-02T03:04:00", "2026-01-02T03:04:00.000Z"] {
            assert_eq!(time(Query::of_page(&format!("after={text}"))), Some(1_767_323_040_000));
        }
        assert_eq!(time(Query::of_page("after=2026-01-02")), None);
        assert_eq!(time(Query::parse("after=2026-01-02T03:04")), None, "the API stays strict");
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_one_that_is_probably_meant() {
        let told = |query: &str| {
            let mut query = Query::parse(query);
            query.limit();
            query.text("cursor");
            let error = query.finish().unwrap_err();
            let fault = error.problem().errors[0].clone();
            (fault.parameter.unwrap_or_default().into_owned(), fault.message.into_owned())
        };
        let (name, message) = told("limt=7");
        assert_eq!((&*name, &*message), ("limt", "there is no parameter limt; is it limit?"));
        let (_, message) = told("colour=red");
        assert_eq!(message, "there is no parameter colour; there are limit, cursor");
        let (name, message) = told(&format!("%0a%1b{}=secret", "x".repeat(1_000)));
        assert!(name.starts_with("\\n\\u{1b}xx") && name.len() == UNKNOWN_CHARS_MAX, "{name}");
        assert!(message.len() < 100 && !message.contains("secret"), "{message}");
        let error = Query::parse("a=1").finish().unwrap_err();
        assert_eq!(error.problem().detail, "there is no parameter a; this route takes none");
    }
}
