//! `doctor`: finds out why something does not work, one question after another. What is wrong comes
//! with how to mend it.

mod receiver;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Instant, SystemTime};

use clap::Args;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::ClientArgs;
use super::client::Answer;
use super::context::Contexts;
use super::failure::{Failure, FailureKind};
use super::output::{cell, items};
use super::server::{ChosenBy, Server};
use crate::config::keys::{ADMIN_KEY_FILE, DEV_FILE, SEALING_KEY_FILE};

/// Receivers tolerate 300 s; from here on something is amiss.
const SKEW_SECONDS_WARNED: u64 = 10;
/// From here on receivers refuse what the server signs, or soon will.
const SKEW_SECONDS_FAILED: u64 = 240;

#[derive(Args)]
pub(super) struct DoctorArgs {
    /// A webhook's URL to look at too: its name, its address, its certificate
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// The answer to one question.
struct Finding {
    outcome: Outcome,
    what: &'static str,
    text: String,
    mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    Warn,
    /// With the exit code that says so.
    Fail(FailureKind),
}

pub(super) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let data_dir = args.client.server.data_dir.clone();
    let mut findings = vec![contexts()];
    match args.client.server.settle() {
        Err(failure) => findings.push(Finding::failed("server", &failure)),
        Ok(server) => {
            findings.push(Finding::ok("server", chosen(&server)));
            ask(&server, &mut findings).await;
        }
    }
    findings.push(data_directory(&data_dir));
    if let Some(url) = &args.webhook_url {
        receiver::look(url, &mut findings).await;
    }
    let list = json!({ "data": findings.iter().map(Finding::json).collect::<Vec<_>>() });
    args.client.output.print_value(&list, |list| items(list, "data").iter().map(line).collect())?;
    let failed = findings.iter().find_map(|finding| match finding.outcome {
        Outcome::Fail(kind) => Some((kind, finding.what)),
        _ => None,
    });
    match failed {
        None => Ok(()),
        Some((kind, what)) => Err(Failure::new(kind, format!("something is wrong with: {what}"))
            .hint("the lines above say how to mend it; the first one first")),
    }
}

/// What is printed of a finding.
fn line(finding: &Value) -> String {
    let outcome = cell(finding, "outcome");
    let mut line = format!("{outcome:4}  {:9}  {}\n", cell(finding, "what"), cell(finding, "text"));
    if finding.get("mend").is_some_and(Value::is_string) {
        let _ = writeln!(line, "                 {}", cell(finding, "mend"));
    }
    line
}

fn contexts() -> Finding {
    match Contexts::load() {
        Err(failure) => Finding::failed("contexts", &failure),
        Ok(contexts) => match &contexts.file {
            Some(file) if file.exists() => {
                Finding::ok("contexts", format!("read from {}", file.display()))
            }
            Some(file) => Finding::ok("contexts", format!("none; there is no {}", file.display())),
            None => Finding::ok("contexts", "none; there is no home directory".to_owned()),
        },
    }
}

fn chosen(server: &Server) -> String {
    let why = match &server.chosen_by {
        ChosenBy::Given => "as given".to_owned(),
        ChosenBy::Context(name) => format!("of the context {name}"),
        ChosenBy::Dev => "of a local serve --dev".to_owned(),
        ChosenBy::Default => "by default".to_owned(),
    };
    format!("{}, {why}", server.base)
}

/// The questions that only the server answers.
async fn ask(server: &Server, findings: &mut Vec<Finding>) {
    let began = Instant::now();
    let live = match server.ask(Method::GET, "/healthz", None).await {
        Ok(answer) => answer,
        Err(failure) => {
            findings.push(Finding::failed("reach", &failure));
            return;
        }
    };
    findings.push(reached(&live, began.elapsed().as_millis()));
    findings.push(ready(server).await);
    findings.push(clock(&live));
    findings.push(version(server).await);
    findings.push(key(server).await);
}

fn reached(answer: &Answer, ms: u128) -> Finding {
    if answer.status.is_success() && answer.parse::<Value>().is_ok() {
        return Finding::ok("reach", format!("it answers within {ms} ms"));
    }
    Finding {
        outcome: Outcome::Fail(FailureKind::Other),
        what: "reach",
        text: format!(
            "something answers {} there, but not as Postrider does",
            answer.status.as_u16()
        ),
        mend: Some("set --server or POSTRIDER_URL to the server's own address".to_owned()),
    }
}

async fn ready(server: &Server) -> Finding {
    match server.get("/readyz").await {
        Ok(_) => Finding::ok("ready", "it takes work".to_owned()),
        Err(failure) => Finding {
            outcome: Outcome::Warn,
            what: "ready",
            text: failure.summary(),
            mend: Some("it is stopping; start it again, or wait for the next one".to_owned()),
        },
    }
}

