//! Whole charts, as markup.
//!
//! `POSTRIDER_DRAW_CHARTS=file` has a page of examples written there, to be looked at.

use std::fs;

use maud::{Markup, html};
use postrider_core::delivery::Timing;
use postrider_core::statistics::Tally;

use super::{CountedCharts, Layer, Lines, Sparkline, StackedBars, TimeAxis, Tone, Unit, Waterfall};
use crate::engine::Series;

/// 2026-11-28T13:00:00Z
const FROM: i64 = 1_795_870_800_000;
const MINUTE_MS: i64 = 60_000;
const OUTCOMES: [Layer<'_>; 3] = [
    Layer { name: "succeeded", tone: Tone::Ok },
    Layer { name: "retrying", tone: Tone::Warn },
    Layer { name: "failed", tone: Tone::Bad },
];

fn axis(slots: i64) -> TimeAxis {
    TimeAxis { from: FROM, slot_ms: MINUTE_MS, now: FROM + slots * MINUTE_MS - 1 }
}

fn bars(slots: Vec<[u64; 3]>) -> String {
    let axis = axis(i64::try_from(slots.len()).unwrap());
    let href =
        |slot: std::ops::Range<i64>| Some(format!("/d?after={}&before={}", slot.start, slot.end));
    let chart = StackedBars {
        title: "Attempts",
        empty: "No attempts in this hour.",
        axis,
        layers: OUTCOMES,
        slots,
        href: &href,
    };
    html! { (chart) }.into_string()
}

fn lines(slots: Vec<[Option<u64>; 1]>) -> String {
    let chart = Lines {
        title: "Response time",
        empty: "No answers in this hour.",
        axis: axis(i64::try_from(slots.len()).unwrap()),
        unit: Unit::Micros,
        layers: [Layer { name: "p50", tone: Tone::Accent }],
        sums: [None],
        slots,
        href: &|_| None,
    };
    html! { (chart) }.into_string()
}

#[test]
fn nothing_counted_is_said_in_words() {
    for chart in [bars(vec![]), bars(vec![[0, 0, 0]; 60])] {
        assert!(chart.contains("No attempts in this hour."), "{chart}");
        assert!(!chart.contains("<svg"), "{chart}");
    }
    for chart in [lines(vec![]), lines(vec![[None]; 60])] {
        assert!(chart.contains("No answers in this hour."), "{chart}");
    }
}

#[test]
fn a_bar_is_a_link_with_a_name_and_its_numbers() {
    let chart = bars(vec![[4_539, 1_189, 446]]);
    for expected in [
        r#"href="/d?after=1795870800000&amp;before=1795870860000""#,
        "aria-label=\"28 Nov 13:00\u{a0}UTC: 4\u{202f}539 succeeded, 1\u{202f}189 retrying, 446 failed\"",
        "data-values=\"[&quot;4\u{202f}539&quot;,&quot;1\u{202f}189&quot;,&quot;446&quot;]\"",
        r#"data-at="1795870800000""#,
        r#"<time datetime="2026-11-28T13:00:00.000Z" data-format="slot">"#,
    ] {
        assert!(chart.contains(expected), "{expected} in {chart}");
    }
}

