//! `open`: the dashboard, in a browser.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use clap::Args;

use super::failure::Failure;
use super::output::print_text;
use super::server::ServerArgs;

#[derive(Args)]
pub(super) struct OpenArgs {
    /// Only print the address
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the address; where there is a desktop, opens it too.
pub(super) fn run(args: OpenArgs) -> Result<(), Failure> {
    let server = args.server.settle()?;
    let address = format!("{}/dashboard", server.base);
    print_text(&format!("{address}\n"))?;
    if args.print || !has_desktop() {
        return Ok(());
    }
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command.arg(&address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        // the address stands above, and that is what counts
        _ => {
            eprintln!("no browser could be opened");
            Ok(())
        }
    }
}

fn has_desktop() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_desktop = cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    is_desktop && std::io::stdout().is_terminal()
}
