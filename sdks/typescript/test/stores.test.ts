/** What is particular to one store, and locks and tokens on all of them. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import Database from "better-sqlite3";
import pg from "pg";
import { createClient } from "redis";

import { LeaseLostError, LockHeldError, TransactionalInbox, withLock } from "@postrider/receiver";
import type { Claim } from "@postrider/receiver";
import { PostgresStore } from "@postrider/receiver/postgres";
import { fromNodeRedis, RedisStore } from "@postrider/receiver/redis";
import { SqliteStore } from "@postrider/receiver/sqlite";

import { reports, signal, verifiedEvent } from "./support/deliveries.js";
import { startPostgres } from "./support/postgres.js";
import type { Cluster } from "./support/postgres.js";
import { startRedis } from "./support/redis.js";
import { kinds } from "./support/stores.js";
import type { Kind, Opened } from "./support/stores.js";

/** Random, but the same in every run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

for (const [name, start] of Object.entries(kinds)) {
  describe(`tokens and locks on ${name}`, () => {
    let kind: Kind;
    let opened: Opened;
    before(async () => {
      kind = await start();
      opened = await kind.open();
    });
    after(async () => {
      await opened.close();
      await kind.stop();
    });

    test("no two tokens of an event are ever valid together", async () => {
      const { store } = opened;
      const random = randomNumbers(7);
      const key = { source: "postrider", consumer: "tokens", id: "evt_1" };
      const settled = (nowMs: number) => ({ nowMs, retentionMs: 30 * 86_400_000 });
      const claims: Claim[] = [];
      let nowMs = 1_753_678_680_000;
      for (let step = 0; step < 200; step += 1) {
        nowMs += random(15_000);
        const result = await store.claim(key, "sha", { nowMs, leaseMs: 10_000 });
        if (result.outcome === "claimed") claims.push(result.claim);
        const newest = claims.slice(-4);
        const held = await Promise.all(
          newest.map((claim) => store.heartbeat(claim, nowMs + random(10_000))),
        );
        const last = held.lastIndexOf(true);
        assert.ok(held.filter(Boolean).length <= 1, `step ${step}: ${held.join()}`);
        assert.ok(last === -1 || last === held.length - 1, "only the newest can be valid");
        const claim = newest.at(-1);
        if (claim && random(8) === 0) await store.fail(claim, "no disk", settled(nowMs));
      }
      assert.ok(claims.length > 20);
    });

    test("one holder at a time works under a lock, with rising fences", async () => {
      const fences: number[] = [];
      let inside = 0;
      const work = () =>
        withLock(opened.store, "repo:1", { ttlMs: 5_000, waitMs: 20_000 }, async ({ fence }) => {
          inside += 1;
          assert.equal(inside, 1);
          await new Promise(setImmediate);
          inside -= 1;
          fences.push(fence);
        });
      await Promise.all(Array.from({ length: 8 }, work));
      assert.equal(fences.length, 8);
      assert.deepEqual(
        fences,
        [...fences].sort((a, b) => a - b),
      );
    });

    test("a lock that is held elsewhere is refused, and given back after a throw", async () => {
      const [started, finish] = [signal(), signal()];
      const first = withLock(opened.store, "repo:2", { ttlMs: 5_000 }, async () => {
        started.resolve();
        await finish.promise;
        throw new Error("no disk");
      });
      await started.promise;
      const options = { ttlMs: 5_000 };
      await assert.rejects(
        withLock(opened.store, "repo:2", options, () => 1),
        (error) => error instanceof LockHeldError && error.retryAfterSeconds >= 1,
      );
      finish.resolve();
      await assert.rejects(first, /no disk/);
      assert.equal(await withLock(opened.store, "repo:2", options, () => 1), 1);
    });

    test("work whose lock was taken over is told and fails", async () => {
      const { store } = opened;
      const behind = () => Date.now() - 3_600_000;
      const work = withLock(
        store,
        "repo:3",
        { ttlMs: 60, now: behind },
        async ({ signal: lost }) => {
          const taken = await store.acquire("repo:3", 5_000, Date.now());
          assert.equal(taken.outcome, "acquired");
          await new Promise<void>((resolve) => {
            lost.addEventListener("abort", () => {
              resolve();
            });
          });
        },
      );
      await assert.rejects(work, LeaseLostError);
    });
  });
}

describe("SQLite", () => {
  test("a handler that would wait for itself is told so", async () => {
    const database = new Database(":memory:");
    const store = new SqliteStore(database);
    const { list, report } = reports();
    const inbox = new TransactionalInbox<typeof database>(
      store,
      { consumer: "self", report },
      async () => {
        await inbox.stats();
      },
    );
    assert.equal((await inbox.deliver(verifiedEvent("evt_1"))).status, 500);
    assert.match(String(list[0]?.error), /second connection/);
    assert.equal((await inbox.stats()).done, 0);
    database.close();
  });

  test("other work waits for the transaction that is open, and is not part of it", async () => {
    const database = new Database(":memory:");
    const store = new SqliteStore(database);
    const { report } = reports();
    const [started, finish] = [signal(), signal()];
    const inbox = new TransactionalInbox(store, { consumer: "wait", report }, async () => {
      started.resolve();
      await finish.promise;
      throw new Error("no disk");
    });
    const failed = inbox.deliver(verifiedEvent("evt_1"));
    await started.promise;
    const lock = store.acquire("repo:1", 5_000, Date.now());
    finish.resolve();
    assert.equal((await failed).status, 500);
    assert.equal((await lock).outcome, "acquired");
    assert.equal((await store.acquire("repo:1", 5_000, Date.now())).outcome, "held_elsewhere");
    database.close();
  });
});

describe("PostgreSQL", () => {
  let cluster: Cluster;
  let pool: pg.Pool;
  let store: PostgresStore<pg.PoolClient>;
  before(async () => {
    cluster = await startPostgres();
    pool = new pg.Pool({ host: cluster.host, user: "postgres", database: "postgres" });
    store = new PostgresStore(pool);
    await Promise.all([store.setup(), store.setup(), store.setup()]);
  });
  after(async () => {
    await pool.end();
    await cluster.stop();
  });

  test("a handler that swallows an error of the database does not pass for a success", async () => {
    const inbox = new TransactionalInbox(store, { consumer: "swallow" }, async (_, tx) => {
      await tx.query("SELECT 1 / 0").catch(() => undefined);
    });
    await assert.rejects(inbox.deliver(verifiedEvent("evt_1")), /transaction is aborted/);
    assert.equal((await inbox.stats()).done, 0);
  });

  test("a handler that ends the transaction does not pass for a success", async () => {
    const inbox = new TransactionalInbox(store, { consumer: "ends" }, async (_, tx) => {
      await tx.query("ROLLBACK");
    });
    await assert.rejects(inbox.deliver(verifiedEvent("evt_1")), /took back/);
    assert.equal((await inbox.stats()).done, 0);
  });

  test("a delivery of an event that is being handled does not wait for a connection", async () => {
    const [started, finish] = [signal(), signal()];
    const inbox = new TransactionalInbox(store, { consumer: "busy" }, async () => {
      started.resolve();
      await finish.promise;
    });
    const event = verifiedEvent("evt_1");
    const first = inbox.deliver(event);
    await started.promise;
    const others = await Promise.all(Array.from({ length: 20 }, () => inbox.deliver(event)));
    assert.ok(others.every(({ status, outcome }) => status === 409 && outcome === "running"));
    finish.resolve();
    assert.equal((await first).status, 200);
  });
});

describe("Redis", () => {
  test("the package `redis` is a client too", async () => {
    const server = await startRedis();
    const client = createClient({ socket: { path: server.path, tls: false } });
    await client.connect();
    const store = new RedisStore(fromNodeRedis(client));
    const key = { source: "postrider", consumer: "node-redis", id: "evt_1" };
    const lease = { nowMs: Date.now(), leaseMs: 30_000 };
    assert.equal((await store.claim(key, "sha", lease)).outcome, "claimed");
    assert.equal((await store.claim(key, "sha", lease)).outcome, "running");
    await client.quit();
    await server.stop();
  });

  test("what is settled expires by itself, and what is pending does not", async () => {
    const server = await startRedis();
    const client = createClient({ socket: { path: server.path, tls: false } });
    await client.connect();
    const store = new RedisStore(fromNodeRedis(client));
    const name = { source: "postrider", consumer: "expiry" };
    const nowMs = Date.now();
    const body = { body: Buffer.from("{}"), bodySha256: "sha", signedAtSeconds: 1 };
    for (const id of ["a", "b"]) await store.accept({ ...name, id }, body, nowMs);
    const lease = { nowMs, leaseMs: 30_000, attemptsMax: 1, retentionMs: 1 };
    const taken = await store.take(name, lease);
    assert.ok(taken);
    await store.finish(taken.claim, 200, { nowMs, retentionMs: 864_000_000 });
    const hash = (id: string) => `postrider:{postrider|expiry}:event:${id}`;
    assert.ok((await client.pTTL(hash("a"))) > 863_000_000);
    assert.equal(await client.pTTL(hash("b")), -1);
    await client.quit();
    await server.stop();
  });
});
