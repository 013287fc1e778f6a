CREATE TABLE trouble_{n} (
    event INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    what INTEGER NOT NULL,
    PRIMARY KEY (event, webhook, what)
) STRICT, WITHOUT ROWID;
CREATE INDEX trouble_by_webhook_{n} ON trouble_{n} (webhook, event);
