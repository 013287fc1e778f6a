//! `key create|list|revoke`, with an admin key.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::ClientArgs;
use super::failure::Failure;
use super::input::{future, plain_id};
use super::list::ListArgs;
use super::output::details;
use super::server::keyed;

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key for the API; it is shown this once
    Create(CreateArgs),
    /// List keys
    List(ListArgs),
    /// Let a key do nothing from now on
    Revoke(RevokeArgs),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// What it may do: admin everything, manage everything of its tenant, the others what they say
    #[arg(long, value_enum)]
    scope: Scope,
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// When it ends, such as 2026-01-31T12:00:00Z; never unless given
    #[arg(long, value_name = "TIME", conflicts_with = "expires_in")]
    expires_at: Option<String>,
    /// How long until it ends, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = future)]
    expires_in: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct RevokeArgs {
    /// The key's id
    #[arg(value_parser = plain_id)]
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Scope {
    Admin,
    Manage,
    Publish,
    Read,
}

/// The body of `POST /v1/keys`.
#[derive(Serialize)]
struct Draft {
    scope: Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

pub(super) async fn run(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Create(args) => create(args).await,
        KeyCommand::List(list) => {
            let columns = ["id", "scope", "tenant", "expires_at", "created_at", "description"];
            list.print("/v1/keys", &columns).await
        }
        KeyCommand::Revoke(args) => {
            let server = keyed(args.client.server)?;
            let answer = server.delete(&format!("/v1/keys/{}", args.id)).await?;
            args.client.output.print(&answer, |_| format!("revoked {}\n", args.id))
        }
    }
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let draft = Draft {
        scope: args.scope,
        // an admin key has none, whichever tenant is acted for otherwise
        tenant: server.tenant.clone().filter(|_| args.scope != Scope::Admin),
        description: args.description,
        expires_at: args.expires_at.or(args.expires_in),
    };
    let answer = server.post("/v1/keys", Some(&draft)).await?;
    args.client.output.print(&answer, |key| {
        details(key, &["id", "scope", "tenant", "description", "expires_at", "key"])
    })
}
