//! Receivers: each in a mood that changes, answering as it feels when a request arrives.

use crate::random::Random;

/// The deadline of every attempt.
pub(crate) const TIMEOUT_MS: i64 = 10_000;

/// How a receiver feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Healthy,
    /// Answers 500.
    Failing,
    /// Never answers.
    Hanging,
    /// Takes no connection.
    Refusing,
    /// Answers about at the deadline.
    Slow,
    /// Answers 429 with `Retry-After`.
    Limiting,
    /// Answers 410.
    Gone,
    /// Each time something else.
    Moody,
}

/// What a receiver does with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaction {
    Refuses,
    Hangs,
    Answers { status: u16, after_ms: i64, retry_after_s: Option<i64> },
}

impl Mood {
    pub(crate) fn any(random: &mut Random, bad_percent: usize) -> Self {
        if !random.percent(bad_percent) {
            return Self::Healthy;
        }
        if random.once_in(8) {
            return Self::Gone;
        }
        let bad =
            [Self::Failing, Self::Hanging, Self::Refusing, Self::Slow, Self::Limiting, Self::Moody];
        random.pick(&bad)
    }

    pub(crate) fn react(self, random: &mut Random) -> Reaction {
        let answer = |status, after_ms| Reaction::Answers { status, after_ms, retry_after_s: None };
        match self {
            Self::Healthy => answer(random.pick(&[200, 200, 204]), random.between(1, 60)),
            Self::Failing => answer(random.pick(&[500, 500, 404, 301]), random.between(1, 60)),
            Self::Hanging => Reaction::Hangs,
            Self::Refusing => Reaction::Refuses,
            Self::Slow => answer(200, random.between(TIMEOUT_MS - 3_000, TIMEOUT_MS + 1_000)),
            Self::Limiting => Reaction::Answers {
                status: random.pick(&[429, 503]),
                after_ms: random.between(1, 60),
                retry_after_s: Some(random.pick(&[0, 1, 30, 900])),
            },
            Self::Gone => answer(410, random.between(1, 200)),
            Self::Moody => {
                let moods = [Self::Healthy, Self::Failing, Self::Hanging, Self::Limiting];
                random.pick(&moods).react(random)
            }
        }
    }
}
