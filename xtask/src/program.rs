//! Running other programs, with what they say shown and kept.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::Context as _;

/// How a program ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    /// Lines of both outputs; each output's own in order.
    pub(crate) lines: Vec<String>,
}

/// `cargo`, in the repository, without what the cargo that started this xtask said of xtask.
///
/// Build scripts that ask for `CARGO_MANIFEST_DIR` and the like would otherwise see it change
/// between this cargo and the next one, and everything above them would be compiled again. Colours
/// are off, because what it says is read.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).env("CARGO_TERM_COLOR", "never");
    let is_of_xtask = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_xtask) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs to the end. Both outputs go to our standard error as they come, and are kept.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Ended> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name} can't be started"))?;
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as _),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ];
    let readers = outputs.map(|pipe| thread::spawn(|| pipe.map(shown).unwrap_or_default()));
    let mut lines = Vec::new();
    for reader in readers {
        lines.extend(reader.join().unwrap_or_default());
    }
    let status = child.wait().with_context(|| format!("{name} can't be waited for"))?;
    Ok(Ended { is_success: status.success(), lines })
}

/// Runs to the end; an error, with the last lines, unless it succeeds.
pub(crate) fn must(command: &mut Command) -> anyhow::Result<()> {
    let what = format!("{command:?}");
    anyhow::ensure!(run(command)?.is_success, "{what} failed; its last lines are above");
    Ok(())
}

/// What a program prints, when it is there and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(pipe: impl Read) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        eprintln!("{text}");
        lines.push(text);
        line.clear();
    }
    lines
}
