//! What was found as a page: one file that loads nothing, for light and dark screens.

use std::fmt::Write as _;

use super::curve::{self, Line};
use super::figures::{Comparison, Figures, Findings, Settings};

const STYLE: &str = include_str!("report.css");
/// Colours of lines in the style sheet; with more lines they begin anew.
const COLOURS: usize = 4;

pub(super) fn html(findings: &Findings) -> String {
    let lines = lines(&findings.figures);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Postrider benchmark</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Postrider benchmark</h1>\n<p>{}</p>\n{}\
         <section>\n<h2>Latency from publishing to arrival</h2>\n{}{}\n\
         <p class=\"note\">Both axes are logarithmic. {}</p>\n</section>\n\
         <section>\n<h2>Figures</h2>\n{}</section>\n</main>\n</body>\n</html>\n",
        load(&findings.settings),
        tiles(&findings.comparisons),
        legend(&lines),
        curve::svg(&lines),
        since(&findings.settings),
        table(&findings.figures, &findings.settings),
    )
}

/// A colour for each number of connections; the line of what is compared with is the dashed one.
fn lines(figures: &[Figures]) -> Vec<Line<'_>> {
    let mut seen = Vec::new();
    let mut line = |figures: &'_ Figures| {
        if !seen.contains(&figures.connections) {
            seen.push(figures.connections);
        }
        let nth = seen.iter().position(|&seen| seen == figures.connections).unwrap_or_default();
        format!("{} series-{}", figures.process, nth % COLOURS)
    };
    figures
        .iter()
        .map(|figures| Line {
            class: line(figures),
            name: format!("{}, {} connections", figures.process, count(&figures.connections)),
            points: &figures.curve,
        })
        .collect()
}

fn load(settings: &Settings) -> String {
    let rate =
        settings.rate.map_or("flat out".into(), |rate| format!("at {} a second", count(&rate)));
    let mut load = format!(
        "{} events {rate}, {} bytes of data each, fan-out {}, {} webhook{}; {} round{}; {} core{} shared with \
         publisher and receiver.",
        count(&settings.events),
        count(&settings.payload_bytes),
        settings.fan_out,
        count(&settings.webhooks),
        plural(settings.webhooks),
        settings.rounds,
        plural(settings.rounds),
        settings.cores,
        plural(settings.cores),
    );
    for (share, what) in [(settings.failing, "fail"), (settings.hanging, "hang")] {
        if share > 0.0 {
            put(&mut load, format_args!(" {} % of the receivers {what}.", share * 100.0));
        }
    }
    if settings.registered > 0 {
        let registered = count(&settings.registered);
        put(&mut load, format_args!(" {registered} webhooks beside them that want none of it."));
    }
    if settings.backlog > 0 {
        let backlog = count(&settings.backlog);
        put(&mut load, format_args!(" {backlog} deliveries that wait in the store."));
    }
    load
}

fn since(settings: &Settings) -> &'static str {
    if settings.rate.is_some() {
        "An event that found no connection free counts from when it was due."
    } else {
        "Flat out, most of the latency is waiting behind other events."
    }
}

fn tiles(comparisons: &[Comparison]) -> String {
    if comparisons.is_empty() {
        return String::new();
    }
    let mut tiles = "<ul class=\"tiles\">\n".to_owned();
    for compared in comparisons {
        put(
            &mut tiles,
            format_args!(
                "<li><b>{:.2} ×</b> the CPU per delivery of {} at {} connections \
             <small>({:.2} to {:.2}; {:.2} × its throughput)</small></li>\n",
                compared.cpu,
                compared.with,
                count(&compared.connections),
                compared.cpu_least,
                compared.cpu_most,
                compared.throughput,
            ),
        );
    }
    tiles.push_str("</ul>\n");
    tiles
}

fn legend(lines: &[Line]) -> String {
    let mut legend = "<ul class=\"legend\">\n".to_owned();
    for line in lines {
        put(
            &mut legend,
            format_args!(
                "<li><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"{}\" d=\"M1 4H27\"/></svg>{}</li>\n",
                line.class, line.name,
            ),
        );
    }
    legend.push_str("</ul>\n");
    legend
}

