-- Replays, and the deliveries that they added to events after these were accepted.

CREATE TABLE replay (
    key INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    webhook INTEGER,
    is_running INTEGER NOT NULL,
    finished_at INTEGER,
    replay BLOB NOT NULL
) STRICT;
CREATE INDEX replay_by_tenant ON replay (tenant, key);
CREATE INDEX replay_by_webhook ON replay (webhook, key) WHERE webhook IS NOT NULL;
CREATE INDEX replay_running ON replay (key) WHERE is_running = 1;
CREATE INDEX replay_finished ON replay (finished_at) WHERE finished_at IS NOT NULL;

-- Deliveries that no matching names. Few, and clustered by event, so that those of a bucket go
-- in one range with it.
CREATE TABLE added (
    event INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (event, webhook)
) STRICT, WITHOUT ROWID;
