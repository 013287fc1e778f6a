/** The same deliveries through every adapter, over HTTP where there is a server. */
import assert from "node:assert/strict";
import { createServer, request as httpRequest } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";

import { serve } from "@hono/node-server";
import express from "express";
import express4 from "express4";
import Fastify from "fastify";
import { Hono } from "hono";

import { LeasedInbox, MemoryStore, Receiver } from "@postrider/receiver";
import { expressHandler } from "@postrider/receiver/express";
import { fastifyReceiver } from "@postrider/receiver/fastify";
import { honoHandler } from "@postrider/receiver/hono";
import { nextRoute } from "@postrider/receiver/next";
import { requestHandler } from "@postrider/receiver/request";

import { delivery, reports, SECRET } from "./support/deliveries.js";
import type { Delivery } from "./support/deliveries.js";

const BODY_BYTES_MAX = 100_000;

/** Sends a request to a receiver, whatever carries it. */
type Send = (body: string, headers: Record<string, string>, method?: string) => Promise<Response>;

interface Running {
  url: string;
  send: Send;
  stop(): Promise<void>;
}

function receiver() {
  const { list, report } = reports();
  const store = new MemoryStore();
  const inbox = new LeasedInbox<{ status?: number }>(
    store,
    { consumer: "adapters", report },
    (event) => event.data.status,
  );
  const options = { secrets: ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", SECRET], inbox, report };
  return { receiver: new Receiver({ ...options, bodyBytesMax: BODY_BYTES_MAX }), list };
}

const adapters: Record<string, () => Promise<Running>> = {
  "node:http": () => {
    const handle = expressHandler(receiver().receiver);
    return listening(createServer((request, response) => void handle(request, response)));
  },
  "Express 5": () => {
    const app = express();
    app.post("/webhooks", expressHandler(receiver().receiver));
    return listening(createServer(app));
  },
  "Express 5 behind express.raw()": () => {
    const app = express();
    app.post(
      "/webhooks",
      express.raw({ type: "*/*", limit: "1mb" }),
      expressHandler(receiver().receiver),
    );
    return listening(createServer(app));
  },
  "Express 4": () => {
    const app = express4();

    app.post("/webhooks", expressHandler(receiver().receiver));
    return listening(createServer(app));
  },
  "Fastify": async () => {
    const app = Fastify();
    app.register(fastifyReceiver(receiver().receiver, { url: "/webhooks" }));
    await app.listen({ port: 0, host: "127.0.0.1" });
    return listening(app.server);
  },
  "Hono": () => {
    const app = new Hono();
    app.post("/webhooks", honoHandler(receiver().receiver));
    return new Promise((resolve) => {
      const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => {
        resolve(listening(server as Server));
      });
    });
  },
  "Next.js": () => Promise.resolve(inProcess(nextRoute(receiver().receiver).POST)),
  "Request": () => Promise.resolve(inProcess(requestHandler(receiver().receiver))),
};

for (const [name, start] of Object.entries(adapters)) {
  describe(name, () => {
    let running: Running;
    before(async () => {
      running = await start();
    });
    after(() => running.stop());
    const post = ({ body, headers }: Delivery) => running.send(body, headers);

    test("a sound delivery is handled, with the handler's status", async () => {
      const response = await post(delivery("evt_sound", { status: 201, text: "é \u2028" }));
      assert.equal(response.status, 201);
      assert.match(response.headers.get("content-type") ?? "", /^application\/json\b/);
      assert.deepEqual(await response.json(), { outcome: "new" });
    });

    test("a duplicate is answered with the stored status", async () => {
      const each = delivery("evt_duplicate", { status: 203 });
      assert.equal((await post(each)).status, 203);
      const second = await post(each);
      assert.equal(second.status, 203);
      assert.deepEqual(await second.json(), { outcome: "done" });
    });

    test("an answer without content has none", async () => {
      const response = await post(delivery("evt_empty", { status: 204 }));
      assert.equal(response.status, 204);
      assert.equal(await response.text(), "");
    });

    test("the same id with another body is refused", async () => {
      await post(delivery("evt_other", { a: 1 }));
      const response = await post(delivery("evt_other", { a: 2 }));
      assert.equal(response.status, 422);
    });

    test("a forged signature is answered 401, and is not remembered", async () => {
      const each = delivery("evt_forged", { status: 200 });
      const forged = { ...each, body: each.body.replace("200", "201") };
      const response = await post(forged);
      assert.equal(response.status, 401);
      assert.deepEqual(await response.json(), { error: "no_match" });
      assert.equal((await post(each)).status, 200);
    });

    test("an old delivery is answered 400", async () => {
      const each = delivery("evt_old");
      const headers = { ...each.headers, "webhook-timestamp": "1614265330" };
      assert.equal((await post({ ...each, headers })).status, 400);
    });

    test("missing headers are answered 401", async () => {
      assert.equal((await running.send("{}", {})).status, 401);
      assert.equal((await running.send("", {})).status, 401);
    });

    test("a failing handler is answered 500", async () => {
      assert.equal((await post(delivery("evt_failing", { status: 302 }))).status, 500);
    });

    test("a body over the limit is answered 413", async () => {
      const each = delivery("evt_long", { text: "x".repeat(BODY_BYTES_MAX) });
      assert.equal((await post(each)).status, 413);
    });

    test("a body of almost the limit is handled", async () => {
      const each = delivery("evt_full", { text: "x".repeat(BODY_BYTES_MAX - 200) });
      assert.equal((await post(each)).status, 200);
    });
  });
}

