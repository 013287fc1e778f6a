//! Payload filters: CEL expressions by which a webhook narrows what it gets.
//!
//! The `cel` crate parses and evaluates; it has no bound of its own. So a filter is bounded twice.
//! When it is saved: its text, the depth of its syntax, the nesting of its macros, and the names it
//! may use ([`check`]). When it runs: what it could cost on this event at most is worked out first
//! ([`cost`]), and only what is cheap enough is evaluated. Both depend on the filter and the event
//! alone, never on how busy the machine is: a time limit would drop deliveries at random.
//!
//! See `docs/adr/0005-payload-filters-in-cel.md`. Must not know webhooks, the store or HTTP.

mod check;
mod cost;
mod subject;

use std::thread;

use cel::IdedExpr;
use cel::parser::{ParseErrors, Parser};

pub use subject::Subject;

/// Longest text of a filter: several times what people write.
pub const FILTER_BYTES_MAX: usize = 2_048;
/// How deep the parser may go, in its own count, before it gives up.
const PARSER_DEPTH_MAX: u16 = 96;
/// The parser recurses for each operator of a chain, whatever its limit says: at most one for each
/// byte of the text, at up to 12 KiB of stack each without optimisation. Only touched pages count.
const PARSER_STACK_BYTES: usize = 32 << 20;
/// Longest message about a filter; the parser's can list every token there is.
const MESSAGE_CHARS_MAX: usize = 160;

/// Of what stands where it can't.
const UNEXPECTED_CHARS_MAX: usize = 40;

/// An expression that was found fit to be run against any event.
#[derive(Debug)]
pub struct Filter {
    expression: IdedExpr,
}

/// Why a text is no filter, and where. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct FilterError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl Filter {
    /// Parses and checks a text.
    ///
    /// On a thread of its own, whose stack the deepest text can't exhaust.
    pub fn compile(text: &str) -> Result<Self, FilterError> {
        if text.len() > FILTER_BYTES_MAX {
            let message = format!("a filter has at most {FILTER_BYTES_MAX} bytes");
            return Err(FilterError { line: 1, column: 1, message });
        }
        let unreadable = || FilterError {
            line: 1,
            column: 1,
            message: "the filter could not be read; write it more simply".to_owned(),
        };
        let compiled = thread::scope(|scope| {
            let work = || compile(text);
            let thread = thread::Builder::new().stack_size(PARSER_STACK_BYTES);
            thread.spawn_scoped(scope, work).map(thread::ScopedJoinHandle::join)
        });
        compiled.map_err(|_| unreadable())?.map_err(|_| unreadable())?
    }
}

fn compile(text: &str) -> Result<Filter, FilterError> {
    let parser = Parser::new().max_recursion_depth(PARSER_DEPTH_MAX);
    let (expression, places) =
        parser.parse_with_source_info(text).map_err(|errors| syntax_error(&errors))?;
    check::check(&expression).map_err(|unfit| {
        let start = places.offset_for(unfit.node).map_or(0, |(start, _)| start);
        let (line, column) = place(text, usize::try_from(start).unwrap_or(0));
        FilterError { line, column, message: unfit.message }
    })?;
    Ok(Filter { expression })
}

fn syntax_error(errors: &ParseErrors) -> FilterError {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let message = first.map_or("not an expression".to_owned(), |error| plain(&error.msg));
    let at_least_1 = |count: isize| usize::try_from(count).unwrap_or(1).max(1);
    FilterError {
        line: at_least_1(line),
        column: at_least_1(column),
        message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
    }
}

/// What the parser said, in the words of somebody who writes filters: its own list every token that
/// could have stood there.
fn plain(said: &str) -> String {
    let said = said.strip_prefix("Syntax error: ").unwrap_or(said);
    // how it says that it gave up
    if said.contains("OtherError") {
        return "nested too deep to be read".to_owned();
    }
    if let Some((_, text)) = said.split_once("token recognition error at: '") {
        return unexpected(text.strip_suffix('\'').unwrap_or(text));
    }
    let (said, _) = said.split_once(" expecting ").unwrap_or((said, ""));
    let found = said.split_once(" input '").or_else(|| said.split_once(" at '"));
    match found.map(|(_, text)| text.strip_suffix('\'').unwrap_or(text)) {
        Some(text) if text.ends_with("<EOF>") => "the expression ends too early".to_owned(),
        Some(text) => unexpected(text),
        None => said.to_owned(),
    }
}

fn unexpected(text: &str) -> String {
    let shown: String = text.chars().take(UNEXPECTED_CHARS_MAX).collect();
    format!("unexpected `{shown}`")
}

/// Line and column of a character, both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before: Vec<char> = text.chars().take(offset).collect();
    let line = before.iter().filter(|&&character| character == '\n').count() + 1;
    let column = before.iter().rev().take_while(|&&character| character != '\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
