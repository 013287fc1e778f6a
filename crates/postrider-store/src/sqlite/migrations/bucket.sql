CREATE TABLE event_{n} (key INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, event BLOB NOT NULL) STRICT;
CREATE TABLE history_{n} (
    key INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    entry BLOB NOT NULL
) STRICT;
CREATE TABLE matching_{n} (key INTEGER PRIMARY KEY, matching BLOB NOT NULL) STRICT;
CREATE TABLE event_by_tenant_{n} (
    tenant INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (tenant, event)
) STRICT, WITHOUT ROWID;
CREATE TABLE history_by_delivery_{n} (
    event INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    history INTEGER NOT NULL,
    PRIMARY KEY (event, webhook, history)
) STRICT, WITHOUT ROWID;
CREATE TABLE history_by_webhook_{n} (
    webhook INTEGER NOT NULL,
    history INTEGER NOT NULL,
    PRIMARY KEY (webhook, history)
) STRICT, WITHOUT ROWID;
