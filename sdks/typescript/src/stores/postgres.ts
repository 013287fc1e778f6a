/** The inbox in PostgreSQL 11 or newer, on a pool of `pg`. */
import { postgresSchema } from "./schema.js";
import { SqlStore } from "./sql.js";
import type { Query, SqlDriver, SqlRow } from "./sql.js";

/** What is used of a pool. */
export interface PostgresPool<Client extends PostgresClient> extends PostgresQueryable {
  connect(): Promise<Client>;
}

export interface PostgresClient extends PostgresQueryable {
  release(error?: Error | boolean): void;
}

export interface PostgresQueryable {
  query(sql: string, values?: unknown[]): Promise<{ rows: SqlRow[]; command: string }>;
}

/** Any number; one lock of this name keeps two processes from creating at once. */
const SETUP_LOCK = 7_205_759_403;

/** All three kinds of inbox, and locks. The handler's `tx` is a client in a transaction. */
export class PostgresStore<Client extends PostgresClient> extends SqlStore<Client> {
  readonly #pool: PostgresPool<Client>;

  constructor(pool: PostgresPool<Client>) {
    super(new PostgresDriver(pool));
    this.#pool = pool;
  }

  /** Creates the tables unless they are there. */
  async setup(): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await client.query("SELECT pg_advisory_xact_lock($1)", [SETUP_LOCK]);
      await client.query(postgresSchema);
    });
  }
}

class PostgresDriver<Client extends PostgresClient> implements SqlDriver<Client> {
  readonly lockRows = "FOR UPDATE SKIP LOCKED";
  readonly #pool: PostgresPool<Client>;

  constructor(pool: PostgresPool<Client>) {
    this.#pool = pool;
  }

  readonly query: Query = async (sql, values) => (await this.#pool.query(sql, [...values])).rows;

  transaction<T>(
    name: string,
    work: (query: Query, tx: Client) => Promise<T>,
  ): Promise<T | undefined> {
    return inTransaction(this.#pool, async (client) => {
      // otherwise a second delivery would hold a connection until the first is over
      const { rows } = await client.query(
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS is_free",
        [name],
      );
      if (rows[0]?.["is_free"] !== true) return undefined;
      return work(async (sql, values) => (await client.query(sql, [...values])).rows, client);
    });
  }
}

async function inTransaction<Client extends PostgresClient, T>(
  pool: PostgresPool<Client>,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const result = await work(client);
    const { command } = await client.query("COMMIT");
    // PostgreSQL's polite answer to committing what an error has ended already
    if (command === "ROLLBACK")
      throw new Error("the transaction had failed; nothing was committed");
    client.release();
    return result;
  } catch (error) {
    await rollBack(client);
    throw error;
  }
}

async function rollBack(client: PostgresClient): Promise<void> {
  try {
    await client.query("ROLLBACK");
    client.release();
  } catch {
    // a connection that can't roll back is of no more use
    client.release(true);
  }
}
