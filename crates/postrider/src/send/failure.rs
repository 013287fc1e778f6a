//! Why an attempt broke, in the words that a person is shown.
//!
//! Details never name an address: what a host name resolves to behind us is nobody's business.

use postrider_core::address::{AddressRefusal, OUTWARD_TEXT};
use postrider_core::delivery::ErrorClass;

/// Why nothing was sent although the URL had been accepted. For operators: logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The host is, or its name leads to, an address that may not be dialled.
    Address(AddressRefusal),
    /// The connection led to another address than the one that was dialled.
    PeerMismatch,
    /// The policy refuses the scheme now.
    Scheme,
    /// The policy refuses IP addresses as hosts now.
    IpLiteral,
}

impl Refusal {
    /// A stable code, as in [`AddressRefusal::reason`].
    pub fn reason(self) -> &'static str {
        match self {
            Self::Address(refusal) => refusal.reason(),
            Self::PeerMismatch => "ip_mismatch",
            Self::Scheme => "scheme",
            Self::IpLiteral => "ip_literal",
        }
    }
}

/// A broken attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) class: ErrorClass,
    /// What happened and how to mend it.
    pub(super) detail: &'static str,
    pub(super) refusal: Option<Refusal>,
}

impl Failure {
    pub(super) const fn new(class: ErrorClass, detail: &'static str) -> Self {
        Self { class, detail, refusal: None }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (class, detail) = match refusal {
            Refusal::Address(AddressRefusal::NoAnswer) => {
                (ErrorClass::DnsFailure, AddressRefusal::NoAnswer.outward_text())
            }
            Refusal::Address(_) | Refusal::PeerMismatch => (ErrorClass::NotAllowed, OUTWARD_TEXT),
            Refusal::Scheme => (
                ErrorClass::NotAllowed,
                "http:// is not allowed here; give the webhook an https:// URL",
            ),
            Refusal::IpLiteral => (
                ErrorClass::NotAllowed,
                "IP addresses are not allowed as hosts here; give the webhook a host name",
            ),
        };
        Self { class, detail, refusal: Some(refusal) }
    }
}
