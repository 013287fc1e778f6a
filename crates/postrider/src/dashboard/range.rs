//! The range of time that charts show, as it stands in a page's address: `range=24h`, or `from` and
//! `until`.

use std::ops::Range;

use maud::{Markup, html};
use postrider_core::id::UnixMs;
use postrider_signature::timestamp;

use super::elements::with_parameter;
use super::visit::Visit;
use crate::http::query::Query;

const HOUR_MS: UnixMs = 3_600_000;
const DAY_MS: UnixMs = 24 * HOUR_MS;
/// A quarter of a year: what is counted is kept no longer.
const LENGTH_MS_MAX: UnixMs = 92 * DAY_MS;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranged {
    pub(super) range: Range<UnixMs>,
    /// Which of [`COMMON`], or `None` where from and until were given.
    common: Option<&'static str>,
}

/// Ranges up to now, with what they are called in sentences.
const COMMON: [(&str, UnixMs, &str); 4] = [
    ("1h", HOUR_MS, "the last hour"),
    ("24h", DAY_MS, "the last 24 hours"),
    ("7d", 7 * DAY_MS, "the last 7 days"),
    ("30d", 30 * DAY_MS, "the last 30 days"),
];
const DEFAULT: (&str, UnixMs) = ("24h", DAY_MS);

impl Ranged {
    /// Takes the range from a page's address.
    pub(super) fn read(query: &mut Query, now: UnixMs) -> Self {
        let from = query.parsed("from", "not a time such as 2026-01-31T12:00", minute);
        let until = query.parsed("until", "not a time such as 2026-01-31T12:00", minute);
        let named = query.parsed("range", "must be one of 1h, 24h, 7d and 30d", |text| {
            COMMON.into_iter().find(|(name, ..)| *name == text)
        });
        if from.is_some() || until.is_some() {
            let until = until.unwrap_or(now);
            let from = from.unwrap_or(until - DAY_MS);
            if from >= until || until - from > LENGTH_MS_MAX {
                query.fault("until", "until must be after from, by at most 92 days");
            }
            return Self { range: from..until, common: None };
        }
        let (name, length_ms) = named.map_or(DEFAULT, |(name, length_ms, _)| (name, length_ms));
        Self { range: now - length_ms..now, common: Some(name) }
    }

    /// The range before it, of the same length: what it is compared with.
    pub(super) fn before(&self) -> Range<UnixMs> {
        let length_ms = self.range.end - self.range.start;
        self.range.start - length_ms..self.range.start
    }

    /// `the last hour`, or `this range`.
    pub(super) fn words(&self) -> &'static str {
        let common = COMMON.into_iter().find(|(name, ..)| Some(*name) == self.common);
        common.map_or("this range", |(.., words)| words)
    }

    /// The choice of a range, above charts. `parameters` go along with it.
    pub(super) fn picker(&self, visit: &Visit) -> Markup {
        let bare = with_parameter(&visit.uri, "from", None);
        let bare = with_parameter(&bare, "until", None);
        let (path, query) = bare.split_once('?').unwrap_or((&bare, ""));
        let others = form_urlencoded::parse(query.as_bytes());
        let others: Vec<_> = others.filter(|(name, _)| name != "range").collect();
        html! {
            div.segments role="group" aria-label="Range of time" {
                @for (name, ..) in COMMON {
                    a href=(with_parameter(&bare, "range", Some(name)))
                        aria-current=[(self.common == Some(name)).then_some("true")] { (name) }
                }
            }
            details.custom open[self.common.is_none()] id="custom-range" {
                summary { "Custom" }
                form action=(path) {
                    @for (name, value) in &others {
                        input type="hidden" name=(name) value=(value);
                    }
                    label { "From (UTC)"
                        input type="datetime-local" name="from" required
                            value=(field(self.range.start)); }
                    label { "Until (UTC)"
                        input type="datetime-local" name="until" required
                            value=(field(self.range.end)); }
                    button type="submit" { "Show" }
                }
            }
        }
    }
}

/// Parameters of a list of deliveries that has those of a slot.
pub(super) fn within(range: &Range<UnixMs>) -> String {
    let (after, before) = (timestamp::format_ms(range.start), timestamp::format_ms(range.end));
    format!("after={after}&before={before}")
}

/// A time as a form sends it (HTML, "local date and time"), or whole.
fn minute(text: &str) -> Option<UnixMs> {
    let whole = match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    timestamp::parse(&whole).ok()
}

fn field(at: UnixMs) -> String {
    timestamp::format_ms(at).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;

    fn read(query: &str) -> Ranged {
        Ranged::read(&mut Query::of_page(query), 100 * DAY_MS)
    }

    /// A page whose range can't be shown.
    fn refused(query: &str) -> Option<Code> {
        let mut query = Query::of_page(query);
        Ranged::read(&mut query, 100 * DAY_MS);
        query.finish_page().err().map(|error| error.code())
    }

    #[test]
    fn a_range_is_named_or_given() {
        let now = 100 * DAY_MS;
        assert_eq!(read("").range, now - DAY_MS..now);
        assert_eq!(read("range=7d").range, now - 7 * DAY_MS..now);
        assert_eq!(read("range=7d").before(), now - 14 * DAY_MS..now - 7 * DAY_MS);
        let given = read("from=1970-01-02T00%3A00&until=1970-01-03T12:00:00.000Z");
        assert_eq!(given.range, DAY_MS..2 * DAY_MS + 12 * HOUR_MS);
        assert_eq!((given.words(), read("range=1h").words()), ("this range", "the last hour"));
        assert_eq!(read("from=1970-04-10T12:00").range, now - 12 * HOUR_MS..now);
    }

    #[test]
    fn an_impossible_range_is_refused() {
        assert_eq!(refused("range=30d&other=1"), None);
        for bad in [
            "range=2h",
            "from=yesterday",
            "from=1970-01-01T00:00",
            "from=1970-01-03T00:00&until=1970-01-02T00:00",
        ] {
            assert_eq!(refused(bad), Some(Code::Validation), "{bad}");
        }
    }
}
