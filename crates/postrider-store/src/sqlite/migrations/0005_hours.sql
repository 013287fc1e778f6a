-- What was counted once more by the hour, for looks far back and at many webhooks at once. Filled from
-- the finer slots that are there.
CREATE TABLE webhook_hour (
    at INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    tally BLOB NOT NULL,
    PRIMARY KEY (at, webhook)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant_hour (
    at INTEGER NOT NULL,
    tenant INTEGER NOT NULL,
    tally BLOB NOT NULL,
    PRIMARY KEY (at, tenant)
) STRICT, WITHOUT ROWID;
