//! The commands in `README.md` and `docs/*.md` work as they stand.
//!
//! Every fenced block marked `sh` is run, in the order of its file, by `sh -eu` in an empty folder,
//! unless the nearest line above it that isn't blank is `<!-- not run: REASON -->`. It must
//! succeed. Each file gets a server of its own, as `serve --dev` starts it, whose data are in
//! `./postrider-data`. What stands in a block for the reader's own machine is put right in one
//! place: [`as_run_here`]. A block whose first line names a file, as in "js file=hook.js", is written
//! to that file before; the packages of `tests/receivers` are there for it.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use postrider::clock::Clock;
use postrider::config::{Config, Sources};
use support::repository;
use support::server::{KEY, TestServer};

/// How long one block may take.
const BLOCK_SECONDS_MAX: &str = "60";

/// A block of commands in a document.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// Of its first command, counted from 1.
    line: usize,
    commands: String,
    is_run: bool,
}

#[test]
fn every_documented_command_works() {
    let mut ran = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("documents are UTF-8");
        let blocks = blocks(&text);
        if !blocks.iter().any(|block| block.is_run) {
            continue;
        }
        let home = tempfile::tempdir().expect("a temporary folder");
        let data = home.path().join("postrider-data");
        let bin = tempfile::tempdir().expect("a temporary folder");
        for name in ["postrider", "autonoma"] {
            let link = bin.path().join(name);
            symlink(env!("CARGO_BIN_EXE_postrider"), link).expect("links can be made");
        }
        let server = TestServer::start_in(&data, Clock::system(), &[("dev", "true")]);
        write_files(&text, home.path());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = [bin.path().to_owned(), packages().join("python/bin")];
        let folders = own.into_iter().chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).expect("folders without colons");
        for block in blocks.iter().filter(|block| block.is_run) {
            let place = format!("{}:{}", document.display(), block.line);
            let port = free_port();
            let commands = as_run_here(&block.commands, &server.url(), port)
                .unwrap_or_else(|why| panic!("{place}: {why}"));
            let output = Command::new("timeout")
                .args([BLOCK_SECONDS_MAX, "sh", "-euc", &commands])
                .current_dir(home.path())
                .env("PATH", &path)
                .env("HOME", home.path())
                .env_remove("XDG_CONFIG_HOME")
                .env("POSTRIDER_URL", server.url())
                .env("POSTRIDER_API_KEY", KEY)
                .env("PORT", port.to_string())
                .output()
                .expect("a shell starts");
            let (out, said) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(
                output.status.success(),
                "{place} ends with {}:\n{commands}\n{out}{said}",
                output.status
            );
            ran += 1;
        }
    }
    assert!(ran > 0, "README.md or docs/ hold commands");
}

#[test]
fn every_documented_configuration_is_accepted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut read = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("documents are UTF-8");
        for block in blocks_of(&text, "toml") {
            let file = folder.path().join("postrider.toml");
            fs::write(&file, &block.commands).expect("a file can be written");
            let flags = BTreeMap::from([("config", file.display().to_string())]);
            let sources = Sources::read(flags, std::iter::empty()).expect("the file is TOML");
            if let Err(error) = Config::from_sources(&sources) {
                panic!("{}:{}: {error}", document.display(), block.line);
            }
            read += 1;
        }
    }
    assert!(read > 0, "docs/ hold a configuration");
}

/// The commands as they work against the test's server, or why they can't.
fn as_run_here(commands: &str, server: &str, receiver_port: u16) -> Result<String, String> {
    let mut adjusted = String::new();
    for line in commands.lines() {
        let line = line
            .replace("cargo run -- ", "postrider ")
            .replace("cargo run --release -- ", "postrider ")
            .replace("http://127.0.0.1:8080", server)
            .replace("http://localhost:8080", server)
            .replace("http://127.0.0.1:3000", &format!("http://127.0.0.1:{receiver_port}"))
            .replace("https://HOST", server)
            .replace("Bearer KEY", &format!("Bearer {KEY}"));
        // the server of this document runs already, and so does `cargo xtask test`, which runs this
        let is_under_way = ["postrider serve", "cargo xtask test"]
            .iter()
            .any(|it| line.trim_start().starts_with(it));
        if is_under_way {
            continue;
        }
        if line.split_whitespace().any(|word| word == "cargo") {
            return Err(format!("`{line}` would build; mark it <!-- not run: … -->"));
        }
        adjusted += &line;
        adjusted.push('\n');
    }
    Ok(adjusted)
}

