//! Servers by name.

use std::os::unix::fs::PermissionsExt;

use crate::program::Program;
use crate::support::server::{KEY, TestServer};

/// Writes the configuration file.
fn configure(program: &Program, text: &str, mode: u32) {
    let directory = program.home().join(".config/postrider");
    std::fs::create_dir_all(&directory).expect("a folder");
    private(program, ".config/postrider/config.toml", text, mode);
}

fn private(program: &Program, name: &str, text: &str, mode: u32) {
    let file = program.home().join(name);
    std::fs::write(&file, text).expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("modes can be set");
}

#[test]
fn a_context_names_a_server_its_key_and_its_tenant() {
    let server = TestServer::start();
    let with_server = Program::of(&server);
    with_server.json(&["tenant", "create", "acme"]);
    let program = Program::offline();
    let text = format!(
        "default_context = 'here'\n[contexts.here]\nurl = '{}'\napi_key_file = 'key'\n\
         tenant = 'acme'\n[contexts.other]\nurl = 'http://127.0.0.1:1'\n",
        server.url()
    );
    configure(&program, &text, 0o644);
    private(&program, ".config/postrider/key", KEY, 0o600);
    let create = ["webhook", "create", "--url", "http://127.0.0.1:9/", "--events", "*"];
    program.json(&create);
    assert_eq!(program.lines(&["webhook", "list", "--context", "here"]).len(), 1);
    assert_eq!(with_server.lines(&["webhook", "list", "--tenant", "acme"]).len(), 1);
    assert_eq!(with_server.lines(&["webhook", "list"]).len(), 0, "another tenant's");
    assert_eq!(program.lines(&["webhook", "list", "--tenant", "default"]).len(), 0);

    let told = program.refused(6, &["webhook", "list", "--context", "other", "--api-key", "k"]);
    assert!(told.starts_with("error: no answer from http://127.0.0.1:1: "), "{told}");
    let listed = program.text(&["context", "list"]);
    assert!(listed.starts_with("NAME   URL "), "{listed}");
    assert!(!listed.contains(KEY));
}

#[test]
fn a_contexts_key_goes_to_its_own_server_only() {
    let server = TestServer::start();
    let program = Program::offline();
    let text = "default_context = 'a'\n[contexts.a]\nurl = 'http://127.0.0.1:1'\napi_key = 'k'\n";
    configure(&program, text, 0o600);
    let url = server.url();
    let told = program.refused(3, &["webhook", "list", "--server", &url]);
    assert!(told.starts_with("error: no key for the API\nhint: set POSTRIDER_API_KEY"), "{told}");
    let told = program.refused(2, &["webhook", "list", "--server", &url, "--context", "a"]);
    assert!(told.contains("an address and a context name two servers"), "{told}");
}

#[test]
fn a_local_dev_server_comes_before_the_default_context() {
    let program = Program::offline();
    configure(&program, "default_context = 'a'\n[contexts.a]\nurl = 'http://127.0.0.1:1'\n", 0o600);
    std::fs::create_dir(program.home().join("postrider-data")).expect("a folder");
    private(&program, "postrider-data/dev.json", r#"{"url":"http://127.0.0.1:2"}"#, 0o600);
    private(&program, "postrider-data/admin-key", "prk_dev", 0o600);
    let told = program.refused(6, &["webhook", "list"]);
    assert!(told.contains("http://127.0.0.1:2"), "{told}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_nearest_name() {
    let program = Program::offline();
    for (text, mode, args, told) in [
        (
            "[contexts.prod]\nurl = 'http://a'\n",
            0o600,
            &["--context", "prd"][..],
            "hint: did you mean prod?",
        ),
        (
            "[contexts.a]\nurl = 'http://a'\ntennant = 'x'\n",
            0o600,
            &[],
            "contexts.a.tennant is not known\nhint: did you mean tenant?",
        ),
        (
            "[contexts.a]\nurl = 'http://a'\napi_key = 'secret'\n",
            0o644,
            &[],
            "open to other users (mode 644)\nhint: chmod 600",
        ),
        ("[contexts.a\n", 0o600, &[], "line 1: "),
        (
            "[contexts.a]\nurl = 'http://a'\napi_key_file = 'absent'\n",
            0o600,
            &["--context", "a"],
            "absent is not there\nhint: put the key",
        ),
    ] {
        configure(&program, text, mode);
        let said = program.refused(2, &[&["webhook", "list"], args].concat());
        assert!(said.contains(told), "{text}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn without_a_file_there_are_no_contexts() {
    let program = Program::offline();
    assert_eq!(program.json(&["context", "list"])["data"], serde_json::json!([]));
    assert!(program.text(&["context", "list"]).contains("no contexts; write them into /"));
    let mut homeless = program.command(&["webhook", "list", "--context", "a"]);
    let output = homeless.env_remove("HOME").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let elsewhere = program.home().join("elsewhere");
    let mut list = program.command(&["context", "list"]);
    let output = list.env("XDG_CONFIG_HOME", &elsewhere).output().expect("the program starts");
    assert!(String::from_utf8_lossy(&output.stdout).contains("/elsewhere/postrider/config.toml"));
}
