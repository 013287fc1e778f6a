//! What can go wrong with a command, and the exit code that says so.

use std::fmt;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Deserialize;

use super::client::Answer;
use super::output::printable;

/// The kinds of failure, each with an exit code of its own. Scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Anything else, such as a server that is too busy or broken.
    Other = 1,
    /// The command line or the configuration can't be meant.
    Usage = 2,
    /// No key, a wrong one, or one that may not do this.
    Auth = 3,
    NotFound = 4,
    /// The server understood and refused: validation, or a conflict with what is there.
    Refused = 5,
    /// No server answered.
    Unreachable = 6,
}

/// A failure as it is told on stderr: `error: …`, details, and a hint.
#[derive(Debug)]
pub struct Failure {
    pub(crate) kind: FailureKind,
    /// Safe to print.
    text: String,
    /// Safe to print.
    hint: Option<String>,
}

/// A problem of the API (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<ProblemError>,
}

#[derive(Deserialize)]
struct ProblemError {
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    message: String,
}

impl FailureKind {
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

impl Failure {
    pub(super) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), hint: None }
    }

    pub(super) fn other(text: impl Into<String>) -> Self {
        Self::new(FailureKind::Other, text)
    }

    /// What the program itself got wrong, or the system under it.
    pub(super) fn fault(text: impl Into<String>) -> Self {
        Self::other(text).hint("this is no fault of yours; report it with the command you gave")
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, text)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What went wrong, without what to do about it.
    pub(super) fn summary(&self) -> String {
        self.text.clone()
    }

    /// What to do about it.
    pub(super) fn mend(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the same may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind, FailureKind::Unreachable | FailureKind::Other)
    }

    /// The failure that an answer beyond 2xx means.
    pub(super) fn from_answer(answer: &Answer) -> Self {
        let status = answer.status.as_u16();
        let (kind, hint) = match status {
            401 => (FailureKind::Auth, "check --api-key or POSTRIDER_API_KEY"),
            403 => (FailureKind::Auth, "use a key whose scope and tenant allow this"),
            404 => (FailureKind::NotFound, "check the id, and --tenant if the key is an admin key"),
            300..=399 => {
                (FailureKind::Other, "set --server or POSTRIDER_URL to the server's own address")
            }
            429 | 503 => (FailureKind::Other, "the server is busy; try again in a moment"),
            400..=499 => (FailureKind::Refused, "mend the places named above and send it again"),
            _ => (FailureKind::Other, "the server's log says more"),
        };
        let problem = serde_json::from_slice::<Problem>(&answer.body).ok();
        let Some(problem) = problem.filter(|p| !p.detail.is_empty() || !p.code.is_empty()) else {
            return Self::new(kind, format!("the server answered {status}")).hint(hint);
        };
        Self::new(kind, problem.text(status)).hint(hint)
    }
}

impl Problem {
    fn text(&self, status: u16) -> String {
        let mut text = match &*self.detail {
            "" => format!("the server answered {status}"),
            detail => printable(detail),
        };
        if !self.code.is_empty() {
            let _ = write!(text, " ({})", printable(&self.code));
        }
        for error in &self.errors {
            let pointer = if error.pointer.is_empty() { "/" } else { &error.pointer };
            let _ = write!(text, "\n  {}: {}", printable(pointer), printable(&error.message));
        }
        text
    }
}

impl fmt::Display for Failure {
    /// Whole lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.text)?;
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}
