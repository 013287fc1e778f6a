//! What must stay true of the repository as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The server's normal tree stays lean (issue 2 asks for at most about this many).
const SERVER_CRATES_MAX: usize = 300;

/// What the core must not be able to reach: runtimes, sockets, clocks, randomness, storage and
/// JSON wire types.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "hyper",
    "http",
    "axum",
    "mio",
    "socket2",
    "rustls",
    "rusqlite",
    "libsqlite3-sys",
    "serde",
    "serde_json",
    "rand",
    "getrandom",
    "time",
    "chrono",
    "jiff",
    "tracing",
];
/// Receivers embed the signature crate.
const NOT_IN_SIGNATURE: &[&str] =
    &["tokio", "hyper", "http", "axum", "rusqlite", "libsqlite3-sys", "serde", "serde_json"];

/// Other words for what has one name here. `task` is left out, for it is right of async ones.
const WORDS_NOT_USED: &[&str] = &[
    "job",
    "jobs",
    "message",
    "messages",
    "endpoint",
    "endpoints",
    "subscription",
    "subscriptions",
    "subscriber",
    "subscribers",
    "hook",
    "hooks",
    "callback",
    "callbacks",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_path_in_the_architecture_exists() {
    let text = read("ARCHITECTURE.md");
    let paths = paths(&text);
    assert!(!paths.is_empty(), "ARCHITECTURE.md names paths in back-ticks");
    let missing: Vec<_> = paths.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what does not exist: {missing:?}");
}

#[test]
fn paths_are_told_from_other_code_in_back_ticks() {
    let text = "`crates/a/src/lib.rs`, `Cargo.toml` and `xtask/`; not `Store`, `a::b`, `/v1/events`, \
                `https://a/b`, `docs/adr/NNNN-*.md`, `a / b`, `application/json`\n\
                ```\n`not/this`\n```\n`one/more`";
    assert_eq!(paths(text), ["crates/a/src/lib.rs", "Cargo.toml", "xtask/", "one/more"]);
}

/// What stands in back-ticks and is a path: it has a slash or the ending of a file of ours.
/// Routes, URLs, patterns and media types are none.
fn paths(markdown: &str) -> Vec<&str> {
    let mut is_fenced = false;
    let prose = markdown.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    });
    let spans = prose.flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |span: &&str| {
        let has_ending = [".rs", ".md", ".toml"].iter().any(|end| span.ends_with(end));
        let is_other = span.starts_with('/')
            || span.starts_with("application/")
            || span.starts_with("text/")
            || span.contains("://")
            || span.contains(|character: char| {
                character.is_whitespace() || "*<>{}()|\"$=…".contains(character)
            });
        (span.contains('/') || has_ending) && !is_other
    };
    spans.filter(is_path).collect()
}

#[test]
fn the_servers_tree_is_lean() {
    // two versions of one crate are two crates to build
    let crates = cargo_tree(&["--package", "postrider", "--edges", "normal"]).len();
    assert!(
        crates <= SERVER_CRATES_MAX,
        "{crates} crates in the server's normal tree, {SERVER_CRATES_MAX} at most"
    );
}

/// The first command of the README is `cargo run`, which must know which program is meant.
#[test]
fn cargo_run_knows_what_to_run() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = String::from_utf8(output.stdout).expect("metadata is UTF-8");
    let (_, members) = metadata.split_once("\"workspace_default_members\":[").expect("the field");
    let (members, _) = members.split_once(']').expect("a list ends");
    let members: Vec<&str> = members.split(',').collect();
    assert_eq!(members.len(), 1, "{members:?}");
    assert!(members[0].contains("/crates/postrider#"), "{members:?}");
}

/// Rust and a C compiler are all that the build needs.
#[test]
fn the_servers_build_needs_no_openssl_and_no_cmake() {
    let crates = tree("postrider", "normal,build");
    for name in ["openssl", "openssl-sys", "native-tls"] {
        assert!(!crates.contains(name), "{name} is in the server's tree");
    }
    let with_cmake = parents("postrider", "cmake");
    // aws-lc-sys lists the crate for targets that need CMake; ours are built by its cc builder
    let with_cmake: Vec<_> = with_cmake.iter().filter(|name| *name != "aws-lc-sys").collect();
    assert!(with_cmake.is_empty(), "{with_cmake:?} build with CMake");
}

#[test]
fn the_core_and_the_signatures_reach_nothing_of_the_outside() {
    for (package, forbidden) in
        [("postrider-core", NOT_IN_CORE), ("postrider-signature", NOT_IN_SIGNATURE)]
    {
        let crates = tree(package, "normal");
        let reached: Vec<_> = forbidden.iter().filter(|name| crates.contains(**name)).collect();
        assert!(reached.is_empty(), "{package} depends on {reached:?}");
    }
}

/// The mistakes on purpose are for the simulator's blindness check alone.
#[test]
fn the_server_can_make_no_mistakes_on_purpose() {
    let features = cargo_tree(&["--package", "postrider", "--edges", "features"]);
    let found: Vec<_> = features.iter().filter(|line| line.contains("mutations")).collect();
    assert!(found.is_empty(), "{found:?}");
    for member in ["postrider", "postrider-core", "postrider-store", "postrider-sim"] {
        let manifest = read(&format!("crates/{member}/Cargo.toml"));
        let names = |line: &&str| line.contains("mutations") && !line.starts_with("mutations = ");
        let others: Vec<&str> = manifest.lines().filter(names).collect();
        assert!(others.is_empty(), "{member} enables mistakes: {others:?}");
    }
}