fn clock(answer: &Answer) -> Finding {
    let date = answer.headers.get(header::DATE).and_then(|date| date.to_str().ok());
    let Some(server) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return Finding {
            outcome: Outcome::Warn,
            what: "clock",
            text: "the server does not say its time".to_owned(),
            mend: Some("a proxy in front may drop the header Date".to_owned()),
        };
    };
    let here = SystemTime::now();
    let (skew, is_ahead) = match server.duration_since(here) {
        Ok(ahead) => (ahead.as_secs(), true),
        Err(behind) => (behind.duration().as_secs(), false),
    };
    let text = match (skew, is_ahead) {
        (0 | 1, _) => "the server's time is this machine's".to_owned(),
        (_, true) => format!("the server's clock is {skew} s ahead of this machine's"),
        (_, false) => format!("the server's clock is {skew} s behind this machine's"),
    };
    let outcome = match skew {
        SKEW_SECONDS_FAILED.. => Outcome::Fail(FailureKind::Other),
        SKEW_SECONDS_WARNED.. => Outcome::Warn,
        _ => return Finding::ok("clock", text),
    };
    let mend = "set both by NTP: receivers refuse what is signed more than 300 s from their time";
    Finding { outcome, what: "clock", text, mend: Some(mend.to_owned()) }
}

async fn version(server: &Server) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let document = server.get("/openapi.json").await.and_then(|answer| answer.parse::<Value>());
    match document.as_ref().map(|document| cell(document, "info.version")) {
        Ok(version) if version == own => {
            Finding::ok("version", format!("{own}, as this program's"))
        }
        Ok(version) => Finding {
            outcome: Outcome::Warn,
            what: "version",
            text: format!("the server is {version}, this program {own}"),
            mend: Some("use the program of the server's version".to_owned()),
        },
        Err(failure) => Finding {
            outcome: Outcome::Warn,
            what: "version",
            text: failure.summary(),
            mend: Some("see whether it is Postrider that answers there".to_owned()),
        },
    }
}

/// What the key may do, by what the server lets it read.
async fn key(server: &Server) -> Finding {
    if let Err(failure) = server.require_key() {
        return Finding::failed("key", &failure);
    }
    let tenant = server.tenant.as_ref().map(|name| format!(" in the tenant {name}"));
    let tenant = tenant.unwrap_or_default();
    // in the order of what they may; the path of the second names no webhook
    for (path, scope) in [
        ("/v1/keys?limit=1", "admin"),
        ("/v1/webhooks/none/secret", "manage"),
        ("/v1/webhooks?limit=1", "read"),
    ] {
        let answer = match server.ask(Method::GET, path, None).await {
            Ok(answer) => answer,
            Err(failure) => return Finding::failed("key", &failure),
        };
        match answer.status {
            StatusCode::FORBIDDEN => {}
            StatusCode::OK => return tenant_of(server, scope, &tenant).await,
            StatusCode::NOT_FOUND if scope == "manage" => {
                return tenant_of(server, scope, &tenant).await;
            }
            _ => return Finding::failed("key", &Failure::from_answer(&answer)),
        }
    }
    Finding::ok("key", format!("it may publish{tenant}"))
}

/// Whether the tenant is there for a key that may read.
async fn tenant_of(server: &Server, scope: &str, tenant: &str) -> Finding {
    match server.get("/v1/webhooks?limit=1").await {
        Ok(_) => Finding::ok("key", format!("its scope is {scope}{tenant}")),
        Err(failure) => Finding::failed("key", &failure),
    }
}

fn data_directory(path: &Path) -> Finding {
    let named = path.display();
    let Ok(metadata) = std::fs::metadata(path) else {
        return Finding::ok("data", format!("no server keeps its data in {named}"));
    };
    let fail = |text: String, mend: String| Finding {
        outcome: Outcome::Fail(FailureKind::Other),
        what: "data",
        text,
        mend: Some(mend),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        let text = format!("{named} can be written by other users (mode {mode:o})");
        return fail(text, format!("chmod go-w {named}; the server refuses to start on it"));
    }
    for name in [SEALING_KEY_FILE, ADMIN_KEY_FILE, DEV_FILE] {
        let file = path.join(name);
        let mode = std::fs::metadata(&file).map_or(0, |m| m.permissions().mode() & 0o777);
        if mode & 0o077 != 0 {
            let text = format!("{} is open to other users (mode {mode:o})", file.display());
            let mend = "replace the key, or chmod 600 the file if it was never read";
            return fail(text, mend.to_owned());
        }
    }
    Finding::ok("data", format!("{named} is its owner's alone"))
}

impl Finding {
    fn ok(what: &'static str, text: String) -> Self {
        Self { outcome: Outcome::Ok, what, text, mend: None }
    }

    fn failed(what: &'static str, failure: &Failure) -> Self {
        Self {
            outcome: Outcome::Fail(failure.kind),
            what,
            text: failure.summary(),
            mend: failure.mend().map(str::to_owned),
        }
    }

    fn json(&self) -> Value {
        let outcome = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Fail(_) => "fail",
        };
        json!({ "outcome": outcome, "what": self.what, "text": self.text, "mend": self.mend })
    }
}
