//! The help of every client command, as a file.

use std::collections::VecDeque;

use crate::program::Program;

/// Their flags are the table of settings, or are measured with.
const OF_THE_SERVER: [&str; 3] = ["serve", "config check", "bench"];
/// What every client command takes is shown once.
const SERVER: &str = "\nServer:\n";

#[test]
fn the_help_of_every_client_command_is_kept() {
    let program = Program::offline();
    let mut found = Vec::new();
    let mut queue = VecDeque::from([Vec::<String>::new()]);
    let mut server_options = None;
    while let Some(path) = queue.pop_front() {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let mut help = program.text(&args);
        for name in subcommands(&help) {
            queue.push_back(path.iter().cloned().chain([name]).collect());
        }
        if let Some(at) = help.find(SERVER) {
            let options = help.split_off(at);
            let known = server_options.get_or_insert_with(|| options.clone());
            assert_eq!(*known, options, "{path:?}");
        }
        if !OF_THE_SERVER.contains(&path.join(" ").as_str()) {
            found.push((path.join(" "), help));
        }
    }
    assert!(found.len() > 50, "{} commands", found.len());
    let server_options = server_options.expect("client commands have a server");
    let texts = found.iter().map(|(path, help)| format!("$ postrider {path}\n{help}\n"));
    let all = texts.collect::<String>() + "$ all client commands\n" + &server_options;
    insta::assert_snapshot!("help", all);
}

fn subcommands(help: &str) -> Vec<String> {
    let list = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_name_autonoma_has_the_client_commands_only() {
    let program = Program::offline();
    let autonoma = program.home().join("autonoma");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_postrider"), &autonoma).expect("a link");
    let help = std::process::Command::new(&autonoma).arg("--help").output().expect("it starts");
    let help = String::from_utf8(help.stdout).expect("help is UTF-8");
    let names = subcommands(&help);
    for name in ["webhook", "event", "delivery", "listen", "trigger", "signature", "doctor"] {
        assert!(names.iter().any(|known| known == name), "{name}: {help}");
    }
    for name in ["serve", "config", "bench"] {
        assert!(!names.iter().any(|known| known == name), "{name}: {help}");
    }
    let script = std::process::Command::new(&autonoma).args(["completions", "bash"]).output();
    let script = String::from_utf8(script.expect("it starts").stdout).expect("UTF-8");
    assert!(script.contains("_autonoma()"), "{script}");
}

#[test]
fn every_shell_has_its_completions() {
    let program = Program::offline();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = program.text(&["completions", shell]);
        assert!(script.contains("webhook") && script.contains("forward-to"), "{shell}");
    }
    let told = program.refused(2, &["completions", "tcsh"]);
    assert!(told.contains("[possible values: bash,"), "{told}");
}

#[test]
fn completions_are_understood_by_the_shell() {
    let program = Program::offline();
    let script = program.text(&["completions", "bash"]);
    let file = program.home().join("completions");
    std::fs::write(&file, script).expect("a file");
    let asked = "source ./completions; COMP_WORDS=(postrider web); COMP_CWORD=1; \
                 _postrider postrider web postrider; echo \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["-c", asked]).current_dir(program.home()).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "webhook");
}