/// Nor can a server that anybody runs die at a failpoint.
#[test]
fn the_server_has_no_failpoints() {
    let features = cargo_tree(&["--package", "postrider", "--edges", "normal,features"]);
    let found: Vec<_> = features.iter().filter(|line| line.contains("failpoints")).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn only_the_store_knows_sql() {
    for member in ["postrider", "postrider-core", "postrider-signature"] {
        let manifest = read(&format!("crates/{member}/Cargo.toml"));
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        assert!(!dependencies.contains("rusqlite"), "{member} depends on rusqlite");
    }
}

#[test]
fn the_crates_know_each_other_only_as_designed() {
    for (package, known) in [
        ("postrider-signature", &[][..]),
        ("postrider-core", &["postrider-signature"]),
        ("postrider-store", &["postrider-core", "postrider-signature"]),
        ("postrider-sim", &["postrider-core", "postrider-signature", "postrider-store"]),
    ] {
        let ours = |name: &&String| name.starts_with("postrider") && *name != package;
        let found: Vec<String> = tree(package, "normal").iter().filter(ours).cloned().collect();
        assert_eq!(found, known, "{package}");
    }
}

#[test]
fn the_readme_names_its_two_commands_in_its_first_screen() {
    let readme = read("README.md");
    let screen: Vec<&str> = readme.lines().take(50).collect();
    for command in ["cargo run -- serve --dev", "cargo xtask test"] {
        let is_there = screen.iter().any(|line| line.trim().starts_with(command));
        assert!(is_there, "the README's first 50 lines have a line `{command}`");
    }
}

#[test]
fn ci_runs_the_tests_command_and_nothing_else() {
    let script = read(".ci/run");
    let commands: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(
        commands,
        ["set -euo pipefail", r#"cd "$(dirname "${BASH_SOURCE[0]}")/..""#, "exec cargo xtask test"]
    );
}

#[test]
fn locked_packages_name_no_download_address() {
    let lock = read("tests/receivers/node/package-lock.json");
    assert!(!lock.contains("\"resolved\""), "make it with --omit-lockfile-registry-resolved");
    let requirements = read("tests/receivers/python/requirements.txt");
    let packages = requirements.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in packages {
        let (name, version) = line.split_once("==").unwrap_or((line, ""));
        let is_exact = !version.is_empty() && !version.contains(|c: char| " *;@:".contains(c));
        assert!(is_exact && !name.contains(['/', '@', ' ']), "{line} is no exact version");
    }
}

#[test]
fn public_names_use_the_projects_words() {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("there are crates") {
        rust_files(&entry.expect("a folder can be read").path().join("src"), &mut files);
    }
    assert!(files.len() > 50, "{} files of Rust", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("Rust is UTF-8");
        let names = text.lines().filter_map(public_name);
        let bad = names.filter(|name| words(name).iter().any(|word| is_not_used(word)));
        found.extend(bad.map(|name| format!("{name} in {}", file.display())));
    }
    assert!(found.is_empty(), "style.md has other words for {found:#?}");
}

fn is_not_used(word: &str) -> bool {
    WORDS_NOT_USED.contains(&word)
}

#[test]
fn words_are_found_in_names_of_either_case() {
    let name = |line| public_name(line).map(words);
    assert_eq!(name("    pub async fn send_message("), Some(vec!["send".into(), "message".into()]));
    assert_eq!(
        name("pub(crate) struct WebhookJob<T> {"),
        Some(vec!["webhook".into(), "job".into()])
    );
    assert_eq!(name("pub message: String,"), None);
    assert!(!words("LiveWebhook").iter().any(|word| is_not_used(word)));
}

/// The name of the item that a line declares with any publicity.
fn public_name(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest =
        rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, it)| it);
    let mut parts = rest.split_whitespace().skip_while(|part| ["async", "unsafe"].contains(part));
    let kind = parts.next()?;
    let name = parts.next()?;
    let is_item =
        ["fn", "struct", "enum", "trait", "type", "const", "static", "mod"].contains(&kind);
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    is_item.then_some(&name[..end])
}

/// The words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if character == '_' || character.is_uppercase() {
            words.push(String::new());
        }
        if character != '_' {
            let word = words.last_mut().expect("there is always one");
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Names of the crates in the tree of a package, its own among them.
fn tree(package: &str, edges: &str) -> BTreeSet<String> {
    names(&cargo_tree(&["--package", package, "--edges", edges]))
}

/// Which crates in the tree of a package, builds included, depend directly on `name`.
fn parents(package: &str, name: &str) -> BTreeSet<String> {
    let edges = "normal,build";
    if !tree(package, edges).contains(name) {
        return BTreeSet::new();
    }
    let inverted = ["--package", package, "--edges", edges, "--invert", name, "--depth", "1"];
    let mut parents = names(&cargo_tree(&inverted));
    parents.remove(name);
    parents
}

fn names(crates: &BTreeSet<String>) -> BTreeSet<String> {
    crates.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Each crate with its version.
fn cargo_tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--no-dedupe"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree {arguments:?}: {said}");
    let lines = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    // `[build-dependencies]` stands between the groups
    lines
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('['))
        .map(str::to_owned)
        .collect()
}