#[test]
fn only_what_happened_can_be_followed() {
    let chart = bars(vec![[1, 0, 0], [0, 0, 0], [0, 0, 2]]);
    // once in the plot and once in the table
    assert_eq!(chart.matches("<a ").count(), 4, "{chart}");
    assert_eq!(chart.matches(r#"tabindex="0""#).count(), 1, "{chart}");
}

#[test]
fn a_line_breaks_where_nothing_was_measured() {
    let chart = lines(vec![[Some(1)], [Some(2)], [None], [Some(3)]]);
    assert_eq!(chart.matches(r#"class="line t-accent""#).count(), 2, "{chart}");
    assert!(chart.contains("&quot;–&quot;"), "{chart}");
}

#[test]
fn extreme_numbers_stay_in_the_plot() {
    let chart = bars(vec![[u64::MAX, u64::MAX, u64::MAX], [1, 0, 0]]);
    let drawn = chart.replace(r#"tabindex="-1""#, "");
    assert!(!drawn.contains("NaN") && !drawn.contains("=\"-"), "{chart}");
}

#[test]
fn names_are_text_whatever_is_in_them() {
    let hostile = "\"><script>alert(1)</script>&\u{202e}";
    let layer = Layer { name: hostile, tone: Tone::Ok };
    let chart = StackedBars {
        title: hostile,
        empty: hostile,
        axis: axis(1),
        layers: [layer],
        slots: vec![[1]],
        href: &|_| Some(hostile.to_owned()),
    };
    let spark = Sparkline::Line { label: hostile, tone: Tone::Ok, values: vec![1] };
    let page = html! { (chart) (spark) }.into_string();
    let inert = page.matches("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;").count();
    assert_eq!(inert, page.matches("alert(1)").count(), "{page}");
}

#[test]
fn nothing_needs_a_style_of_its_own() {
    let page = gallery().into_string();
    assert!(!page.contains("style=") && !page.contains("<style"));
}

#[test]
fn the_gallery_is_drawn_where_it_is_wanted() {
    if let Some(path) = std::env::var_os("POSTRIDER_DRAW_CHARTS") {
        fs::write(path, gallery().into_string()).unwrap();
    }
}

/// Looks like chance, and is the same each time.
fn noise(at: u64) -> u64 {
    let mut x = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
}

fn hour_of_outcomes(at: u64) -> [u64; 3] {
    let ok = 9_000 + 40 * (30_u64.saturating_sub(at.abs_diff(18))) + noise(at) % 700;
    if (38..44).contains(&at) {
        [ok / 2, ok / 5, 300 + noise(at) % 200]
    } else {
        [ok, noise(at) % 180, noise(at + 7) % 9]
    }
}

fn hour_of_times(at: u64) -> [Option<u64>; 3] {
    let slow = if (38..44).contains(&at) { 3 } else { 1 };
    let p50 = 41_000 + noise(at) % 6_000;
    Some([
        p50,
        slow * (118_000 + noise(at + 1) % 20_000),
        slow * (250_000 + noise(at + 2) % 60_000),
    ])
    .map_or([None; 3], |times| times.map(Some))
}

fn day_of_answers() -> Series {
    let mut total = Tally::default();
    let slots = (0..96_u64).map(|at| {
        let mut tally = Tally { succeeded: 900 + noise(at) % 200, ..Tally::default() };
        tally.status_4xx = noise(at + 1) % 40;
        tally.status_5xx = if at > 80 { 300 } else { noise(at + 2) % 9 };
        tally.failed = tally.status_4xx + tally.status_5xx + noise(at + 3) % 30;
        (0..tally.attempts() - noise(at + 3) % 30).for_each(|_| tally.response.record(900));
        total.merge(&tally);
        (FROM + 15 * MINUTE_MS * i64::try_from(at).unwrap(), tally)
    });
    let slots = slots.collect();
    Series { slot_ms: 15 * MINUTE_MS, slots, total }
}

fn gallery() -> Markup {
    let hour = axis(60);
    let week = TimeAxis { slot_ms: 120 * MINUTE_MS, now: FROM + 84 * 120 * MINUTE_MS, ..hour };
    let percentiles = [("p50", Tone::Accent), ("p95", Tone::Warn), ("p99", Tone::Bad)]
        .map(|(name, tone)| Layer { name, tone });
    let statuses = [
        ("2xx", Tone::Ok),
        ("3xx", Tone::Info),
        ("4xx", Tone::Warn),
        ("5xx", Tone::Bad),
        ("no answer", Tone::Muted),
    ]
    .map(|(name, tone)| Layer { name, tone });
    let status_slots = (0..84_u64).map(|at| {
        let ok = 2_000 + 90 * 20_u64.saturating_sub((at % 12).abs_diff(6) * 3) + noise(at) % 300;
        let gap = (50..53).contains(&at);
        [ok, 0, noise(at) % 120, if at > 60 { 900 } else { noise(at + 3) % 40 }, noise(at + 4) % 30]
            .map(|value| (!gap).then_some(value))
    });
    let to = |slot: std::ops::Range<i64>| Some(format!("#after={}", slot.start));
    let series = day_of_answers();
    let counted = CountedCharts { series: &series, now: week.now, empty: "", href: &to };
    html! {
        div.card { (counted.answers()) }
        div.grid {
            div.card { (StackedBars {
                title: "Attempts", empty: "", axis: hour, layers: OUTCOMES,
                slots: (0..60).map(hour_of_outcomes).collect(), href: &to,
            }) }
            div.card { (Lines {
                title: "Response time", empty: "", axis: hour, unit: Unit::Micros, layers: percentiles,
                sums: [Some(42_100), Some(131_000), Some(402_000)],
                slots: (0..60).map(hour_of_times).collect(), href: &to,
            }) }
            div.card { (Lines {
                title: "Answers", empty: "", axis: week, unit: Unit::Count, layers: statuses,
                sums: [None; 5], slots: status_slots.collect(), href: &|_| None,
            }) }
            div.card { (StackedBars {
                title: "Attempts", empty: "No attempts in this hour.", axis: hour, layers: OUTCOMES,
                slots: vec![], href: &to,
            }) }
            div.card { (StackedBars {
                title: "A few", empty: "", axis: hour, layers: OUTCOMES,
                slots: (0..60).map(|at| [u64::from(at % 9 == 0), 0, u64::from(at == 40)]).collect(), href: &to,
            }) }
            div.card {
                (Waterfall { timing: Timing { dns_us: 4_100, connect_us: 14_000, tls_us: 31_000, wait_us: 84_000, total_us: 142_000 }, width_us: 0 })
                (Waterfall { timing: Timing { wait_us: 15_000_000, total_us: 15_000_100, ..Timing::default() }, width_us: 0 })
                (Waterfall { timing: Timing { dns_us: 2_000, total_us: 2_100, ..Timing::default() }, width_us: 142_000 })
            }
        }
        div.grid.small {
            div.card {
                (Sparkline::Line { label: "delivered", tone: Tone::Accent, values: (0..48).map(|at| 40 + noise(at) % 9 + at / 3).collect() })
            }
            div.card {
                (Sparkline::Line { label: "p95", tone: Tone::Warn, values: (0..48).map(|at| 100 + noise(at) % 90).collect() })
            }
            div.card { (Sparkline::Bars { label: "a day", slots: (0..24).map(|at| (100 + noise(at) % 80, if at > 18 { 40 } else { noise(at) % 3 / 2 })).collect() }) }
            div.card { (Sparkline::Bars { label: "a quiet day", slots: vec![(0, 0); 24] }) }
        }
        div.card { (StackedBars {
            title: "Wide", empty: "", axis: week, layers: OUTCOMES,
            slots: (0..84).map(|at| hour_of_outcomes(at % 60)).collect(), href: &to,
        }) }
    }
}
