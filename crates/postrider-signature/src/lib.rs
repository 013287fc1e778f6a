//! Secrets, signatures and body forms of Postrider webhooks.
//!
//! Everything that decides which bytes a delivery carries and how they are
//! signed lives here, so that the server that signs and the receiver that
//! verifies run the same code. The wire formats are Standard Webhooks, Automa's
//! and Autonoma's; each is a [`SigningProfile`], a struct of parameters.
//!
//! The crate knows no async runtime, HTTP, storage or clock. Times (milliseconds
//! since 1970, UTC) and random bytes are arguments.
//!
//! ```
//! use postrider_signature::{BodyForm, Content, NumberPolicy, Secret, SigningProfile};
//! use postrider_signature::{Tolerance, envelope, json, sign, verify};
//!
//! let profile = SigningProfile::autonoma();
//! let secret = Secret::parse("your-webhook-secret", &profile.secret_format)?;
//! let data = json::minify(br#"{ "ratio": 1.50 }"#)?;
//! let now_ms = 1_753_678_680_999;
//! let body = envelope("evt_1", "code.generated", now_ms, &data, BodyForm::Ecma, NumberPolicy::Refuse)?;
//! let content = Content { id: "evt_1", event_time_ms: now_ms, now_ms, body: &body, server_host: None };
//! let headers = sign(&profile, &secret, &[], &content);
//!
//! let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
//! let verified = verify(&profile, &[(&secret).into()], header, &body, now_ms, Tolerance::default())?;
//! assert_eq!(verified.id, "evt_1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod canonical;
mod envelope;
pub mod json;
mod mac;
mod number;
mod profile;
#[cfg(feature = "seal")]
pub mod seal;
mod secret;
mod sign;
pub mod timestamp;
mod verify;

pub use canonical::{FormError, FormErrorKind, NumberPolicy};
pub use envelope::{BodyForm, envelope};
pub use profile::{HexHeader, ListHeaders, SignatureList, SigningProfile, TimestampRule};
#[cfg(feature = "ed25519")]
pub use secret::PublicKey;
pub use secret::{KeyDerivation, Secret, SecretError, SecretFormat};
pub use sign::{Content, LIVE_SECRETS_MAX, sign};
pub use verify::{Tolerance, Verified, VerifyError, VerifyKey, verify};
