//! Times on an axis: where round ones stand, and how they are written.

use maud::{Markup, html};
use postrider_core::id::UnixMs;
use postrider_signature::timestamp;

use super::scale::Share;

const MINUTE_MS: UnixMs = 60_000;
const HOUR_MS: UnixMs = 60 * MINUTE_MS;
const DAY_MS: UnixMs = 24 * HOUR_MS;
/// Labels at most; every second one gives way where there is no room.
const TICKS_MAX: UnixMs = 9;
const STEPS_MS: [UnixMs; 13] = [
    MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    4 * DAY_MS,
    7 * DAY_MS,
];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Round times of a range.
pub(super) struct Ticks {
    pub(super) step_ms: UnixMs,
    pub(super) times: Vec<UnixMs>,
}

impl Ticks {
    pub(super) fn of(from: UnixMs, until: UnixMs) -> Self {
        let length_ms = (until - from).max(1);
        let step_ms = STEPS_MS.into_iter().find(|step_ms| length_ms / step_ms <= TICKS_MAX);
        let weeks = length_ms / (7 * DAY_MS * TICKS_MAX) + 1;
        let step_ms = step_ms.unwrap_or(weeks * 7 * DAY_MS);
        let first = from + (-from).rem_euclid(step_ms);
        let times = (0..=TICKS_MAX).map(|at| first + at * step_ms);
        Self { step_ms, times: times.take_while(|&time| time <= until).collect() }
    }
}

/// The line of labels below a plot.
pub(super) fn axis(from: UnixMs, until: UnixMs) -> Markup {
    let ticks = Ticks::of(from, until);
    html! {
        svg.x aria-hidden="true" {
            @for (at, &time) in ticks.times.iter().enumerate() {
                text.minor[at % 2 == 1] x=(place(time, from, until)) y="16" data-format="tick"
                    data-time=(time) data-step=(ticks.step_ms) { (tick(time)) }
            }
        }
    }
}

/// When a slot begins, for tables.
pub(super) fn slot(at: UnixMs) -> Markup {
    html! { time datetime=(timestamp::format_ms(at)) data-format="slot" { (spoken(at)) } }
}

/// The same in words.
pub(super) fn spoken(at: UnixMs) -> String {
    format!("{} {}\u{a0}UTC", day(at), clock(at))
}

pub(super) fn place(time: UnixMs, from: UnixMs, until: UnixMs) -> Share {
    let part = |ms: UnixMs| u128::try_from(ms).unwrap_or(0);
    Share::of(part(time - from), part(until - from))
}

/// The day at midnight, the time of day otherwise.
fn tick(time: UnixMs) -> String {
    if time.rem_euclid(DAY_MS) == 0 { day(time) } else { clock(time) }
}

fn clock(time: UnixMs) -> String {
    let minute = time.rem_euclid(DAY_MS) / MINUTE_MS;
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `28 Nov`.
fn day(time: UnixMs) -> String {
    let text = timestamp::format_ms(time);
    // as in 2026-11-28T…: of four-digit years, the only ones that we store
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok());
    let name = month.and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    match (text.get(8..10), name) {
        (Some(day), Some(name)) => format!("{} {name}", day.trim_start_matches('0')),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T14:00:00Z
    const AT: UnixMs = 1_795_874_400_000;

    fn ticks(length_ms: UnixMs) -> String {
        let ticks = Ticks::of(AT - length_ms, AT);
        ticks.times.into_iter().map(tick).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_stand_at_round_times() {
        for (length_ms, expected) in [
            (0, "14:00"),
            (HOUR_MS, "13:00 13:10 13:20 13:30 13:40 13:50 14:00"),
            (DAY_MS, "15:00 18:00 21:00 28 Nov 03:00 06:00 09:00 12:00"),
            (7 * DAY_MS, "22 Nov 23 Nov 24 Nov 25 Nov 26 Nov 27 Nov 28 Nov"),
            (31 * DAY_MS, "30 Oct 3 Nov 7 Nov 11 Nov 15 Nov 19 Nov 23 Nov 27 Nov"),
        ] {
            assert_eq!(ticks(length_ms), expected, "{length_ms}");
        }
    }

    #[test]
    fn ticks_are_few_however_long_the_range() {
        for days in [1, 30, 92, 400, 4_000] {
            let ticks = Ticks::of(AT - days * DAY_MS, AT);
            assert!((4..=10).contains(&ticks.times.len()), "{days}: {:?}", ticks.times);
        }
    }
}
