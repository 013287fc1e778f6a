//! The statements that SQLite and PostgreSQL share: one for each step, atomic by itself.
//!
//! Parameters are `$1`, `$2`, … in the order in which they first appear: SQLite numbers named ones
//! so. Times are milliseconds since 1970; hashes and bodies are bytes.

/// `{bytes}` is what the engine calls a column of bytes.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS postrider_inbox (
    source TEXT NOT NULL,
    consumer TEXT NOT NULL,
    id TEXT NOT NULL,
    body_sha256 {bytes} NOT NULL,
    state TEXT NOT NULL,
    status INTEGER,
    attempt INTEGER NOT NULL,
    token TEXT,
    lease_until_ms BIGINT,
    due_at_ms BIGINT,
    place BIGINT,
    order_key TEXT,
    body {bytes},
    error TEXT,
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (source, consumer, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS postrider_inbox_token ON postrider_inbox (token)
    WHERE token IS NOT NULL;
CREATE INDEX IF NOT EXISTS postrider_inbox_unfinished ON postrider_inbox (source, consumer, place)
    WHERE state IN ('pending', 'running') AND place IS NOT NULL;
CREATE INDEX IF NOT EXISTS postrider_inbox_settled ON postrider_inbox (changed_at_ms)
    WHERE state IN ('done', 'failed', 'dead');
CREATE TABLE IF NOT EXISTS postrider_inbox_place (only_row INTEGER PRIMARY KEY, last BIGINT NOT NULL);
INSERT INTO postrider_inbox_place VALUES (1, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS postrider_lock (
    lock_key TEXT PRIMARY KEY,
    token TEXT,
    fence BIGINT NOT NULL,
    until_ms BIGINT NOT NULL
);
";

pub(crate) fn tables(bytes: &str) -> String {
    TABLES.replace("{bytes}", bytes)
}

/// Source, consumer, id, hash, token, end of the lease, now. Claim and takeover in one: answers
/// with the attempt where there is one to make.
pub(crate) const CLAIM: &str = "
INSERT INTO postrider_inbox
    (source, consumer, id, body_sha256, state, attempt, token, lease_until_ms, changed_at_ms)
VALUES ($1, $2, $3, $4, 'running', 1, $5, $6, $7)
ON CONFLICT (source, consumer, id) DO UPDATE SET
    state = 'running', attempt = postrider_inbox.attempt + 1, token = excluded.token,
    lease_until_ms = excluded.lease_until_ms, changed_at_ms = excluded.changed_at_ms
WHERE postrider_inbox.body_sha256 = excluded.body_sha256
    AND (postrider_inbox.state IN ('pending', 'failed', 'dead')
        OR (postrider_inbox.state = 'running'
            AND postrider_inbox.lease_until_ms <= excluded.changed_at_ms))
RETURNING attempt";

/// Source, consumer, id. How a row stands that could not be claimed or accepted.
pub(crate) const STANDING: &str = "
SELECT body_sha256, state, status, lease_until_ms FROM postrider_inbox
WHERE source = $1 AND consumer = $2 AND id = $3";

/// The next place in the order of accepting.
pub(crate) const NEXT_PLACE: &str =
    "UPDATE postrider_inbox_place SET last = last + 1 WHERE only_row = 1 RETURNING last";

/// Source, consumer, id, hash, now, place, order key, body. One row where it is new.
pub(crate) const ACCEPT: &str = "
INSERT INTO postrider_inbox (source, consumer, id, body_sha256, state, attempt,
    changed_at_ms, due_at_ms, place, order_key, body)
VALUES ($1, $2, $3, $4, 'pending', 0, $5, $5, $6, $7, $8)
ON CONFLICT (source, consumer, id) DO NOTHING";

/// Now, source, consumer, attempts. Vanished workers have used up all attempts of these.
pub(crate) const BURY: &str = "
UPDATE postrider_inbox SET state = 'dead', token = NULL, changed_at_ms = $1
WHERE source = $2 AND consumer = $3 AND place IS NOT NULL AND state = 'running'
    AND lease_until_ms <= $1 AND attempt >= $4";

/// Token, end of the lease, now, source, consumer. `{lock}` keeps workers of PostgreSQL from
/// waiting for one another.
const TAKE: &str = "
UPDATE postrider_inbox SET
    state = 'running', attempt = attempt + 1, token = $1, lease_until_ms = $2, changed_at_ms = $3
WHERE (source, consumer, id) = (
    SELECT source, consumer, id FROM postrider_inbox AS next
    WHERE source = $4 AND consumer = $5 AND place IS NOT NULL
        AND ((state = 'pending' AND due_at_ms <= $3) OR (state = 'running' AND lease_until_ms <= $3))
        AND (order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM postrider_inbox AS earlier
            WHERE earlier.source = next.source AND earlier.consumer = next.consumer
                AND earlier.order_key = next.order_key AND earlier.place < next.place
                AND earlier.state IN ('pending', 'running')))
    ORDER BY place LIMIT 1 {lock})
RETURNING id, body, attempt";

pub(crate) fn take(lock: &str) -> String {
    TAKE.replace("{lock}", lock)
}

/// End of the lease, now, token.
pub(crate) const HEARTBEAT: &str = "
UPDATE postrider_inbox SET lease_until_ms = $1, changed_at_ms = $2
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
    AND NOT (state = 'running' AND lease_until_ms > $1)";

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
INSERT INTO postrider_lock (lock_key, token, fence, until_ms) VALUES ($1, $2, 1, $3)
ON CONFLICT (lock_key) DO UPDATE SET
    token = excluded.token, fence = postrider_lock.fence + 1, until_ms = excluded.until_ms
WHERE postrider_lock.token IS NULL OR postrider_lock.until_ms <= $4
RETURNING fence";

/// Key.
pub(crate) const LOCKED_UNTIL: &str = "SELECT until_ms FROM postrider_lock WHERE lock_key = $1";

/// End, token.
pub(crate) const EXTEND: &str = "UPDATE postrider_lock SET until_ms = $1 WHERE token = $2";

/// Token. The row stays, so that fences rise for ever.
pub(crate) const RELEASE: &str = "UPDATE postrider_lock SET token = NULL WHERE token = $1";
