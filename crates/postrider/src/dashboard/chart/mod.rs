//! Charts as SVG, drawn on the server by pure functions: numbers in, markup out.
//!
//! A chart over time is a `figure.chart`: caption with legend, plot with axes, and the same numbers
//! as a table. Positions are percentages and text is never scaled, so a chart fits any width and
//! stays readable. Colours are classes only ([`Tone`]); `assets/chart.css` says what they are.
//! Every text goes through maud's escaping.
//!
//! # What the script does
//!
//! Without `assets/chart.js` a chart is whole, with times in UTC. With it, there are tooltips and
//! arrow keys, and times are in the viewer's zone. The contract:
//!
//! - `figure.chart` has `data-from`, `data-until` and `data-slot`: the range and the width of a
//!   slot, in milliseconds.
//! - Each `.slot` in it has `data-at`, when the slot begins (Unix milliseconds), and `data-values`,
//!   a JSON array of texts: one for each `.legend li`, in their order. One that can be followed is a
//!   link; of those, one is in the order of the tab key, and arrow keys lead to the others.
//! - `[data-format]` is a time in UTC, named by `datetime` or `data-time`: `tick` is at a round time
//!   and may be moved to one that is round in the viewer's zone (`data-step` is the distance of
//!   ticks); `slot` says the day too.
//! - `.cross` is a hidden line in the plot, for the script to put where the pointer is.

mod bars;
mod counted;
mod frame;
mod lines;
mod scale;
mod sparkline;
mod time;
mod waterfall;

#[cfg(test)]
mod tests;

use std::ops::Range;

use postrider_core::id::UnixMs;

pub(crate) use bars::StackedBars;
pub(crate) use counted::CountedCharts;
pub(crate) use lines::Lines;
pub(crate) use scale::Unit;
pub(crate) use sparkline::Sparkline;
pub(crate) use waterfall::Waterfall;

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Ok,
    Warn,
    Bad,
    Info,
    Accent,
    Muted,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Ok => "t-ok",
            Self::Warn => "t-warn",
            Self::Bad => "t-bad",
            Self::Info => "t-info",
            Self::Accent => "t-accent",
            Self::Muted => "t-muted",
        }
    }
}

/// One of the things that a chart shows side by side or one upon the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) name: &'a str,
    pub(crate) tone: Tone,
}

/// The slots of time that a chart shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeAxis {
    /// When the first slot begins.
    pub(crate) from: UnixMs,
    pub(crate) slot_ms: UnixMs,
    /// The slot that holds it is not over yet, and shown so.
    pub(crate) now: UnixMs,
}

impl TimeAxis {
    fn slot(&self, at: usize) -> Range<UnixMs> {
        let at = UnixMs::try_from(at).unwrap_or(UnixMs::MAX);
        let begin = self.from.saturating_add(self.slot_ms.saturating_mul(at));
        begin..begin.saturating_add(self.slot_ms)
    }

    fn until(&self, slots: usize) -> UnixMs {
        self.slot(slots).start
    }
}

/// Where a slot leads, if anywhere: given when it begins and ends.
pub(crate) type Href<'a> = &'a dyn Fn(Range<UnixMs>) -> Option<String>;
