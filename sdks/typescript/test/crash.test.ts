/**
 * The crash test: a receiver killed with SIGKILL at random moments. With the effect in
 * the inbox's transaction every event has it exactly once; with leases at least once.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import Database from "better-sqlite3";
import { Redis } from "ioredis";
import pg from "pg";

import { PostgresStore } from "@postrider/receiver/postgres";
import { RedisStore } from "@postrider/receiver/redis";

import { crash, size } from "./support/crash.js";
import { startPostgres } from "./support/postgres.js";
import { startRedis } from "./support/redis.js";

const HOUR_MS = 3_600_000;

describe(`${size.deliveries} deliveries, ${size.kills} kills`, { timeout: HOUR_MS }, () => {
  test("SQLite, transactional: every effect happens exactly once", async () => {
    const folder = mkdtempSync(join(tmpdir(), "postrider-crash-"));
    const path = join(folder, "inbox.sqlite");
    const database = new Database(path);
    database.exec("CREATE TABLE effect (id TEXT NOT NULL)");
    const { ids, kills, interrupted } = await crash("sqlite", path);
    const effects = database.prepare<[], { id: string }>("SELECT id FROM effect").all();
    database.close();
    rmSync(folder, { recursive: true });
    assert.equal(kills, size.kills);
    assert.ok(interrupted > 0, "kills hit deliveries");
    assert.deepEqual(effects.map(({ id }) => id).sort(), ids.sort());
  });

  test("PostgreSQL, transactional: every effect happens exactly once", async () => {
    const cluster = await startPostgres();
    const pool = new pg.Pool({ host: cluster.host, user: "postgres", database: "postgres" });
    await pool.query("CREATE TABLE effect (id TEXT NOT NULL)");
    await new PostgresStore(pool).setup();
    const { ids, kills, interrupted } = await crash("postgres", cluster.host);
    const { rows } = await pool.query<{ id: string }>("SELECT id FROM effect");
    await pool.end();
    await cluster.stop();
    assert.equal(kills, size.kills);
    assert.ok(interrupted > 0, "kills hit deliveries");
    assert.deepEqual(rows.map(({ id }) => id).sort(), ids.sort());
  });

  test("Redis, leased: every event is done, its effect at least once, by one claim each", async () => {
    const server = await startRedis();
    const { ids, kills, interrupted } = await crash("redis", server.path);
    const client = new Redis({ path: server.path });
    const stats = await new RedisStore(client).stats({ source: "postrider", consumer: "crash" });
    for (const id of ids) {
      const attempts = await client.lrange(`effect:${id}`, 0, -1);
      assert.ok(attempts.length >= 1, id);
      // a claim that is taken over counts on: two of one number would be two holders
      assert.equal(new Set(attempts).size, attempts.length, `${id}: ${attempts.join()}`);
    }
    await client.quit();
    await server.stop();
    assert.equal(kills, size.kills);
    assert.ok(interrupted > 0, "kills hit deliveries");
    assert.deepEqual(stats, { pending: 0, running: 0, done: ids.length, failed: 0, dead: 0 });
  });
});
