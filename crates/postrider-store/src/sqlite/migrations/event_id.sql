CREATE TABLE IF NOT EXISTS event_id_{n} (
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    event INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
