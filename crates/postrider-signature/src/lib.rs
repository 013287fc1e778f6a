//! Secrets, signatures and body forms of Postrider webhooks.

/// How an event is written for a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyForm {
    Verbatim,
    Ecma,
    Jcs,
}
