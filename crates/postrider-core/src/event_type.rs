//! Names of event types, and the patterns by which a webhook chooses them.
//!
//! Both are parsed once, at the edge; a value of these types is well-formed. Matching is by bytes
//! and case-sensitive. Which event types exist in a tenant's catalogue is not known here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;

/// Most patterns that one webhook may have. More than anyone's catalogue needs (`code.*` covers a
/// family), and few enough to be tried one by one for each event.
pub const PATTERNS_MAX: usize = 1000;

/// First segment of the names of our own operational events.
const RESERVED_SEGMENT: &str = "postrider";

/// A dotted name such as `security.vulnerability_detected`.
///
/// 1 to [`EVENT_TYPE_BYTES_MAX`] bytes: segments joined by single dots, each of them letters,
/// digits, `_` and `-` of ASCII, beginning with a letter or digit. The name also travels in
/// headers, paths and scripts, so nothing that needs quoting or looks like something else gets in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Arc<str>);

/// Which event types are meant: one by its name, all below a name, or all.
///
/// Written `code.generated`, `code.*` or `*`. `code.*` means every name that begins with `code.`,
/// at any depth (`code.generated`, `code.review.done`), but not `code` itself. `*` means every
/// name except the reserved ones: a webhook gets our operational events only when it asks for them
/// (`postrider.*`), lest one that wants everything be told about its own failures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventPattern {
    Exact(EventType),
    Below(EventType),
    All,
}

/// What a webhook wants: 1 to [`PATTERNS_MAX`] different patterns, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<EventPattern>);

/// Why a text is not an [`EventType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventTypeError {
    #[error("the event type is empty; give a dotted name such as code.generated")]
    Empty,
    #[error("the event type is longer than {EVENT_TYPE_BYTES_MAX} bytes; shorten it")]
    TooLong,
    #[error("the event type has an empty segment; put single dots between segments only")]
    EmptySegment,
    #[error("each segment of an event type must begin with a letter or digit")]
    SegmentStart,
    #[error("use only the letters a-z and A-Z, digits, _ and - between the dots of an event type")]
    Character,
}

/// Why a text is not an [`EventPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("* must be the whole pattern or its whole last segment, as in code.*")]
    Wildcard,
    #[error(transparent)]
    Name(#[from] EventTypeError),
}

/// Why a list of texts is not a [`Patterns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternsError {
    #[error("no event types are named; name at least one, or * for all")]
    Empty,
    #[error("more than {PATTERNS_MAX} event types are named; use patterns such as code.*")]
    TooMany,
    /// `index` counts from 0, for a pointer to the place.
    #[error("{source}")]
    Pattern { index: usize, source: PatternError },
}

impl EventType {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is one of ours (`postrider` or below it), which nobody may publish.
    pub fn is_reserved(&self) -> bool {
        self.0.split('.').next() == Some(RESERVED_SEGMENT)
    }

    fn is_below(&self, ancestor: &Self) -> bool {
        self.0.strip_prefix(ancestor.as_str()).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl EventPattern {
    pub fn matches(&self, event_type: &EventType) -> bool {
        match self {
            Self::Exact(name) => name == event_type,
            Self::Below(ancestor) => event_type.is_below(ancestor),
            Self::All => !event_type.is_reserved(),
        }
    }
}

impl Patterns {
    /// Parses a list; repeated patterns count once, where they stand first.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, PatternsError> {
        if texts.is_empty() {
            return Err(PatternsError::Empty);
        }
        // before parsing: a list of ten thousand deserves no work
        if texts.len() > PATTERNS_MAX {
            return Err(PatternsError::TooMany);
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut patterns = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let pattern: EventPattern =
                text.as_ref().parse().map_err(|source| PatternsError::Pattern { index, source })?;
            if seen.insert(pattern.clone()) {
                patterns.push(pattern);
            }
        }
        Ok(Self(patterns))
    }

    /// Every event type but the reserved ones.
    pub fn all() -> Self {
        Self(vec![EventPattern::All])
    }

    pub fn matches(&self, event_type: &EventType) -> bool {
        self.matching(event_type).is_some()
    }

    /// The first pattern that matches, to explain a match with.
    pub fn matching(&self, event_type: &EventType) -> Option<&EventPattern> {
        self.0.iter().find(|pattern| pattern.matches(event_type))
    }

    pub fn as_slice(&self) -> &[EventPattern] {
        &self.0
    }
}

impl FromStr for EventType {
    type Err = EventTypeError;

    fn from_str(text: &str) -> Result<Self, EventTypeError> {
        if text.is_empty() {
            return Err(EventTypeError::Empty);
        }
        if text.len() > EVENT_TYPE_BYTES_MAX {
            return Err(EventTypeError::TooLong);
        }
        text.split('.').try_for_each(check_segment)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for EventPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::All);
        }
        let (name, is_below) = match text.strip_suffix(".*") {
            Some(ancestor) => (ancestor, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(PatternError::Wildcard);
        }
        let name = name.parse()?;
        Ok(if is_below { Self::Below(name) } else { Self::Exact(name) })
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Below(ancestor) => write!(f, "{ancestor}.*"),
            Self::All => f.write_str("*"),
        }
    }
}

impl AsRef<str> for EventType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

