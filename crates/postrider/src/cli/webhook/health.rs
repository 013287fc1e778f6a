//! `webhook health`.

use serde_json::Value;

use crate::cli::ClientArgs;
use crate::cli::failure::Failure;
use crate::cli::output::{Table, cell, details};
use crate::cli::server::keyed;

const WINDOWS: [&str; 3] = ["1h", "24h", "7d"];

pub(super) async fn run(id: &str, client: ClientArgs) -> Result<(), Failure> {
    let server = keyed(client.server)?;
    let answer = server.get(&format!("/v1/webhooks/{id}/health")).await?;
    client.output.print(&answer, health_text)
}

fn health_text(health: &Value) -> String {
    let names =
        ["webhook_id", "failures_in_a_row", "failing_since", "last_success_at", "last_failure_at"];
    let pending = health.get("pending").unwrap_or(&Value::Null);
    let mut table =
        Table::new(&["window", "attempts", "succeeded", "failed", "rate", "p50", "p95", "p99"]);
    for window in WINDOWS {
        let figures = health.get("windows").and_then(|w| w.get(window)).unwrap_or(&Value::Null);
        table.row(window_row(window, figures));
    }
    format!("{}pending  {}\n\n{}", details(health, &names), pending_text(pending), table.text())
}

/// How many wait, and since when.
pub(in crate::cli) fn pending_text(pending: &Value) -> String {
    let is_more = pending.get("is_more").and_then(Value::as_bool).unwrap_or_default();
    let more = if is_more { " or more" } else { "" };
    match pending.get("oldest_at").and_then(Value::as_str) {
        Some(_) => {
            format!(
                "{}{more}, the oldest since {}",
                cell(pending, "count"),
                cell(pending, "oldest_at")
            )
        }
        None => format!("{}{more}", cell(pending, "count")),
    }
}

/// The row of a window; response times in milliseconds.
pub(in crate::cli) fn window_row(window: &str, figures: &Value) -> Vec<String> {
    // the slots of statistics come without a rate
    let number = |name: &str| figures.get(name).and_then(Value::as_f64).unwrap_or_default();
    let rate = match number("attempts") {
        attempts if attempts > 0.0 => format!("{:.1}%", number("succeeded") / attempts * 100.0),
        _ => "-".to_owned(),
    };
    let times = figures.get("response_ms").unwrap_or(&Value::Null);
    let counts = ["attempts", "succeeded", "failed"].map(|name| cell(figures, name));
    let percentiles = ["p50", "p95", "p99"].map(|name| cell(times, name));
    let window = std::iter::once(window.to_owned());
    window.chain(counts).chain(std::iter::once(rate)).chain(percentiles).collect()
}
