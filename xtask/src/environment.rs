//! What the tests need beside Rust: curl, Node.js and Python with the packages of receivers, what
//! tries the API by its document and the dashboard in a browser, and the databases that receivers keep their inboxes in.
//!
//! Programs come from Debian's packages when they are missing. Packages for Node.js and Python go
//! into `target/test-env`, exactly as `tests/receivers`, `tests/openapi` and the SDKs pin them; only
//! npm's for the TypeScript SDK and the dashboard go into their own folders, where Node.js looks for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::program::{cargo, must, output};

/// Oldest versions that the receivers run on.
const NODE_MIN: [u32; 2] = [20, 3];
/// automa-bot, which is tested against, wants it.
const PYTHON_MIN: [u32; 2] = [3, 11];

const NPM_FILES: [&str; 2] = ["package.json", "package-lock.json"];
const REQUIREMENTS: &str = "requirements.txt";

/// Written last into an environment; says what it was made from.
const STAMP: &str = "made-from";

/// Installs whatever is missing.
pub(crate) fn prepare(root: &Path) -> anyhow::Result<()> {
    rust_components(root)?;
    programs()?;
    let environments = root.join("target/test-env");
    let receivers = root.join("tests/receivers");
    node_packages(&receivers.join("node"), &environments.join("node"))?;
    dashboard(root)?;
    python_packages(&receivers.join("python"), REQUIREMENTS, &environments.join("python"))?;
    python_packages(&root.join("tests/openapi"), REQUIREMENTS, &environments.join("openapi"))?;
    python_sdk(root).map(drop)
}

/// The folder of what tries the dashboard in a browser, with its packages in it.
pub(crate) fn dashboard(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join("tests/dashboard");
    npm_once(&folder, &folder.join("node_modules"), || {
        let quiet = ["--no-audit", "--no-fund", "--ignore-scripts"];
        must(Command::new("npm").arg("ci").args(quiet).current_dir(&folder))
    })?;
    Ok(folder)
}

/// The Python that has what the SDK's checks and tests need.
pub(crate) fn python_sdk(root: &Path) -> anyhow::Result<PathBuf> {
    let environment = root.join("target/test-env/python-sdk");
    python_packages(&root.join("sdks/python"), "requirements-dev.txt", &environment)?;
    Ok(environment.join("bin/python"))
}

fn rust_components(root: &Path) -> anyhow::Result<()> {
    let is_there = |part: &str| output(cargo(root).args([part, "--version"])).is_some();
    let missing: Vec<&str> = [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter_map(|(part, component)| (!is_there(part)).then_some(component))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    must(Command::new("rustup").args(["component", "add"]).args(&missing))
        .with_context(|| format!("install {} for this Rust", missing.join(" and ")))
}

/// A program that tests start, how it is recognised and the packages that bring it.
struct Program {
    name: &'static str,
    is_there: fn() -> bool,
    packages: &'static [&'static str],
}

const PROGRAMS: [Program; 9] = [
    Program { name: "curl", is_there: || has("curl"), packages: &["curl", "ca-certificates"] },
    Program { name: "Node.js 20 or newer", is_there: has_node, packages: &["nodejs"] },
    Program { name: "npm", is_there: || has("npm"), packages: &["npm"] },
    Program {
        name: "Python 3.11 or newer with venv",
        is_there: has_python,
        packages: &["python3", "python3-venv"],
    },
    // npm compiles SQLite for Node.js where there is no built one to be had
    Program { name: "a C++ compiler", is_there: || has("g++"), packages: &["g++"] },
    Program { name: "make", is_there: || has("make"), packages: &["make"] },
    Program { name: "PostgreSQL", is_there: has_postgres, packages: &["postgresql"] },
    Program {
        name: "Chromium",
        is_there: || has("chromium"),
        packages: &["chromium", "fonts-dejavu-core"],
    },
    Program { name: "Redis", is_there: || has("redis-server"), packages: &["redis-server"] },
];

