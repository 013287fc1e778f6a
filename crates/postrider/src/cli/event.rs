//! `event send|get`.

use std::fmt::Write as _;
use std::io::Read as _;

use clap::{ArgGroup, Args, Subcommand};
use http::Method;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ClientArgs;
use super::failure::{Failure, FailureKind};
use super::output::{Table, cell, details, printable};
use super::webhook::keyed;

/// Most bytes of `--data` or `--batch`: what a server can be set to take at most.
const INPUT_BYTES_MAX: u64 = 16 << 20;

#[derive(Subcommand)]
pub(super) enum EventCommand {
    /// Publish an event, or a batch of them
    Send(SendArgs),
    /// Show an event, its deliveries, and why each webhook did or did not get it
    Get(GetArgs),
}

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).args(["type", "batch"]))]
pub(super) struct SendArgs {
    /// Event type, such as code.generated
    #[arg(value_name = "TYPE", requires = "data")]
    r#type: Option<String>,
    /// The event's data: JSON, `@FILE`, or `-` for stdin
    #[arg(long, value_name = "JSON|@FILE|-", requires = "type")]
    data: Option<String>,
    /// An id of your own; the same id is accepted once
    #[arg(long, requires = "type")]
    id: Option<String>,
    /// When it happened, such as 2026-01-31T12:00:00Z; now unless given
    #[arg(long, requires = "type")]
    timestamp: Option<String>,
    /// A JSON array of up to 1,000 events, in a file or `-` for stdin
    #[arg(long, value_name = "FILE|-")]
    batch: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct GetArgs {
    /// The event's id
    #[arg(value_parser = plain_id)]
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// The body of `POST /v1/events`. `data` goes out as it was given, number by number.
#[derive(Serialize)]
struct Draft<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a str>,
    data: &'a RawValue,
}

pub(super) async fn run(command: EventCommand) -> Result<(), Failure> {
    match command {
        EventCommand::Send(args) => match args.batch.clone() {
            Some(batch) => send_batch(&batch, args.client).await,
            None => send(args).await,
        },
        EventCommand::Get(args) => get(args).await,
    }
}

/// An id that can stand in a path as it is: 1 to 128 of `[A-Za-z0-9_-]` (wire contract §2).
pub(super) fn plain_id(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_plain && (1..=128).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("an id is 1 to 128 of A-Z, a-z, 0-9, _ and -".to_owned())
    }
}

/// A value in a query, with everything escaped that isn't plain (RFC 3986, "unreserved").
pub(super) fn query_value(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

async fn send(args: SendArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let data = match args.data.as_deref().unwrap_or_default() {
        "-" => read_input("-")?,
        given => match given.strip_prefix('@') {
            Some(path) => read_input(path)?,
            None => given.to_owned(),
        },
    };
    let draft = Draft {
        r#type: args.r#type.as_deref().unwrap_or_default(),
        id: args.id.as_deref(),
        timestamp: args.timestamp.as_deref(),
        data: json("--data", &data)?,
    };
    let body = serde_json::to_vec(&draft)
        .map_err(|error| Failure::other(format!("the event can't be written as JSON: {error}")))?;
    let answer = server.request(Method::POST, "/v1/events", Some(body)).await?;
    args.client.output.print(&answer, |event| {
        let mut text = details(event, &["id", "type", "timestamp", "matched"]);
        if event.get("matched").and_then(Value::as_u64) == Some(0) {
            let _ =
                writeln!(text, "no webhook wants it; `event get {}` says why", cell(event, "id"));
        }
        text
    })
}

async fn send_batch(source: &str, client: ClientArgs) -> Result<(), Failure> {
    let server = keyed(client.server)?;
    let text = read_input(source)?;
    let batch = json("--batch", &text)?;
    if !batch.get().starts_with('[') {
        return Err(Failure::usage("--batch holds no JSON array")
            .hint("write [{\"type\": …, \"data\": …}, …]"));
    }
    let answer = server.request(Method::POST, "/v1/events", Some(batch.get().into())).await?;
    let results: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let results =
        results.get("results").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    client.output.print(&answer, |_| batch_table(results))?;
    let is_refused = |result: &&Value| result.get("error").is_some_and(|error| !error.is_null());
    match results.iter().filter(is_refused).count() {
        0 => Ok(()),
        refused => Err(Failure::new(
            FailureKind::Refused,
            format!("{refused} of {} events were refused", results.len()),
        )
        .hint("the others are accepted; send only the refused ones again")),
    }
}

fn batch_table(results: &[Value]) -> String {
    let mut table = Table::new(&["", "status", "id", "matched", "problem"]);
    for (at, result) in results.iter().enumerate() {
        let event = result.get("event").unwrap_or(&Value::Null);
        let problem = match result.get("error") {
            Some(error) if error.get("detail").is_some() => cell(error, "detail"),
            _ => cell(result, "error"),
        };
        let status = cell(result, "status");
        table.row(vec![at.to_string(), status, cell(event, "id"), cell(event, "matched"), problem]);
    }
    table.text()
}

async fn get(args: GetArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.request(Method::GET, &format!("/v1/events/{}", args.id), None).await?;
    args.client.output.print(&answer, event_text)
}

fn event_text(event: &Value) -> String {
    let mut text = details(event, &["id", "type", "timestamp", "matched", "data"]);
    let list = |parent: &str, name: &str| {
        let list = event.get(parent).and_then(|parent| parent.get(name)).and_then(Value::as_array);
        list.filter(|list| !list.is_empty())
    };
    if let Some(deliveries) = list("deliveries", "data") {
        let names = ["id", "webhook_id", "state", "attempts", "next_attempt_at"];
        let _ = write!(text, "\n{}", table_of(deliveries, &names));
    }
    if let Some(explanation) = event.get("explanation") {
        let _ = write!(text, "\n{}\n", cell(explanation, "summary"));
    }
    if let Some(unmatched) = list("explanation", "unmatched_webhooks") {
        let _ = write!(text, "\n{}", table_of(unmatched, &["webhook_id", "outcome", "text"]));
    }
    text
}

fn table_of(items: &[Value], names: &[&str]) -> String {
    let headings: Vec<String> = names.iter().map(|name| name.replace('_', " ")).collect();
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for item in items {
        table.row(names.iter().map(|name| cell(item, name)).collect());
    }
    table.text()
}

fn read_input(source: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("{} cannot be read: {error}", printable(source)))
    };
    let mut text = String::new();
    if source == "-" {
        std::io::stdin().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(source).map_err(failed)?;
        file.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    }
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!("{} is longer than 16 MiB", printable(source))));
    }
    Ok(text)
}

/// The text as JSON, byte for byte but for white space around it.
fn json<'a>(flag: &str, text: &'a str) -> Result<&'a RawValue, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!("{flag} is not JSON: {}", printable(&error.to_string())))
            .hint("quote JSON for the shell, such as '{\"files\": 3}', or give @FILE")
    })
}
