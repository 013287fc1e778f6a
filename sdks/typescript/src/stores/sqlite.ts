/**
 * The inbox in SQLite, on a connection of better-sqlite3. Give it one of its own: a
 * transaction stays open while a handler awaits.
 */
import { AsyncLocalStorage } from "node:async_hooks";

import { sqliteSchema } from "./schema.js";
import { SqlStore } from "./sql.js";
import type { Query, SqlDriver, SqlRow, SqlValue } from "./sql.js";

/** What is used of a connection. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

export interface SqliteStatement {
  all(...values: never[]): unknown[];
}

/** All three kinds of inbox, and locks. The handler's `tx` is the connection itself. */
export class SqliteStore<Database extends SqliteDatabase> extends SqlStore<Database> {
  /** Creates the tables unless they are there. */
  constructor(database: Database) {
    database.exec(sqliteSchema);
    super(new SqliteDriver(database));
  }
}

class SqliteDriver<Database extends SqliteDatabase> implements SqlDriver<Database> {
  /** One writer at a time is all that SQLite has. */
  readonly lockRows = "";
  readonly #database: Database;
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #open = new Set<string>();
  readonly #inTransaction = new AsyncLocalStorage<true>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(database: Database) {
    this.#database = database;
  }

  readonly query: Query = (sql, values) => this.#inTurn(() => this.#run(sql, values));

  async transaction<T>(
    name: string,
    work: (query: Query, tx: Database) => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#open.has(name)) return undefined;
    this.#open.add(name);
    try {
      return await this.#inTurn(() => this.#inTransaction.run(true, () => this.#transaction(work)));
    } finally {
      this.#open.delete(name);
    }
  }

  async #transaction<T>(work: (query: Query, tx: Database) => Promise<T>): Promise<T | undefined> {
    try {
      this.#database.exec("BEGIN IMMEDIATE");
    } catch (error) {
      // another process writes for longer than the connection's time-out
      if (isBusy(error)) return undefined;
      throw error;
    }
    try {
      const query: Query = (sql, values) =>
        new Promise((resolve) => {
          resolve(this.#run(sql, values));
        });
      const result = await work(query, this.#database);
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    try {
      this.#database.exec("ROLLBACK");
    } catch {
      // some failures (a full disk) have rolled back already
    }
  }

  /** Runs `step` once everything before it is over: the connection has one transaction. */
  #inTurn<T>(step: () => T | Promise<T>): Promise<T> {
    if (this.#inTransaction.getStore()) {
      const message =
        "the store waits for this very handler: inside of a transactional handler use `tx`, " +
        "and for locks or other inboxes a store on a second connection";
      return Promise.reject(new Error(message));
    }
    const result = this.#turn.then(step);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #run(sql: string, values: readonly SqlValue[]): SqlRow[] {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    // `$1` is a named parameter here
    const named = Object.fromEntries(values.map((value, at) => [at + 1, value]));
    return statement.all(named as never) as SqlRow[];
  }
}

function isBusy(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && code.startsWith("SQLITE_BUSY");
}
