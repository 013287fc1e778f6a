//! Both canonical forms are what real JavaScript makes of the same documents.

mod documents;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use documents::{Random, document};
use postrider_signature::{NumberPolicy, canonical, json};

const SEED: u64 = 20_261_122;
const DOCUMENTS: usize = 24_000;

/// A line of input is one document in Base64; a line of output is its fixed point
/// and its RFC 8785 form, both in Base64.
const SCRIPT: &str = r"
const jcs = (value) => {
  if (Array.isArray(value)) {
    return '[' + value.map(jcs).join(',') + ']';
  }
  if (value !== null && typeof value === 'object') {
    // the default order of sort() is by UTF-16 code units
    const members = Object.keys(value).sort().map((key) => JSON.stringify(key) + ':' + jcs(value[key]));
    return '{' + members.join(',') + '}';
  }
  return JSON.stringify(value);
};
const encode = (text) => Buffer.from(text, 'utf8').toString('base64');
const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
const answers = lines.map((line) => {
  const value = JSON.parse(Buffer.from(line, 'base64').toString('utf8'));
  return encode(JSON.stringify(value)) + ' ' + encode(jcs(value));
});
process.stdout.write(answers.join('\n'));
";

#[test]
fn both_forms_agree_with_node() {
    let mut random = Random(SEED);
    let documents: Vec<String> = (0..DOCUMENTS).map(|_| document(&mut random)).collect();
    let answers = ask_node(&documents);
    assert_eq!(answers.len(), DOCUMENTS, "node answered every line");

    let mut changed = [0, 0];
    for (i, (document, answer)) in documents.iter().zip(&answers).enumerate() {
        let context = format!("seed {SEED}, document {i}: {document}");
        let minified = json::minify(document.as_bytes()).expect(&context);
        let ecma = canonical::ecma(&minified, NumberPolicy::Round).expect(&context);
        let jcs = canonical::jcs(&minified, NumberPolicy::Round).expect(&context);
        assert_eq!(String::from_utf8_lossy(&ecma), answer.0, "ecma, {context}");
        assert_eq!(String::from_utf8_lossy(&jcs), answer.1, "jcs, {context}");
        changed[0] += usize::from(*ecma != *minified);
        changed[1] += usize::from(*jcs != *ecma);
    }
    // the documents are awkward enough to show something
    let distinct: HashSet<&String> = documents.iter().collect();
    assert!(distinct.len() > 20_000, "{} distinct documents", distinct.len());
    assert!(changed.iter().all(|&count| count > DOCUMENTS / 5), "{changed:?} changed");
}

#[test]
fn forms_of_forms_are_themselves() {
    let mut random = Random(SEED + 1);
    for i in 0..3_000 {
        let document = document(&mut random);
        let context = format!("seed {}, document {i}: {document}", SEED + 1);
        let minified = json::minify(document.as_bytes()).expect(&context);
        assert_eq!(json::minify(&minified).expect(&context), minified, "{context}");
        for form in [canonical::ecma, canonical::jcs] {
            for numbers in [NumberPolicy::Round, NumberPolicy::Stringify] {
                let once = form(&minified, numbers).expect(&context);
                // Round both times: 1.1447571067524563e20 prints as an integer that no double holds
                let twice = form(&once, NumberPolicy::Round).expect(&context);
                assert_eq!(twice, once, "{context}");
                assert_eq!(json::minify(&once).expect(&context), *once, "{context}");
            }
        }
    }
}

fn ask_node(documents: &[String]) -> Vec<(String, String)> {
    let mut node = Command::new("node")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs Node.js 20 or newer: no program `node` could be started");
    let lines: Vec<String> = documents.iter().map(|d| STANDARD.encode(d)).collect();
    // node reads to the end before it writes, so neither side waits for the other
    let mut input = node.stdin.take().expect("stdin is piped");
    input.write_all(lines.join("\n").as_bytes()).expect("node reads its input");
    drop(input);
    let mut output = String::new();
    let mut pipe = node.stdout.take().expect("stdout is piped");
    pipe.read_to_string(&mut output).expect("node writes text");
    assert!(node.wait().expect("node ends").success(), "node failed, see above");
    let decode =
        |text: &str| String::from_utf8(STANDARD.decode(text).expect("Base64")).expect("UTF-8");
    let answer = |line: &str| {
        let (ecma, jcs) = line.split_once(' ').expect("two forms");
        (decode(ecma), decode(jcs))
    };
    output.lines().map(answer).collect()
}
