//! `config check`, and `open`.

use serde_json::json;

use crate::program::Program;
use crate::support::server::TestServer;

#[test]
fn settings_are_shown_with_where_they_come_from_and_keys_are_not() {
    let program = Program::offline();
    let file = "retention_days = 3\nold_sealing_keys = ['AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=']\n\
                [profiles.acme]\nbase = 'standard'\nheader_prefix = 'acme-'\n";
    let path = program.home().join("server.toml");
    std::fs::write(&path, file).expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("modes");
    let mut check =
        program.command(&["config", "check", "--config", "server.toml", "--drain-seconds", "7"]);
    check
        .env("POSTRIDER_ADMIN_KEY", "prk_a_key_for_tests_and_nothing_else")
        .env("POSTRIDER_OUTPUT", "json");
    let output = check.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let checked: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let settings = checked["data"].as_array().expect("a list");
    for (name, value, from) in [
        ("listen", json!("127.0.0.1:8080"), "default"),
        ("public_url", json!(null), "default"),
        ("drain_seconds", json!("7"), "--drain-seconds"),
        ("retention_days", json!("3"), "file server.toml"),
        ("admin_key", json!("***"), "POSTRIDER_ADMIN_KEY"),
        ("old_sealing_keys", json!("***"), "file server.toml"),
        ("profiles.acme", json!(null), "file"),
    ] {
        let setting = json!({"setting": name, "value": value, "from": from});
        assert!(settings.contains(&setting), "{setting}: {checked}");
    }
    assert!(!program.home().join("postrider-data").exists(), "nothing was made");
    assert!(String::from_utf8_lossy(&output.stderr).contains("postrider would start"));
}

#[test]
fn what_would_not_start_is_refused_as_serve_does() {
    let program = Program::offline();
    let told = program.refused(2, &["config", "check", "--listen", "0.0.0.0:0"]);
    assert!(told.contains("postrider would not start: listen (--listen)"), "{told}");
    let mut check = program.command(&["config", "check"]);
    let output = check.env("POSTRIDER_LISTENS", "x").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("did you mean POSTRIDER_LISTEN?"), "{told}");
}

#[test]
fn the_clients_variables_are_no_unknown_settings() {
    let program = Program::offline();
    let mut check = program.command(&["config", "check"]);
    let output = check.env("POSTRIDER_CONTEXT", "a").env("POSTRIDER_OUTPUT", "json").output();
    assert!(output.expect("the program starts").status.success());
}

#[test]
fn the_address_of_the_dashboard_is_printed() {
    let server = TestServer::start();
    let program = Program::of(&server);
    assert_eq!(program.text(&["open"]), format!("{}/dashboard\n", server.url()));
    let mut open = program.command(&["open", "--print"]);
    let output = open.env("DISPLAY", ":0").output().expect("the program starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}/dashboard\n", server.url()));
}
