//! Every bound of the HTTP side in one place, each with its reason.

use std::time::Duration;

/// Connections served at once. Beyond it new ones wait in the kernel's backlog until one ends.
/// With [`HEAD_BYTES_MAX`] it bounds what half-sent heads can hold: 512 MiB.
pub const CONNECTIONS_MAX: usize = 4_096;
/// How long accepting pauses when the process is out of file descriptors: long enough for some
/// connection to end, short enough not to be noticed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// From the connection, or from the first byte of a further request, to the end of its head.
/// A healthy client sends a head in one packet.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a kept-alive connection may stay silent, or an answer unread. More than the 60 s at
/// which common proxies drop their side, so that it is they who close.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// From the first wait for a body to its end.
pub const BODY_TIMEOUT: Duration = Duration::from_mins(1);
/// A body may be as slow as it likes for this long …
pub const BODY_GRACE: Duration = Duration::from_secs(5);
/// … and must then have averaged this many bytes a second: a bad mobile link manages that.
pub const BODY_RATE_MIN_BYTES_PER_S: u64 = 1_024;
/// How often time-outs are looked after: one sweep over all connections instead of a timer
/// for each request. Time-outs are late by at most this much.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// A request's head. Above [`URI_BYTES_MAX`] by enough that a long URI is told so with a 414.
pub const HEAD_BYTES_MAX: usize = 128 << 10;
/// A request's target. What clients, proxies and logs bear in practice.
pub const URI_BYTES_MAX: usize = 8 << 10;
/// A request's body.
pub const BODY_BYTES_MAX_DEFAULT: usize = 1 << 20;
/// Of a body that is too long, this much is read and thrown away, so that a client that sends
/// before it reads gets to see the 413 instead of a reset connection.
pub const BODY_DISCARD_MAX: usize = 4 << 20;
/// Bodies longer than this count against [`BODIES_BYTES_MAX`] while they are being read.
pub const BODY_SMALL_BYTES: usize = 64 << 10;
/// What larger bodies may hold together while they are being read; beyond it: 503.
pub const BODIES_BYTES_MAX: usize = 128 << 20;
/// An `Authorization` header. Ours have under 100 bytes; a longer one is never hashed.
pub const AUTHORIZATION_BYTES_MAX: usize = 512;
/// Wrong keys from one address in [`WRONG_KEYS_WINDOW`] that are answered 401; further ones 429.
/// A fleet with an old key makes itself heard and is slowed down; guessing 256 bits is hopeless
/// anyway.
pub const WRONG_KEYS_MAX: u32 = 100;
/// See [`WRONG_KEYS_MAX`].
pub const WRONG_KEYS_WINDOW: Duration = Duration::from_secs(10);
/// Slots of the table that counts wrong keys; addresses share them by hash.
pub const WRONG_KEYS_SLOTS: usize = 4_096;
/// Events in one batch (contract §4).
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// Items on a page of a list, unless the request says otherwise.
pub const PAGE_ITEMS_DEFAULT: usize = 50;
/// Items on a page of a list.
pub const PAGE_ITEMS_MAX: usize = 250;
/// Problems reported for one body; more would only repeat the lesson.
pub const PROBLEMS_MAX: usize = 50;
/// A number in a JSON text, in characters. A double has at most 767 significant digits.
pub const NUMBER_CHARS_MAX: usize = 1_024;

/// The bounds that a test wants shorter than a server does.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    pub connections_max: usize,
    pub head_timeout: Duration,
    pub idle_timeout: Duration,
    pub body_timeout: Duration,
    pub body_grace: Duration,
    pub sweep_every: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            head_timeout: HEAD_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            body_grace: BODY_GRACE,
            sweep_every: SWEEP_EVERY,
        }
    }
}
