//! How receivers behave, and what an attempt at one came to.

use bytes::Bytes;
use postrider_core::delivery::{Answer, AttemptResult, ErrorClass, Timing};
use postrider_core::id::UnixMs;

use super::dice::Dice;

pub(crate) const MINUTE_MS: UnixMs = 60_000;
pub(crate) const HOUR_MS: UnixMs = 60 * MINUTE_MS;
/// The server's default.
const TIMEOUT_US: u64 = 15_000_000;

/// How a receiver behaves. Milliseconds are what it usually takes to answer.
#[derive(Clone, Copy)]
pub(crate) enum Temper {
    Well(u64),
    /// Fails now and then.
    Flaky(u64),
    /// Near the deadline.
    Slow(u64),
    /// Takes one a second; there is more.
    Busy(u64),
    /// Fails everything since so many hours. Disabled once that is five days.
    Broken {
        hours: i64,
        trouble: Trouble,
    },
    /// Answered 410 so many hours ago.
    Gone(i64),
    /// Somebody disabled it so many hours ago.
    Paused(i64),
}

#[derive(Clone, Copy)]
pub(crate) enum Trouble {
    Answers(u16),
    Refused,
    Silence,
    Certificate,
    UnknownName,
}

/// An attempt at a receiver.
pub(crate) struct Attempted {
    pub(crate) result: AttemptResult,
    pub(crate) timing: Timing,
}

/// What was going on at a time, everywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fine,
    /// A region is down: some receivers answer 503.
    Outage,
    /// The network is slow.
    Slow,
}

impl Weather {
    pub(crate) fn at(time: UnixMs, now: UnixMs) -> Self {
        let ago = now - time;
        let within = |begin: UnixMs, length: UnixMs| ago <= begin && ago > begin - length;
        if within(9 * 24 * HOUR_MS + 5 * HOUR_MS, 50 * MINUTE_MS)
            || within(5 * HOUR_MS + 10 * MINUTE_MS, 25 * MINUTE_MS)
        {
            Self::Outage
        } else if within(22 * MINUTE_MS, 6 * MINUTE_MS) {
            Self::Slow
        } else {
            Self::Fine
        }
    }
}

impl Temper {
    /// Asks a receiver, the `number`th of all, at a time.
    pub(crate) fn ask(self, number: usize, at: UnixMs, now: UnixMs, dice: &mut Dice) -> Attempted {
        let weather = Weather::at(at, now);
        if weather == Weather::Outage && number % 5 < 2 && dice.hits(7_000) {
            return answered(503, 900, dice);
        }
        let slower = if weather == Weather::Slow { 5 } else { 1 };
        match self {
            Self::Well(ms) | Self::Busy(ms) => match dice.below(1_000) {
                0 => answered(503, ms, dice),
                1 => broke(Trouble::Silence, dice),
                _ => answered(200, ms * slower, dice),
            },
            Self::Flaky(ms) => match dice.below(100) {
                0..4 => answered(500, ms, dice),
                4..6 => answered(429, ms / 4, dice),
                6..8 => broke(Trouble::Silence, dice),
                _ => answered(200, ms * slower, dice),
            },
            Self::Slow(ms) => {
                let attempted = answered(202, ms * slower, dice);
                if u64::from(attempted.timing.total_us) < TIMEOUT_US && !dice.hits(300) {
                    return attempted;
                }
                broke(Trouble::Silence, dice)
            }
            Self::Broken { hours, trouble } if at >= now - hours * HOUR_MS => match trouble {
                Trouble::Answers(status) => answered(status, 130, dice),
                trouble => broke(trouble, dice),
            },
            Self::Gone(hours) if at >= now - hours * HOUR_MS => answered(410, 40, dice),
            Self::Broken { .. } | Self::Gone(_) | Self::Paused(_) => answered(200, 90, dice),
        }
    }
}

fn answered(status: u16, ms: u64, dice: &mut Dice) -> Attempted {
    let (kind, text) = body(status);
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut headers = vec![header("content-type", kind), header("server", "nginx")];
    if status == 429 || status == 503 {
        headers.push(header("retry-after", "30"));
    }
    let body = Bytes::from_static(text.as_bytes());
    let answer = Answer { status, headers, body, is_body_cut: false };
    let wait_us = dice.around(ms * 1_000);
    let mut timing = connected(dice);
    timing.wait_us = us(wait_us);
    timing.total_us = us(wait_us + before(&timing) + dice.between(60, 900));
    Attempted { result: AttemptResult::Answered(answer), timing }
}

fn body(status: u16) -> (&'static str, &'static str) {
    match status {
        200 | 202 => ("application/json", r#"{"ok":true}"#),
        410 => ("text/plain", "This hook was removed."),
        429 => ("application/json", r#"{"error":"rate_limited","retry_after":30}"#),
        500 => (
            "text/html",
            "<html><head><title>500</title></head><body><h1>Internal Server Error</h1>\
             <pre>NullPointerException at TicketBridge.java:214</pre></body></html>",
        ),
        502 => ("text/html", "<html><body><center><h1>502 Bad Gateway</h1></center></body></html>"),
        _ => ("text/plain", "upstream connect error or disconnect/reset before headers"),
    }
}

fn broke(trouble: Trouble, dice: &mut Dice) -> Attempted {
    let (class, detail, timing) = match trouble {
        Trouble::UnknownName => {
            let dns_us = us(dice.between(9_000, 60_000));
            let timing = Timing { dns_us, total_us: dns_us + 40, ..Timing::default() };
            (ErrorClass::DnsFailure, "there is no such host", timing)
        }
        Trouble::Refused => {
            let connect_us = us(dice.between(700, 9_000));
            let timing = Timing { connect_us, total_us: connect_us + 60, ..Timing::default() };
            (ErrorClass::ConnectRefused, "Connection refused (os error 111)", timing)
        }
        Trouble::Certificate => {
            let mut timing = connected(dice);
            timing.connect_us = us(dice.between(9_000, 30_000));
            timing.tls_us = us(dice.between(15_000, 40_000));
            timing.total_us = us(before(&timing) + 70);
            (ErrorClass::Tls, "invalid peer certificate: Expired", timing)
        }
        Trouble::Silence | Trouble::Answers(_) => {
            let mut timing = connected(dice);
            timing.wait_us = us(TIMEOUT_US - before(&timing));
            timing.total_us = us(TIMEOUT_US);
            let detail =
                "the receiver did not answer in time; answer first and do the work afterwards";
            (ErrorClass::Timeout, detail, timing)
        }
    };
    let result = AttemptResult::Broke { class, detail: detail.to_owned(), answer: None };
    Attempted { result, timing }
}

/// Connections are mostly kept.
fn connected(dice: &mut Dice) -> Timing {
    if !dice.hits(1_500) {
        return Timing::default();
    }
    Timing {
        dns_us: us(dice.between(300, 8_000)),
        connect_us: us(dice.between(4_000, 28_000)),
        tls_us: us(dice.between(9_000, 42_000)),
        ..Timing::default()
    }
}

fn before(timing: &Timing) -> u64 {
    u64::from(timing.dns_us) + u64::from(timing.connect_us) + u64::from(timing.tls_us)
}

fn us(us: u64) -> u32 {
    u32::try_from(us).unwrap_or(u32::MAX)
}
