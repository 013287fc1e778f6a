//! The three charts that are drawn of what was counted: of a tenant, and of a webhook.

use maud::{Markup, html};
use postrider_core::id::UnixMs;
use postrider_core::statistics::Tally;

use super::{Href, Layer, Lines, StackedBars, TimeAxis, Tone, Unit};
use crate::engine::Series;

/// What was counted, and where a slot leads.
#[derive(Clone, Copy)]
pub(crate) struct CountedCharts<'a> {
    pub(crate) series: &'a Series,
    pub(crate) now: UnixMs,
    /// What is said when nothing was counted.
    pub(crate) empty: &'a str,
    pub(crate) href: Href<'a>,
}

impl CountedCharts<'_> {
    /// How attempts ended, one kind upon the other.
    pub(crate) fn outcomes(&self) -> Markup {
        let of = |tally: &Tally| [tally.succeeded, tally.retrying, tally.failed_finally()];
        let chart = StackedBars {
            title: "Attempts",
            empty: self.empty,
            axis: self.axis(),
            layers: layers([
                ("succeeded", Tone::Ok),
                ("retrying", Tone::Warn),
                ("failed", Tone::Bad),
            ]),
            slots: self.slots(of),
            href: self.href,
        };
        html! { (chart) }
    }

    /// How long receivers took to answer.
    pub(crate) fn response_times(&self) -> Markup {
        let of = |tally: &Tally| {
            [50, 95, 99].map(|percent| tally.response.percentile_us(percent).map(u64::from))
        };
        let chart = Lines {
            title: "Response time",
            empty: self.empty,
            axis: self.axis(),
            unit: Unit::Micros,
            layers: layers([("p50", Tone::Accent), ("p95", Tone::Warn), ("p99", Tone::Bad)]),
            sums: of(&self.series.total),
            slots: self.slots(of),
            href: self.href,
        };
        html! { (chart) }
    }

    /// What receivers answered, by the class of the status.
    pub(crate) fn answers(&self) -> Markup {
        let of = |tally: &Tally| {
            [
                tally.succeeded,
                tally.status_3xx,
                tally.status_4xx,
                tally.status_5xx,
                tally.unanswered(),
            ]
        };
        let chart = StackedBars {
            title: "Answers",
            empty: self.empty,
            axis: self.axis(),
            layers: layers([
                ("2xx", Tone::Ok),
                ("3xx", Tone::Info),
                ("4xx", Tone::Warn),
                ("5xx", Tone::Bad),
                ("none", Tone::Muted),
            ]),
            slots: self.slots(of),
            href: self.href,
        };
        html! { (chart) }
    }

    fn axis(&self) -> TimeAxis {
        let from = self.series.slots.first().map_or(self.now, |&(at, _)| at);
        TimeAxis { from, slot_ms: self.series.slot_ms, now: self.now }
    }

    fn slots<T>(&self, of: impl Fn(&Tally) -> T) -> Vec<T> {
        self.series.slots.iter().map(|(_, tally)| of(tally)).collect()
    }
}

fn layers<const N: usize>(layers: [(&'static str, Tone); N]) -> [Layer<'static>; N] {
    layers.map(|(name, tone)| Layer { name, tone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charts(tally: Tally) -> String {
        let slots = vec![(0, Tally::default()), (60_000, tally.clone())];
        let series = Series { slot_ms: 60_000, slots, total: tally };
        let (empty, now) = ("Nothing in this hour.", 119_999);
        let charts = CountedCharts { series: &series, now, empty, href: &|_| None };
        let all = [charts.outcomes(), charts.response_times(), charts.answers()];
        html! { @for chart in all { (chart) } }.into_string()
    }

    #[test]
    fn what_was_counted_is_told_by_outcome_time_and_answer() {
        let mut tally =
            Tally { succeeded: 90, failed: 10, retrying: 7, status_5xx: 4, ..Tally::default() };
        (0..94).for_each(|_| tally.response.record(8));
        let page = charts(tally).replace(['\u{a0}', '\u{202f}'], " ");
        for expected in [
            "[&quot;90&quot;,&quot;7&quot;,&quot;3&quot;]",
            "[&quot;8 µs&quot;,&quot;8 µs&quot;,&quot;8 µs&quot;]",
            "[&quot;90&quot;,&quot;0&quot;,&quot;0&quot;,&quot;4&quot;,&quot;6&quot;]",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }

    #[test]
    fn each_chart_says_that_nothing_was_counted() {
        assert_eq!(charts(Tally::default()).matches("Nothing in this hour.").count(), 3);
    }
}
