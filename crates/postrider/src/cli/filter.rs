//! `filter test`: what a payload filter says about an event.

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use serde_json::value::RawValue;

use super::ClientArgs;
use super::failure::Failure;
use super::input::{given_json, plain_id};
use super::output::details;
use super::server::keyed;

#[derive(Subcommand)]
pub(super) enum FilterCommand {
    /// Try a filter on an event that was published, or on one that could be
    Test(TestArgs),
}

#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).args(["event", "type"]))]
pub(super) struct TestArgs {
    /// The filter, such as 'data.severity == "high"'
    #[arg(value_name = "CEL")]
    filter: String,
    /// Id of an event that was published
    #[arg(long, value_name = "ID", value_parser = plain_id)]
    event: Option<String>,
    /// Type of an event that could be
    #[arg(long, requires = "data")]
    r#type: Option<String>,
    /// Its data: JSON, `@FILE`, or `-` for stdin
    #[arg(long, value_name = "JSON|@FILE|-", requires = "type")]
    data: Option<String>,
    /// When it would have happened, such as 2026-01-31T12:00:00Z
    #[arg(long, requires = "type")]
    timestamp: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// The body of `POST /v1/filters/test`.
#[derive(Serialize)]
struct Trial<'a> {
    filter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<TrialEvent<'a>>,
}

#[derive(Serialize)]
struct TrialEvent<'a> {
    r#type: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a str>,
}

pub(super) async fn run(command: FilterCommand) -> Result<(), Failure> {
    let FilterCommand::Test(args) = command;
    let data = args.data.as_deref().map(|given| given_json("--data", given)).transpose()?;
    let event = args.r#type.as_deref().zip(data.as_deref()).map(|(r#type, data)| TrialEvent {
        r#type,
        data,
        timestamp: args.timestamp.as_deref(),
    });
    let trial = Trial { filter: &args.filter, event_id: args.event.as_deref(), event };
    let server = keyed(args.client.server)?;
    let answer = server.post("/v1/filters/test", Some(&trial)).await?;
    args.client.output.print(&answer, |outcome| details(outcome, &["matches", "error"]))
}
