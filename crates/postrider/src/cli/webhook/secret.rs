//! `webhook secret get|rotate`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::settings::SigningKey;
use crate::cli::ClientArgs;
use crate::cli::failure::Failure;
use crate::cli::input::{duration_s, plain_id, secret};
use crate::cli::output::details;
use crate::cli::server::keyed;

#[derive(Subcommand)]
pub(in crate::cli) enum SecretCommand {
    /// Show the current secret
    Get(GetArgs),
    /// Sign with another secret; the old one signs too until its overlap ends
    Rotate(RotateArgs),
}

#[derive(Args)]
pub(in crate::cli) struct GetArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = plain_id)]
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(in crate::cli) struct RotateArgs {
    /// The webhook's id, `wh_…`
    #[arg(value_parser = plain_id)]
    id: String,
    /// The new secret, or `-` to read it from stdin; made by the server unless given
    #[arg(long)]
    secret: Option<String>,
    /// How long the old secret signs too, 0s to 7d
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    overlap: Option<i64>,
    /// Kind of the secret that is made
    #[arg(long, value_enum)]
    signing_key: Option<SigningKey>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(command: SecretCommand) -> Result<(), Failure> {
    match command {
        SecretCommand::Get(args) => get(args).await,
        SecretCommand::Rotate(args) => rotate(args).await,
    }
}

async fn get(args: GetArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/webhooks/{}/secret", args.id)).await?;
    args.client.output.print(&answer, |shown| details(shown, &["secret", "public_key"]))
}

async fn rotate(args: RotateArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.and_then(|value| body.insert(name.to_owned(), value))
    };
    put("secret", secret(args.secret.as_deref())?.map(Value::from));
    put("overlap_s", args.overlap.map(Value::from));
    put("signing_key", args.signing_key.map(|kind| kind.name().into()));
    let path = format!("/v1/webhooks/{}/secret/rotate", args.id);
    let answer = server.post(&path, Some(&body)).await?;
    args.client.output.print(&answer, |rotated| {
        details(rotated, &["secret", "public_key", "old_live_until", "live_secrets"])
    })
}
