//! `postrider bench` measures a real server and the forwarder, and says so in JSON and on a page.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["bench", "--connections", "2", "--rounds", "1"])
        .args(args)
        .output()
        .expect("the binary starts")
}

fn findings(args: &[&str]) -> Value {
    let output = bench(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the findings are JSON")
}

fn assert_latencies_rise(figures: &Value) {
    let latency = &figures["latency_ms"];
    let rising = ["p50", "p90", "p99", "p99_9", "max"].map(|name| latency[name].as_f64());
    assert!(rising.is_sorted() && rising[0].is_some_and(|ms| ms > 0.0), "{latency}");
}

#[test]
fn the_benchmark_delivers_everything_once_and_compares() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    let path = file.to_str().expect("a path in UTF-8");
    let findings =
        findings(&["--events", "200", "--fan-out", "2", "--compare", "forward", "--report", path]);
    let figures = findings["figures"].as_array().expect("figures");
    assert_eq!(figures.len(), 2);
    for (figures, process) in figures.iter().zip(["postrider", "forwarder"]) {
        assert_eq!(figures["process"], process);
        // the warm-up is a twentieth
        assert_eq!(figures["deliveries"], (200 + 10) * 2, "{process}");
        assert_eq!(figures["duplicates"], 0, "{process}");
        assert_eq!(figures["lost"], 0, "{process}");
        assert!(figures["delivered_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{process}");
        assert!(figures["peak_rss_mib"].as_f64().is_some_and(|mib| mib > 1.0), "{process}");
        assert_latencies_rise(figures);
    }
    assert_eq!(findings["comparisons"][0]["connections"], 2);
    assert!(findings["comparisons"][0]["throughput"].as_f64().is_some_and(|ratio| ratio > 0.0));

    let page = fs::read_to_string(&file).expect("the report is written");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for line in ["postrider series-0", "forwarder series-0"] {
        assert!(page.contains(&format!(r#"<path class="{line}" d="M64.0 "#)), "{line}");
    }
}

#[test]
fn failing_and_hanging_receivers_are_tried_and_the_healthy_get_everything_once() {
    let findings =
        findings(&["--events", "200", "--webhooks", "8", "--failing", "0.25", "--hanging", "0.25"]);
    let settings = &findings["settings"];
    assert_eq!((&settings["webhooks"], &settings["fan_out"]), (&8.into(), &1.into()));
    let figures = &findings["figures"][0];
    // of 210 events the first 208 go to each webhook alike, and the last two to a healthy one
    // (webhook 0) and one that is not
    assert_eq!(figures["deliveries"], 208 / 2 + 1);
    assert_eq!((&figures["duplicates"], &figures["lost"]), (&0.into(), &0.into()));
    assert!(figures["unhealthy_attempts"].as_u64().is_some_and(|attempts| attempts >= 4));
    assert_latencies_rise(figures);
}

#[test]
fn what_lies_in_the_store_before_is_left_alone_but_for_one_event_that_is_due() {
    let findings = findings(&[
        "--events",
        "100",
        "--fan-out",
        "2",
        "--registered",
        "20",
        "--backlog",
        "30",
        "--compare",
        "plain",
    ]);
    let settings = &findings["settings"];
    assert_eq!((&settings["registered"], &settings["backlog"]), (&20.into(), &30.into()));
    let [server, plain] = &findings["figures"].as_array().expect("figures")[..] else {
        panic!("two processes are measured: {findings}");
    };
    assert_eq!((&server["process"], &server["deliveries"]), (&"postrider".into(), &212.into()));
    assert_eq!((&plain["process"], &plain["deliveries"]), (&"plain".into(), &210.into()));
    let ms = |what| server[what].as_f64().expect("a time");
    assert!(ms("first_attempt_ms") > ms("ready_ms") / 2.0, "{server}");
    assert!(plain["first_attempt_ms"].is_null() && plain["ready_ms"].as_f64().is_some());
    assert_eq!(findings["comparisons"][0]["with"], "plain");
}

#[test]
fn a_rate_is_kept_by_publishing_no_faster() {
    let findings = findings(&["--rate", "400", "--events", "100"]);
    assert_eq!(findings["settings"]["rate"], 400);
    let figures = &findings["figures"][0];
    // 100 events, the last of them due 99/400 s after the first
    let accepted = figures["accepted_per_s"].as_f64().expect("a rate");
    assert!(accepted > 0.0 && accepted <= 100.0 / 99.0 * 400.0, "{accepted}");
    assert_eq!(figures["deliveries"], 105);
    assert_latencies_rise(figures);
}

#[test]
fn a_load_that_makes_no_sense_is_refused() {
    for (args, reason) in [
        (&["--failing", "1.5"][..], "give a share from 0 to 1"),
        (&["--failing", "0.5", "--hanging", "0.5"], "no receiver is healthy"),
        (&["--hanging", "0.01", "--webhooks", "10"], "is not one; raise --webhooks"),
        (&["--fan-out", "3", "--webhooks", "10"], "must be a multiple of --fan-out"),
        (&["--hanging", "0.5", "--compare", "forward"], "can't be used with"),
        (&["--rate", "0"], "0 is not in 1.."),
    ] {
        let output = bench(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(reason), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}
