//! The bot against the real server: each event's effect happens once.

#[path = "../../../crates/postrider/tests/support/mod.rs"]
mod support;

use std::process::Command;

use serde_json::json;
use support::bot::Bot;

#[test]
fn the_axum_bot_handles_each_event_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("bot.db");
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_axum-bot"));
        command.env("DATABASE", &database);
        command
    };
    let effects = || {
        let connection = rusqlite::Connection::open(&database).expect("the bot made it");
        let query = "SELECT sum(files) / 3 FROM generated";
        connection.query_row(query, [], |row| row.get(0)).expect("a count")
    };
    Bot {
        command: &command,
        profile: "standard",
        event_type: "code.generated",
        data: &json!({ "repository": "acme/web", "files": 3 }),
        effects: &effects,
    }
    .lives_through_everything();
}
