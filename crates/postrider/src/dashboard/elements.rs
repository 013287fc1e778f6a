//! The words that pages are made of: times, numbers, states, tables' ends, buttons that ask first.

use std::fmt::Display;

use maud::{Markup, html};
use postrider_core::delivery::DeliveryState;
use postrider_core::id::UnixMs;
use postrider_signature::timestamp;

use super::icon::{Icon, icon};

/// A time, told by how long ago it is or how soon. The script tells it anew as time goes by, and
/// puts the exact one, in the viewer's zone, where the pointer finds it.
pub(super) fn ago(at: UnixMs, now: UnixMs) -> Markup {
    let exact = timestamp::format_ms(at);
    html! { time datetime=(exact) title=(exact) data-ago { (distance(at - now)) } }
}

/// The same where there may be none.
pub(super) fn ago_or(at: Option<UnixMs>, now: UnixMs, otherwise: &str) -> Markup {
    if let Some(at) = at {
        ago(at, now)
    } else {
        html! { span.none { (otherwise) } }
    }
}

/// A time, told exactly: to the millisecond, in UTC until the script puts it into the viewer's
/// zone.
pub(super) fn exactly(at: UnixMs) -> Markup {
    let exact = timestamp::format_ms(at);
    html! { time datetime=(exact) title=(exact) data-exact { (exact) } }
}

/// `in 4 min`, `3 h ago`: in the largest unit that it has two of, or one and a half.
fn distance(ms: UnixMs) -> String {
    let s = ms.unsigned_abs().div_ceil(1_000);
    let (number, unit) = match s {
        0..90 => (s, "s"),
        90..5_400 => (s / 60, "min"),
        5_400..129_600 => (s / 3_600, "h"),
        _ => (s / 86_400, "d"),
    };
    if ms > 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

/// A whole number, with thin gaps between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push('\u{202f}');
        }
        told.push(digit);
    }
    told
}

/// How many of something: `1 event`, `12 345 events`.
pub(super) fn several(number: u64, one: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    let plural = match one.strip_suffix('y') {
        Some(stem) if number != 1 => format!("{stem}ies"),
        _ => format!("{one}{end}"),
    };
    format!("{}\u{a0}{plural}", count(number))
}

/// A duration in the unit that suits it.
pub(super) fn duration_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}\u{a0}µs"),
        1_000..10_000 => format!("{}.{}\u{a0}ms", us / 1_000, us % 1_000 / 100),
        10_000..1_000_000 => format!("{}\u{a0}ms", us / 1_000),
        1_000_000..600_000_000 => {
            format!("{}.{}\u{a0}s", us / 1_000_000, us % 1_000_000 / 100_000)
        }
        _ => duration_ms(us / 1_000),
    }
}

/// The same of longer ones: `3 h 20 min`.
pub(super) fn duration_ms(ms: u64) -> String {
    let s = ms / 1_000;
    let two = |large: u64, unit: &str, small: u64, rest: &str| match small {
        0 => format!("{large}\u{a0}{unit}"),
        _ => format!("{large}\u{a0}{unit} {small}\u{a0}{rest}"),
    };
    match s {
        0 => duration_us(ms * 1_000),
        1..60 => format!("{s}\u{a0}s"),
        60..3_600 => two(s / 60, "min", s % 60, "s"),
        3_600..86_400 => two(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

/// A share of 0 to 1 as a percentage that never rounds up to all.
pub(super) fn percent(part: u64, whole: u64) -> Option<String> {
    let of_ten_thousand = (u128::from(part) * 10_000).checked_div(u128::from(whole))?;
    let (percent, rest) = (of_ten_thousand / 100, of_ten_thousand % 100);
    Some(if rest == 0 {
        format!("{percent}\u{a0}%")
    } else {
        format!("{percent}.{rest:02}\u{a0}%")
    })
}

/// How a delivery stands. One that is pending after a failed attempt says so.
pub(super) fn state_badge(state: DeliveryState, attempts: u32) -> Markup {
    let (kind, word) = match state {
        DeliveryState::Succeeded => ("ok", "succeeded"),
        DeliveryState::Failed => ("bad", "failed"),
        DeliveryState::Cancelled => ("idle", "cancelled"),
        DeliveryState::Pending if attempts > 0 => ("warn", "retrying"),
        DeliveryState::Pending => ("info", "pending"),
    };
    badge(kind, word)
}

/// A word in a coloured pill; `kind` is one of `ok`, `warn`, `bad`, `info`, `idle`.
pub(super) fn badge(kind: &str, word: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (word) } }
}

/// An id, cut in the middle where there is little room, whole on copying and for screen readers.
pub(super) fn id(id: impl Display) -> Markup {
    html! { code.id { (id) } }
}

/// A button that puts a text into the clipboard. Without a script it isn't there.
pub(super) fn copy(text: impl Display, what: &str) -> Markup {
    html! {
        button.quiet.copy type="button" data-copy=(text) title={ "Copy " (what) }
            aria-label={ "Copy " (what) } hidden { (icon(Icon::Copy)) }
    }
}

/// A form that is one button. `asks`, where given, is asked before it is sent.
pub(super) fn button(action: &str, word: &str, class: &str, asks: Option<&str>) -> Markup {
    html! {
        form.inline method="post" action=(action) data-confirm=[asks] {
            button class=(class) type="submit" { (word) }
        }
    }
}

/// What a list says that has nothing to show, and what to do about it.
pub(super) fn empty(what: &str, hint: &Markup) -> Markup {
    html! {
        div.empty {
            p.what { (what) }
            p.hint { (hint) }
        }
    }
}

/// The way to the next page of a list.
pub(super) fn more(href: Option<&str>) -> Markup {
    further(href, "Older")
}

/// The same of a list that is not in the order of time.
pub(super) fn further(href: Option<&str>, word: &str) -> Markup {
    html! {
        @if let Some(href) = href {
            nav.more aria-label="Pages" { a.button rel="next" href=(href) { (word) } }
        }
    }
}

/// One fact after the other, each with its name.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, fact) in facts { dt { (name) } dd { (fact) } }
        }
    }
}

