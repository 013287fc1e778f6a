//! The command line: `serve` starts a server, everything else is a client of one.
//!
//! The client knows the API's wire shapes and nothing of the engine. Called as `autonoma` (a link
//! to the same binary) it has no `serve`, and makes webhooks of the profile `autonoma` unless told
//! otherwise (wire contract §4).
//!
//! Answers go to stdout, everything else to stderr. The exit code says what went wrong; see
//! [`failure`].

mod client;
mod completions;
mod config_check;
mod context;
mod delivery;
mod doctor;
mod event;
mod event_type;
pub mod failure;
mod filter;
pub mod greeting;
mod inbox;
mod input;
mod key;
mod list;
mod listen;
mod open;
mod output;
mod portal_link;
mod replay;
mod serve_args;
mod server;
mod signature;
mod stats;
mod stream;
pub mod telemetry;
mod tenant;
mod trigger;
mod verify;
mod webhook;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::bench::{self, BenchArgs, ForwardArgs};
use crate::config::Config;
use config_check::ConfigCommand;
use failure::Failure;
use output::{Output, printable};
use serve_args::ServeArgs;
use server::ServerArgs;
use verify::VerifyArgs;

/// The second name of the binary.
const AUTONOMA: &str = "autonoma";

/// Runs the command of `args` (the first is the program's name) and says how it went. `serve`
/// runs the server until it stops.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(Config) -> anyhow::Result<()>,
) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let command = match parse(&args) {
        Ok(command) => command,
        Err(error) => {
            // help and version are errors to clap; they go to stdout and exit with 0
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match command {
        Command::Serve(args) => run_server(args, serve),
        Command::Bench(args) => {
            bench::main(&args).map_err(|error| Failure::other(format!("{error:#}")))
        }
        Command::BenchForward(args) => {
            bench::forward(&args).map_err(|error| Failure::other(format!("{error:#}")))
        }
        Command::Config(command) => config_check::run(command),
        Command::Verify(args) => verify::run(&args),
        Command::Client(command, name) => run_client(*command, name),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = std::io::stderr().write_all(failure.to_string().as_bytes());
            failure.kind.exit_code()
        }
    }
}

/// By which name the binary was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CalledAs {
    Postrider,
    Autonoma,
}

enum Command {
    Serve(ServeArgs),
    Bench(BenchArgs),
    BenchForward(ForwardArgs),
    Config(ConfigCommand),
    Verify(VerifyArgs),
    Client(Box<ClientCommand>, CalledAs),
}

#[derive(Parser)]
#[command(
    name = "postrider",
    version,
    about = "Delivers webhooks: publish an event once, and every webhook that wants it gets it"
)]
#[command(propagate_version = true)]
struct PostriderArgs {
    #[command(subcommand)]
    command: PostriderCommand,
}

#[derive(Subcommand)]
enum PostriderCommand {
    /// Start a server
    Serve(ServeArgs),
    /// Look at a server's settings without starting it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prove that a server's store is whole and in order; the server may be running
    Verify(VerifyArgs),
    /// Measure how fast this machine delivers
    Bench(BenchArgs),
    /// The reference that `bench` compares with
    #[command(hide = true)]
    BenchForward(ForwardArgs),
    #[command(flatten)]
    Client(Box<ClientCommand>),
}

#[derive(Parser)]
#[command(name = AUTONOMA, version, about = "Webhooks of the Autonoma platform")]
#[command(propagate_version = true)]
struct AutonomaArgs {
    #[command(subcommand)]
    command: Box<ClientCommand>,
}

