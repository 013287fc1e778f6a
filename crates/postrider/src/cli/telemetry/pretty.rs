//! The format for people: `12:34:56.789 → code.generated wh_… 200 12 ms`.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::output::printable;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const DIM: &str = "2";

/// One line a record.
pub(super) struct Pretty {
    pub(super) is_coloured: bool,
}

impl<S, N> FormatEvent<S, N> for Pretty
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let metadata = event.metadata();
        let line = if metadata.target() == "delivery" {
            self.attempt_line(&fields)
        } else {
            self.plain_line(*metadata.level(), &fields)
        };
        let mut writer = writer;
        writeln!(writer, "{} {line}", self.paint(DIM, &time_of_day(since.as_millis())))
    }
}

impl Pretty {
    /// An arrow, the event's type, where it went, how that ended, how long it took, and, beyond
    /// the first, the number of the attempt.
    fn attempt_line(&self, fields: &Fields) -> String {
        let field = |name: &str| fields.get(name).map(printable);
        let outcome = match (field("status"), field("error")) {
            (Some(status), _) if status.starts_with('2') => self.paint(GREEN, &status),
            (Some(status), _) => self.paint(RED, &status),
            (_, Some(error)) => self.paint(RED, &error),
            _ => self.paint(RED, "failed"),
        };
        let mut line = "→".to_owned();
        for part in [field("event"), field("webhook"), Some(outcome)].into_iter().flatten() {
            let _ = write!(line, " {part}");
        }
        if let Some(ms) = field("ms") {
            let _ = write!(line, " {ms} ms");
        }
        if let Some(attempt) = field("attempt").filter(|attempt| attempt != "1") {
            let _ = write!(line, " (attempt {attempt})");
        }
        line
    }

    /// The level unless it is usual, the text, and the other fields.
    fn plain_line(&self, level: Level, fields: &Fields) -> String {
        let mut line = match level {
            Level::ERROR => format!("{} ", self.paint(RED, "error")),
            Level::WARN => format!("{} ", self.paint(YELLOW, "warning")),
            Level::INFO => String::new(),
            _ => format!("{} ", self.paint(DIM, level.as_str())),
        };
        line.push_str(&printable(fields.get("message").unwrap_or_default()));
        for (name, value) in fields.0.iter().filter(|(name, _)| *name != "message") {
            line.push_str(&self.paint(DIM, &format!(" {name}={}", printable(value))));
        }
        line
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The fields of a record in their order.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // writing to a text cannot fail; a `Debug` that fails leaves what it wrote
        let _ = write!(text, "{value:?}");
        self.0.push((field.name(), text));
    }
}

/// UTC, to the millisecond.
fn time_of_day(unix_ms: u128) -> String {
    let (s, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600 % 24, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(given: &[(&'static str, &str)]) -> Fields {
        Fields(given.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    #[test]
    fn an_attempt_is_one_line() {
        let plain = Pretty { is_coloured: false };
        let what = [("event", "code.generated"), ("webhook", "wh_1")];
        let line = |more: &[_]| plain.attempt_line(&fields(&[&what[..], more].concat()));
        let first = [("status", "200"), ("ms", "12"), ("attempt", "1")];
        assert_eq!(line(&first), "→ code.generated wh_1 200 12 ms");
        let later = [("error", "Timeout"), ("ms", "15000"), ("attempt", "2")];
        assert_eq!(line(&later), "→ code.generated wh_1 Timeout 15000 ms (attempt 2)");
        let hostile = fields(&[("event", "a\u{1b}[2J"), ("status", "500")]);
        assert_eq!(plain.attempt_line(&hostile), "→ a\\u{1b}[2J 500");
    }

    #[test]
    fn success_is_green_and_failure_red() {
        let coloured = Pretty { is_coloured: true };
        let line = |status| coloured.attempt_line(&fields(&[("status", status)]));
        assert_eq!(line("204"), "→ \u{1b}[32m204\u{1b}[0m");
        assert_eq!(line("302"), "→ \u{1b}[31m302\u{1b}[0m");
    }

    #[test]
    fn other_records_name_their_level_unless_it_is_usual() {
        let plain = Pretty { is_coloured: false };
        let record = [("message", "listening"), ("address", "127.0.0.1:1")];
        assert_eq!(
            plain.plain_line(Level::INFO, &fields(&record)),
            "listening address=127.0.0.1:1"
        );
        assert!(plain.plain_line(Level::WARN, &fields(&record)).starts_with("warning listening"));
    }

    #[test]
    fn times_are_of_the_day() {
        assert_eq!(time_of_day(1_753_678_680_999), "04:58:00.999");
    }
}