/// Writes the blocks that name a file, and puts the packages that they use beside them.
fn write_files(markdown: &str, folder: &Path) {
    let mut lines = markdown.lines();
    let mut has_files = false;
    while let Some(line) = lines.next() {
        let Some((_, name)) = line.strip_prefix("```").and_then(|rest| rest.split_once(" file="))
        else {
            continue;
        };
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        let text: String = inside.flat_map(|line| [line, "\n"]).collect();
        fs::write(folder.join(name), text).expect("a file can be written");
        has_files = true;
    }
    if has_files {
        let here = folder.join("node_modules");
        fs::create_dir(&here).expect("a folder can be made");
        let there = packages().join("node/node_modules");
        for (name, package) in [("express", "express5"), ("standardwebhooks", "standardwebhooks")] {
            symlink(there.join(package), here.join(name)).expect("links can be made");
        }
    }
}

/// What `cargo xtask prepare` has installed.
fn packages() -> PathBuf {
    repository().join("target/test-env")
}

/// One that nobody listened at a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

fn documents() -> Vec<PathBuf> {
    let mut documents = vec![repository().join("README.md")];
    // there need be no docs
    for entry in fs::read_dir(repository().join("docs")).into_iter().flatten() {
        let path = entry.expect("a folder can be read").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    documents.sort();
    documents
}

fn blocks(markdown: &str) -> Vec<Block> {
    blocks_of(markdown, "sh")
}

fn blocks_of(markdown: &str, wanted: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut above = "";
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line);
            let commands: String = inside
                .take_while(|line| line.trim() != "```")
                .flat_map(|line| [line, "\n"])
                .collect();
            if language == wanted {
                let is_run = !is_exempt(above);
                blocks.push(Block { line: number + 2, commands, is_run });
            }
        }
        if !line.is_empty() {
            above = line;
        }
    }
    blocks
}

/// Whether a line says that the block below it is not run, and why.
fn is_exempt(line: &str) -> bool {
    let reason = line.strip_prefix("<!-- not run:").and_then(|rest| rest.strip_suffix("-->"));
    reason.is_some_and(|reason| !reason.trim().is_empty())
}

#[test]
fn blocks_are_found_and_exempt_ones_are_told_apart() {
    let text = "# A\n```sh\none\n```\n<!-- not run: it never ends -->\n\n```sh\ntwo\n\nthree\n```\n\
                ```json\n{}\n```\n<!-- not run: -->\n```sh\nfour\n```\n";
    let block =
        |line, commands: &str, is_run| Block { line, commands: commands.to_owned(), is_run };
    let found =
        [block(3, "one\n", true), block(8, "two\n\nthree\n", false), block(17, "four\n", true)];
    assert_eq!(blocks(text), found);
}

#[test]
fn only_what_is_the_readers_own_is_adjusted() {
    let here = |commands: &str| as_run_here(commands, "http://127.0.0.1:4711", 4712);
    assert_eq!(here("cargo run -- serve --dev"), Ok(String::new()));
    let listed = here("cargo run --release -- webhook list --server http://127.0.0.1:8080");
    assert_eq!(listed, Ok("postrider webhook list --server http://127.0.0.1:4711\n".to_owned()));
    let asked = here("curl -H \"Authorization: Bearer KEY\" https://HOST/v1/events # KEY");
    let wanted =
        format!("curl -H \"Authorization: Bearer {KEY}\" http://127.0.0.1:4711/v1/events # KEY\n");
    assert_eq!(asked, Ok(wanted));
    assert_eq!(here("cargo xtask test"), Ok(String::new()));
    let received = here("curl http://127.0.0.1:3000/");
    assert_eq!(received, Ok("curl http://127.0.0.1:4712/\n".to_owned()));
    assert!(here("cargo build --release").is_err());
}

#[test]
fn a_server_like_that_of_a_document_is_reached_by_the_command_line() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let server = TestServer::start_in(data.path(), Clock::system(), &[("dev", "true")]);
    let output = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["webhook", "list", "--output", "json"])
        .env("POSTRIDER_URL", server.url())
        .env("POSTRIDER_API_KEY", KEY)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
