//! `portal-link`: lets somebody into the tenant's dashboard.

use clap::Args;
use serde::Serialize;

use super::ClientArgs;
use super::failure::Failure;
use super::input::duration_s;
use super::output::details;
use super::server::keyed;

#[derive(Args)]
pub(super) struct PortalLinkArgs {
    /// Whoever opens it may look, but change nothing
    #[arg(long)]
    read_only: bool,
    /// How long it works, such as 15m or 8h; an hour unless given, a day at most
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    expires_in: Option<i64>,
    #[command(flatten)]
    client: ClientArgs,
}

/// The body of `POST /v1/portal-links`.
#[derive(Serialize)]
struct Draft {
    is_read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_s: Option<i64>,
}

pub(super) async fn run(args: PortalLinkArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let draft = Draft { is_read_only: args.read_only, expires_in_s: args.expires_in };
    let answer = server.post("/v1/portal-links", Some(&draft)).await?;
    args.client.output.print(&answer, |link| details(link, &["url", "is_read_only", "expires_at"]))
}
