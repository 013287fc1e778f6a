//! What is printed, and how text from elsewhere is made safe to print.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::Value;
use serde_json::value::RawValue;

use super::client::Answer;
use super::failure::Failure;

/// The form of an answer on stdout. The same on a terminal and in a pipe, so that what is tried by
/// hand is what a script gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    #[default]
    Table,
    Json,
    Ndjson,
}

/// Rows under headings, in columns as wide as their widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Output {
    /// Prints an answer: as it came, or as the text that `table` makes of it.
    pub(super) fn print(
        self,
        answer: &Answer,
        table: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Json | Self::Ndjson if answer.body.is_empty() => Ok(()),
            Self::Json | Self::Ndjson => print_line(answer.parse::<&RawValue>()?.get()).map(|_| ()),
            Self::Table if answer.body.is_empty() => print_text(&table(&Value::Null)),
            Self::Table => print_text(&table(&answer.parse()?)),
        }
    }

    /// Prints what this program made itself, as [`Output::print`] does an answer.
    pub(super) fn print_value(
        self,
        value: &Value,
        table: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Json | Self::Ndjson => print_line(&value.to_string()).map(|_| ()),
            Self::Table => print_text(&table(value)),
        }
    }
}

/// Whether somebody still reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    There,
    Gone,
}

/// Writes JSON to stdout, on one line and safe to print.
pub(super) fn print_line(json: &str) -> Result<Reader, Failure> {
    // well-formed JSON holds line breaks only between its tokens
    let line = json.replace(['\n', '\r', '\t'], " ");
    write_out(&format!("{}\n", printable_json(&line)))
}

/// Writes one line to stdout.
pub(super) fn print_text_line(line: &str) -> Result<Reader, Failure> {
    write_out(&format!("{line}\n"))
}

/// Writes whole lines to stdout. That the reader has gone, as `| head` does, is no failure.
pub(super) fn print_text(text: &str) -> Result<(), Failure> {
    write_out(text).map(|_| ())
}

fn write_out(text: &str) -> Result<Reader, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::other(format!("stdout cannot be written: {error}"))
            .hint("is the disk full that it goes to?")),
    }
}

/// Text with everything escaped that a terminal would obey or that would reorder what stands
/// around it; on one line.
pub(super) fn printable(text: &str) -> String {
    escaped(text, |c| format!("\\u{{{:x}}}", u32::from(c)))
}

/// JSON with the same characters escaped. Well-formed JSON holds them only inside of texts, but
/// for its white space.
fn printable_json(json: &str) -> String {
    escaped(json, |c| {
        if matches!(c, '\n' | '\r' | '\t') {
            return c.to_string();
        }
        let mut units = [0; 2];
        let mut text = String::new();
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
        text
    })
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) { safe.push_str(&escape(c)) } else { safe.push(c) }
    }
    safe
}

/// Control characters (C0, DEL, C1) and the marks that change the direction of text or hide in it.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The text of a member, safe to print; `-` where there is none. `a.b` is a member of a member.
pub(super) fn cell(value: &Value, name: &str) -> String {
    match name.split('.').try_fold(value, |value, name| value.get(name)) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) => {
            let texts: Vec<String> = items
                .iter()
                .map(|item| {
                    item.as_str().map_or_else(|| printable_json(&item.to_string()), printable)
                })
                .collect();
            texts.join(",")
        }
        Some(other) => printable_json(&other.to_string()),
    }
}

/// The items of a list, one row each; headings are the members' names.
pub(super) fn table_of(items: &[Value], names: &[&str]) -> String {
    let headings: Vec<String> = names.iter().map(|name| name.replace(['_', '.'], " ")).collect();
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for item in items {
        table.row(names.iter().map(|name| cell(item, name)).collect());
    }
    table.text()
}

/// The items of a list that is a member; none when it isn't there.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// One `name  value` line for each member that is there and not empty.
pub(super) fn details(value: &Value, names: &[&str]) -> String {
    let is_there = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    };
    let there = names.iter().filter(|name| value.get(**name).is_some_and(is_there));
    let rows = there.map(|name| vec![(*name).to_owned(), cell(value, name)]).collect();
    Table { rows }.text()
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| heading.to_uppercase()).collect()] }
    }

    /// Cells are safe to print.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Lines without white space at their ends.
    pub(super) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell: &String| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_server_moves_the_terminal() {
        for (hostile, safe) in [
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\r\nb\u{7}", "a\\u{d}\\u{a}b\\u{7}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("é / 漢 🙂", "é / 漢 🙂"),
        ] {
            assert_eq!(printable(hostile), safe);
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let hostile = "{\n \"a\": \"\u{9b}\u{7f}\u{202e}\u{e0001} é\"}";
        let safe = printable_json(hostile);
        assert_eq!(safe, "{\n \"a\": \"\\u009b\\u007f\\u202e\\udb40\\udc01 é\"}");
        let parsed: [Value; 2] = [hostile, &safe].map(|json| serde_json::from_str(json).unwrap());
        assert_eq!(parsed[0], parsed[1]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["id", "url"]);
        table.row(vec!["wh_1".into(), "https://é".into()]);
        table.row(vec!["w".into(), "-".into()]);
        assert_eq!(table.text(), "ID    URL\nwh_1  https://é\nw     -\n");
    }
}
