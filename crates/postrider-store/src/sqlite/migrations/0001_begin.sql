-- What is there once. What grows with time is in buckets: see bucket.sql.

-- Terms of the accounting identity; one row.
CREATE TABLE counter (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    events INTEGER NOT NULL,
    deliveries_created INTEGER NOT NULL,
    deliveries_finished INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (1, 0, 0, 0);

-- bucket_ms: the width of a bucket, fixed when the file is made.
-- kept_below: buckets before this one may have events in event_kept.
CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO setting VALUES ('kept_below', -9223372036854775808);

CREATE TABLE tenant (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_key (
    key INTEGER PRIMARY KEY,
    tenant INTEGER,
    scope INTEGER NOT NULL,
    description TEXT,
    hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE webhook (
    key INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    deleted_at INTEGER,
    webhook BLOB NOT NULL
) STRICT;
CREATE INDEX webhook_deleted ON webhook (deleted_at) WHERE deleted_at IS NOT NULL;

-- Exactly the unfinished deliveries, in the order in which they are due. No other index: it is
-- hot, and how a delivery stands, its due time included, follows from its history.
CREATE TABLE pending (
    webhook INTEGER NOT NULL,
    due INTEGER NOT NULL,
    event INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    scheduled INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    resume INTEGER,
    PRIMARY KEY (webhook, due, event)
) STRICT, WITHOUT ROWID;

-- The buckets that are there. Rows with keys above a mark are not in the list indexes yet.
CREATE TABLE bucket (
    number INTEGER PRIMARY KEY,
    event_mark INTEGER NOT NULL,
    history_mark INTEGER NOT NULL
) STRICT;

-- Tables of buckets that are gone for every reader, waiting to be dropped one by one.
CREATE TABLE doomed (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- What outlives its bucket because a delivery of it is still pending.
CREATE TABLE event_kept (
    key INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    matching INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    event BLOB NOT NULL
) STRICT;
CREATE INDEX event_kept_by_tenant ON event_kept (tenant, key);
CREATE INDEX event_kept_by_matching ON event_kept (matching);
CREATE INDEX event_kept_finished ON event_kept (key) WHERE pending = 0;

CREATE TABLE event_id_kept (
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    event INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE matching_kept (key INTEGER PRIMARY KEY, matching BLOB NOT NULL) STRICT;

-- How a delivery of a kept event stood when the history that said so was dropped.
CREATE TABLE standing_kept (
    event INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    standing BLOB NOT NULL,
    PRIMARY KEY (event, webhook)
) STRICT, WITHOUT ROWID;
