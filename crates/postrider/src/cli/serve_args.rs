//! The flags of `serve`. They are not read here: each goes to the configuration as text, where
//! flags, variables and the file are read alike.

use std::collections::BTreeMap;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::SETTINGS;

/// Values by setting name, and `config` for the file.
#[derive(Clone, Debug, Default)]
pub(super) struct ServeArgs {
    flags: BTreeMap<&'static str, String>,
}

impl ServeArgs {
    pub(super) fn into_flags(self) -> BTreeMap<&'static str, String> {
        self.flags
    }
}

impl Args for ServeArgs {
    /// A flag for each setting that has one, from the table of settings.
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help("TOML file with settings [variable: POSTRIDER_CONFIG]");
        let flags = SETTINGS.iter().filter(|setting| setting.has_flag).map(|setting| {
            let default = setting.default.map_or_else(String::new, |d| format!(" [default: {d}]"));
            let help = format!("{}{default} [variable: {}]", setting.help, setting.variable());
            let arg = Arg::new(setting.name)
                .long(setting.flag().trim_start_matches('-').to_owned())
                .help(StyledStr::from(help))
                .action(ArgAction::Set);
            match setting.name {
                "dev" | "allow_http" => arg
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
                    .value_name("BOOL"),
                _ => arg.value_name("VALUE"),
            }
        });
        let keys = SETTINGS
            .iter()
            .filter(|setting| !setting.has_flag)
            .map(|setting| format!("  {}: {}\n", setting.variable(), setting.help));
        command.arg(file).args(flags).after_help(format!(
            "Keys are given as variables or in the file, never as flags:\n{}",
            keys.collect::<String>()
        ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let names = SETTINGS.iter().filter(|s| s.has_flag).map(|s| s.name).chain(["config"]);
        for name in names {
            if let Some(value) = matches.get_one::<String>(name) {
                self.flags.insert(name, value.clone());
            }
        }
        Ok(())
    }
}
