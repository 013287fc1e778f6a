//! What all charts over time have in common: caption, axes, links, and the numbers as a table.

use maud::{Markup, Render, html};

use super::scale::{Scale, Share, Unit};
use super::{Href, Layer, TimeAxis, time};

/// A chart but for what is drawn in it.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) layers: &'a [Layer<'a>],
    /// What the legend says beside each name.
    pub(super) sums: Vec<Option<String>>,
    pub(super) axis: TimeAxis,
    pub(super) scale: Scale,
    pub(super) unit: Unit,
    /// For each slot a text for each layer.
    pub(super) rows: Vec<Vec<String>>,
    pub(super) href: Href<'a>,
}

/// A chart that has nothing to show.
pub(super) fn empty(title: &str, layers: &[Layer<'_>], what: &str) -> Markup {
    html! {
        figure.chart {
            (caption(title, layers, &[]))
            p.nothing { (what) }
        }
    }
}

impl Frame<'_> {
    /// `drawn` is what is to be seen of each slot, `behind` what is to be seen of all together.
    pub(super) fn figure(&self, behind: &Markup, drawn: &[Markup]) -> Markup {
        let (from, until) = (self.axis.from, self.axis.until(self.rows.len()));
        html! {
            figure.chart data-from=(from) data-until=(until) data-slot=(self.axis.slot_ms) {
                (caption(self.title, self.layers, &self.sums))
                div.plot {
                    div.y aria-hidden="true" {
                        @for tick in self.scale.ticks() { span { (self.unit.tick(tick)) } }
                    }
                    div.area {
                        svg.draw role="group" aria-label=(self.title) {
                            (self.grid())
                            (behind)
                            @for (at, drawn) in drawn.iter().enumerate() { (self.slot(at, drawn)) }
                            line.cross x1="0" x2="0" y1="0" y2="100%" visibility="hidden" {}
                        }
                        (time::axis(from, until))
                    }
                }
                (self.table())
            }
        }
    }

    /// A slot's place from the left: where it begins, and its width.
    pub(super) fn place(&self, at: usize) -> (Share, Share) {
        let slots = self.rows.len();
        let begin = share_of(at, slots);
        (begin, Share(share_of(at + 1, slots).0 - begin.0))
    }

    fn grid(&self) -> Markup {
        let steps = self.scale.ticks().count().saturating_sub(1);
        html! {
            @for at in 0..=steps {
                @let y = share_of(at, steps);
                line.grid.base[at == steps] x1="0" x2="100%" y1=(y) y2=(y) {}
            }
        }
    }

    /// What is drawn of a slot, and all its height for the pointer.
    fn slot(&self, at: usize, drawn: &Markup) -> Markup {
        let slot = self.axis.slot(at);
        let (x, width) = self.place(at);
        let values = serde_json::Value::from(self.rows[at].clone()).to_string();
        let is_open = slot.contains(&self.axis.now);
        let is_last = at + 1 == self.rows.len();
        let within = html! {
            rect.hit x=(x) width=(width) y="0" height="100%" {}
            (drawn)
        };
        html! {
            @match (self.href)(slot.clone()) {
                Some(href) => a.slot.open[is_open] href=(href) tabindex=(if is_last { "0" } else { "-1" })
                    aria-label=(self.spoken(at)) data-at=(slot.start) data-values=(values) { (within) },
                None => g.slot.open[is_open] data-at=(slot.start) data-values=(values) { (within) },
            }
        }
    }

    fn spoken(&self, at: usize) -> String {
        let told = self.layers.iter().zip(&self.rows[at]);
        let told: Vec<_> = told.map(|(layer, text)| format!("{text} {}", layer.name)).collect();
        format!("{}: {}", time::spoken(self.axis.slot(at).start), told.join(", "))
    }

    fn table(&self) -> Markup {
        html! {
            details.numbers {
                summary { "Numbers of this chart" }
                div.table {
                    table {
                        caption.hidden { (self.title) }
                        thead { tr {
                            th scope="col" { "from" }
                            @for layer in self.layers { th.number scope="col" { (layer.name) } }
                        } }
                        tbody {
                            @for (at, row) in self.rows.iter().enumerate().rev() {
                                @let slot = self.axis.slot(at);
                                tr {
                                    th scope="row" {
                                        @match (self.href)(slot.clone()) {
                                            Some(href) => a href=(href) { (time::slot(slot.start)) },
                                            None => (time::slot(slot.start)),
                                        }
                                    }
                                    @for text in row { td.number { (text) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn caption(title: &str, layers: &[Layer<'_>], sums: &[Option<String>]) -> Markup {
    html! {
        figcaption {
            span.title { (title) }
            ul.legend {
                @for (at, layer) in layers.iter().enumerate() {
                    li class=(layer.tone.class()) {
                        span.name { (layer.name) }
                        @if let Some(Some(sum)) = sums.get(at) { b { (sum) } }
                    }
                }
            }
        }
    }
}

fn share_of(part: usize, whole: usize) -> Share {
    Share::of(part as u128, whole as u128)
}

impl Render for Share {
    fn render_to(&self, buffer: &mut String) {
        buffer.push_str(&self.to_string());
    }
}
