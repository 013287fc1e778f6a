//! Every target on every file of its corpus, and on some thousands of changed ones.
//!
//! A failure names the input; it becomes a file of the corpus once it is mended.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use postrider_fuzz::mutation::Mutator;
use postrider_fuzz::{TARGETS, Target};

const SEED: u64 = 20_261_128;

/// The files of a target's corpus, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn run(target: Target, input: &[u8]) {
    let (name, body) = target;
    if catch_unwind(|| body(input)).is_err() {
        let shown = input.escape_ascii();
        panic!("{name} does not hold for the {} bytes b\"{shown}\"", input.len());
    }
}

/// The corpus, and so many changed inputs.
fn check(name: &str, changed: usize) {
    let target = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let inputs = corpus(name);
    for input in &inputs {
        run(target, input);
    }
    let mut mutator = Mutator::new(&inputs, SEED);
    for _ in 0..changed {
        run(target, &mutator.changed());
    }
}

#[test]
fn whatever_a_receiver_answers_the_attempt_ends_within_its_bounds() {
    check("answer", 2_000);
}

#[test]
fn body_forms_are_fixed_points_that_agree() {
    check("canonical_forms", 20_000);
}

#[test]
fn a_cursor_is_read_by_the_list_that_wrote_it_alone() {
    check("cursor", 20_000);
}

#[test]
fn custom_headers_that_are_accepted_can_be_sent() {
    check("custom_headers", 10_000);
}

#[test]
fn a_filter_that_is_accepted_has_an_answer() {
    check("filter", 700);
}

#[test]
fn an_event_that_is_accepted_can_be_written_in_every_form() {
    check("publish_body", 20_000);
}

#[test]
fn a_wait_that_a_receiver_asks_for_is_bounded() {
    check("retry_after", 20_000);
}

#[test]
fn a_schedule_is_never_early_and_ends() {
    check("schedule", 20_000);
}

#[test]
fn no_delivery_verifies_that_was_not_signed() {
    check("signature_header", 1_000);
}

#[test]
fn a_url_that_is_accepted_leads_where_it_says() {
    check("url", 20_000);
}

#[test]
fn every_target_has_a_small_corpus_and_a_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("../../fuzz/Cargo.toml")).unwrap();
    let mut bytes = 0;
    for (name, _) in TARGETS {
        bytes += corpus(name).iter().map(Vec::len).sum::<usize>();
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let binary = fs::read_to_string(root.join(format!("../../fuzz/fuzz_targets/{name}.rs")));
        assert!(binary.unwrap().contains(&format!("postrider_fuzz::{name}(")), "{name}");
    }
    assert!(bytes < 32 << 10, "{bytes} bytes of corpus are no longer small");
}

/// Rows of `hostile.tsv` that are too large for a folder of small files.
#[test]
fn large_bodies_take_the_same_path() {
    let target = TARGETS.into_iter().find(|(name, _)| *name == "publish_body").unwrap();
    let body = |data: String| format!("{{\"type\":\"a.b\",\"data\":{data}}}");
    let digits = format!("{{\"a\":{}}}", "9".repeat(1_000_000));
    let lists = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(500_000));
    for data in [digits, lists, objects, wide] {
        run(target, body(data).as_bytes());
    }
    let batch = format!("[{}null]", "{\"type\":\"a.b\",\"data\":{}},".repeat(1_000));
    run(target, batch.as_bytes());
}
