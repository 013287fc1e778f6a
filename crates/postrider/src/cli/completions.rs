//! `completions`: scripts that complete this program's commands in a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::Failure;
use super::output::print_text;

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for `command`.
pub(super) fn run(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print_text(&String::from_utf8_lossy(&script))
}
