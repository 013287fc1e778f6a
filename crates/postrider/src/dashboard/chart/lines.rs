//! How something went over time, one line for each kind.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

use super::frame::{self, Frame};
use super::scale::{Scale, Share, Unit};
use super::{Href, Layer, TimeAxis};

/// A chart of lines. A slot without a value is a gap.
pub(crate) struct Lines<'a, const N: usize> {
    pub(crate) title: &'a str,
    /// What is said when there is no value at all.
    pub(crate) empty: &'a str,
    pub(crate) axis: TimeAxis,
    pub(crate) unit: Unit,
    /// The first one is drawn last, above the others, with the ground below it tinted.
    pub(crate) layers: [Layer<'a>; N],
    /// What the legend says beside each name.
    pub(crate) sums: [Option<u64>; N],
    pub(crate) slots: Vec<[Option<u64>; N]>,
    pub(crate) href: Href<'a>,
}

impl<const N: usize> Render for Lines<'_, N> {
    fn render(&self) -> Markup {
        let Some(max) = self.slots.iter().flatten().copied().flatten().max() else {
            return frame::empty(self.title, &self.layers, self.empty);
        };
        let text = |value: &Option<u64>| {
            value.map_or_else(|| "–".to_owned(), |value| self.unit.exactly(value))
        };
        let frame = Frame {
            title: self.title,
            layers: &self.layers,
            sums: self.sums.map(|sum| sum.map(|sum| self.unit.exactly(sum))).to_vec(),
            axis: self.axis,
            scale: Scale::upto(max),
            unit: self.unit,
            rows: self.slots.iter().map(|slot| slot.iter().map(text).collect()).collect(),
            href: self.href,
        };
        let lines = html! {
            // stretched to the plot; strokes are not
            svg.lines viewBox="0 0 10000 10000" preserveAspectRatio="none" width="100%" height="100%" {
                @for at in (0..N).rev() { (self.line(&frame, at)) }
            }
        };
        frame.figure(&lines, &vec![html! {}; self.slots.len()])
    }
}

impl<const N: usize> Lines<'_, N> {
    fn line(&self, frame: &Frame<'_>, at: usize) -> Markup {
        let class = self.layers[at].tone.class();
        let points = self.slots.iter().enumerate().map(|(slot, values)| {
            let (begin, width) = frame.place(slot);
            let y = frame.scale.height(values[at]?).rest();
            Some(Point::at(Share(begin.0 + width.0 / 2), y))
        });
        let points: Vec<_> = points.collect();
        let runs: Vec<&[Option<Point>]> =
            points.split(Option::is_none).filter(|run| !run.is_empty()).collect();
        let runs: Vec<Vec<Point>> =
            runs.into_iter().map(|run| run.iter().copied().flatten().collect()).collect();
        html! {
            @if at == 0 {
                @for run in &runs { path.ground.(class) d=(ground(run)) {} }
            }
            @for run in &runs { path.line.(class) d=(curve(run)) {} }
        }
    }
}

/// A place in the plot, of 10,000 by 10,000, from the upper left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    x: f64,
    y: f64,
}

impl Point {
    pub(super) fn at(x: Share, y: Share) -> Self {
        Self { x: x.0.into(), y: y.0.into() }
    }

    fn slope_to(self, next: Self) -> f64 {
        (next.y - self.y) / (next.x - self.x)
    }
}

/// A curve through all points that never goes beyond two neighbours, so that it shows nothing that
/// wasn't: the monotone interpolation of Fritsch and Butland.
pub(super) fn curve(points: &[Point]) -> String {
    let slopes: Vec<f64> = points.windows(2).map(|pair| pair[0].slope_to(pair[1])).collect();
    let tangent = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| slopes.get(at));
        match (before, slopes.get(at)) {
            (Some(before), Some(after)) if before * after > 0.0 => {
                2.0 * before * after / (before + after)
            }
            (None, Some(only)) | (Some(only), None) => *only,
            _ => 0.0,
        }
    };
    let mut path = String::new();
    for (at, point) in points.iter().enumerate() {
        let Some(before) = at.checked_sub(1).and_then(|at| points.get(at)) else {
            let _ = write!(path, "M{:.0} {:.0}h0", point.x, point.y);
            continue;
        };
        let third = (point.x - before.x) / 3.0;
        let _ = write!(
            path,
            "C{:.0} {:.0} {:.0} {:.0} {:.0} {:.0}",
            before.x + third,
            before.y + third * tangent(at - 1),
            point.x - third,
            point.y - third * tangent(at),
            point.x,
            point.y
        );
    }
    path
}

/// What lies below a curve.
pub(super) fn ground(points: &[Point]) -> String {
    match (points.first(), points.last()) {
        (Some(first), Some(last)) => {
            format!("{}L{:.0} 10000L{:.0} 10000Z", curve(points), last.x, first.x)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(heights: &[u32]) -> Vec<Point> {
        let at = (0..).map(|at| at * 300);
        at.zip(heights).map(|(x, &y)| Point::at(Share(x), Share(y))).collect()
    }

    #[test]
    fn a_curve_goes_through_its_points_and_never_beyond_them() {
        assert_eq!(curve(&[]), "");
        assert_eq!(curve(&points(&[7])), "M0 7h0");
        assert_eq!(curve(&points(&[100, 400])), "M0 100h0C100 200 200 300 300 400");
        // level where it turns
        assert_eq!(
            curve(&points(&[100, 400, 100])),
            "M0 100h0C100 200 200 400 300 400C400 400 500 200 600 100"
        );
        assert_eq!(
            ground(&points(&[100, 400])),
            "M0 100h0C100 200 200 300 300 400L300 10000L0 10000Z"
        );
        assert_eq!(ground(&[]), "");
    }
}