describe("a body that was parsed before the receiver", () => {
  test("Express: express.json() is answered 500, and the operator is told", async () => {
    const { receiver: behind, list } = receiver();
    const app = express();
    app.use(express.json());
    app.post("/webhooks", expressHandler(behind));
    const running = await listening(createServer(app));
    const { body, headers } = delivery("evt_parsed");
    const response = await running.send(body, headers);
    assert.equal(response.status, 500);
    assert.deepEqual(await response.json(), { error: "parsed_body" });
    assert.match(list[0]?.message ?? "", /before express\.json\(\)/);
    await running.stop();
  });

  test("Hono: a body that a middleware read is answered 500", async () => {
    const { receiver: behind, list } = receiver();
    const app = new Hono();
    app.use(async (context, next) => {
      await context.req.json();
      await next();
    });
    app.post("/webhooks", honoHandler(behind));
    const { body, headers } = delivery("evt_parsed");
    const request = { method: "POST", body, headers };
    const response = await app.request("/webhooks", request);
    assert.equal(response.status, 500);
    assert.match(list[0]?.message ?? "", /raw body/);
  });
});

test("a body over the limit is refused while it arrives, too", async () => {
  const handle = expressHandler(receiver().receiver);
  const running = await listening(
    createServer((request, response) => void handle(request, response)),
  );
  const { hostname, port } = new URL(running.url);
  const status = await new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, method: "POST" }, (response) => {
      resolve(response.statusCode);
    });
    request.once("error", reject);
    // without an end, and so without a length
    request.write("x".repeat(BODY_BYTES_MAX + 1));
  });
  assert.equal(status, 413);
  await running.stop();
});

test("other methods than POST are not allowed", async () => {
  const handle = requestHandler(receiver().receiver);
  const response = await handle(new Request("http://localhost/webhooks"));
  assert.equal(response.status, 405);
  assert.equal(response.headers.get("allow"), "POST");
});

test("an inbox that can't be reached is answered 500, soon to come again", async () => {
  const { list, report } = reports();
  const store = new MemoryStore();
  store.claim = () => Promise.reject(new Error("connection refused"));
  const inbox = new LeasedInbox(store, { consumer: "down" }, () => undefined);
  const { body, headers } = delivery("evt_down");
  const answer = await new Receiver({ secrets: SECRET, inbox, report }).handle(body, headers);
  assert.equal(answer.status, 500);
  assert.equal(answer.headers["retry-after"], "5");
  assert.equal(list[0]?.kind, "store");
});

async function listening(server: Server): Promise<Running> {
  if (!server.listening) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/webhooks`;
  return {
    url,
    send: (body, headers) =>
      fetch(url, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", ...headers },
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function inProcess(handle: (request: Request) => Promise<Response>): Running {
  const url = "http://localhost/webhooks";
  return {
    url,
    send: (body, headers) => handle(new Request(url, { method: "POST", body, headers })),
    stop: () => Promise.resolve(),
  };
}
