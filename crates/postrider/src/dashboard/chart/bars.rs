//! What happened in each slot of time, one kind upon the other.

use maud::{Markup, Render, html};

use super::frame::{self, Frame};
use super::scale::{Scale, Share, Unit};
use super::{Href, Layer, TimeAxis};

/// Of a slot, what a bar leaves free on each side.
const GAP: u32 = 11;
/// One of a thousand is seen too: some two pixels.
const HEIGHT_MIN: Share = Share(130);

/// A chart of counts. Its bars lead to what they count.
pub(crate) struct StackedBars<'a, const N: usize> {
    pub(crate) title: &'a str,
    /// What is said when nothing was counted at all.
    pub(crate) empty: &'a str,
    pub(crate) axis: TimeAxis,
    /// From the ground up.
    pub(crate) layers: [Layer<'a>; N],
    /// For each slot how many there were of each layer.
    pub(crate) slots: Vec<[u64; N]>,
    pub(crate) href: Href<'a>,
}

impl<const N: usize> Render for StackedBars<'_, N> {
    fn render(&self) -> Markup {
        let sum = |slot: &[u64; N]| slot.iter().copied().fold(0, u64::saturating_add);
        let max = self.slots.iter().map(sum).max().unwrap_or(0);
        if max == 0 {
            return frame::empty(self.title, &self.layers, self.empty);
        }
        let zero = [0_u64; N];
        let sums = self
            .slots
            .iter()
            .fold(zero, |sums, slot| std::array::from_fn(|at| sums[at].saturating_add(slot[at])));
        let unit = Unit::Count;
        let texts = |slot: &[u64; N]| slot.iter().map(|&value| unit.exactly(value)).collect();
        let frame = Frame {
            title: self.title,
            layers: &self.layers,
            sums: sums.map(|sum| Some(unit.exactly(sum))).to_vec(),
            axis: self.axis,
            scale: Scale::upto(max),
            unit,
            rows: self.slots.iter().map(texts).collect(),
            // an empty slot leads to nothing
            href: &|slot| {
                let at = usize::try_from((slot.start - self.axis.from) / self.axis.slot_ms.max(1));
                let counted = at.ok().and_then(|at| self.slots.get(at)).map_or(0, sum);
                if counted > 0 { (self.href)(slot) } else { None }
            },
        };
        let bars = self.slots.iter().enumerate().map(|(at, slot)| self.bar(&frame, at, slot));
        frame.figure(&html! {}, &bars.collect::<Vec<_>>())
    }
}

impl<const N: usize> StackedBars<'_, N> {
    fn bar(&self, frame: &Frame<'_>, at: usize, slot: &[u64; N]) -> Markup {
        let (begin, width) = frame.place(at);
        let gap = width.0 * GAP / 100;
        let (x, width) = (Share(begin.0 + gap), Share(width.0 - 2 * gap));
        let mut top = Share::ALL;
        html! {
            @for (layer, height) in self.layers.iter().zip(heights(&frame.scale, slot)) {
                @if height > Share(0) {
                    ({ top = Share(top.0 - height.0); "" })
                    rect class=(layer.tone.class()) x=(x) width=(width) y=(top) height=(height) rx="1" {}
                }
            }
        }
    }
}

/// Nothing that happened is too small to be seen; where that would go beyond the top, the tallest
/// gives way.
fn heights<const N: usize>(scale: &Scale, slot: &[u64; N]) -> [Share; N] {
    let mut heights = slot.map(|value| match value {
        0 => Share(0),
        _ => scale.height(value).max(HEIGHT_MIN),
    });
    let sum: u32 = heights.iter().map(|height| height.0).sum();
    if let Some(tallest) = heights.iter_mut().max() {
        tallest.0 = tallest.0.saturating_sub(sum.saturating_sub(Share::ALL.0));
    }
    let mut room = Share::ALL;
    heights.map(|height| {
        let height = height.min(room);
        room.0 -= height.0;
        height
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_is_seen_and_the_top_is_kept() {
        let scale = Scale::upto(10_000);
        assert_eq!(heights(&scale, &[9_998, 1, 1]).map(|height| height.0), [9_740, 130, 130]);
        assert_eq!(heights(&scale, &[5_000, 0, 0]).map(|height| height.0), [5_000, 0, 0]);
        assert_eq!(heights(&scale, &[0, 1, 0]).map(|height| height.0), [0, 130, 0]);
        assert_eq!(heights(&scale, &[u64::MAX; 3]).map(|height| height.0), [10_000, 0, 0]);
    }
}
