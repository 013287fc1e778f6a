/** The tables of the SQL stores, for those who make their own migrations. */

const columns = (types: { serial: string; bytes: string; integer: string }) => `
CREATE TABLE IF NOT EXISTS postrider_inbox (
  seq ${types.serial},
  source TEXT NOT NULL,
  consumer TEXT NOT NULL,
  id TEXT NOT NULL,
  body_sha256 TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed', 'dead')),
  attempt ${types.integer} NOT NULL,
  token TEXT,
  lease_ends_at_ms ${types.integer},
  due_at_ms ${types.integer},
  status ${types.integer},
  error TEXT,
  order_key TEXT,
  body ${types.bytes},
  signed_at_seconds ${types.integer},
  server_host TEXT,
  changed_at_ms ${types.integer} NOT NULL,
  UNIQUE (source, consumer, id)
);
CREATE INDEX IF NOT EXISTS postrider_inbox_open ON postrider_inbox (source, consumer, seq)
  WHERE state IN ('pending', 'running');
CREATE INDEX IF NOT EXISTS postrider_inbox_order ON postrider_inbox (source, consumer, order_key, seq)
  WHERE state IN ('pending', 'running') AND order_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS postrider_inbox_settled ON postrider_inbox (changed_at_ms)
  WHERE state IN ('done', 'failed', 'dead');
CREATE TABLE IF NOT EXISTS postrider_lock (
  key TEXT PRIMARY KEY,
  fence ${types.integer} NOT NULL,
  token TEXT,
  ends_at_ms ${types.integer} NOT NULL
);`;

export const sqliteSchema = columns({
  serial: "INTEGER PRIMARY KEY AUTOINCREMENT",
  bytes: "BLOB",
  integer: "INTEGER",
});

export const postgresSchema = columns({
  serial: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  bytes: "BYTEA",
  integer: "BIGINT",
});
