//! Proof: the bot in Python handles each event once, whatever happens to it and to its secret. Those
//! in Rust and in TypeScript are told the same story by `examples/axum-bot/tests` and
//! `sdks/typescript/test`.

mod support;

use std::process::Command;

use serde_json::json;
use support::bot::Bot;
use support::repository;

#[test]
fn the_automa_bot_handles_each_event_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("bot.db");
    let python = repository().join("target/test-env/python-sdk/bin/python");
    let command = || {
        let mut command = Command::new(&python);
        command
            .arg("-B")
            .arg(repository().join("examples/automa-bot/bot.py"))
            .env("PYTHONPATH", repository().join("sdks/python/src"))
            .env("DATABASE", &database);
        command
    };
    let effects = || {
        let query = "import sqlite3, sys; \
            print(sqlite3.connect(sys.argv[1]).execute('SELECT sum(accepted) FROM task').fetchone()[0])";
        let output = Command::new(&python).args(["-c", query]).arg(&database).output();
        let output = output.expect("Python starts");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a count")
    };
    Bot {
        command: &command,
        profile: "automa",
        event_type: "proposal.accepted",
        data: &json!({
            "org": { "id": 1, "name": "automa", "provider_type": "github" },
            "proposal": { "id": 123, "bot_id": 7, "repo_id": 1, "type": "proposal" },
            "task": { "id": 2, "title": "Fix it" },
        }),
        effects: &effects,
    }
    .lives_through_everything();
}
