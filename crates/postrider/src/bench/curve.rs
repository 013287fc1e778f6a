//! The latency curve as SVG: how long all but the slowest tenth, hundredth, … take.
//!
//! Both axes are logarithmic: one decade of the horizontal one is one nine more, for the tail is
//! what the curve is read for. Colours come from the page's style sheet, by class.

use std::fmt::Write as _;

use super::latency::Point;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// Nines of the horizontal axis and what they are called.
const SHARES: [(f64, &str); 7] = [
    (0.0, "fastest"),
    (0.301, "50 %"),
    (1.0, "90 %"),
    (2.0, "99 %"),
    (3.0, "99.9 %"),
    (4.0, "99.99 %"),
    (5.0, "99.999 %"),
];

/// One line of the curve.
pub(super) struct Line<'a> {
    /// The CSS class that gives it its colour.
    pub(super) class: String,
    pub(super) name: String,
    pub(super) points: &'a [Point],
}

/// Where things are drawn.
struct Frame {
    nines: f64,
    /// Decades of milliseconds, from and to.
    decades: (f64, f64),
}

/// Draws `lines`; those without points are left out.
pub(super) fn svg(lines: &[Line]) -> String {
    let frame = Frame::around(lines);
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Latency from publishing to arrival by share of deliveries">"#
    );
    frame.grid(&mut svg);
    for line in lines.iter().filter(|line| !line.points.is_empty()) {
        frame.line(&mut svg, line);
    }
    svg.push_str("</svg>");
    svg
}

impl Frame {
    /// Whole decades around all points.
    fn around(lines: &[Line]) -> Self {
        let points = || lines.iter().flat_map(|line| line.points);
        let nines = points().map(|point| point.nines).fold(1.0, f64::max);
        let decade = |point: &Point| point.ms.max(0.001).log10();
        let least = points().map(decade).fold(f64::INFINITY, f64::min);
        let most = points().map(decade).fold(f64::NEG_INFINITY, f64::max);
        let (least, most) = if least <= most { (least, most) } else { (0.0, 1.0) };
        let from = least.floor();
        Self { nines, decades: (from, most.ceil().max(from + 1.0)) }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + nines / self.nines * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, ms: f64) -> f64 {
        let (from, to) = self.decades;
        let share = (ms.max(0.001).log10() - from) / (to - from);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn grid(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut decade = self.decades.0;
        while decade <= self.decades.1 {
            for step in [1.0, 2.0, 5.0] {
                let ms = step * 10_f64.powf(decade);
                let y = self.y(ms);
                if y < TOP - 0.5 {
                    continue;
                }
                let class = if step > 1.0 { "minor" } else { "major" };
                put(
                    svg,
                    format_args!(
                        r#"<line class="{class}" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                        LEFT - 8.0,
                        y + 4.0,
                        duration(ms),
                    ),
                );
            }
            decade += 1.0;
        }
        for (nines, name) in SHARES.into_iter().filter(|share| share.0 <= self.nines + 0.001) {
            let x = self.x(nines);
            put(
                svg,
                format_args!(
                    r#"<line class="major" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
                    bottom + 18.0,
                ),
            );
        }
        put(
            svg,
            format_args!(
                r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">share of the deliveries that arrived within</text>"#,
                LEFT.midpoint(right),
                HEIGHT - 6.0,
            ),
        );
    }

    fn line(&self, svg: &mut String, line: &Line) {
        put(svg, format_args!(r#"<path class="{}" d=""#, line.class));
        for (nth, point) in line.points.iter().enumerate() {
            let verb = if nth == 0 { 'M' } else { 'L' };
            put(svg, format_args!("{verb}{:.1} {:.1}", self.x(point.nines), self.y(point.ms)));
        }
        put(svg, format_args!(r#""><title>{}</title></path>"#, line.name));
    }
}

/// In the unit that needs no zeros.
fn duration(ms: f64) -> String {
    if ms >= 999.5 {
        format!("{:.0} s", ms / 1_000.0)
    } else if ms >= 0.95 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.0} µs", ms * 1_000.0)
    }
}

fn put(svg: &mut String, what: std::fmt::Arguments) {
    // Writing to a string never fails.
    let _ = svg.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[Point]) -> Line<'_> {
        Line { class: "series-0".into(), name: "postrider".into(), points }
    }

    #[test]
    fn a_line_rises_within_the_frame_and_each_decade_has_its_name() {
        let points: Vec<Point> =
            [(0.0, 0.5), (1.0, 4.0), (2.0, 40.0)].map(|(nines, ms)| Point { nines, ms }).into();
        let svg = svg(&[line(&points)]);
        // 0.1 to 100 ms are three decades over 300 units of height, two nines over 672 of width
        assert!(svg.contains(r#"d="M64.0 246.1L400.0 155.8L736.0 55.8""#), "{svg}");
        for name in ["100 µs", "1 ms", "100 ms", "fastest", "90 %", "99 %"] {
            assert!(svg.contains(&format!(">{name}</text>")), "{name}");
        }
        assert!(!svg.contains("99.9 %"), "no share is named that was not measured");
    }

    #[test]
    fn nothing_measured_still_is_a_picture() {
        let svg = svg(&[line(&[])]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
        assert!(!svg.contains("<path") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
