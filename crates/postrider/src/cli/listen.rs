//! `listen`: deliveries to an address of this machine, through a connection to the server.
//!
//! The server holds a webhook for as long as the connection stands. Each of its attempts comes as a
//! line; it is forwarded with its exact bytes and headers, and what the local receiver answers is
//! the attempt's result.

mod forward;
mod secret;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use super::failure::{Failure, FailureKind};
use super::input::{now_ms, secret as given_secret, to_json};
use super::output::{Output, Reader, cell, print_line, print_text_line, printable};
use super::server::{Server, keyed};
use super::stream::Lines;
use super::{AUTONOMA, CalledAs, ClientArgs};
use forward::{Answered, ForwardTo};
use secret::Kept;

/// Attempts forwarded at once; more wait in the connection, and so in the server.
const FORWARDED_MAX: usize = 64;
/// First wait before connecting again; it doubles each time.
const AGAIN_MS_MIN: u64 = 250;
/// Longest wait before connecting again.
const AGAIN_MS_MAX: u64 = 15_000;
/// For saying goodbye.
const GOODBYE_SECONDS: u64 = 5;

#[derive(Args)]
pub(super) struct ListenArgs {
    /// URL of the local receiver, such as `http://localhost:3000/webhooks`
    #[arg(long, value_name = "URL", value_parser = ForwardTo::parse)]
    forward_to: ForwardTo,
    /// Event types wanted, separated by commas: names, `code.*`, or `*`
    #[arg(long, value_delimiter = ',', default_value = "*", value_name = "TYPE,…")]
    events: Vec<String>,
    /// Wire format; the server's default unless given
    #[arg(long)]
    profile: Option<String>,
    /// Only events for which this expression holds, such as data.severity == "high"
    #[arg(long, value_name = "CEL")]
    filter: Option<String>,
    /// Secret to sign with, or `-` to read it from stdin; one that stays the same in every run
    /// unless given
    #[arg(long)]
    secret: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// The body of `POST /v1/listen`.
#[derive(Serialize)]
struct Wanted<'a> {
    events: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
}

/// A line of the server.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Ready {
        webhook: Value,
    },
    Attempt(Attempt),
    /// The webhook was disabled.
    Closed {
        reason: String,
    },
    /// A ping, or what a newer server says.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Attempt {
    #[serde(rename = "attempt_id")]
    id: String,
    delivery_id: String,
    headers: Vec<(String, String)>,
    body_base64: String,
}

/// The body of `POST /v1/listen/{webhook_id}/answers`.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Answered {
        attempt_id: &'a str,
        status: u16,
        headers: &'a [(String, String)],
        body_base64: String,
    },
    Failed {
        attempt_id: &'a str,
        error: &'a str,
    },
}

/// Why listening ended.
enum Ended {
    /// The person or the reader of stdout has gone.
    Wanted,
    /// The server has gone.
    Lost(String),
}

pub(super) async fn run(mut args: ListenArgs, name: CalledAs) -> Result<(), Failure> {
    if name == CalledAs::Autonoma && args.profile.is_none() {
        args.profile = Some(AUTONOMA.to_owned());
    }
    let server = keyed(args.client.server.clone())?;
    let mut kept = match given_secret(args.secret.as_deref())? {
        Some(secret) => Kept::given(secret, args.profile.clone()),
        None => Kept::load(&server, args.profile.as_deref())?,
    };
    let mut stop = Stop::new()?;
    let mut wait_ms = AGAIN_MS_MIN;
    let mut has_listened = false;
    loop {
        let wanted = to_json(&Wanted {
            events: &args.events,
            profile: kept.profile.as_deref(),
            secret: kept.secret.as_deref(),
            filter: args.filter.as_deref(),
        })?;
        let opened = tokio::select! {
            opened = server.stream("/v1/listen", wanted) => opened,
            () = stop.wanted() => return Ok(()),
        };
        let why = match opened {
            Ok(lines) => {
                let mut session = Session { server: &server, args: &args, webhook_id: None };
                match session.run(lines, &mut kept, &mut stop).await? {
                    Ended::Wanted => return Ok(()),
                    Ended::Lost(why) => {
                        if session.webhook_id.is_some() {
                            (has_listened, wait_ms) = (true, AGAIN_MS_MIN);
                        }
                        why
                    }
                }
            }
            Err(failure) if has_listened && failure.may_pass() => failure.summary(),
            Err(failure) => return Err(failure),
        };
        if !has_listened {
            return Err(server.unreachable(&why));
        }
        eprintln!("the server is gone ({}); trying again", printable(&why));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            () = stop.wanted() => return Ok(()),
        }
        wait_ms = (wait_ms * 2).min(AGAIN_MS_MAX);
    }
}

