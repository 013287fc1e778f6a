//! Measures the strict pass and the two canonical forms, in ns per KiB of input.
//!
//! Run it in a release build: `cargo run --release -p postrider-signature --example forms_speed`.

use std::hint::black_box;
use std::time::Instant;

use postrider_signature::{NumberPolicy, canonical, json};

/// Bytes that each measurement reads in all.
const BYTES_TOTAL: usize = 64 << 20;

#[expect(clippy::print_stdout, reason = "the table is what this example is for")]
fn main() {
    let record = r#"{"id":12345,"name":"Alice Example","email":"alice@example.com","is_active":true,"ratio":0.75,"tags":["new","vip"],"note":"Met at the conference; asked about the price list."}"#;
    let data = format!("{{\"records\":[{}]}}", [record; 6].join(","));
    let spaced = data.replace(':', ": ").replace(',', ",\n    ");
    let numbers = format!("[{}]", ["12.3456789", "-0.001", "6.02e23", "1753678680999"].join(","));
    let numbers = format!("[{}]", [numbers.as_str(); 24].join(","));
    let escapes = format!("[{}]", [r#""line\nbreak \"quoted\" \u00e9 caf\u00e9""#; 26].join(","));
    println!("{:<22}{:>8}{:>10}{:>10}{:>10}", "ns per KiB", "bytes", "minify", "ecma", "jcs");
    for (name, text) in [
        ("records", &data),
        ("records, spaced", &spaced),
        ("numbers", &numbers),
        ("escapes", &escapes),
    ] {
        let minified = json::minify(text.as_bytes()).expect("sound JSON");
        let minify = ns_per_kib(text.len(), || json::minify(black_box(text.as_bytes())).is_ok());
        let form = |form: fn(&[u8], NumberPolicy) -> bool| {
            ns_per_kib(minified.len(), || form(black_box(&minified), NumberPolicy::Refuse))
        };
        let ecma = form(|text, numbers| canonical::ecma(text, numbers).is_ok());
        let jcs = form(|text, numbers| canonical::jcs(text, numbers).is_ok());
        println!("{name:<22}{:>8}{minify:>10}{ecma:>10}{jcs:>10}", text.len());
    }
}

fn ns_per_kib(len: usize, mut run: impl FnMut() -> bool) -> u128 {
    let rounds = BYTES_TOTAL / len;
    for _ in 0..rounds / 10 {
        assert!(run());
    }
    let start = Instant::now();
    for _ in 0..rounds {
        assert!(run());
    }
    start.elapsed().as_nanos() * 1024 / (rounds * len) as u128
}