fn check_segment(segment: &str) -> Result<(), EventTypeError> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if segment.is_empty() {
        Err(EventTypeError::EmptySegment)
    } else if !segment.bytes().all(is_allowed) {
        Err(EventTypeError::Character)
    } else if segment.starts_with(['_', '-']) {
        Err(EventTypeError::SegmentStart)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event_type(text: &str) -> EventType {
        text.parse().unwrap()
    }

    #[test]
    fn names_that_platforms_use_are_accepted() {
        let longest = "a".repeat(EVENT_TYPE_BYTES_MAX);
        for text in [
            "code.generated",
            "security.vulnerability_detected",
            "task.created",
            "ping",
            "invoiceItem.created-v2",
            "2fa.enabled",
            longest.as_str(),
        ] {
            assert_eq!(event_type(text).as_str(), text);
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        use EventTypeError as E;
        let too_long = "a".repeat(EVENT_TYPE_BYTES_MAX + 1);
        for (text, error) in [
            ("", E::Empty),
            (too_long.as_str(), E::TooLong), // H078
            ("a..b", E::EmptySegment),       // H079
            (".a", E::EmptySegment),
            ("a.", E::EmptySegment),
            ("a\r\nX-Evil: 1", E::Character),      // H082
            ("us\u{435}r.created", E::Character),  // H084, Cyrillic
            ("user\u{202e}created", E::Character), // H085
            ("__proto__", E::SegmentStart),        // H087: 422 or 202, ours is 422
            ("a.-b", E::SegmentStart),
            ("a b", E::Character),
            ("a/b", E::Character),
            ("code.*", E::Character),
        ] {
            assert_eq!(text.parse::<EventType>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn our_own_names_are_reserved() {
        assert!(event_type("postrider.webhook.disabled").is_reserved());
        assert!(event_type("postrider").is_reserved());
        assert!(!event_type("postriders.x").is_reserved());
        assert!(!event_type("a.postrider").is_reserved());
    }

    /// Does `pattern` match `name`?
    fn check(pattern: &str, name: &str, expected: bool) {
        let patterns = Patterns::parse(&[pattern]).unwrap();
        assert_eq!(patterns.matches(&event_type(name)), expected, "{pattern} {name}");
    }

    #[test]
    fn patterns_match_a_name_or_all_below_it() {
        check("code.generated", "code.generated", true);
        check("code.generated", "code.generated.x", false);
        check("code.generated", "Code.generated", false);
        check("code.*", "code.generated", true);
        check("code.*", "code.review.done", true);
        check("code.*", "code", false);
        check("code.*", "codec.generated", false);
        check("*", "code.generated", true);
        check("*", "postrider.webhook.disabled", false);
        check("postrider.*", "postrider.webhook.disabled", true);
    }

    #[test]
    fn wildcards_stand_for_whole_trailing_segments_only() {
        for text in ["**", "*.created", "code.*.x", "code.gen*", "code*", "*.*", "code.**"] {
            assert_eq!(text.parse::<EventPattern>(), Err(PatternError::Wildcard), "{text}");
        }
        for text in ["", ".*", "code..*", "a b"] {
            assert!(text.parse::<EventPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_bounded_and_errors_point_at_the_place() {
        assert_eq!(Patterns::parse::<&str>(&[]), Err(PatternsError::Empty));
        let names: Vec<_> = (0..10_000).map(|n| format!("t{n}")).collect();
        assert_eq!(Patterns::parse(&names), Err(PatternsError::TooMany)); // H170
        assert!(Patterns::parse(&names[..PATTERNS_MAX]).is_ok());
        let error = Patterns::parse(&["ok", "a..b"]).unwrap_err();
        assert!(matches!(error, PatternsError::Pattern { index: 1, .. }));
    }

    #[test]
    fn repeated_patterns_count_once_in_the_order_given() {
        let patterns = Patterns::parse(&["b", "a.*", "b", "*"]).unwrap();
        let texts: Vec<_> = patterns.as_slice().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["b", "a.*", "*"]);
        let first = patterns.matching(&event_type("a.x")).unwrap();
        assert_eq!(first.to_string(), "a.*");
    }

    /// Matching as a person would explain it, segment by segment.
    fn naive_matches(pattern: &str, name: &str) -> bool {
        let pattern: Vec<_> = pattern.split('.').collect();
        let name: Vec<_> = name.split('.').collect();
        match pattern.split_last() {
            Some((&"*", [])) => name[0] != "postrider",
            Some((&"*", parents)) => name.len() > parents.len() && name.starts_with(parents),
            _ => name == pattern,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_a_naive_model(
            name in "(a|ab|b|postrider)(\\.(a|ab|b)){0,3}",
            pattern in "(a|ab|b|postrider)(\\.(a|ab|b)){0,2}(\\.\\*)?|\\*",
        ) {
            let parsed: EventPattern = pattern.parse().unwrap();
            prop_assert_eq!(parsed.matches(&event_type(&name)), naive_matches(&pattern, &name));
            prop_assert_eq!(parsed.to_string(), pattern);
        }

        #[test]
        fn arbitrary_text_never_panics_and_what_parses_is_plain(
            text in prop_oneof!["[a-b._*-]{0,12}", any::<String>()],
        ) {
            if let Ok(name) = text.parse::<EventType>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
            }
            if let Ok(pattern) = text.parse::<EventPattern>() {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }
    }
}