/// One connection to the server.
struct Session<'a> {
    server: &'a Server,
    args: &'a ListenArgs,
    /// Once the server has made one.
    webhook_id: Option<String>,
}

impl Session<'_> {
    async fn run(
        &mut self,
        mut lines: Lines,
        kept: &mut Kept,
        stop: &mut Stop,
    ) -> Result<Ended, Failure> {
        let mut forwards: JoinSet<Result<Reader, Failure>> = JoinSet::new();
        let ended = loop {
            tokio::select! {
                line = lines.next(), if forwards.len() < FORWARDED_MAX => match line {
                    Ok(line) => self.take(&line, kept, &mut forwards)?,
                    Err(why) => break Ended::Lost(why),
                },
                Some(done) = forwards.join_next() => match done {
                    Ok(Ok(Reader::There)) => {}
                    Ok(Ok(Reader::Gone)) => break Ended::Wanted,
                    Ok(Err(failure)) => return Err(failure),
                    Err(error) => return Err(Failure::fault(format!("forwarding broke off: {error}"))),
                },
                () = stop.wanted() => break Ended::Wanted,
            }
        };
        drop(lines);
        if let (Ended::Wanted, Some(id)) = (&ended, &self.webhook_id) {
            self.goodbye(id).await;
        }
        Ok(ended)
    }

    fn take(
        &mut self,
        line: &[u8],
        kept: &mut Kept,
        forwards: &mut JoinSet<Result<Reader, Failure>>,
    ) -> Result<(), Failure> {
        let line: Line = serde_json::from_slice(line).map_err(|_| {
            Failure::other("the server sent a line that can't be read")
                .hint("is it as new as this program? `doctor` compares their versions")
        })?;
        match (line, &self.webhook_id) {
            (Line::Ready { webhook }, _) => {
                let id = webhook.get("id").and_then(Value::as_str).unwrap_or_default();
                self.webhook_id = Some(id.to_owned());
                kept.keep(&webhook)?;
                self.greet(&webhook);
            }
            (Line::Attempt(attempt), Some(webhook_id)) => {
                let forward = Forward {
                    server: self.server.clone(),
                    to: self.args.forward_to.clone(),
                    webhook_id: webhook_id.clone(),
                    output: self.args.client.output,
                };
                forwards.spawn(forward.run(attempt));
            }
            (Line::Closed { reason }, _) => return Err(closed(&reason)),
            (Line::Attempt(_) | Line::Other, _) => {}
        }
        Ok(())
    }

    fn greet(&self, webhook: &Value) {
        eprintln!(
            "listening as {} for {}, forwarding to {}\nprofile {}, secret {}\nCtrl-C ends it",
            cell(webhook, "id"),
            cell(webhook, "events"),
            self.args.forward_to,
            cell(webhook, "profile"),
            cell(webhook, "secret"),
        );
    }

    /// The server removes the webhook when the connection ends; asking for it too means that it is
    /// gone once this program is.
    async fn goodbye(&self, id: &str) {
        let path = format!("/v1/webhooks/{id}");
        let deleted = self.server.delete(&path);
        let deleted = tokio::time::timeout(Duration::from_secs(GOODBYE_SECONDS), deleted).await;
        match deleted {
            Ok(Err(failure)) if failure.kind != FailureKind::NotFound => {
                eprintln!("{id} was not removed: {}", failure.summary());
            }
            Err(_) => eprintln!("{id} was not removed: the server did not answer in time"),
            Ok(_) => eprintln!("{id} is removed"),
        }
    }
}

