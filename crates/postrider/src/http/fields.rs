//! Taking a checked JSON text apart, member by member.
//!
//! Each member stays the slice of text that it is; nothing is dropped silently, and everything
//! that is wrong with an object is told at once, each with a JSON pointer.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::{ApiError, Code, Faults};

/// More members than any object of ours has; keeps the search for repeated keys short.
const MEMBERS_MAX: usize = 256;
/// A longer key is left out of pointers.
const POINTER_KEY_BYTES_MAX: usize = 128;

/// What a member that may be left out or null says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given<T> {
    Absent,
    Null,
    Value(T),
}

impl<T> Given<T> {
    /// For creating: null is as good as nothing.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// For changing: `None` leaves alone, `Some(None)` clears.
    pub fn change(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(change(value)),
        }
    }
}

/// The members of an object, taken one by one by the names that are known.
#[derive(Debug)]
pub struct Fields<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    pub faults: Faults,
}

impl<'a> Fields<'a> {
    /// Takes apart one object of a checked text.
    pub fn of(text: &'a str) -> Result<Self, ApiError> {
        let members = members(text, "")?;
        Ok(Self { members, faults: Faults::default() })
    }

    /// The text of a member as it is, whatever it is.
    pub fn take(&mut self, name: &str) -> Option<&'a str> {
        let index = self.members.iter().position(|(key, _)| key == name)?;
        Some(self.members.swap_remove(index).1.get())
    }

    /// Whether a member is there and not taken yet.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key == name)
    }

    /// A member that must be there.
    pub fn required(&mut self, name: &str) -> Option<&'a str> {
        let found = self.take(name);
        if found.is_none() {
            self.fault(name, format!("{name} is required"));
        }
        found
    }

    pub fn required_text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let raw = self.required(name)?;
        let text = text_of(raw);
        if text.is_none() {
            self.fault(name, format!("{name} must be a string"));
        }
        text
    }

    pub fn text(&mut self, name: &str) -> Given<Cow<'a, str>> {
        self.given(name, "a string", text_of)
    }

    pub fn flag(&mut self, name: &str) -> Given<bool> {
        self.given(name, "true or false", |raw| match raw {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// A whole number. `range` fits into `T`.
    pub fn integer<T: TryFrom<i64>>(&mut self, name: &str, range: RangeInclusive<i64>) -> Given<T> {
        let wanted = format!("an integer from {} to {}", range.start(), range.end());
        self.given(name, &wanted, |raw| {
            let value = raw.parse().ok().filter(|value| range.contains(value))?;
            T::try_from(value).ok()
        })
    }

    /// A list of strings.
    pub fn texts(&mut self, name: &str) -> Given<Vec<Cow<'a, str>>> {
        self.list(name, "a string", text_of)
    }

    /// A list of whole numbers.
    pub fn integers(&mut self, name: &str) -> Given<Vec<i64>> {
        self.list(name, "an integer", |raw| raw.parse().ok())
    }

    /// An object of strings, in the order given.
    pub fn pairs(&mut self, name: &str) -> Given<Vec<(String, String)>> {
        let raw = match self.given(name, "an object of strings", Some) {
            Given::Value(raw) => raw,
            Given::Null => return Given::Null,
            Given::Absent => return Given::Absent,
        };
        let found = match members(raw, &pointer(name)) {
            Ok(found) => found,
            Err(error) => {
                self.fault(name, error.problem().detail.clone());
                return Given::Absent;
            }
        };
        let mut pairs = Vec::with_capacity(found.len());
        for (key, value) in found {
            if let Some(text) = text_of(value.get()) {
                pairs.push((key.into_owned(), text.into_owned()));
            } else {
                let place = pointer(name) + &pointer(&key);
                self.faults.push(Code::Validation, place, "the value must be a string");
            }
        }
        Given::Value(pairs)
    }

    /// Notes that something is wrong with the value of a member.
    pub fn fault(&mut self, name: &str, message: impl Into<Cow<'static, str>>) {
        self.faults.push(Code::Validation, pointer(name), message);
    }

    /// Ends the reading: what was not taken is not known, and all that is wrong comes out.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for (key, _) in &self.members {
            let message = "there is no such field; check its spelling";
            self.faults.push(Code::UnknownField, pointer(key), message);
        }
        self.faults.finish()
    }

    fn given<T>(
        &mut self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Given<T> {
        let Some(raw) = self.take(name) else {
            return Given::Absent;
        };
        if raw == "null" {
            return Given::Null;
        }
        if let Some(value) = read(raw) {
            return Given::Value(value);
        }
        self.fault(name, format!("{name} must be {wanted}"));
        Given::Absent
    }

    fn list<T>(
        &mut self,
        name: &str,
        wanted: &str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Given<Vec<T>> {
        let items = match self.given(name, "a list", items) {
            Given::Value(items) => items,
            Given::Null => return Given::Null,
            Given::Absent => return Given::Absent,
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, raw) in items.into_iter().enumerate() {
            if let Some(value) = read(raw.get()) {
                values.push(value);
            } else {
                let place = format!("{}/{index}", pointer(name));
                let message = format!("each of {name} must be {wanted}");
                self.faults.push(Code::Validation, place, message);
            }
        }
        Given::Value(values)
    }
}

/// The items of a checked text that is a list.
pub fn items(text: &str) -> Option<Vec<&RawValue>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// A JSON pointer of one step (RFC 6901).
pub fn pointer(key: &str) -> String {
    if key.len() > POINTER_KEY_BYTES_MAX {
        return String::new();
    }
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

fn members<'a>(text: &'a str, place: &str) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, ApiError> {
    if !text.starts_with('{') {
        return Err(ApiError::at(Code::Validation, place, "an object is wanted here"));
    }
    let Members(found) = serde_json::from_str(text)
        .map_err(|_| ApiError::at(Code::InvalidJson, place, "not a readable object"))?;
    if found.len() > MEMBERS_MAX {
        let message = format!("more than {MEMBERS_MAX} fields in an object");
        return Err(ApiError::at(Code::Validation, place, message));
    }
    for (index, (key, _)) in found.iter().enumerate() {
        if found.iter().take(index).any(|(earlier, _)| earlier == key) {
            let place = format!("{place}{}", pointer(key));
            return Err(ApiError::at(Code::DuplicateKey, place, "this key is given twice"));
        }
    }
    Ok(found)
}

/// Up to [`MEMBERS_MAX`] members and one more, in the order given.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut found = Vec::with_capacity(4);
                while let Some((Name(key), value)) = map.next_entry()? {
                    if found.len() <= MEMBERS_MAX {
                        found.push((key, value));
                    }
                }
                Ok(Members(found))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

/// A key, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_told_at_once() {
        let mut fields = Fields::of(r#"{"a":1,"b":true,"x/y":null,"c":[1,"2"]}"#).unwrap();
        assert_eq!(fields.text("a"), Given::Absent);
        assert_eq!(fields.flag("b"), Given::Value(true));
        assert_eq!(fields.required_text("d"), None);
        fields.texts("c");
        let error = fields.finish().unwrap_err();
        let places: Vec<_> =
            error.problem().errors.iter().filter_map(|fault| fault.pointer.as_deref()).collect();
        assert_eq!(places, ["/a", "/d", "/c/0", "/x~1y"]);
        assert_eq!(error.code(), Code::Validation);
    }

    #[test]
    fn members_are_the_text_as_written() {
        let text = r#"{"data":{"b":1.10,"a":"\u0041"},"t\u0079pe":"a\u002eb"}"#;
        let mut fields = Fields::of(text).unwrap();
        assert_eq!(fields.take("data"), Some(r#"{"b":1.10,"a":"\u0041"}"#));
        assert_eq!(fields.text("type"), Given::Value("a.b".into()));
        fields.finish().unwrap();
    }

    #[test]
    fn a_key_given_twice_is_refused_however_it_is_spelt() {
        let error = Fields::of(r#"{"a":1,"\u0061":2}"#).unwrap_err();
        assert_eq!(error.code(), Code::DuplicateKey);
        let many = (0..300).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
        let error = Fields::of(&format!("{{{many}}}")).unwrap_err();
        assert_eq!(error.code(), Code::Validation);
    }
}
