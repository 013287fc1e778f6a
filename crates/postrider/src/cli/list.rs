//! Lists: pages fetched one after another, until there are as many items as asked for.

use std::fmt::Write as _;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ClientArgs;
use super::failure::Failure;
use super::input::escaped;
use super::output::{Output, Reader, print_line, print_text, printable, table_of};
use super::server::{Server, keyed};

/// Most items that the API puts on a page.
const PAGE_ITEMS_MAX: u32 = 250;

/// How much of a list is wanted.
#[derive(Args)]
pub(super) struct ListArgs {
    /// How many at most
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All there are
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Where the list before ended
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// A page of the API. Its items stay as they came.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

impl ListArgs {
    /// Fetches the list of `path`, which may have a query, and prints it; `columns` are the
    /// members that people see.
    pub(super) async fn print(self, path: &str, columns: &[&str]) -> Result<(), Failure> {
        let server = keyed(self.client.server.clone())?;
        let mut list = List { items: Vec::new(), count: 0, cursor: self.cursor.clone() };
        loop {
            let wanted = if self.all { u32::MAX } else { self.limit.saturating_sub(list.count) };
            let is_streamed = self.client.output == Output::Ndjson;
            let limit = wanted.min(PAGE_ITEMS_MAX);
            let reader = list.fetch(&server, path, limit, is_streamed).await?;
            if reader == Reader::Gone {
                return Ok(());
            }
            if list.cursor.is_none() || (!self.all && list.count >= self.limit) {
                break;
            }
        }
        match self.client.output {
            Output::Ndjson => {}
            Output::Json => drop(print_line(&list.json())?),
            Output::Table => print_text(&list.table(columns))?,
        }
        if let Some(cursor) = &list.cursor {
            eprintln!("there is more: --all, or --cursor {}", printable(cursor));
        }
        Ok(())
    }
}

struct List {
    items: Vec<Box<RawValue>>,
    count: u32,
    /// Where the next page begins.
    cursor: Option<String>,
}

impl List {
    async fn fetch(
        &mut self,
        server: &Server,
        path: &str,
        limit: u32,
        is_streamed: bool,
    ) -> Result<Reader, Failure> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut target = format!("{path}{sign}limit={limit}");
        if let Some(cursor) = &self.cursor {
            let _ = write!(target, "&cursor={}", escaped(cursor));
        }
        let answer = server.get(&target).await?;
        let page: Page<'_> = answer.parse()?;
        if page.next_cursor.is_some() && page.next_cursor == self.cursor {
            return Err(Failure::other(
                "the server's list does not go on: its cursor stays the same",
            )
            .hint("this is a fault of the server; its log says more"));
        }
        for item in page.data {
            self.count = self.count.saturating_add(1);
            if !is_streamed {
                self.items.push(item.to_owned());
            } else if print_line(item.get())? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        self.cursor = page.next_cursor;
        Ok(Reader::There)
    }

    /// What one page with all items would be.
    fn json(&self) -> String {
        let items: Vec<&str> = self.items.iter().map(|item| item.get()).collect();
        let cursor = Value::from(self.cursor.clone());
        format!("{{\"data\":[{}],\"next_cursor\":{cursor}}}", items.join(","))
    }

    fn table(&self, columns: &[&str]) -> String {
        let read = |item: &RawValue| serde_json::from_str(item.get()).unwrap_or_default();
        let items: Vec<Value> = self.items.iter().map(|item| read(item)).collect();
        table_of(&items, columns)
    }
}