/// The address of the same page with one parameter set, or left out.
pub(super) fn with_parameter(uri: &str, name: &str, value: Option<&str>) -> String {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut made = form_urlencoded::Serializer::new(String::new());
    for (given, kept) in form_urlencoded::parse(query.as_bytes()) {
        if given != name && given != "notice" && !kept.is_empty() {
            made.append_pair(&given, &kept);
        }
    }
    if let Some(value) = value {
        made.append_pair(name, value);
    }
    let query = made.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The dialog in which the script asks before something is done.
pub(super) fn confirmation() -> Markup {
    html! {
        dialog id="confirm" aria-labelledby="confirm-text" {
            p id="confirm-text" {}
            form method="dialog" {
                button value="no" autofocus { "Leave it" }
                button.danger value="yes" { "Do it" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_told_in_one_unit() {
        for (ms, expected) in [
            (0, "0 s ago"),
            (-1, "1 s ago"),
            (-89_000, "89 s ago"),
            (-90_000, "1 min ago"),
            (4 * 60_000, "in 4 min"),
            (-5_400_000, "1 h ago"),
            (-40 * 3_600_000, "1 d ago"),
            (-90 * 86_400_000, "90 d ago"),
        ] {
            assert_eq!(distance(ms), expected, "{ms}");
        }
    }

    #[test]
    fn numbers_are_read_in_groups() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(several(1, "delivery"), "1\u{a0}delivery");
        assert_eq!(several(2, "delivery"), "2\u{a0}deliveries");
        assert_eq!(several(0, "event"), "0\u{a0}events");
    }

    #[test]
    fn durations_suit_their_size() {
        let told = |us| duration_us(us).replace('\u{a0}', " ");
        assert_eq!(told(999), "999 µs");
        assert_eq!(told(1_250), "1.2 ms");
        assert_eq!(told(142_900), "142 ms");
        assert_eq!(told(1_900_000), "1.9 s");
        assert_eq!(told(15_000_000), "15.0 s");
        assert_eq!(told(12_000_000_000), "3 h 20 min");
        assert_eq!(duration_ms(0).replace('\u{a0}', " "), "0 µs");
        assert_eq!(duration_ms(600_000).replace('\u{a0}', " "), "10 min");
        assert_eq!(duration_ms(432_000_000).replace('\u{a0}', " "), "5 d");
    }

    #[test]
    fn all_means_all() {
        let told = |part, whole| percent(part, whole).map(|text| text.replace('\u{a0}', " "));
        assert_eq!(told(0, 0), None);
        assert_eq!(told(99_999, 100_000).as_deref(), Some("99.99 %"));
        assert_eq!(told(7, 7).as_deref(), Some("100 %"));
        assert_eq!(told(0, 7).as_deref(), Some("0 %"));
    }

    #[test]
    fn a_parameter_is_set_in_an_address() {
        let with = |uri, value| with_parameter(uri, "cursor", value);
        assert_eq!(with("/a", None), "/a");
        assert_eq!(with("/a?cursor=1&state=failed", None), "/a?state=failed");
        assert_eq!(with("/a?state=failed&notice=saved", Some("x y")), "/a?state=failed&cursor=x+y");
        assert_eq!(with("/a?q=%22%3E&empty=", Some("1")), "/a?q=%22%3E&cursor=1");
    }
}
