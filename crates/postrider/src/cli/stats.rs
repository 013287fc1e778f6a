//! `stats`: how the tenant's deliveries went.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::ClientArgs;
use super::failure::Failure;
use super::output::{Table, cell, details, items};
use super::server::keyed;
use super::webhook::{pending_text, window_row};

#[derive(Args)]
pub(super) struct StatsArgs {
    /// How far back
    #[arg(long, value_enum, default_value_t)]
    window: Window,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Window {
    #[value(name = "1h")]
    Hour,
    #[default]
    #[value(name = "24h")]
    Day,
    #[value(name = "7d")]
    Week,
}

pub(super) async fn run(args: StatsArgs) -> Result<(), Failure> {
    let window = match args.window {
        Window::Hour => "1h",
        Window::Day => "24h",
        Window::Week => "7d",
    };
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/stats?window={window}")).await?;
    args.client.output.print(&answer, |stats| {
        let headings = ["since", "attempts", "succeeded", "failed", "rate", "p50", "p95", "p99"];
        let mut table = Table::new(&headings);
        for slot in items(stats, "slots") {
            let is_used = slot.get("attempts").and_then(Value::as_u64).unwrap_or_default() > 0;
            if is_used {
                table.row(window_row(&cell(slot, "at"), slot));
            }
        }
        let totals = stats.get("totals").unwrap_or(&Value::Null);
        table.row(window_row(window, totals));
        let pending = pending_text(stats.get("pending").unwrap_or(&Value::Null));
        let counts = details(stats, &["window", "events"]);
        format!("{counts}pending  {pending}\n\n{}", table.text())
    })
}
