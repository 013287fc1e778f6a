/**
 * A receiver as its author would run it: a process of its own, which the crash test
 * kills whenever it likes. `node crash-receiver.js STORE WHERE`; says its port.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import Database from "better-sqlite3";
import { Redis } from "ioredis";
import pg from "pg";

import { LeasedInbox, Receiver, TransactionalInbox } from "@postrider/receiver";
import type { Inbox } from "@postrider/receiver";
import { expressHandler } from "@postrider/receiver/express";
import { PostgresStore } from "@postrider/receiver/postgres";
import { RedisStore } from "@postrider/receiver/redis";
import { SqliteStore } from "@postrider/receiver/sqlite";

import { SECRET } from "./deliveries.js";

const options = { consumer: "crash", report: () => undefined };

const inboxes: Record<string, (where: string) => Inbox> = {
  sqlite: (where) => {
    const database = new Database(where);
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = NORMAL");
    return new TransactionalInbox(new SqliteStore(database), options, async (event, tx) => {
      tx.prepare("INSERT INTO effect (id) VALUES (?)").run(event.id);
      await new Promise(setImmediate);
    });
  },
  postgres: (host) => {
    const pool = new pg.Pool({ host, user: "postgres", database: "postgres", max: 8 });
    return new TransactionalInbox(new PostgresStore(pool), options, async (event, tx) => {
      await tx.query("INSERT INTO effect (id) VALUES ($1)", [event.id]);
    });
  },
  redis: (path) => {
    const client = new Redis({ path });
    return new LeasedInbox(
      new RedisStore(client),
      { ...options, leaseMs: 300 },
      async (event, { attempt }) => {
        await client.rpush(`effect:${event.id}`, attempt);
      },
    );
  },
};

const [, , store = "", where = ""] = process.argv;
const inbox = inboxes[store]?.(where);
if (!inbox) throw new Error(`no store ${store}`);
const handle = expressHandler(new Receiver({ secrets: SECRET, inbox, report: () => undefined }));
const server = createServer((request, response) => void handle(request, response));
server.listen(0, "127.0.0.1", () => {
  console.log(`port ${(server.address() as AddressInfo).port}.`);
});
