//! Where the time of one attempt went: a line for each phase, one after the other.

use maud::{Markup, Render, html};
use postrider_core::delivery::Timing;

use super::Tone;
use super::scale::{Share, Unit};

/// Some pixels for what took a moment.
const WIDTH_MIN: Share = Share(80);

/// See the module's text. A table, for it is its own numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waterfall {
    pub(crate) timing: Timing,
    /// What the whole width stands for; more than the attempt took where several are compared.
    pub(crate) width_us: u32,
}

/// A phase, when it began and how long it took.
struct Phase {
    name: &'static str,
    tone: Tone,
    begin_us: u64,
    took_us: u64,
}

impl Render for Waterfall {
    fn render(&self) -> Markup {
        let width_us = u128::from(self.width_us.max(self.timing.total_us));
        let total_us = u64::from(self.timing.total_us);
        html! {
            table.waterfall {
                caption.hidden { "Timing of the attempt" }
                tbody {
                    @for phase in phases(&self.timing) {
                        tr.skipped[phase.took_us == 0] {
                            th scope="row" { (phase.name) }
                            td.track { (bar(&phase, width_us)) }
                            td.number { @if phase.took_us == 0 { "–" } @else { (Unit::Micros.exactly(phase.took_us)) } }
                        }
                    }
                }
                tfoot { tr {
                    th scope="row" { "total" }
                    td {}
                    td.number { (Unit::Micros.exactly(total_us)) }
                } }
            }
        }
    }
}

fn bar(phase: &Phase, width_us: u128) -> Markup {
    let width = Share::of(phase.took_us.into(), width_us).max(WIDTH_MIN);
    let begin = Share::of(phase.begin_us.into(), width_us);
    let begin = Share(begin.0.min(Share::ALL.0.saturating_sub(width.0)));
    html! {
        svg aria-hidden="true" {
            line.base x1="0" x2="100%" y1="50%" y2="50%" {}
            @if phase.took_us > 0 {
                rect class=(phase.tone.class()) x=(begin) width=(width) y="0" height="100%" rx="3" {}
            }
        }
    }
}

/// Once an answer was waited for, what is left of the total is its reading.
fn phases(timing: &Timing) -> [Phase; 5] {
    let before = [timing.dns_us, timing.connect_us, timing.tls_us, timing.wait_us];
    let before_us = before.iter().map(|&us| u64::from(us)).sum();
    let rest_us = u64::from(timing.total_us).saturating_sub(before_us);
    let read_us = if timing.wait_us > 0 { rest_us } else { 0 };
    let mut begin_us = 0;
    [
        ("DNS", Tone::Muted, timing.dns_us.into()),
        ("connect", Tone::Info, timing.connect_us.into()),
        ("TLS", Tone::Accent, timing.tls_us.into()),
        ("wait", Tone::Warn, timing.wait_us.into()),
        ("read", Tone::Ok, read_us),
    ]
    .map(|(name, tone, took_us)| {
        let phase = Phase { name, tone, begin_us, took_us };
        begin_us += took_us;
        phase
    })
}
