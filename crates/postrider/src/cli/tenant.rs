//! `tenant create|list|delete`, with an admin key.

use clap::{Args, Subcommand};
use serde_json::json;

use super::ClientArgs;
use super::failure::Failure;
use super::list::ListArgs;
use super::output::details;
use super::replay::confirm;
use super::server::keyed;

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// Add a tenant
    Create(CreateArgs),
    /// List tenants
    List(ListArgs),
    /// Remove a tenant, its webhooks and its keys
    Delete(DeleteArgs),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// Its name: 1 to 64 of a-z, 0-9, _ and -
    #[arg(value_parser = plain_name)]
    name: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct DeleteArgs {
    /// The tenant's name
    #[arg(value_parser = plain_name)]
    name: String,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(command: TenantCommand) -> Result<(), Failure> {
    match command {
        TenantCommand::Create(args) => {
            let server = keyed(args.client.server)?;
            let answer = server.post("/v1/tenants", Some(&json!({ "name": args.name }))).await?;
            args.client.output.print(&answer, |tenant| details(tenant, &["name", "created_at"]))
        }
        TenantCommand::List(list) => list.print("/v1/tenants", &["name", "created_at"]).await,
        TenantCommand::Delete(args) => delete(args).await,
    }
}

async fn delete(args: DeleteArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    if !args.yes {
        confirm(&format!("remove the tenant {} with its webhooks and keys", args.name))?;
    }
    let answer = server.delete(&format!("/v1/tenants/{}", args.name)).await?;
    args.client.output.print(&answer, |_| format!("deleted {}\n", args.name))
}

/// A name that can stand in a path as it is.
fn plain_name(text: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("the name of a tenant is 1 to 64 of a-z, 0-9, _ and -".to_owned())
    }
}
