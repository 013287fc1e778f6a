//! Every bound of the sender in one place, each with its reason.

use std::time::Duration;

/// For the answer of DNS. Resolvers retry after 2–5 s; an attempt shouldn't be spent on waiting
/// for more than one retry.
pub const DNS_BUDGET: Duration = Duration::from_secs(5);
/// How long an address is remembered at most, whatever its record says: receivers that move are
/// found by the next attempts of a schedule.
pub const DNS_TTL_MAX: Duration = Duration::from_mins(5);
/// How long it is remembered that a name has no address: shorter than the second wait of the
/// retry schedules, or their early attempts would ask nobody.
pub const DNS_NEGATIVE_TTL_MAX: Duration = Duration::from_secs(4);
/// For TCP, over all addresses of a host: two lost SYNs (retransmitted after 1 s and 3 s) are
/// survived.
pub const CONNECT_BUDGET: Duration = Duration::from_secs(5);
/// For the TLS handshake: two round trips and the receiver's arithmetic, with much to spare.
pub const TLS_BUDGET: Duration = Duration::from_secs(5);
/// Addresses of one host that are dialled in turn: both families, twice. All of them are judged.
pub const ADDRESSES_DIALLED_MAX: usize = 4;

/// Bytes of one answer that are read, head and interim answers included (contract §3).
pub const ANSWER_READ_BYTES_MAX: usize = 64 << 10;
/// Header lines of an answer. 64 KiB hold more, but each costs parsing; `hostile.tsv` H196 sends
/// 1,000 cookies and must succeed.
pub const ANSWER_HEADERS_MAX: usize = 1_024;
/// Names and values of the answer's headers that are kept with an attempt: what common servers
/// accept as a whole head.
pub const KEPT_OF_HEADERS_BYTES: usize = 8 << 10;
/// Interim (1xx) answers before the real one. Servers send one or two.
pub const INTERIM_ANSWERS_MAX: u32 = 8;
/// A `Retry-After` that is longer than this is neither a number of seconds nor a date.
pub const RETRY_AFTER_BYTES_MAX: usize = 64;

/// How long a connection may lie idle. Servers close after 5 s (Node) to 75 s (nginx); a longer
/// wait mostly finds closed connections, and DNS may have moved meanwhile.
pub const IDLE_TIME: Duration = Duration::from_secs(30);
/// Taken off the receiver's own `Keep-Alive: timeout`, so that it doesn't close while a request
/// is on its way.
pub const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);
/// A busy connection is replaced after this, so that receivers which move are followed.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_mins(5);
/// Idle connections to one origin: as many as one webhook may have in flight.
pub const IDLE_PER_ORIGIN_MAX: usize = 256;
/// Idle connections in all: bounds file descriptors and about 20 KiB of buffers each.
pub const IDLE_MAX: usize = 1_024;
/// TLS sessions remembered for resumption, which halves the CPU of a handshake; about 2 KiB each.
pub const TLS_SESSIONS_MAX: usize = 1_024;
