//! The receiving side of webhooks: verify what arrives, and handle each event once.
//!
//! [`Verifier`] takes a delivery's headers and raw bytes and answers with an [`Event`], or with a
//! [`Rejected`] that says which step failed. That is all of the crate without features, and needs
//! nothing beyond hashing.
//!
//! The same event may come again: answers get lost, processes crash, people ask for a retry. With
//! the feature `inbox` (and `sqlite`, `postgres` or `redis` for stores that last) [`inbox`] lets its
//! effect happen once, in one of three modes, and [`lock`] guards what two different events share.
//! `axum` and `tower` get the raw body right in those frameworks.
//!
//! ```
//! use postrider_receiver::{Profile, Verifier};
//!
//! let verifier = Verifier::new(Profile::autonoma()).with_secret("your-webhook-secret")?;
//! let body = br#"{"id":"evt_1","type":"code.generated","timestamp":"2025-07-28T04:58:00.999Z","data":{}}"#;
//! let headers = [("x-autonoma-signature", "sha256=00")];
//! let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
//! assert!(verifier.verify(header, body).is_err());
//! # Ok::<(), postrider_receiver::SecretError>(())
//! ```

#[cfg(feature = "axum")]
pub mod axum;
mod event;
#[cfg(feature = "inbox")]
pub mod inbox;
#[cfg(feature = "inbox")]
pub mod lock;
#[cfg(any(feature = "axum", feature = "tower"))]
mod raw_body;
#[cfg(feature = "tower")]
pub mod tower;
mod verifier;

pub use event::Event;
#[cfg(feature = "json")]
pub use event::{Envelope, NotAnEnvelope};
pub use postrider_signature::{
    BodyForm, HexHeader, KeyDerivation, ListHeaders, SecretError, SecretFormat, SignatureList,
    SigningProfile as Profile, TimestampRule, Tolerance,
};
pub use verifier::{Rejected, Verifier};

/// Milliseconds since 1970, UTC.
pub type UnixMs = i64;

/// The system's clock.
pub(crate) fn now_ms() -> UnixMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // a clock before 1970 makes every delivery too new, which is refused
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The README's code is compiled with the tests.
#[cfg(all(doctest, feature = "axum", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
