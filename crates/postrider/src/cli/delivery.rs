//! `delivery list|get|attempts|retry|cancel`.

use std::fmt::Write as _;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::ClientArgs;
use super::failure::Failure;
use super::input::{past, plain_id, query};
use super::list::ListArgs;
use super::output::{cell, details, items, table_of};
use super::replay::{RunArgs, Selection};
use super::server::keyed;

const DETAILS: [&str; 10] = [
    "id",
    "event_id",
    "event_type",
    "webhook_id",
    "webhook_url",
    "state",
    "attempts",
    "last_status",
    "last_error",
    "next_attempt_at",
];

#[derive(Subcommand)]
pub(super) enum DeliveryCommand {
    /// List deliveries, newest event first
    List(DeliveriesArgs),
    /// Show a delivery and what happened to it
    Get(OneArgs),
    /// List the attempts of a delivery
    Attempts(AttemptsArgs),
    /// Make one more attempt: of a delivery, or of all that fit
    Retry(RetryArgs),
    /// Give a delivery up
    Cancel(OneArgs),
}

#[derive(Args)]
pub(super) struct DeliveriesArgs {
    /// Only those of this event
    #[arg(long, value_name = "ID", value_parser = plain_id)]
    event: Option<String>,
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    list: ListArgs,
}

/// What lists and bulk retries are narrowed by.
#[derive(Args)]
struct FilterArgs {
    /// Only those to this webhook
    #[arg(long, value_name = "ID", value_parser = plain_id)]
    webhook: Option<String>,
    /// Only those of events of this type: a name or a pattern such as code.*
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// Only those whose last attempt was answered so
    #[arg(long, value_name = "CLASS", value_parser = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"])]
    status_class: Option<String>,
    /// Only those whose last attempt got no answer that counts, for this reason, such as timeout
    #[arg(long, value_name = "CLASS")]
    error_class: Option<String>,
    /// Of events accepted at this time or later: RFC 3339, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = past)]
    after: Option<String>,
    /// Of events accepted before this time
    #[arg(long, value_name = "TIME", value_parser = past)]
    before: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Pending,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Args)]
pub(super) struct OneArgs {
    /// The delivery's id, `dlv_…`
    #[arg(value_parser = plain_id)]
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct AttemptsArgs {
    /// The delivery's id, `dlv_…`
    #[arg(value_parser = plain_id)]
    id: String,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args([
    "id", "all", "webhook", "event_type", "status_class", "error_class", "after", "before", "states",
]))]
pub(super) struct RetryArgs {
    /// The delivery's id, `dlv_…`
    #[arg(value_parser = plain_id, conflicts_with_all = [
        "all", "webhook", "event_type", "status_class", "error_class", "after", "before", "states", "dry_run",
        "wait", "yes",
    ])]
    id: Option<String>,
    /// All that ended so, of every webhook
    #[arg(long)]
    all: bool,
    /// Only those that ended so; failed unless given
    #[arg(long, value_delimiter = ',', value_name = "STATE,…", value_parser = ["succeeded", "failed", "cancelled"])]
    states: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(command: DeliveryCommand) -> Result<(), Failure> {
    match command {
        DeliveryCommand::List(args) => list(args).await,
        DeliveryCommand::Get(args) => get(args).await,
        DeliveryCommand::Attempts(args) => {
            let path = format!("/v1/deliveries/{}/attempts", args.id);
            let columns = [
                "number",
                "started_at",
                "is_manual",
                "address",
                "status",
                "timing.total_ms",
                "error.class",
            ];
            args.list.print(&path, &columns).await
        }
        DeliveryCommand::Retry(args) => match args.id.clone() {
            Some(id) => change(&id, "retry", args.client).await,
            None => retry_many(args).await,
        },
        DeliveryCommand::Cancel(args) => change(&args.id, "cancel", args.client).await,
    }
}

async fn list(args: DeliveriesArgs) -> Result<(), Failure> {
    let filters = args.filter.parameters();
    let more = [("event_id", args.event.as_deref()), ("state", args.state.map(State::name))];
    let parameters: Vec<_> = more.into_iter().chain(filters).collect();
    let path = query("/v1/deliveries", &parameters);
    let columns =
        ["id", "event_type", "webhook_id", "state", "attempts", "last_status", "next_attempt_at"];
    args.list.print(&path, &columns).await
}

async fn get(args: OneArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/deliveries/{}", args.id)).await?;
    args.client.output.print(&answer, |delivery| {
        let mut text = details(delivery, &DETAILS);
        let happened: Vec<Value> = items(delivery, "history").iter().map(happening).collect();
        if !happened.is_empty() {
            let columns = ["at", "what", "status", "ms", "address", "why"];
            let _ = write!(text, "\n{}", table_of(&happened, &columns));
        }
        if let Some(mend) = mend(items(delivery, "history")) {
            let _ = write!(text, "\n{mend}\n");
        }
        text
    })
}

/// One line of a delivery's history.
fn happening(entry: &Value) -> Value {
    let get = |name: &str| entry.get(name).cloned().unwrap_or_default();
    let inside = |name: &str, member: &str| {
        entry.get(name).and_then(|inner| inner.get(member)).cloned().unwrap_or_default()
    };
    let at = [get("started_at"), get("at")].into_iter().find(|at| !at.is_null());
    let why = [inside("error", "class"), get("reason")].into_iter().find(|why| !why.is_null());
    let what = match entry.get("number") {
        Some(number) => format!("attempt {number}"),
        None => entry.get("kind").and_then(Value::as_str).unwrap_or("-").replace('_', " "),
    };
    serde_json::json!({
        "at": at, "what": what, "status": get("status"), "ms": inside("timing_ms", "total"),
        "address": get("address"), "why": why,
    })
}

/// What the last failure means and how to mend it.
fn mend(history: &[Value]) -> Option<String> {
    let error = history.last()?.get("error").filter(|error| error.is_object())?;
    Some(format!("{} {}", cell(error, "explanation"), cell(error, "mend")))
}

async fn change(id: &str, verb: &str, client: ClientArgs) -> Result<(), Failure> {
    let server = keyed(client.server)?;
    let answer = server.post(&format!("/v1/deliveries/{id}/{verb}"), None::<&Value>).await?;
    client.output.print(&answer, |delivery| details(delivery, &DETAILS))
}

async fn retry_many(args: RetryArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let mut body = Map::new();
    for (name, value) in args.filter.parameters() {
        if let Some(value) = value {
            body.insert(name.to_owned(), value.into());
        }
    }
    if !args.states.is_empty() {
        body.insert("states".to_owned(), args.states.into());
    }
    let path = "/v1/deliveries/retry".to_owned();
    let selection = Selection { path, body, verb: "retry", what: "deliveries".to_owned() };
    selection.run(&server, args.run, args.client.output).await
}

impl FilterArgs {
    /// By their names in the API.
    fn parameters(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("webhook_id", self.webhook.as_deref()),
            ("event_type", self.event_type.as_deref()),
            ("status_class", self.status_class.as_deref()),
            ("error_class", self.error_class.as_deref()),
            ("after", self.after.as_deref()),
            ("before", self.before.as_deref()),
        ]
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
