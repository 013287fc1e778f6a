//! The statements that SQLite and PostgreSQL share: one for each step, atomic by itself.
//!
//! Parameters are `$1`, `$2`, … in the order in which they first appear: SQLite numbers named ones
//! so. Times are milliseconds since 1970; hashes and bodies are bytes.

/// As the SDKs for TypeScript and Python make them: bots in several languages may share a database.
/// The indexes by token are this SDK's own, whose tokens name no row.
///
/// Steps repeat the condition of a partial index word for word, or SQLite would not use it.
/// `{serial}`, `{bytes}` and `{integer}` are what the engine calls such columns.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS postrider_inbox (
    seq {serial},
    source TEXT NOT NULL,
    consumer TEXT NOT NULL,
    id TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed', 'dead')),
    attempt {integer} NOT NULL,
    token TEXT,
    lease_ends_at_ms {integer},
    due_at_ms {integer},
    status {integer},
    error TEXT,
    order_key TEXT,
    body {bytes},
    signed_at_seconds {integer},
    server_host TEXT,
    changed_at_ms {integer} NOT NULL,
    UNIQUE (source, consumer, id)
);
CREATE INDEX IF NOT EXISTS postrider_inbox_open ON postrider_inbox (source, consumer, seq)
    WHERE state IN ('pending', 'running');
CREATE INDEX IF NOT EXISTS postrider_inbox_order
    ON postrider_inbox (source, consumer, order_key, seq)
    WHERE state IN ('pending', 'running') AND order_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS postrider_inbox_settled ON postrider_inbox (changed_at_ms)
    WHERE state IN ('done', 'failed', 'dead');
CREATE INDEX IF NOT EXISTS postrider_inbox_token ON postrider_inbox (token)
    WHERE token IS NOT NULL;
CREATE TABLE IF NOT EXISTS postrider_lock (
    key TEXT PRIMARY KEY,
    fence {integer} NOT NULL,
    token TEXT,
    ends_at_ms {integer} NOT NULL
);
CREATE INDEX IF NOT EXISTS postrider_lock_token ON postrider_lock (token) WHERE token IS NOT NULL;
";

#[cfg(feature = "sqlite")]
pub(crate) fn sqlite_tables() -> String {
    tables("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", "INTEGER")
}

#[cfg(feature = "postgres")]
pub(crate) fn postgres_tables() -> String {
    tables("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA", "BIGINT")
}

fn tables(serial: &str, bytes: &str, integer: &str) -> String {
    let named = TABLES.replace("{serial}", serial).replace("{bytes}", bytes);
    named.replace("{integer}", integer)
}

/// Source, consumer, id, hash, token, end of the lease, now. Claim and takeover in one: answers
/// with the attempt where there is one to make.
pub(crate) const CLAIM: &str = "
INSERT INTO postrider_inbox
    (source, consumer, id, body_sha256, state, attempt, token, lease_ends_at_ms, changed_at_ms)
VALUES ($1, $2, $3, $4, 'running', 1, $5, $6, $7)
ON CONFLICT (source, consumer, id) DO UPDATE SET
    state = 'running', attempt = postrider_inbox.attempt + 1, token = excluded.token,
    lease_ends_at_ms = excluded.lease_ends_at_ms, changed_at_ms = excluded.changed_at_ms
WHERE postrider_inbox.body_sha256 = excluded.body_sha256
    AND (postrider_inbox.state IN ('pending', 'failed', 'dead')
        OR (postrider_inbox.state = 'running'
            AND postrider_inbox.lease_ends_at_ms <= excluded.changed_at_ms))
RETURNING attempt";

/// Source, consumer, id. How a row stands that could not be claimed or accepted.
pub(crate) const STANDING: &str = "
SELECT body_sha256, state, status, lease_ends_at_ms FROM postrider_inbox
WHERE source = $1 AND consumer = $2 AND id = $3";

/// Source, consumer, id, hash, now, order key, body, signed time. One row where it is new.
pub(crate) const ACCEPT: &str = "
INSERT INTO postrider_inbox (source, consumer, id, body_sha256, state, attempt,
    changed_at_ms, due_at_ms, order_key, body, signed_at_seconds)
VALUES ($1, $2, $3, $4, 'pending', 0, $5, $5, $6, $7, $8)
ON CONFLICT (source, consumer, id) DO NOTHING";

/// Now, source, consumer, attempts. Vanished workers have used up all attempts of these.
pub(crate) const BURY: &str = "
UPDATE postrider_inbox SET state = 'dead', token = NULL, changed_at_ms = $1
WHERE source = $2 AND consumer = $3 AND body IS NOT NULL
    AND state IN ('pending', 'running') AND state = 'running'
    AND lease_ends_at_ms <= $1 AND attempt >= $4";

/// Token, end of the lease, now, source, consumer. `{lock}` keeps workers of PostgreSQL from
/// waiting for one another.
const TAKE: &str = "
UPDATE postrider_inbox SET
    state = 'running', attempt = attempt + 1, token = $1, lease_ends_at_ms = $2, changed_at_ms = $3
WHERE seq = (
    SELECT seq FROM postrider_inbox AS next
    WHERE source = $4 AND consumer = $5 AND body IS NOT NULL AND state IN ('pending', 'running')
        AND ((state = 'pending' AND due_at_ms <= $3) OR (state = 'running' AND lease_ends_at_ms <= $3))
        AND (order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM postrider_inbox AS earlier
            WHERE earlier.source = next.source AND earlier.consumer = next.consumer
                AND earlier.order_key = next.order_key AND earlier.seq < next.seq
                AND earlier.state IN ('pending', 'running')))
    ORDER BY seq LIMIT 1 {lock})
