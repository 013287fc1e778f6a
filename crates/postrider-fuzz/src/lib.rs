//! Hostile input: what strangers may send, read by the code that reads it in the server, and what
//! must hold whatever it is.
//!
//! A target is a function of bytes that panics when something does not hold. cargo-fuzz looks for
//! such bytes (`fuzz/`, which only calls in here); the tests of this crate run every file of
//! `corpus/` and some thousands of mutations of them, from one seed. Bytes that once failed become
//! a file of the corpus.
//!
//! Targets ask no clock and remember nothing, so the same bytes always end alike. The one that
//! needs a socket, [`answer`], has it on loopback.

mod answer;
mod canonical_forms;
mod cursor;
mod custom_headers;
mod filter;
pub mod mutation;
mod publish_body;
mod retry_after;
mod schedule;
mod signature_header;
mod url;

pub use answer::answer;
pub use canonical_forms::canonical_forms;
pub use cursor::cursor;
pub use custom_headers::custom_headers;
pub use filter::filter;
pub use publish_body::publish_body;
pub use retry_after::retry_after;
pub use schedule::schedule;
pub use signature_header::signature_header;
pub use url::url;

/// A target under the name of its folder in `corpus/` and its binary in `fuzz/`.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 10] = [
    ("answer", answer),
    ("canonical_forms", canonical_forms),
    ("cursor", cursor),
    ("custom_headers", custom_headers),
    ("filter", filter),
    ("publish_body", publish_body),
    ("retry_after", retry_after),
    ("schedule", schedule),
    ("signature_header", signature_header),
    ("url", url),
];

/// A moment for targets that need one, 2021-02-25T15:02:10Z: that of the contract's first vector.
const NOW_MS: i64 = 1_614_265_330_000;
