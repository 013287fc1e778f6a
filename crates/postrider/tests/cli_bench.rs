//! `postrider bench` measures a real server and the forwarder, and says so in JSON.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_benchmark_delivers_everything_once_and_compares() {
    let output = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["bench", "--connections", "2", "--events", "200", "--rounds", "1", "--json"])
        .args(["--fan-out", "2", "--compare", "forward"])
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    let figures = report["figures"].as_array().expect("figures");
    let of = |process: &str| {
        figures.iter().find(|figures| figures["process"] == process).expect("both are measured")
    };
    for process in ["postrider", "forwarder"] {
        let figures = of(process);
        assert_eq!(figures["duplicates"], 0, "{process}");
        assert!(figures["delivered_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{process}");
        assert!(figures["peak_rss_mib"].as_f64().is_some_and(|mib| mib > 1.0), "{process}");
    }
    assert_eq!(report["comparisons"][0]["connections"], 2);
    assert!(report["comparisons"][0]["throughput"].as_f64().is_some_and(|ratio| ratio > 0.0));
}
