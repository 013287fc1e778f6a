//! `webhook …`: register receivers, read, change, try and remove them.

mod health;
mod secret;
mod settings;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::input::{given_json, past, plain_id, query, secret, to_json};
use super::list::ListArgs;
use super::output::{cell, details};
use super::replay::{RunArgs, Selection};
use super::server::keyed;
use super::{AUTONOMA, CalledAs, ClientArgs};
pub(super) use health::{pending_text, window_row};
use secret::SecretCommand;
use settings::{Clearable, SettingsArgs};

/// What people see of a webhook.
const DETAILS: [&str; 17] = [
    "id",
    "url",
    "events",
    "profile",
    "state",
    "disabled_reason",
    "disabled_at",
    "description",
    "metadata",
    "filter",
    "signing_key",
    "headers",
    "timeout_ms",
    "concurrency",
    "rate_limit",
    "created_at",
    "secret",
];

#[derive(Subcommand)]
pub(super) enum WebhookCommand {
    /// Register a receiver
    Create(CreateArgs),
    /// List receivers
    List(WebhooksArgs),
    /// Show a receiver
    Get(OneArgs),
    /// Change a receiver; what isn't given stays
    Update(UpdateArgs),
    /// Remove a receiver; deliveries that wait for it are cancelled
    Delete(OneArgs),
    /// Let it get deliveries again
    Enable(OneArgs),
    /// Let it get no more deliveries
    Disable(DisableArgs),
    /// Send it an event that is marked as a test
    Test(TestArgs),
    /// Send it again what it got, failed to get, or missed
    Replay(ReplayArgs),
    /// Show how it fares
    Health(OneArgs),
    /// Show its secret, or put another in its place
    #[command(subcommand)]
    Secret(SecretCommand),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// Where to deliver
    #[arg(long)]
    url: String,
    /// Event types wanted, separated by commas: names, `code.*`, or `*`
    #[arg(long, required = true, value_delimiter = ',', value_name = "TYPE,…")]
    events: Vec<String>,
    /// Secret to sign with, or `-` to read it from stdin; made by the server unless given
    #[arg(long)]
    secret: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct UpdateArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = plain_id)]
    id: String,
    /// Where to deliver from the next attempt on
    #[arg(long)]
    url: Option<String>,
    /// Event types wanted, in place of those before
    #[arg(long, value_delimiter = ',', value_name = "TYPE,…")]
    events: Vec<String>,
    /// What to set back to its default
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SETTING,…")]
    clear: Vec<Clearable>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct WebhooksArgs {
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only those that want this event type
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// Only those whose URL holds this text
    #[arg(long, value_name = "TEXT")]
    url: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Enabled,
    Disabled,
}

#[derive(Args)]
pub(super) struct OneArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = plain_id)]
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct DisableArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = plain_id)]
    id: String,
    /// Cancel the deliveries that wait for it too
    #[arg(long)]
    cancel_pending: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct TestArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = plain_id)]
    id: String,
    /// Event type to send; one that it wants unless given
    #[arg(long)]
    r#type: Option<String>,
    /// The event's data: JSON, `@FILE`, or `-` for stdin; the type's example unless given
    #[arg(long, value_name = "JSON|@FILE|-")]
    data: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct ReplayArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = plain_id)]
    id: String,
    /// Events accepted at this time or later: RFC 3339, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: String,
    /// Events accepted before this time
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<String>,
    /// Only these event types, separated by commas: names or patterns
    #[arg(long, value_delimiter = ',', value_name = "TYPE,…")]
    types: Vec<String>,
    /// Only what ended so; failed, cancelled and missed unless given
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE,…")]
    states: Vec<Ended>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// How a delivery ended; `missed` means that none was made although the webhook wants the event.
#[derive(Clone, Copy, ValueEnum)]
enum Ended {
    Succeeded,
    Failed,
    Cancelled,
    Missed,
}

pub(super) async fn run(command: WebhookCommand, name: CalledAs) -> Result<(), Failure> {
    match command {
        WebhookCommand::Create(args) => create(args, name).await,
        WebhookCommand::List(args) => list(args).await,
        WebhookCommand::Get(args) => get(args).await,
        WebhookCommand::Update(args) => update(args).await,
        WebhookCommand::Delete(args) => delete(args).await,
        WebhookCommand::Enable(args) => enable(args).await,
        WebhookCommand::Disable(args) => disable(args).await,
        WebhookCommand::Test(args) => test(args).await,
        WebhookCommand::Replay(args) => replay(args).await,
        WebhookCommand::Health(args) => health::run(&args.id, args.client).await,
        WebhookCommand::Secret(command) => secret::run(command).await,
    }
}

async fn create(args: CreateArgs, name: CalledAs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let mut draft = Map::new();
    draft.insert("url".to_owned(), args.url.into());
    draft.insert("events".to_owned(), args.events.into());
    if let Some(secret) = secret(args.secret.as_deref())? {
        draft.insert("secret".to_owned(), secret.into());
    }
    args.settings.put_into(&mut draft);
    if name == CalledAs::Autonoma && !draft.contains_key("profile") {
        draft.insert("profile".to_owned(), AUTONOMA.into());
    }
    let answer = server.post("/v1/webhooks", Some(&draft)).await?;
    args.client.output.print(&answer, |webhook| details(webhook, &DETAILS))
}