fn table(figures: &[Figures], settings: &Settings) -> String {
    let has_unhealthy = settings.failing > 0.0 || settings.hanging > 0.0;
    let mut table = "<div class=\"wide\"><table>\n<thead><tr><th>process<th>connections\
                     <th>CPU-s per 1,000<th>accepted/s<th>delivered/s<th>p50 ms<th>p90 ms\
                     <th>p99 ms<th>p99.9 ms<th>ready ms<th>idle MiB<th>peak MiB<th>deliveries<th>duplicates<th>lost"
        .to_owned();
    if has_unhealthy {
        table.push_str("<th>attempts at unhealthy");
    }
    table.push_str("</thead>\n<tbody>\n");
    for figures in figures {
        let latency = figures.latency_ms;
        put(
            &mut table,
            format_args!(
                "<tr><th>{}<td>{}<td>{:.4}<td>{}<td>{}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.0}\
             <td>{:.0}<td>{:.0}<td>{}<td>{}<td>{}",
                figures.process,
                count(&figures.connections),
                figures.cpu_s_per_1000,
                count(&format_args!("{:.0}", figures.accepted_per_s)),
                count(&format_args!("{:.0}", figures.delivered_per_s)),
                latency.p50,
                latency.p90,
                latency.p99,
                latency.p99_9,
                figures.ready_ms,
                figures.idle_rss_mib,
                figures.peak_rss_mib,
                count(&figures.deliveries),
                count(&figures.duplicates),
                count(&figures.lost),
            ),
        );
        if has_unhealthy {
            put(&mut table, format_args!("<td>{}", count(&figures.unhealthy_attempts)));
        }
        table.push('\n');
    }
    table.push_str("</tbody>\n</table></div>\n");
    table
}

/// A whole number with commas between its thousands.
fn count(number: &impl ToString) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

fn put(page: &mut String, what: std::fmt::Arguments) {
    // Writing to a string never fails.
    let _ = page.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::super::latency::{Latencies, Percentiles};
    use super::*;

    fn findings() -> Findings {
        let figures = |process, connections| {
            let latencies: Latencies = (1..=1_000).map(|ms| ms * 10).collect();
            Figures {
                process,
                connections,
                cpu_s_per_1000: 0.0631,
                accepted_per_s: 14_199.6,
                delivered_per_s: 999.4,
                latency_ms: Percentiles { p99_9: 123.45, ..Percentiles::default() },
                ready_ms: 41.7,
                first_attempt_ms: None,
                idle_rss_mib: 15.1,
                peak_rss_mib: 25.2,
                deliveries: 1_234_567,
                duplicates: 0,
                lost: 3,
                unhealthy_attempts: 77,
                curve: latencies.curve(),
            }
        };
        Findings {
            settings: Settings {
                events: 50_000,
                rate: None,
                fan_out: 1,
                webhooks: 1,
                failing: 0.0,
                hanging: 0.0,
                registered: 0,
                backlog: 0,
                payload_bytes: 1_024,
                rounds: 5,
                cores: 2,
            },
            figures: vec![
                figures("postrider", 16),
                figures("forwarder", 16),
                figures("postrider", 100),
            ],
            comparisons: vec![Comparison {
                with: "forwarder",
                connections: 16,
                cpu: 2.474,
                cpu_least: 1.84,
                cpu_most: 2.93,
                throughput: 0.42,
                p99: 0.9,
            }],
        }
    }

    #[test]
    fn the_page_says_what_was_measured_and_loads_nothing() {
        let page = html(&findings());
        for text in [
            "50,000 events flat out, 1,024 bytes of data each, fan-out 1, 1 webhook; 5 rounds; 2 cores",
            "<b>2.47 ×</b> the CPU per delivery of forwarder at 16 connections",
            "<td>0.0631<td>14,200<td>999<td>",
            "<td>123.5<td>42<td>15<td>25<td>1,234,567<td>0<td>3\n",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn each_number_of_connections_has_a_colour_and_the_forwarder_a_dash() {
        let findings = findings();
        let classes: Vec<String> =
            lines(&findings.figures).into_iter().map(|line| line.class).collect();
        assert_eq!(classes, ["postrider series-0", "forwarder series-0", "postrider series-1"]);
    }

    #[test]
    fn unhealthy_receivers_are_named_with_their_share() {
        let mut findings = findings();
        findings.settings = Settings { hanging: 0.5, rate: Some(100), ..findings.settings };
        findings.comparisons.clear();
        let page = html(&findings);
        assert!(page.contains("at 100 a second") && page.contains("50 % of the receivers hang."));
        assert!(page.contains("<th>attempts at unhealthy") && page.contains("<td>3<td>77\n"));
        assert!(!page.contains("class=\"tiles\""));
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(count(&number), text);
        }
    }
}
