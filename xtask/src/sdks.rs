//! The receiver SDKs for TypeScript and Python: linted, type-checked, built and tested as their READMEs
//! say under "Developing".

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment;
use crate::program::{must, output};
use crate::step::Step;
use crate::tally::{node_test, pytest};

/// The steps of the SDK for TypeScript, whose packages are installed first. `server` is a built one
/// that its tests receive from.
pub(crate) fn typescript(root: &Path, server: &Path) -> anyhow::Result<Vec<Step>> {
    let folder = root.join("sdks/typescript");
    let npm = |arguments: &[&str]| {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(&folder).env("POSTRIDER_BIN", server);
        // better-sqlite3 is compiled, and would otherwise fetch Node's headers from elsewhere
        if let Some(prefix) = node_prefix() {
            npm.env("npm_config_nodedir", prefix);
        }
        npm
    };
    environment::npm_once(&folder, &folder.join("node_modules"), || {
        must(&mut npm(&["ci", "--no-audit", "--no-fund"]))
    })?;
    Ok(vec![
        Step::check("TypeScript SDK: lint", npm(&["run", "--silent", "lint"])),
        Step::check("TypeScript SDK: types", npm(&["run", "--silent", "typecheck"])),
        Step::tests("TypeScript SDK: tests", npm(&["test", "--silent"]), node_test),
    ])
}

/// The steps of the SDK for Python and of its example.
pub(crate) fn python(root: &Path) -> anyhow::Result<Vec<Step>> {
    let folder = root.join("sdks/python");
    let python = environment::python_sdk(root)?;
    let module = |arguments: &[&str]| {
        let mut module = Command::new(&python);
        module.arg("-m").args(arguments).current_dir(&folder);
        module
    };
    let sources = [".", "../../examples/automa-bot"];
    let ruff = |arguments: &[&str]| {
        module(&[&["ruff"], arguments, &["--config", "pyproject.toml"], &sources].concat())
    };
    let packages = root.join("target/sdks/python");
    let mut build = module(&["build", "--no-isolation", "--outdir"]);
    build.arg(packages);
    Ok(vec![
        Step::check("Python SDK: format", ruff(&["format", "--check"])),
        Step::check("Python SDK: lint", ruff(&["check"])),
        Step::check("Python SDK: types", module(&["mypy"])),
        Step::check("Python SDK: build", build),
        Step::tests("Python SDK: tests", module(&["pytest", "-q"]), pytest),
    ])
}

/// Where Node.js is installed, if its headers lie there.
fn node_prefix() -> Option<PathBuf> {
    let program = output(Command::new("node").args(["--print", "process.execPath"]))?;
    let prefix = Path::new(&program).parent()?.parent()?;
    prefix.join("include/node/node.h").is_file().then(|| prefix.to_owned())
}
