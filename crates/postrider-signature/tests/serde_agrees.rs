//! The strict pass accepts what `serde_json` accepts, but for its own refusals,
//! and keeps every value; no bytes make it panic.

mod documents;

use documents::{Random, document};
use postrider_signature::json::{self, JsonErrorKind};
use serde_json::Value;

const SEED: u64 = 8_259;

/// Whether both agree about one input; gives what the strict pass said.
fn check(input: &[u8], context: &str) -> Option<JsonErrorKind> {
    let theirs = serde_json::from_slice::<Value>(input);
    match json::minify(input) {
        Ok(minified) => {
            let again = serde_json::from_slice::<Value>(&minified).expect(context);
            assert_eq!(theirs.expect(context), again, "{context}");
            None
        }
        Err(error) => {
            let is_ours_alone =
                matches!(error.kind, JsonErrorKind::TooDeep | JsonErrorKind::ForbiddenKey);
            assert!(is_ours_alone || theirs.is_err(), "{error}; {context}");
            assert!(error.offset <= input.len(), "{error}; {context}");
            Some(error.kind)
        }
    }
}

#[test]
fn sound_documents_keep_their_value() {
    let mut random = Random(SEED);
    for i in 0..5_000 {
        let document = document(&mut random);
        let context = format!("seed {SEED}, document {i}: {document}");
        assert_eq!(check(document.as_bytes(), &context), None, "{context}");
    }
}

#[test]
fn damaged_documents_are_judged_alike() {
    let mut random = Random(SEED + 1);
    let mut refused = 0;
    for i in 0..20_000 {
        let mut bytes = document(&mut random).into_bytes();
        for _ in 0..=random.below(3) {
            damage(&mut random, &mut bytes);
        }
        let context = format!("seed {}, input {i}: {}", SEED + 1, bytes.escape_ascii());
        refused += usize::from(check(&bytes, &context).is_some());
    }
    assert!((5_000..19_500).contains(&refused), "{refused} refused: both outcomes are tried");
}

#[test]
fn random_tokens_are_judged_alike() {
    const TOKENS: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"a\"",
        b"\"",
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\\udc00",
        b"1",
        b"0",
        b"-",
        b".",
        b"e",
        b"E+",
        b"true",
        b"null",
        b"fals",
        b" ",
        b"\n",
        b"\x00",
        b"\xc3",
        b"\xa9",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"1e400",
        b"99e999",
        b"{\"a\":",
        b"[[[[[[[[",
    ];
    let mut random = Random(SEED + 2);
    for i in 0..100_000 {
        let len = 1 + random.below(9);
        let bytes: Vec<u8> =
            (0..len).flat_map(|_| TOKENS[random.index(TOKENS.len())]).copied().collect();
        let context = format!("seed {}, input {i}: {}", SEED + 2, bytes.escape_ascii());
        check(&bytes, &context);
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random(SEED + 3);
    for i in 0..50_000 {
        let len = random.below(40);
        let bytes: Vec<u8> = (0..len).map(|_| random.next().to_le_bytes()[0]).collect();
        let context = format!("seed {}, input {i}: {}", SEED + 3, bytes.escape_ascii());
        check(&bytes, &context);
    }
}

fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    const LIKELY: &[u8] = b"{}[],:\"\\u0159-+.eEtfn \n\x00\x1f\x80\xc3\xed\xff";
    if bytes.is_empty() {
        return;
    }
    let at = random.index(bytes.len());
    let byte = LIKELY[random.index(LIKELY.len())];
    match random.below(5) {
        0 => bytes.truncate(at),
        1 => drop(bytes.remove(at)),
        2 => bytes.insert(at, byte),
        3 => bytes[at] = byte,
        _ => bytes[at] ^= 1 << random.below(8),
    }
}