async fn list(args: WebhooksArgs) -> Result<(), Failure> {
    let state = args.state.map(|state| match state {
        State::Enabled => "enabled",
        State::Disabled => "disabled",
    });
    let filters = [
        ("state", state),
        ("event_type", args.event_type.as_deref()),
        ("url", args.url.as_deref()),
    ];
    let path = query("/v1/webhooks", &filters);
    args.list.print(&path, &["id", "state", "profile", "events", "url"]).await
}

async fn get(args: OneArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/webhooks/{}", args.id)).await?;
    args.client.output.print(&answer, |webhook| details(webhook, &DETAILS))
}

async fn update(args: UpdateArgs) -> Result<(), Failure> {
    let mut change = Map::new();
    if let Some(url) = args.url {
        change.insert("url".to_owned(), url.into());
    }
    if !args.events.is_empty() {
        change.insert("events".to_owned(), args.events.into());
    }
    args.settings.put_into(&mut change);
    for setting in args.clear {
        if change.insert(setting.member().to_owned(), Value::Null).is_some() {
            return Err(Failure::usage(format!("{} is both given and cleared", setting.member()))
                .hint("give it, or name it in --clear"));
        }
    }
    if change.is_empty() {
        return Err(Failure::usage("there is nothing to change")
            .hint("give what is to change, such as --url; `webhook update --help` lists it"));
    }
    let server = keyed(args.client.server)?;
    let path = format!("/v1/webhooks/{}", args.id);
    let answer = server.request(Method::PATCH, &path, Some(to_json(&change)?)).await?;
    args.client.output.print(&answer, |webhook| details(webhook, &DETAILS))
}

async fn delete(args: OneArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.delete(&format!("/v1/webhooks/{}", args.id)).await?;
    args.client.output.print(&answer, |_| format!("deleted {}\n", args.id))
}

async fn enable(args: OneArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let path = format!("/v1/webhooks/{}/enable", args.id);
    let answer = server.post(&path, None::<&Value>).await?;
    args.client.output.print(&answer, |webhook| details(webhook, &DETAILS))?;
    let webhook: Value = answer.parse()?;
    let missed = webhook.get("missed").unwrap_or(&Value::Null);
    let events = missed.get("events").and_then(Value::as_u64).unwrap_or_default();
    if events > 0 {
        let is_more = missed.get("is_more").and_then(Value::as_bool).unwrap_or_default();
        let what = match (events, is_more) {
            (_, true) => format!("{events} or more events"),
            (1, false) => "1 event".to_owned(),
            (_, false) => format!("{events} events"),
        };
        eprintln!(
            "it missed {what} while it was disabled; to send that, and what failed or was \
             cancelled of events since then:\n  postrider webhook replay {} --since {} --until {} \
             --states failed,cancelled,missed\nan earlier --since also reaches what was pending and \
             cancelled when it was disabled",
            args.id,
            cell(missed, "since"),
            cell(missed, "until")
        );
    }
    Ok(())
}

async fn disable(args: DisableArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let body = json!({ "cancel_pending": args.cancel_pending });
    let path = format!("/v1/webhooks/{}/disable", args.id);
    let answer = server.post(&path, Some(&body)).await?;
    args.client.output.print(&answer, |webhook| details(webhook, &DETAILS))
}

async fn test(args: TestArgs) -> Result<(), Failure> {
    let data = args.data.as_deref().map(|given| given_json("--data", given)).transpose()?;
    let server = keyed(args.client.server)?;
    let path = format!("/v1/webhooks/{}/test", args.id);
    let answer = server.post(&path, Some(&TestBody { r#type: args.r#type, data })).await?;
    args.client.output.print(&answer, |sent| {
        let event = sent.get("event").unwrap_or(&Value::Null);
        format!("{}{}", details(event, &["id", "type"]), details(sent, &["delivery_id"]))
    })
}

/// The body of `POST /v1/webhooks/{id}/test`.
#[derive(serde::Serialize)]
struct TestBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<serde_json::value::RawValue>>,
}

async fn replay(args: ReplayArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let mut body = Map::new();
    body.insert("since".to_owned(), args.since.into());
    if let Some(until) = args.until {
        body.insert("until".to_owned(), until.into());
    }
    if !args.types.is_empty() {
        body.insert("types".to_owned(), args.types.into());
    }
    if !args.states.is_empty() {
        let states = args.states.iter().map(|state| match state {
            Ended::Succeeded => "succeeded",
            Ended::Failed => "failed",
            Ended::Cancelled => "cancelled",
            Ended::Missed => "missed",
        });
        body.insert("states".to_owned(), states.collect::<Vec<_>>().into());
    }
    let path = format!("/v1/webhooks/{}/replay", args.id);
    let what = format!("events to {} again", args.id);
    let selection = Selection { path, body, verb: "send", what };
    selection.run(&server, args.run, args.client.output).await
}
