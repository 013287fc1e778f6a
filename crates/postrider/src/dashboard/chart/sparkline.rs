//! A chart as small as a word, for a table's cell or beside a figure. Its numbers stand elsewhere on
//! the page, so it says one sentence and no more.

use maud::{Markup, Render, html};

use super::Tone;
use super::lines::{Point, curve, ground};
use super::scale::Share;

/// One of a few is seen in a height of twenty-odd pixels.
const HEIGHT_MIN: u32 = 900;

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) enum Sparkline<'a> {
    /// How a number went.
    Line { label: &'a str, tone: Tone, values: Vec<u64> },
    /// How many succeeded and how many failed, in each slot.
    Bars { label: &'a str, slots: Vec<(u64, u64)> },
}

impl Render for Sparkline<'_> {
    fn render(&self) -> Markup {
        match self {
            Self::Line { label, tone, values } => line(label, *tone, values),
            Self::Bars { label, slots } => bars(label, slots),
        }
    }
}

fn line(label: &str, tone: Tone, values: &[u64]) -> Markup {
    let max = values.iter().copied().max().unwrap_or(0);
    let last = values.len().saturating_sub(1).max(1);
    let place = |(at, &value): (usize, &u64)| {
        Point::at(Share::of(at as u128, last as u128), Share::of(value.into(), max.into()).rest())
    };
    let points: Vec<_> = values.iter().enumerate().map(place).collect();
    html! {
        svg.spark.(tone.class()) role="img" aria-label=(label) viewBox="0 0 10000 10000"
            preserveAspectRatio="none" {
            path.ground d=(ground(&points)) {}
            path.line d=(curve(&points)) {}
        }
    }
}

fn bars(label: &str, slots: &[(u64, u64)]) -> Markup {
    let sums = slots.iter().map(|(ok, bad)| ok.saturating_add(*bad));
    let max = sums.max().unwrap_or(0).into();
    html! {
        svg.spark.bars role="img" aria-label=(label) viewBox="0 0 10000 10000" preserveAspectRatio="none" {
            @for (at, &(ok, bad)) in slots.iter().enumerate() {
                @let begin = Share::of(at as u128, slots.len() as u128).0;
                @let width = Share::of(1, slots.len() as u128).0 * 4 / 5;
                @let red = seen(bad, max);
                @let green = seen(ok, max).min(Share::ALL.0 - red);
                @if green > 0 {
                    rect.t-ok x=(begin) width=(width) y=(Share::ALL.0 - green) height=(green) {}
                }
                @if red > 0 {
                    rect.t-bad x=(begin) width=(width) y=(Share::ALL.0 - green - red) height=(red) {}
                }
                @if ok == 0 && bad == 0 {
                    rect.t-muted x=(begin) width=(width) y="9600" height="400" {}
                }
            }
        }
    }
}

fn seen(value: u64, max: u128) -> u32 {
    match value {
        0 => 0,
        _ => Share::of(value.into(), max).0.max(HEIGHT_MIN),
    }
}
