//! `config check`: whether a server would start with these settings, and which they are.

use clap::Subcommand;
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::{Output, items, printable, table_of};
use super::serve_args::ServeArgs;
use crate::config::{Config, Sources};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the settings as `serve` would, and show them; starts and changes nothing
    Check(CheckArgs),
}

#[derive(clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// table: for people; json, ndjson: for programs
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

pub(super) fn run(command: ConfigCommand) -> Result<(), Failure> {
    let ConfigCommand::Check(args) = command;
    let refused = |error: crate::config::ConfigError| {
        let text = format!("postrider would not start: {}", printable(&error.to_string()));
        Failure::usage(text).hint("`serve --help` lists the settings")
    };
    let sources = Sources::read(args.serve.into_flags(), std::env::vars_os()).map_err(refused)?;
    let config = Config::from_sources(&sources).map_err(refused)?;
    let settings: Vec<Value> = sources
        .settled()
        .map(|setting| {
            json!({ "setting": setting.name, "value": setting.value, "from": setting.origin.to_string() })
        })
        .chain(config.profiles.iter().map(|profile| {
            json!({ "setting": format!("profiles.{}", profile.name()), "value": null, "from": "file" })
        }))
        .collect();
    let checked = json!({ "data": settings });
    args.output.print_value(&checked, |checked| {
        table_of(items(checked, "data"), &["setting", "value", "from"])
    })?;
    eprintln!("postrider would start with these settings");
    Ok(())
}
