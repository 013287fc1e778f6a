//! What the outcome of an attempt means, and what would mend it: in one table for everybody who
//! tells people about it.

use postrider_core::delivery::{AttemptResult, ErrorClass};

/// Why an attempt failed, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Stable.
    pub class: &'static str,
    /// In plain words.
    pub text: &'static str,
    pub mend: &'static str,
}

/// What an attempt's result means; `None` for a success.
pub fn of(result: &AttemptResult) -> Option<Meaning> {
    match result {
        AttemptResult::Answered(answer) => of_status(answer.status),
        AttemptResult::Broke { class, .. } => Some(by_class(*class)),
    }
}

/// What the status of a whole answer means; `None` for a success.
pub fn of_status(status: u16) -> Option<Meaning> {
    (!(200..300).contains(&status)).then(|| by_status(status))
}

fn by_status(status: u16) -> Meaning {
    let (class, text, mend) = match status {
        300..=399 => (
            "redirect",
            "The receiver answered with a redirect. Redirects are never followed: the new address \
             could be anybody's.",
            "Register the URL that it redirects to.",
        ),
        401 | 403 => (
            "refused",
            "The receiver did not accept the request. Most often it could not verify the signature.",
            "Compare the secret that the receiver uses with the webhook's, and verify the raw body.",
        ),
        404 | 405 => (
            "not_found",
            "The receiver is there but has nothing at this path for POST.",
            "Check the path of the webhook's URL and the receiver's routes.",
        ),
        410 => (
            "gone",
            "The receiver said that it wants nothing any more. The webhook was disabled and what \
             was pending for it cancelled.",
            "If that was a mistake, enable the webhook again.",
        ),
        413 => (
            "too_large",
            "The receiver does not accept a body of this size.",
            "Raise the receiver's body limit, or publish less data.",
        ),
        429 => (
            "rate_limited",
            "The receiver asks for fewer requests.",
            "Give the webhook a rate_limit, or raise the receiver's.",
        ),
        400..=499 => (
            "client_error",
            "The receiver says that the request is wrong.",
            "Look at the answer's body and the receiver's log.",
        ),
        500..=599 => (
            "server_error",
            "The receiver failed while it handled the request.",
            "Look at the receiver's log. It is tried again by the retry schedule.",
        ),
        _ => (
            "unexpected_status",
            "The receiver answered with a status that means neither success nor failure.",
            "Make the receiver answer 200 to 299 when it has the event.",
        ),
    };
    Meaning { class, text, mend }
}

/// The class of errors with this name.
pub fn class_named(name: &str) -> Option<ErrorClass> {
    ErrorClass::ALL.into_iter().find(|class| by_class(*class).class == name)
}

/// What it means that no answer came that counts.
pub fn by_class(class: ErrorClass) -> Meaning {
    let (class, text, mend) = match class {
        ErrorClass::NotAllowed => (
            "not_allowed",
            "The URL leads to an address that this server does not deliver to.",
            "Use a URL with a public address, or have the operator allow the network.",
        ),
        ErrorClass::DnsFailure => (
            "dns_failure",
            "The host name could not be resolved.",
            "Check the host's spelling and its DNS records.",
        ),
        ErrorClass::DnsTimeout => (
            "dns_timeout",
            "The host name was not resolved in time.",
            "Check the host's name servers.",
        ),
        ErrorClass::ConnectRefused => (
            "connect_refused",
            "Nothing accepts connections at that address and port.",
            "Start the receiver, and check the URL's port.",
        ),
        ErrorClass::ConnectFailed => (
            "connect_failed",
            "The connection could not be made.",
            "Check that the receiver runs and can be reached: from this server, or with `listen` from \
             the machine that it runs on.",
        ),
        ErrorClass::ConnectTimeout => (
            "connect_timeout",
            "The connection was not made in time: often a firewall that drops packets.",
            "Let this server's address through the receiver's firewall.",
        ),
        ErrorClass::Tls => (
            "tls",
            "The encrypted connection could not be made.",
            "Check the receiver's certificate: its names, its dates and its whole chain.",
        ),
        ErrorClass::Reset => (
            "connection",
            "The connection broke after the request began, so the receiver may have handled it.",
            "Look for crashes and time-outs at the receiver or its proxy.",
        ),
        ErrorClass::Truncated => (
            "truncated",
            "The answer ended before it was whole.",
            "Look for crashes and time-outs at the receiver or its proxy.",
        ),
        ErrorClass::Protocol => (
            "protocol",
            "What came back was not HTTP.",
            "Check that the URL's scheme and port are those of an HTTP server.",
        ),
        ErrorClass::Timeout => (
            "timeout",
            "The receiver did not answer in time.",
            "Answer 202 at once and do the work afterwards, or raise the webhook's timeout_ms.",
        ),
        ErrorClass::BodyForm => (
            "body_form",
            "The event's data can't be written in the form that the webhook's profile wants.",
            "Publish integers beyond 2^53 as strings.",
        ),
        ErrorClass::Internal => (
            "internal",
            "A fault of this server; the receiver has no part in it.",
            "Report it, with the server's log of that moment.",
        ),
    };
    Meaning { class, text, mend }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_they_mean_and_successes_nothing() {
        let class = |status| of_status(status).map(|meaning| meaning.class);
        assert_eq!(class(204), None);
        assert_eq!(class(307), Some("redirect"));
        assert_eq!(class(410), Some("gone"));
        assert_eq!(class(418), Some("client_error"));
        assert_eq!(class(503), Some("server_error"));
        let class = ErrorClass::Timeout;
        let broke = AttemptResult::Broke { class, detail: String::new(), answer: None };
        assert_eq!(of(&broke).map(|meaning| meaning.class), Some("timeout"));
    }

    #[test]
    fn classes_are_told_apart_by_name() {
        for class in ErrorClass::ALL {
            assert_eq!(class_named(by_class(class).class), Some(class));
        }
        assert_eq!(class_named("server_error"), None);
    }
}
