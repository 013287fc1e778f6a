//! `signature sign|verify`: the signatures of a delivery, without a server.

mod reading;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use postrider_signature::{Content, LIVE_SECRETS_MAX, Secret, SigningProfile, sign, timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::input::{given_bytes, now_ms, secret as given_secret};
use super::output::{Output, printable};
use crate::config::{Config, Sources};

#[derive(Subcommand)]
pub(super) enum SignatureCommand {
    /// Print the headers that sign a body
    Sign(SignArgs),
    /// Say whether the headers of a delivery sign its body, and if not, what differs
    Verify(verify::VerifyArgs),
}

#[derive(Args)]
pub(super) struct SignArgs {
    /// The secret, or `-` to read it from stdin
    #[arg(long)]
    secret: String,
    /// A secret in its overlap, which signs too; may be given several times
    #[arg(long, value_name = "SECRET")]
    old_secret: Vec<String>,
    #[command(flatten)]
    profile: ProfileArgs,
    /// The body: as it is, `@FILE`, or `-` for stdin
    #[arg(long, value_name = "BODY|@FILE|-")]
    body: String,
    /// The event's id; the body's unless given
    #[arg(long)]
    id: Option<String>,
    /// When it is sent: seconds since 1970, or RFC 3339; now unless given
    #[arg(long, value_name = "TIME", value_parser = instant_ms)]
    timestamp: Option<i64>,
    /// When it happened; the body's timestamp unless given
    #[arg(long, value_name = "TIME", value_parser = instant_ms)]
    event_time: Option<i64>,
    /// The server's public URL, for profiles that send it
    #[arg(long, value_name = "URL")]
    server_host: Option<String>,
    /// table: the headers as they are sent; json, ndjson: for programs
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "POSTRIDER_OUTPUT",
        hide_env_values = true
    )]
    output: Output,
}

/// Which wire format.
#[derive(Args)]
struct ProfileArgs {
    /// Wire format; follows from the secret unless given
    #[arg(long)]
    profile: Option<String>,
    /// TOML file of a server, for the profiles that it adds
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What a body says about its event.
#[derive(Default, Deserialize)]
struct BodyClaims {
    id: Option<String>,
    timestamp: Option<String>,
}

pub(super) fn run(command: SignatureCommand) -> Result<(), Failure> {
    match command {
        SignatureCommand::Sign(args) => run_sign(args),
        SignatureCommand::Verify(args) => verify::run(args),
    }
}

fn run_sign(args: SignArgs) -> Result<(), Failure> {
    let text = given_secret(Some(&args.secret))?.unwrap_or_default();
    let profile = args.profile.settle(&text)?;
    let secret = parse(&text, &profile)?;
    if args.old_secret.len() >= LIVE_SECRETS_MAX {
        return Err(Failure::usage(format!("at most {LIVE_SECRETS_MAX} secrets sign at once"))
            .hint("leave the oldest out"));
    }
    let older: Result<Vec<Secret>, Failure> =
        args.old_secret.iter().map(|text| parse(text, &profile)).collect();
    let older = older?;
    let body = given_bytes(&args.body)?;
    let claims = BodyClaims::of(&body);
    let id = args.id.or(claims.id.clone()).ok_or_else(|| {
        Failure::usage("the body has no id").hint("give the event's id with --id")
    })?;
    if id.is_empty() || id.contains('.') {
        return Err(Failure::usage("the id is empty or has a dot, which joins what is signed")
            .hint("use 1 to 128 of A-Z, a-z, 0-9, _ and -"));
    }
    let now = args.timestamp.unwrap_or_else(now_ms);
    let content = Content {
        id: &id,
        event_time_ms: args.event_time.or(claims.timestamp_ms()).unwrap_or(now),
        now_ms: now,
        body: &body,
        server_host: args.server_host.as_deref(),
    };
    let headers = sign(&profile, &secret, &older.iter().collect::<Vec<_>>(), &content);
    let members: Map<String, Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    let signed = json!({ "profile": profile.name, "headers": members });
    args.output.print_value(&signed, |_| {
        let lines = headers.iter().map(|(name, value)| format!("{name}: {}\n", printable(value)));
        lines.collect()
    })
}

impl ProfileArgs {
    /// The profile that was named, or the one whose format a secret has.
    fn settle(&self, secret: &str) -> Result<SigningProfile, Failure> {
        let mut profiles: BTreeMap<String, SigningProfile> = crate::profile::BUILTIN
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), SigningProfile::builtin(name)?)))
            .collect();
        if let Some(file) = &self.config {
            let flags = BTreeMap::from([("config", file.to_string_lossy().into_owned())]);
            let config = Sources::read(flags, []).and_then(|it| Config::from_sources(&it));
            let config = config.map_err(|error| {
                Failure::usage(printable(&error.to_string()))
                    .hint("name the file that `serve --config` takes")
            })?;
            let more = config.profiles.into_iter();
            profiles.extend(more.map(|profile| (profile.name().to_owned(), profile.signing)));
        }
        let Some(name) = &self.profile else {
            return Ok(SigningProfile::for_secret(secret));
        };
        profiles.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
            let known = printable(&known.join(", "));
            Failure::usage(format!("there is no profile {}", printable(name)))
                .hint(format!("there are {known}; --config adds those of a server"))
        })
    }
}

fn parse(text: &str, profile: &SigningProfile) -> Result<Secret, Failure> {
    Secret::parse(text, &profile.secret_format).map_err(|error| {
        Failure::usage(format!("for the profile {}: {error}", printable(&profile.name)))
            .hint("check the secret, or name another --profile")
    })
}

impl BodyClaims {
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn timestamp_ms(&self) -> Option<i64> {
        timestamp::parse(self.timestamp.as_deref()?).ok()
    }
}

/// Seconds since 1970, or RFC 3339, as milliseconds.
fn instant_ms(text: &str) -> Result<i64, String> {
    let seconds = Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match seconds.and_then(|text| text.parse::<i64>().ok()?.checked_mul(1_000)) {
        Some(ms) => Ok(ms),
        None => timestamp::parse(text).map_err(|error| error.to_string()),
    }
}