RETURNING id, body, attempt, signed_at_seconds";

pub(crate) fn take(lock: &str) -> String {
    TAKE.replace("{lock}", lock)
}

/// End of the lease, now, token.
pub(crate) const HEARTBEAT: &str = "
UPDATE postrider_inbox SET lease_ends_at_ms = $1, changed_at_ms = $2
WHERE token = $3 AND state = 'running'";

/// Status, now, token.
pub(crate) const FINISH: &str = "
UPDATE postrider_inbox SET state = 'done', status = $1, token = NULL, error = NULL, changed_at_ms = $2
WHERE token = $3 AND state = 'running'";

/// Token.
pub(crate) const ATTEMPT: &str =
    "SELECT attempt FROM postrider_inbox WHERE token = $1 AND state = 'running'";

/// State, error, due time, now, token.
pub(crate) const FAIL: &str = "
UPDATE postrider_inbox SET state = $1, error = $2, due_at_ms = $3, token = NULL, changed_at_ms = $4
WHERE token = $5 AND state = 'running'";

/// Source, consumer.
pub(crate) const STATS: &str = "
SELECT state, count(*) FROM postrider_inbox WHERE source = $1 AND consumer = $2 GROUP BY state";

/// Now, source, consumer, id. One row unless it runs or is absent.
pub(crate) const REPROCESS: &str = "
UPDATE postrider_inbox SET
    state = CASE WHEN body IS NULL THEN 'failed' ELSE 'pending' END,
    attempt = 0, token = NULL, due_at_ms = $1, changed_at_ms = $1
WHERE source = $2 AND consumer = $3 AND id = $4
    AND NOT (state = 'running' AND lease_ends_at_ms > $1)";

/// Source, consumer, id.
pub(crate) const FORGET: &str =
    "DELETE FROM postrider_inbox WHERE source = $1 AND consumer = $2 AND id = $3";

/// Until.
pub(crate) const PURGE: &str = "
DELETE FROM postrider_inbox WHERE state IN ('done', 'failed', 'dead') AND changed_at_ms <= $1";

/// Source, consumer, id, hash, now. Transactional: one row where the handler is to run; a second
/// transaction with the same id waits here for the first.
pub(crate) const BEGIN_EFFECT: &str = "
INSERT INTO postrider_inbox
    (source, consumer, id, body_sha256, state, status, attempt, changed_at_ms)
VALUES ($1, $2, $3, $4, 'done', 500, 1, $5)
ON CONFLICT (source, consumer, id) DO UPDATE SET
    state = 'done', attempt = postrider_inbox.attempt + 1, changed_at_ms = excluded.changed_at_ms
WHERE postrider_inbox.body_sha256 = excluded.body_sha256 AND postrider_inbox.state = 'failed'
RETURNING attempt";

/// Status, source, consumer, id.
pub(crate) const END_EFFECT: &str =
    "UPDATE postrider_inbox SET status = $1 WHERE source = $2 AND consumer = $3 AND id = $4";

/// Key, token, end, now. One row, with the fence, where the lock is free.
pub(crate) const ACQUIRE: &str = "
INSERT INTO postrider_lock (key, token, fence, ends_at_ms) VALUES ($1, $2, 1, $3)
ON CONFLICT (key) DO UPDATE SET
    token = excluded.token, fence = postrider_lock.fence + 1, ends_at_ms = excluded.ends_at_ms
WHERE postrider_lock.token IS NULL OR postrider_lock.ends_at_ms <= $4
RETURNING fence";

/// Key.
pub(crate) const LOCKED_UNTIL: &str = "SELECT ends_at_ms FROM postrider_lock WHERE key = $1";

/// End, token.
pub(crate) const EXTEND: &str = "UPDATE postrider_lock SET ends_at_ms = $1 WHERE token = $2";

/// Token. The row stays, so that fences rise for ever.
pub(crate) const RELEASE: &str = "UPDATE postrider_lock SET token = NULL WHERE token = $1";

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    /// A table of 30 days is long: no step may read all of it.
    #[test]
    fn no_step_scans_the_inbox() {
        let connection = rusqlite::Connection::open_in_memory().expect("memory is there");
        connection.execute_batch(&sqlite_tables()).expect("the tables are sound");
        let take = take("");
        for step in [
            CLAIM,
            STANDING,
            ACCEPT,
            BURY,
            &take,
            HEARTBEAT,
            FINISH,
            ATTEMPT,
            FAIL,
            STATS,
            REPROCESS,
            FORGET,
            PURGE,
            BEGIN_EFFECT,
            END_EFFECT,
            ACQUIRE,
            LOCKED_UNTIL,
            EXTEND,
            RELEASE,
        ] {
            let mut explain =
                connection.prepare(&format!("EXPLAIN QUERY PLAN {step}")).expect("it is sound");
            // without its parameters bound: the plan does not ask for them
            let mut plan = explain.raw_query();
            while let Some(part) = plan.next().expect("it has a plan") {
                let part: String = part.get(3).expect("a text");
                assert!(!part.starts_with("SCAN"), "{part} in {step}");
                let is_over_scope = part.contains("(source=? AND consumer=?)");
                let is_whole = is_over_scope && part.contains("sqlite_autoindex");
                assert!(!is_whole || step == STATS, "{part} in {step}");
            }
        }
    }
}
