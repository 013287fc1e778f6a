/** Every store, fresh for each test, behind one shape. */
import { randomUUID } from "node:crypto";

import Database from "better-sqlite3";
import { Redis } from "ioredis";
import pg from "pg";

import { MemoryStore } from "@postrider/receiver";
import type { LeasedStore, LockStore, QueuedStore, TransactionalStore } from "@postrider/receiver";
import { PostgresStore } from "@postrider/receiver/postgres";
import { RedisStore } from "@postrider/receiver/redis";
import { SqliteStore } from "@postrider/receiver/sqlite";

import { startPostgres } from "./postgres.js";
import { startRedis } from "./redis.js";

/** One fresh store. */
export interface Opened {
  readonly store: LeasedStore & QueuedStore & LockStore;
  readonly transactional?: Transactional;
  close(): Promise<void>;
}

/** A store that commits effects with its rows, and the table that they go to. */
export interface Transactional {
  readonly store: TransactionalStore<unknown>;
  addEffect(tx: unknown, id: string): Promise<void>;
  effects(): Promise<string[]>;
}

/** A kind of store with its server, if it has one. */
export interface Kind {
  open(): Promise<Opened>;
  stop(): Promise<void>;
}

export const kinds: Record<string, () => Promise<Kind>> = {
  memory: () => Promise.resolve({ open: openMemory, stop: nothing }),
  sqlite: () => Promise.resolve({ open: openSqlite, stop: nothing }),
  postgres: startPostgresKind,
  redis: startRedisKind,
};

const EFFECTS = "CREATE TABLE effect (seq INTEGER PRIMARY KEY, id TEXT NOT NULL)";

function openMemory(): Promise<Opened> {
  return Promise.resolve({ store: new MemoryStore(), close: nothing });
}

function openSqlite(): Promise<Opened> {
  const database = new Database(":memory:");
  database.exec(EFFECTS);
  const store = new SqliteStore(database);
  return Promise.resolve({
    store,
    transactional: {
      store,
      addEffect: async (tx, id) => {
        // a handler that awaits must not let others into its transaction
        await new Promise(setImmediate);
        (tx as typeof database).prepare("INSERT INTO effect (id) VALUES (?)").run(id);
      },
      effects: () => {
        const rows = database.prepare<[], { id: string }>("SELECT id FROM effect ORDER BY seq");
        return Promise.resolve(rows.all().map((row) => row.id));
      },
    },
    close: () => Promise.resolve(void database.close()),
  });
}

async function startPostgresKind(): Promise<Kind> {
  const cluster = await startPostgres();
  const admin = new pg.Pool({ host: cluster.host, user: "postgres", database: "postgres", max: 1 });
  const open = async (): Promise<Opened> => {
    const schema = `test_${randomUUID().replaceAll("-", "")}`;
    await admin.query(`CREATE SCHEMA ${schema}`);
    const options = `-c search_path=${schema}`;
    const pool = new pg.Pool({ host: cluster.host, user: "postgres", options, max: 4 });
    await pool.query(EFFECTS.replace("INTEGER", "BIGINT GENERATED ALWAYS AS IDENTITY"));
    const store = new PostgresStore(pool);
    await store.setup();
    await store.setup();
    return {
      store,
      transactional: {
        store,
        addEffect: async (tx, id) => {
          await (tx as pg.PoolClient).query("INSERT INTO effect (id) VALUES ($1)", [id]);
        },
        effects: async () => {
          const { rows } = await pool.query<{ id: string }>("SELECT id FROM effect ORDER BY seq");
          return rows.map((row) => row.id);
        },
      },
      close: () => pool.end(),
    };
  };
  const stop = async () => {
    await admin.end();
    await cluster.stop();
  };
  return { open, stop };
}

async function startRedisKind(): Promise<Kind> {
  const server = await startRedis();
  const open = (): Promise<Opened> => {
    const client = new Redis({ path: server.path });
    const store = new RedisStore(client, { prefix: `test:${randomUUID()}` });
    const close = async () => {
      await client.quit();
    };
    return Promise.resolve({ store, close });
  };
  return { open, stop: () => server.stop() };
}

function nothing(): Promise<void> {
  return Promise.resolve();
}
