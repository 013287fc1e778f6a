//! Many deliveries at once: `replay …`, and what `webhook replay` and `delivery retry` share.
//!
//! Whatever it is, it is counted first and asked about on a terminal; then it runs in the server,
//! whether this program waits for it or not.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ClientArgs;
use super::client::Answer;
use super::failure::Failure;
use super::input::{plain_id, query};
use super::list::ListArgs;
use super::output::{Output, details};
use super::server::{Server, keyed};

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const DETAILS: [&str; 10] = [
    "id",
    "state",
    "webhook_id",
    "since",
    "until",
    "types",
    "states",
    "considered",
    "replayed",
    "finished_at",
];

#[derive(Subcommand)]
pub(super) enum ReplayCommand {
    /// List replays and bulk retries
    List(ReplaysArgs),
    /// Show how far one is
    Get(GetArgs),
    /// Stop one; what was sent stays sent
    Cancel(CancelArgs),
}

#[derive(Args)]
pub(super) struct ReplaysArgs {
    /// Only those of this webhook
    #[arg(long, value_name = "ID", value_parser = plain_id)]
    webhook: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args)]
pub(super) struct GetArgs {
    /// The replay's id, `rpl_…`
    #[arg(value_parser = plain_id)]
    id: String,
    /// Wait until it is over
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Args)]
pub(super) struct CancelArgs {
    /// The replay's id, `rpl_…`
    #[arg(value_parser = plain_id)]
    id: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// How something is run that may concern many deliveries.
#[derive(Args)]
pub(super) struct RunArgs {
    /// Only count, change nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Wait until it is over
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
}

/// What is to be sent again: the route that does it, and its body.
pub(super) struct Selection {
    pub(super) path: String,
    pub(super) body: Map<String, Value>,
    /// As in "send 5 events again?".
    pub(super) verb: &'static str,
    pub(super) what: String,
}

/// The answer to a dry run.
#[derive(Deserialize)]
struct Count {
    count: u64,
    is_more: bool,
}

#[derive(Deserialize)]
struct Progress {
    id: String,
    state: String,
    considered: u64,
    replayed: u64,
}

pub(super) async fn run(command: ReplayCommand) -> Result<(), Failure> {
    match command {
        ReplayCommand::List(args) => {
            let path = query("/v1/replays", &[("webhook_id", args.webhook.as_deref())]);
            let columns = ["id", "state", "webhook_id", "considered", "replayed", "created_at"];
            args.list.print(&path, &columns).await
        }
        ReplayCommand::Get(args) => get(args).await,
        ReplayCommand::Cancel(args) => {
            let server = keyed(args.client.server)?;
            let path = format!("/v1/replays/{}/cancel", args.id);
            let answer = server.post(&path, None::<&Value>).await?;
            args.client.output.print(&answer, |replay| details(replay, &DETAILS))
        }
    }
}

async fn get(args: GetArgs) -> Result<(), Failure> {
    let server = keyed(args.client.server)?;
    let answer = server.get(&format!("/v1/replays/{}", args.id)).await?;
    if args.wait {
        return wait(&server, answer, None, args.client.output).await;
    }
    print(&answer, args.client.output)
}

impl Selection {
    /// Counts, asks, and starts it.
    pub(super) async fn run(
        mut self,
        server: &Server,
        args: RunArgs,
        output: Output,
    ) -> Result<(), Failure> {
        self.body.insert("dry_run".to_owned(), true.into());
        let counted = server.post(&self.path, Some(&self.body)).await?;
        if args.dry_run {
            return output.print(&counted, |count| details(count, &["count", "is_more"]));
        }
        let Count { count, is_more } = counted.parse()?;
        let more = if is_more { " or more" } else { "" };
        let question = format!("{} {count}{more} {}", self.verb, self.what);
        if count > 0 && !args.yes {
            confirm(&question)?;
        }
        self.body.remove("dry_run");
        let answer = server.post(&self.path, Some(&self.body)).await?;
        if args.wait {
            let total = Some(count).filter(|_| !is_more);
            return wait(server, answer, total, output).await;
        }
        print(&answer, output)
    }
}

/// Asks on a terminal, and goes ahead elsewhere: a script has nobody to ask.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        eprintln!("{question}");
        return Ok(());
    }
    let mut answer = String::new();
    let asked = write!(stderr, "{question}? [y/N] ")
        .and_then(|()| stderr.flush())
        .and_then(|()| stdin.lock().read_line(&mut answer));
    match (asked, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::other("nothing was changed").hint("answer y, or give --yes")),
    }
}

/// Looks until it is over, with a bar on a terminal, and prints how it ended.
async fn wait(
    server: &Server,
    started: Answer,
    total: Option<u64>,
    output: Output,
) -> Result<(), Failure> {
    let bar = bar(total);
    let mut answer = started;
    loop {
        let progress: Progress = answer.parse()?;
        bar.set_position(progress.replayed);
        bar.set_message(format!("{} looked at", progress.considered));
        match &*progress.state {
            "running" => {}
            state => {
                bar.finish_and_clear();
                print(&answer, output)?;
                return match state {
                    "cancelled" => Err(Failure::other("it was cancelled before its end")
                        .hint("start it again; what was sent is sent again too")),
                    _ => Ok(()),
                };
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
        answer = server.get(&format!("/v1/replays/{}", progress.id)).await?;
    }
}

/// Drawn on stderr, and only where that is a terminal.
fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:40} {pos}/{len} replayed, {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} replayed, {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// What a replay is now.
fn print(answer: &Answer, output: Output) -> Result<(), Failure> {
    output.print(answer, |replay| details(replay, &DETAILS))
}
