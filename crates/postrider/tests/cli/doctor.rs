//! `doctor` finds out why something does not work.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::program::{Program, Ran};
use crate::support::receiver::{Answer, Receiver};
use crate::support::server::TestServer;

/// The outcome, the text and the mend of a finding.
fn finding(ran: &Ran, what: &str) -> (String, String, String) {
    let list: Value = serde_json::from_str(&ran.out).expect("findings are JSON");
    let findings = list["data"].as_array().expect("a list");
    let found = findings.iter().find(|finding| finding["what"] == what);
    let found = found.unwrap_or_else(|| panic!("{what}: {list}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("outcome"), text("text"), text("mend"))
}

fn examine(program: &Program, args: &[&str]) -> Ran {
    program.run(&[&["doctor", "--output", "json"], args].concat())
}

#[test]
fn all_is_well_with_a_server_that_runs() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let ran = examine(&program, &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    for (what, expected) in [
        ("contexts", "none"),
        ("server", "as given"),
        ("reach", "it answers within"),
        ("ready", "it takes work"),
        ("clock", "the server's time is this machine's"),
        ("version", "as this program's"),
        ("key", "its scope is admin"),
        ("data", "no server keeps its data"),
    ] {
        let (outcome, text, _) = finding(&ran, what);
        assert!(outcome == "ok" && text.contains(expected), "{what}: {text}");
    }
    assert!(program.text(&["doctor"]).starts_with("ok    contexts   none"));
}

#[test]
fn the_scope_of_a_key_is_found_out_by_reading() {
    let server = TestServer::start();
    let program = Program::of(&server);
    for (scope, expected) in [
        ("manage", "its scope is manage"),
        ("read", "its scope is read"),
        ("publish", "it may publish"),
    ] {
        let made = program.json(&["key", "create", "--scope", scope]);
        let ran = examine(&program, &["--api-key", made["key"].as_str().expect("a key")]);
        assert_eq!((ran.code, finding(&ran, "key").1.as_str()), (Some(0), expected));
    }
    let ran = examine(&program, &["--tenant", "nobody"]);
    let (outcome, text, _) = finding(&ran, "key");
    assert!(outcome == "fail" && text.contains("names no tenant"), "{text}");
}

#[test]
fn each_fault_has_a_mend_and_an_exit_code() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let ran = examine(&program, &["--api-key", "prk_wrong"]);
    assert_eq!(ran.code, Some(3), "{}", ran.out);
    assert_eq!(finding(&ran, "key").0, "fail");
    assert!(finding(&ran, "key").2.contains("check --api-key"));

    let ran = examine(&program, &["--server", "http://127.0.0.1:1"]);
    assert_eq!((ran.code, finding(&ran, "reach").0.as_str()), (Some(6), "fail"));
    assert!(ran.err.starts_with("error: something is wrong with: reach\nhint: "), "{}", ran.err);

    let ran = examine(&program, &["--server", "nonsense"]);
    assert_eq!((ran.code, finding(&ran, "server").0.as_str()), (Some(2), "fail"));

    let data = program.home().join("postrider-data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::write(data.join("sealing-key"), "x").expect("a file");
    for (path, mode, told) in [
        (&data, 0o777, "can be written by other users (mode 777)"),
        (&data.join("sealing-key"), 0o644, "is open to other users (mode 644)"),
    ] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("modes can be set");
        let ran = examine(&program, &[]);
        let (outcome, text, _) = finding(&ran, "data");
        assert!(ran.code == Some(1) && outcome == "fail" && text.contains(told), "{text}");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).expect("modes can be set");
    }
}

#[test]
fn a_clock_that_goes_wrong_is_noticed() {
    let receiver = Receiver::start();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\ndate: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\n{}";
    receiver.script(std::iter::repeat_n(Answer::Raw(head.into()), 10));
    let program = Program::offline();
    let server = format!("http://{}", receiver.address());
    let ran = examine(&program, &["--server", &server, "--api-key", "k"]);
    let (outcome, text, mend) = finding(&ran, "clock");
    assert!(outcome == "fail" && text.contains("s behind this machine's"), "{text}");
    assert!(mend.contains("NTP"));
    assert_eq!(finding(&ran, "version").0, "warn");
}

#[test]
fn a_webhooks_url_is_looked_at_too() {
    let server = TestServer::start();
    let program = Program::of(&server);
    let receiver = Receiver::start();
    let ran = examine(&program, &["--webhook-url", &receiver.url()]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert_eq!(finding(&ran, "url").0, "warn");
    let (outcome, text, mend) = finding(&ran, "address");
    assert!(outcome == "fail" && text.contains("loopback") && mend.contains("listen"), "{text}");
    assert_eq!(finding(&ran, "connect").0, "ok");

    let ran = examine(&program, &["--webhook-url", "https://nobody.invalid/in"]);
    assert_eq!(finding(&ran, "dns").0, "fail", "{}", ran.out);
    let ran = examine(&program, &["--webhook-url", "https://user@example.com/"]);
    assert!(finding(&ran, "url").1.contains("user name"), "{}", ran.out);
}
