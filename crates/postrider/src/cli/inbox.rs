//! `inbox`: what arrived at the built-in receiver of a `serve --dev`.

use clap::Args;

use super::ClientArgs;
use super::failure::Failure;
use super::output::{Table, cell, items};

#[derive(Args)]
pub(super) struct InboxArgs {
    /// Wait up to so many seconds, 0 to 10, if nothing has arrived yet
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(0..=10))]
    wait: u8,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(args: InboxArgs) -> Result<(), Failure> {
    let server = args.client.server.settle()?;
    let path = format!("/dev/inbox?wait={}", args.wait);
    let answer = server.get(&path).await?;
    args.client.output.print(&answer, |inbox| {
        let arrivals = items(inbox, "data");
        if arrivals.is_empty() {
            return "nothing has arrived yet\n".to_owned();
        }
        let names = ["received_at", "type", "id", "verified", "profile", "reason"];
        let mut table = Table::new(&["received", "type", "id", "verified", "profile", "reason"]);
        for arrival in arrivals {
            table.row(names.iter().map(|name| cell(arrival, name)).collect());
        }
        table.text()
    })
}