/// The server has ended it, and would again.
fn closed(reason: &str) -> Failure {
    let why = match reason {
        "gone" => "the local receiver answered 410, which says that it is gone".to_owned(),
        "failing" => "the local receiver failed for too long".to_owned(),
        "requested" => "somebody disabled its webhook".to_owned(),
        other => printable(other),
    };
    Failure::other(format!("the server ended listening: {why}"))
}

/// One attempt on its way to the local receiver and back.
struct Forward {
    server: Server,
    to: ForwardTo,
    webhook_id: String,
    output: Output,
}

impl Forward {
    async fn run(self, attempt: Attempt) -> Result<Reader, Failure> {
        let began = tokio::time::Instant::now();
        let body = STANDARD.decode(&attempt.body_base64).map_err(|_| {
            Failure::other("the server sent a body that can't be read")
                .hint("is it as new as this program? `doctor` compares their versions")
        })?;
        let event = Event::of(&body);
        let answered =
            self.to.forward(&attempt.headers, body, self.server.ca_file.as_deref()).await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = Told { event: &event, attempt: &attempt, answered: &answered, ms };
        let reader = line.print(self.output)?;
        let outcome = match &answered {
            Ok(answered) => Outcome::Answered {
                attempt_id: &attempt.id,
                status: answered.status,
                headers: &answered.headers,
                body_base64: STANDARD.encode(&answered.body),
            },
            Err(error) => Outcome::Failed { attempt_id: &attempt.id, error },
        };
        let path = format!("/v1/listen/{}/answers", self.webhook_id);
        if let Err(failure) = self.server.post(&path, Some(&outcome)).await {
            // the server tries again by itself; that it is gone shows at the connection
            eprintln!(
                "the answer of {} did not count: {}",
                printable(&attempt.delivery_id),
                failure.summary()
            );
        }
        Ok(reader)
    }
}

/// What a body says about its event.
#[derive(Default, Deserialize)]
struct Event {
    #[serde(default)]
    id: String,
    #[serde(default)]
    r#type: String,
}

impl Event {
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// The line that a forwarded attempt is told by.
struct Told<'a> {
    event: &'a Event,
    attempt: &'a Attempt,
    answered: &'a Result<Answered, String>,
    ms: u64,
}

impl Told<'_> {
    fn print(&self, output: Output) -> Result<Reader, Failure> {
        let at = postrider_signature::timestamp::format_ms(now_ms());
        let status = self.answered.as_ref().ok().map(|answered| answered.status);
        let error = self.answered.as_ref().err();
        if output == Output::Table {
            let outcome = match (status, error) {
                (Some(status), _) => status.to_string(),
                (None, error) => printable(error.map_or("-", String::as_str)),
            };
            return print_text_line(&format!(
                "{at}  {}  {}  {outcome}  {} ms",
                printable(&self.event.r#type),
                printable(&self.event.id),
                self.ms
            ));
        }
        let line = json!({
            "at": at, "type": self.event.r#type, "id": self.event.id,
            "delivery_id": self.attempt.delivery_id, "attempt_id": self.attempt.id,
            "status": status, "error": error, "ms": self.ms,
        });
        print_line(&line.to_string())
    }
}

/// Ctrl-C, or a request to end.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        let watch = |kind| {
            signal(kind)
                .map_err(|error| Failure::fault(format!("signals can't be watched: {error}")))
        };
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
