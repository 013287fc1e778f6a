//! `verify`: looks through a server's store, whether it runs or not.

use std::path::{Path, PathBuf};

use postrider_store::{Checked, SqliteStore, StoreError, Violation};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::{print_line, print_text, print_text_line, printable};
use crate::serve::DATABASE_FILE;

/// Named in JSON, which is one object; the count tells of the rest.
const NAMED_MAX: usize = 10_000;

#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// The server's data directory
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "./postrider-data",
        env = "POSTRIDER_DATA_DIR",
        hide_env_values = true
    )]
    data_dir: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let database = args.data_dir.join(DATABASE_FILE);
    if !database.is_file() {
        let text = format!("there is no store in {}", printable(&args.data_dir.to_string_lossy()));
        return Err(Failure::usage(text).hint("name the server's data directory with --data-dir"));
    }
    let looked = if args.json { as_json(args, &database) } else { as_text(&database) };
    let checked = looked?;
    if checked.violations == 0 {
        return Ok(());
    }
    Err(Failure::other(format!("{} violations", checked.violations))
        .hint("keep a copy of the data directory as it is, and report them"))
}

fn as_text(database: &Path) -> Result<Checked, Failure> {
    let mut printed = Ok(());
    let checked = look(database, &mut |violation| {
        if printed.is_ok() {
            printed = print_text_line(&printable(&violation.to_string())).map(drop);
        }
    })?;
    printed?;
    let lines = counts(&checked).map(|(what, count)| format!("{count:>12} {what}\n"));
    print_text(&lines.concat())?;
    Ok(checked)
}

fn as_json(args: &VerifyArgs, database: &Path) -> Result<Checked, Failure> {
    let mut violations = Vec::new();
    let checked = look(database, &mut |violation| {
        if violations.len() < NAMED_MAX {
            violations.push(json!({
                "kind": violation.kind.name(),
                "about": violation.about,
                "detail": violation.detail,
                "meaning": violation.kind.meaning(),
            }));
        }
    })?;
    let checked_json: serde_json::Map<String, Value> = counts(&checked)
        .map(|(what, count)| (what.replace(' ', "_"), Value::from(count)))
        .into_iter()
        .collect();
    let looked = json!({
        "data": args.data_dir.to_string_lossy(),
        "checked": checked_json,
        "violations": violations,
    });
    print_line(&looked.to_string())?;
    Ok(checked)
}

fn look(database: &Path, found: &mut dyn FnMut(Violation)) -> Result<Checked, Failure> {
    SqliteStore::verify(database, found).map_err(|error| {
        let text = match error {
            StoreError::Unavailable(text) => text,
            other => other.to_string(),
        };
        Failure::usage(format!("the store can't be looked at: {}", printable(&text)))
            .hint("as the user that the server runs as, and with the server's own version")
    })
}

fn counts(checked: &Checked) -> [(&'static str, u64); 10] {
    [
        ("events", checked.events),
        ("deliveries", checked.deliveries),
        ("pending deliveries", checked.pending),
        ("attempts", checked.attempts),
        ("entries of histories", checked.history),
        ("rows of list indexes", checked.index_rows),
        ("webhooks", checked.webhooks),
        ("healths of webhooks", checked.healths),
        ("replays", checked.replays),
        ("violations", checked.violations),
    ]
}
