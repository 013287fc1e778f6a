//! `webhook create|list|delete`.

use std::fmt::Write as _;
use std::io::Read as _;

use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use super::output::{Table, cell, details};
use super::server::Server;
use super::{AUTONOMA, CalledAs, ClientArgs};

/// Most bytes read as a secret; the server takes fewer.
const SECRET_BYTES_MAX: u64 = 4_096;

#[derive(Subcommand)]
pub(super) enum WebhookCommand {
    /// Register a receiver
    Create(CreateArgs),
    /// List receivers
    List(ListArgs),
    /// Remove a receiver; deliveries that wait for it are cancelled
    Delete(DeleteArgs),
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
    /// Wire format; follows from the secret unless given
    #[arg(long)]
    profile: Option<String>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// How many, 1 to 250
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=250))]
    limit: u16,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct DeleteArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = super::event::plain_id)]
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// The body of `POST /v1/webhooks`.
#[derive(Serialize)]
struct Draft<'a> {
    url: &'a str,
    events: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

pub(super) async fn run(command: WebhookCommand, name: CalledAs) -> Result<(), Failure> {
    match command {
        WebhookCommand::Create(args) => create(args, name).await,
        WebhookCommand::List(args) => list(args).await,
        WebhookCommand::Delete(args) => delete(args).await,
    }
}

async fn create(args: CreateArgs, name: CalledAs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let secret = match args.secret.as_deref() {
        Some("-") => Some(secret_from_stdin()?),
        given => given.map(str::to_owned),
    };
    let default_profile = (name == CalledAs::Autonoma).then_some(AUTONOMA);
    let draft = Draft {
        url: &args.url,
        events: &args.events,
        secret: secret.as_deref(),
        profile: args.profile.as_deref().or(default_profile),
        description: args.description.as_deref(),
    };
    let body = serde_json::to_vec(&draft).map_err(|error| {
        Failure::other(format!("the webhook can't be written as JSON: {error}"))
    })?;
    let answer = server.request(Method::POST, "/v1/webhooks", Some(body)).await?;
    args.client.output.print(&answer, |webhook| {
        details(webhook, &["id", "url", "events", "profile", "state", "description", "secret"])
    })
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let mut path = format!("/v1/webhooks?limit={}", args.limit);
    if let Some(cursor) = &args.cursor {
        let _ = write!(path, "&cursor={}", super::event::query_value(cursor));
    }
    let answer = server.request(Method::GET, &path, None).await?;
    args.client.output.print(&answer, |page| {
        let mut table = Table::new(&["id", "state", "profile", "events", "url"]);
        for webhook in page.get("data").and_then(Value::as_array).into_iter().flatten() {
            let cells = ["id", "state", "profile", "events", "url"];
            table.row(cells.iter().map(|name| cell(webhook, name)).collect());
        }
        let mut text = table.text();
        if page.get("next_cursor").is_some_and(Value::is_string) {
            let _ = writeln!(text, "more with --cursor {}", cell(page, "next_cursor"));
        }
        text
    })
}

async fn delete(args: DeleteArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.request(Method::DELETE, &format!("/v1/webhooks/{}", args.id), None).await?;
    args.client.output.print(&answer, |_| format!("deleted {}\n", args.id))
}

pub(super) fn keyed(args: super::ServerArgs) -> Result<Server, Failure> {
    let server = args.settle()?;
    server.require_key()?;
    Ok(server)
}

/// The first line: an editor or `echo` ends it with a line break that is not meant.
fn secret_from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(SECRET_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("no secret can be read from stdin: {error}")))?;
    let secret = text.lines().next().unwrap_or_default();
    if secret.is_empty() {
        return Err(Failure::usage("stdin holds no secret")
            .hint("pipe the secret in, or leave --secret out to have one made"));
    }
    Ok(secret.to_owned())
}
