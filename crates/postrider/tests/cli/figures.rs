//! `webhook health` and `stats`.

use serde_json::json;

use crate::program::Program;
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

#[test]
fn how_a_webhook_fares_is_shown_by_window() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    let webhook = server.webhook(&receiver.url(), "a secret");
    receiver.script([Answer::Status(204), Answer::Status(500)]);
    for attempts in [1, 1] {
        server.delivery(&server.publish("code.generated", "{}"), attempts);
    }
    server.wait_for(&format!("/v1/webhooks/{webhook}/health"), |health| {
        health["failures_in_a_row"] == 1 && health["windows"]["1h"]["attempts"] == 2
    });
    let health = program.json(&["webhook", "health", &webhook]);
    assert_eq!(health["windows"]["7d"]["success_rate"], json!(0.5));
    let text = program.text(&["webhook", "health", &webhook]);
    assert!(text.contains("failures_in_a_row  1\n"), "{text}");
    assert!(text.contains("\npending  1, the oldest since "), "{text}");
    for window in ["1h ", "24h", "7d "] {
        let row = text.lines().find(|line| line.starts_with(window)).expect("a row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells[1..5], ["2", "1", "1", "50.0%"], "{text}");
    }
    program.refused(4, &["webhook", "health", "wh_none"]);
}

#[test]
fn the_tenants_figures_are_shown_by_window() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    server.webhook(&receiver.url(), "a secret");
    server.delivery(&server.publish("code.generated", "{}"), 1);
    server.wait_for("/v1/stats?window=1h", |stats| stats["totals"]["succeeded"] == 1);
    let stats = program.json(&["stats"]);
    assert_eq!((&stats["window"], &stats["events"]), (&json!("24h"), &json!(1)));
    let text = program.text(&["stats", "--window", "1h"]);
    assert!(text.starts_with("window  1h\nevents  1\npending  0\n"), "{text}");
    let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("SINCE")).collect();
    assert_eq!(rows.len(), 3, "a heading, the slot that was used, and the total: {text}");
    assert!(rows[2].starts_with("1h ") && rows[2].contains("100.0%"), "{text}");
    program.refused(2, &["stats", "--window", "1y"]);
}
