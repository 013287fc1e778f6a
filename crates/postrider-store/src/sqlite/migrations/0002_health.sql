-- How webhooks fare. One row for each webhook that ever failed or succeeded lately; written with
-- the outcomes that it tells of.
CREATE TABLE health (
    webhook INTEGER PRIMARY KEY,
    counted_from INTEGER NOT NULL,
    failures_in_a_row INTEGER NOT NULL,
    failing_since INTEGER,
    is_reported INTEGER NOT NULL,
    last_success_at INTEGER,
    last_failure_at INTEGER
) STRICT;

-- What was counted, in slots of time. The time comes first: what a flush writes lies together,
-- and what retention takes is a range at the front.
CREATE TABLE webhook_slot (
    at INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    tally BLOB NOT NULL,
    PRIMARY KEY (at, webhook)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant_slot (
    at INTEGER NOT NULL,
    tenant INTEGER NOT NULL,
    tally BLOB NOT NULL,
    PRIMARY KEY (at, tenant)
) STRICT, WITHOUT ROWID;