fn programs() -> anyhow::Result<()> {
    let missing: Vec<&Program> = PROGRAMS.iter().filter(|program| !(program.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> =
        missing.iter().flat_map(|program| program.packages).copied().collect();
    let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
    let (names, list) = (names.join(", "), packages.join(" "));
    eprintln!("missing: {names}; installing {list}");
    apt(&["update"])
        .and_then(|()| {
            apt(&[&["install", "--yes", "--no-install-recommends"], &packages[..]].concat())
        })
        .with_context(|| format!("the tests need {names}; install it by hand (Debian: {list})"))?;
    for program in missing {
        ensure!(
            (program.is_there)(),
            "{list} did not bring {}; install it by hand and run this again",
            program.name
        );
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> anyhow::Result<()> {
    ensure!(has("apt-get"), "there is no apt-get here");
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
    let mut apt = if is_root {
        Command::new("apt-get")
    } else if output(Command::new("sudo").args(["-n", "true"])).is_some() {
        let mut sudo = Command::new("sudo");
        // sudo drops variables of its caller
        sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!("only root installs packages, and sudo without a password is not there");
    };
    must(apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
}

fn has(program: &str) -> bool {
    output(Command::new(program).arg("--version")).is_some()
}

fn has_node() -> bool {
    is_at_least(Command::new("node").arg("--version"), NODE_MIN)
}

fn has_python() -> bool {
    // Debian splits what `venv` needs into a package of its own; without it there is no ensurepip
    is_at_least(Command::new("python3").arg("--version"), PYTHON_MIN)
        && output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_some()
}

/// The server's programs, which Debian keeps off the path.
fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .any(|bin| ["initdb", "postgres"].iter().all(|program| bin.join(program).is_file()))
}

fn is_at_least(command: &mut Command, min: [u32; 2]) -> bool {
    output(command).and_then(|text| version(&text)).is_some_and(|version| version >= min)
}

/// The first two numbers of `v20.20.2` or `Python 3.11.7`.
fn version(text: &str) -> Option<[u32; 2]> {
    let digits = text.trim_start_matches(|character: char| !character.is_ascii_digit());
    let mut numbers = digits.split('.').map(str::parse);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?])
}

fn node_packages(pinned: &Path, environment: &Path) -> anyhow::Result<()> {
    npm_once(pinned, environment, || {
        for file in NPM_FILES {
            fs::copy(pinned.join(file), environment.join(file))?;
        }
        let quiet = ["--no-audit", "--no-fund", "--ignore-scripts"];
        must(Command::new("npm").arg("ci").args(quiet).current_dir(environment))
    })
}

/// Has npm install anew unless it did so from just these files for this Node.js.
pub(crate) fn npm_once(
    pinned: &Path,
    environment: &Path,
    install: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let node = output(Command::new("node").arg("--version")).unwrap_or_default();
    make_once(pinned, &NPM_FILES, &node, environment, install)
}

fn python_packages(pinned: &Path, requirements: &str, environment: &Path) -> anyhow::Result<()> {
    let python = output(Command::new("python3").arg("--version")).unwrap_or_default();
    make_once(pinned, &[requirements], &python, environment, || {
        must(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
        let pip = || {
            let mut pip = Command::new(environment.join("bin/python"));
            pip.args(["-m", "pip", "--disable-pip-version-check"]);
            pip
        };
        // every package is listed with its version, so nothing else may come along
        must(
            pip()
                .args(["install", "--quiet", "--no-deps", "--requirement"])
                .arg(pinned.join(requirements)),
        )?;
        must(pip().arg("check"))
    })
}

/// Makes an environment anew unless it was made from just these files by this program.
fn make_once(
    pinned: &Path,
    files: &[&str],
    program: &str,
    environment: &Path,
    make: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut made_from = format!("{program}\n");
    for file in files {
        let path = pinned.join(file);
        made_from += &fs::read_to_string(&path)
            .with_context(|| format!("{} can't be read", path.display()))?;
    }
    let stamp = environment.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == made_from) {
        return Ok(());
    }
    if environment.exists() {
        fs::remove_dir_all(environment)
            .with_context(|| format!("{} can't be removed", environment.display()))?;
    }
    fs::create_dir_all(environment)
        .with_context(|| format!("{} can't be made", environment.display()))?;
    make().with_context(|| format!("{} could not be made", environment.display()))?;
    fs::write(&stamp, made_from).with_context(|| format!("{} can't be written", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(version("v20.20.2"), Some([20, 20]));
        assert_eq!(version("Python 3.11.7"), Some([3, 11]));
        assert_eq!(version("none"), None);
    }
}
