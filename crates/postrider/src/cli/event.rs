//! `event send|list|get|explain`.

use std::fmt::Write as _;

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ClientArgs;
use super::failure::{Failure, FailureKind};
use super::input::{given_json, json, past, plain_id, query, read_input};
use super::list::ListArgs;
use super::output::{Table, cell, details, items, table_of};
use super::server::keyed;

#[derive(Subcommand)]
pub(super) enum EventCommand {
    /// Publish an event, or a batch of them
    Send(SendArgs),
    /// List events, newest first
    List(EventsArgs),
    /// Show an event, its deliveries, and why each webhook did or did not get it
    Get(GetArgs),
    /// Show why each webhook did or did not get an event
    Explain(GetArgs),
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
pub(super) struct EventsArgs {
    /// Only those of this type: a name or a pattern such as code.*
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Only those whose id begins so
    #[arg(long, value_name = "TEXT")]
    id_prefix: Option<String>,
    /// Accepted at this time or later: RFC 3339, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = past)]
    after: Option<String>,
    /// Accepted before this time
    #[arg(long, value_name = "TIME", value_parser = past)]
    before: Option<String>,
    #[command(flatten)]
    list: ListArgs,
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
        EventCommand::List(args) => list(args).await,
        EventCommand::Get(args) => get(args).await,
        EventCommand::Explain(args) => explain(args).await,
    }
}

async fn send(args: SendArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let data = given_json("--data", args.data.as_deref().unwrap_or_default())?;
    let draft = Draft {
        r#type: args.r#type.as_deref().unwrap_or_default(),
        id: args.id.as_deref(),
        timestamp: args.timestamp.as_deref(),
        data: &data,
    };
    let answer = server.post("/v1/events", Some(&draft)).await?;
    args.client.output.print(&answer, published_text)
}

/// What people see of an event that was accepted.
pub(super) fn published_text(event: &Value) -> String {
    let mut text = details(event, &["id", "type", "timestamp", "matched", "warnings"]);
    if event.get("matched").and_then(Value::as_u64) == Some(0) {
        let _ = writeln!(text, "no webhook wants it; `event get {}` says why", cell(event, "id"));
    }
    text
}

async fn send_batch(source: &str, client: ClientArgs) -> Result<(), Failure> {
    let server = keyed(client.server)?;
    let text = read_input(source)?;
    let batch = json("--batch", &text)?;
    if !batch.get().starts_with('[') {
        return Err(Failure::usage("--batch holds no JSON array")
            .hint("write [{\"type\": …, \"data\": …}, …]"));
    }
    let answer = server.post("/v1/events", Some(&batch)).await?;
    let results: Value = answer.parse()?;
    let results = items(&results, "results");
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

async fn list(args: EventsArgs) -> Result<(), Failure> {
    let filters = [
        ("type", args.r#type.as_deref()),
        ("id_prefix", args.id_prefix.as_deref()),
        ("after", args.after.as_deref()),
        ("before", args.before.as_deref()),
    ];
    let path = query("/v1/events", &filters);
    args.list.print(&path, &["id", "type", "timestamp", "accepted_at", "matched"]).await
}

async fn get(args: GetArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/events/{}", args.id)).await?;
    args.client.output.print(&answer, event_text)
}

async fn explain(args: GetArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/events/{}/explanation", args.id)).await?;
    args.client.output.print(&answer, explanation_text)
}

fn event_text(event: &Value) -> String {
    let mut text = details(event, &["id", "type", "timestamp", "matched", "is_test", "data"]);
    let deliveries = event.get("deliveries").map(|page| items(page, "data")).unwrap_or_default();
    if !deliveries.is_empty() {
        let names = ["id", "webhook_id", "state", "attempts", "next_attempt_at"];
        let _ = write!(text, "\n{}", table_of(deliveries, &names));
    }
    if let Some(explanation) = event.get("explanation") {
        let _ = write!(text, "\n{}", explanation_text(explanation));
    }
    text
}

fn explanation_text(explanation: &Value) -> String {
    let mut text = format!("{}\n", cell(explanation, "summary"));
    for list in ["matched_webhooks", "unmatched_webhooks"] {
        let webhooks = items(explanation, list);
        if !webhooks.is_empty() {
            let _ = write!(text, "\n{}", table_of(webhooks, &["webhook_id", "outcome", "text"]));
        }
    }
    text
}
