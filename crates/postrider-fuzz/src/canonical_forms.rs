//! The body forms, and the strict pass before them.

use postrider_signature::json::{self, JsonErrorKind};
use postrider_signature::{NumberPolicy, canonical};
use serde_json::Value;

/// A form is a fixed point; `jcs` of a document is `jcs` of its `ecma`; both hold the same values;
/// and what is JSON is what another reader takes for JSON.
pub fn canonical_forms(bytes: &[u8]) {
    let read: Result<Value, _> = serde_json::from_slice(bytes);
    let minified = match json::minify(bytes) {
        Ok(minified) => minified,
        Err(error) => {
            let is_no_json =
                matches!(error.kind, JsonErrorKind::Syntax(_) | JsonErrorKind::InvalidUtf8);
            assert!(!is_no_json || read.is_err(), "refused as {error}, read by another");
            assert!(error.offset <= bytes.len());
            return;
        }
    };
    assert!(read.is_ok(), "accepted, refused by another reader");
    assert!(minified.len() <= bytes.len());
    assert_eq!(json::minify(&minified).as_ref(), Ok(&minified));
    rounded(&minified);
    refused_or_kept(&minified);
}

/// Rounding leaves nothing to refuse.
fn rounded(minified: &[u8]) {
    let round = NumberPolicy::Round;
    let ecma = canonical::ecma(minified, round).expect("checked before");
    let jcs = canonical::jcs(minified, round).expect("checked before");
    assert_eq!(canonical::ecma(&ecma, round).as_deref(), Ok(&*ecma));
    assert_eq!(canonical::jcs(&jcs, round).as_deref(), Ok(&*jcs));
    assert_eq!(canonical::jcs(&ecma, round).as_deref(), Ok(&*jcs));
    assert_eq!(ecma.len(), jcs.len(), "they differ in the order of keys alone");
    let value = |form: &[u8]| serde_json::from_slice::<Value>(form).expect("a form is JSON");
    assert_eq!(value(&ecma), value(&jcs));
}

/// The other two policies differ from rounding in large integers alone.
fn refused_or_kept(minified: &[u8]) {
    let round = canonical::ecma(minified, NumberPolicy::Round).expect("checked before");
    let strings = canonical::ecma(minified, NumberPolicy::Stringify).expect("checked before");
    match canonical::ecma(minified, NumberPolicy::Refuse) {
        Ok(exact) => {
            assert_eq!(exact, round);
            assert_eq!(exact, strings);
            assert!(canonical::jcs(minified, NumberPolicy::Refuse).is_ok());
        }
        Err(error) => {
            let sorted = canonical::jcs(minified, NumberPolicy::Refuse);
            assert_eq!(sorted, Err(error), "both forms refuse at the same place");
        }
    }
}
