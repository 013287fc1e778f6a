"""Every statement of the SQL stores. Nothing from outside is ever written into one.

The tables are those of the TypeScript SDK, so that one can accept what the other works on.
Parameters are written `:name`; a driver with another spelling translates them.
"""

# {serial}, {bytes} and {integer} are a database's own types
SCHEMA = """
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
CREATE TABLE IF NOT EXISTS postrider_lock (
    key TEXT PRIMARY KEY,
    fence {integer} NOT NULL,
    token TEXT,
    ends_at_ms {integer} NOT NULL
);
"""

_OF_KEY = "source = :source AND consumer = :consumer AND id = :id"
_OF_HOLDER = f"{_OF_KEY} AND token = :token AND state = 'running'"

# An event that is known may be claimed with the same body, unless it is done or runs elsewhere
_IS_FREE = """known.body_sha256 = excluded.body_sha256 AND known.state <> 'done'
    AND (known.state <> 'running' OR known.lease_ends_at_ms <= :now_ms)"""

FIND = f"""
SELECT state, body_sha256, status, due_at_ms, lease_ends_at_ms FROM postrider_inbox WHERE {_OF_KEY}
"""

CLAIM = f"""
INSERT INTO postrider_inbox AS known (source, consumer, id, body_sha256, state, attempt, token,
    lease_ends_at_ms, changed_at_ms)
VALUES (:source, :consumer, :id, :body_sha256, 'running', 1, :token, :lease_ends_at_ms, :now_ms)
ON CONFLICT (source, consumer, id) DO UPDATE SET state = 'running', attempt = known.attempt + 1,
    token = excluded.token, lease_ends_at_ms = excluded.lease_ends_at_ms,
    changed_at_ms = excluded.changed_at_ms
WHERE {_IS_FREE} RETURNING attempt
"""

# An event that failed without its body being stored gets it now
ACCEPT = """
INSERT INTO postrider_inbox AS known (source, consumer, id, body_sha256, state, attempt, due_at_ms,
    order_key, body, signed_at_seconds, server_host, changed_at_ms)
VALUES (:source, :consumer, :id, :body_sha256, 'pending', 0, :now_ms,
    :order_key, :body, :signed_at_seconds, :server_host, :now_ms)
ON CONFLICT (source, consumer, id) DO UPDATE SET state = 'pending', attempt = 0,
    due_at_ms = excluded.due_at_ms, order_key = excluded.order_key, body = excluded.body,
    signed_at_seconds = excluded.signed_at_seconds, server_host = excluded.server_host,
    changed_at_ms = excluded.changed_at_ms
WHERE known.body_sha256 = excluded.body_sha256 AND known.state = 'failed'
RETURNING seq
"""

BURY = """
UPDATE postrider_inbox SET state = 'dead', token = NULL, changed_at_ms = :now_ms,
    error = 'the lease of the last attempt expired'
WHERE source = :source AND consumer = :consumer
    AND state IN ('pending', 'running') AND state = 'running' -- the first for the partial index
    AND lease_ends_at_ms <= :now_ms AND attempt >= :attempts_max AND body IS NOT NULL
"""

TAKE = """
UPDATE postrider_inbox SET state = 'running', attempt = attempt + 1, token = :token,
    lease_ends_at_ms = :lease_ends_at_ms, changed_at_ms = :now_ms
WHERE seq = (
    SELECT seq FROM postrider_inbox AS due
    WHERE source = :source AND consumer = :consumer AND state IN ('pending', 'running')
        AND (CASE state WHEN 'pending' THEN due_at_ms ELSE lease_ends_at_ms END) <= :now_ms
        AND body IS NOT NULL
        AND (order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM postrider_inbox AS earlier
            WHERE earlier.source = due.source AND earlier.consumer = due.consumer
                AND earlier.order_key = due.order_key AND earlier.seq < due.seq
                AND earlier.state IN ('pending', 'running')))
    ORDER BY seq LIMIT 1 {lock_row}
)
RETURNING id, body, signed_at_seconds, server_host, attempt
"""

HEARTBEAT = f"""
UPDATE postrider_inbox SET lease_ends_at_ms = :lease_ends_at_ms WHERE {_OF_HOLDER} RETURNING seq
"""

SETTLE = f"""
UPDATE postrider_inbox SET state = :state, status = :status, error = :error, token = NULL,
    due_at_ms = :due_at_ms, changed_at_ms = :now_ms
WHERE {_OF_HOLDER} RETURNING seq
"""

# What a handler gives that doesn't say otherwise
STATUS = 200

PROCESS = f"""
INSERT INTO postrider_inbox AS known (source, consumer, id, body_sha256, state, attempt, status,
    changed_at_ms)
VALUES (:source, :consumer, :id, :body_sha256, 'done', 1, {STATUS}, :now_ms)
ON CONFLICT (source, consumer, id) DO UPDATE SET state = 'done', attempt = known.attempt + 1,
    status = excluded.status, token = NULL, error = NULL, changed_at_ms = excluded.changed_at_ms
WHERE {_IS_FREE} RETURNING seq
"""

SET_STATUS = f"UPDATE postrider_inbox SET status = :status WHERE {_OF_KEY}"

STATS = """
SELECT state, count(*) FROM postrider_inbox
WHERE source = :source AND consumer = :consumer GROUP BY state
"""

REPROCESS = f"""
UPDATE postrider_inbox SET state = CASE WHEN body IS NULL THEN 'failed' ELSE 'pending' END,
    attempt = 0, due_at_ms = :now_ms, changed_at_ms = :now_ms
WHERE {_OF_KEY} AND state <> 'running' RETURNING seq
"""

FORGET = f"DELETE FROM postrider_inbox WHERE {_OF_KEY} RETURNING seq"

PURGE = """
DELETE FROM postrider_inbox
WHERE state IN ('done', 'failed', 'dead') AND changed_at_ms <= :settled_by_ms RETURNING seq
"""

ACQUIRE = """
INSERT INTO postrider_lock AS known (key, fence, token, ends_at_ms)
VALUES (:key, 1, :token, :ends_at_ms)
ON CONFLICT (key) DO UPDATE SET fence = known.fence + 1, token = excluded.token,
    ends_at_ms = excluded.ends_at_ms
WHERE known.token IS NULL OR known.ends_at_ms <= :now_ms
RETURNING fence
"""

LOCK_END = "SELECT ends_at_ms FROM postrider_lock WHERE key = :key"

EXTEND = """
UPDATE postrider_lock SET ends_at_ms = :ends_at_ms WHERE key = :key AND token = :token
RETURNING key
"""

RELEASE = "UPDATE postrider_lock SET token = NULL WHERE key = :key AND token = :token RETURNING key"