#[derive(Subcommand)]
enum ClientCommand {
    /// Register receivers, read, change, try and remove them
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Publish events and see what became of them
    #[command(subcommand)]
    Event(event::EventCommand),
    /// See how deliveries went, retry and cancel them
    #[command(subcommand)]
    Delivery(delivery::DeliveryCommand),
    /// See how far replays and bulk retries are, and stop them
    #[command(subcommand)]
    Replay(replay::ReplayCommand),
    /// Deliver to an address of this machine for as long as this runs
    Listen(listen::ListenArgs),
    /// Publish the example of an event type
    Trigger(trigger::TriggerArgs),
    /// Show what arrived at the built-in receiver of a `serve --dev`
    Inbox(inbox::InboxArgs),
    /// Sign and verify, without a server
    #[command(subcommand)]
    Signature(signature::SignatureCommand),
    /// The catalogue of event types
    #[command(subcommand)]
    EventType(event_type::EventTypeCommand),
    /// Try payload filters
    #[command(subcommand)]
    Filter(filter::FilterCommand),
    /// Show how the tenant's deliveries went
    Stats(stats::StatsArgs),
    /// Tenants, with an admin key
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Keys for the API, with an admin key
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Servers by name
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Find out why something does not work
    Doctor(doctor::DoctorArgs),
    /// Let somebody into the tenant's dashboard
    PortalLink(portal_link::PortalLinkArgs),
    /// Open the dashboard in a browser
    Open(open::OpenArgs),
    /// Print a script that completes commands in a shell
    Completions(completions::CompletionsArgs),
}

/// What every client command takes.
#[derive(Args)]
struct ClientArgs {
    /// table: for people; json: the API's answer as it came; ndjson: one line each
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "POSTRIDER_OUTPUT",
        hide_env_values = true
    )]
    output: Output,
    #[command(flatten)]
    server: ServerArgs,
}

fn parse(args: &[OsString]) -> Result<Command, clap::Error> {
    let name = args.first().map(Path::new).and_then(Path::file_stem);
    if name == Some(OsStr::new(AUTONOMA)) {
        let matches = AutonomaArgs::command().try_get_matches_from(args)?;
        let parsed = AutonomaArgs::from_arg_matches(&matches)?;
        return Ok(Command::Client(parsed.command, CalledAs::Autonoma));
    }
    let matches = PostriderArgs::command().try_get_matches_from(args)?;
    Ok(match PostriderArgs::from_arg_matches(&matches)?.command {
        PostriderCommand::Serve(args) => Command::Serve(args),
        PostriderCommand::Bench(args) => Command::Bench(args),
        PostriderCommand::BenchForward(args) => Command::BenchForward(args),
        PostriderCommand::Config(command) => Command::Config(command),
        PostriderCommand::Verify(args) => Command::Verify(args),
        PostriderCommand::Client(command) => Command::Client(command, CalledAs::Postrider),
    })
}

fn run_server(
    args: ServeArgs,
    serve: impl FnOnce(Config) -> anyhow::Result<()>,
) -> Result<(), Failure> {
    let config = Config::load(args.into_flags()).map_err(|error| {
        Failure::usage(format!("postrider does not start: {}", printable(&error.to_string())))
    })?;
    telemetry::install(config.log);
    serve(config).map_err(|error| {
        Failure::other(format!("postrider stopped: {}", printable(&format!("{error:#}"))))
    })
}

fn run_client(command: ClientCommand, name: CalledAs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(format!("the runtime cannot start: {error}")))?;
    runtime.block_on(async {
        match command {
            ClientCommand::Webhook(command) => webhook::run(command, name).await,
            ClientCommand::Event(command) => event::run(command).await,
            ClientCommand::Delivery(command) => delivery::run(command).await,
            ClientCommand::Replay(command) => replay::run(command).await,
            ClientCommand::Listen(args) => listen::run(args, name).await,
            ClientCommand::Trigger(args) => trigger::run(args).await,
            ClientCommand::Inbox(args) => inbox::run(args).await,
            ClientCommand::Signature(command) => signature::run(command),
            ClientCommand::EventType(command) => event_type::run(command).await,
            ClientCommand::Filter(command) => filter::run(command).await,
            ClientCommand::Stats(args) => stats::run(args).await,
            ClientCommand::Tenant(command) => tenant::run(command).await,
            ClientCommand::Key(command) => key::run(command).await,
            ClientCommand::Context(command) => context::run(&command),
            ClientCommand::Doctor(args) => doctor::run(args).await,
            ClientCommand::PortalLink(args) => portal_link::run(args).await,
            ClientCommand::Open(args) => open::run(args),
            ClientCommand::Completions(args) => completions::run(&args, name.command()),
        }
    })
}

impl CalledAs {
    /// The commands of the program of this name.
    fn command(self) -> clap::Command {
        match self {
            Self::Postrider => PostriderArgs::command(),
            Self::Autonoma => AutonomaArgs::command(),
        }
    }
}
