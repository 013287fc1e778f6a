/** Against the real server: what it sends verifies, and the example bot serves it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { LeasedInbox, MemoryStore, Receiver } from "@postrider/receiver";
import { expressHandler } from "@postrider/receiver/express";

import { Bot } from "./support/bot.js";
import { reports, signal } from "./support/deliveries.js";
import { binary, Server } from "./support/server.js";

/** Awkward, but deliverable to every profile. */
const DATA = [
  {},
  { ratio: 1.5, big: 1e21, small: 1e-7, note: 'é / " \\ \u001f \u2028 😀' },
  { "10": 1, "9": 2, "b": [{ d: 1, c: null }], "a": true },
  { text: "x".repeat(90_000) },
];
/** Each with a type of its own, so that no receiver gets another's events. */
const PROFILES = [
  { profile: "standard", type: "code.reviewed" },
  {
    profile: "standard",
    type: "code.merged",
    secret:
      "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    verifyWith: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
  },
  { profile: "automa", type: "deployment.started" },
  { profile: "autonoma", type: "deployment.failed" },
] as const;

const reason = "set POSTRIDER_BIN to a built server, as `cargo xtask test` does";

describe("the server", { skip: binary === undefined && reason }, () => {
  let server: Server;
  let folder: string;
  before(async () => {
    server = await Server.start();
    folder = mkdtempSync(join(tmpdir(), "postrider-e2e-"));
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  for (const { profile, type, ...secrets } of PROFILES) {
    const kind = "verifyWith" in secrets ? "ed25519" : "a shared secret";
    test(`${profile} with ${kind}: what it sends verifies, as it was published`, async () => {
      const seen = new Map<string, unknown>();
      const all = signal();
      const inbox = new LeasedInbox(new MemoryStore(), { consumer: "server" }, (event) => {
        seen.set(event.id, event.data);
        if (seen.size === DATA.length) all.resolve();
      });
      const http = createServer();
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
      const created = await server.createWebhook({
        url: urlOf(http),
        events: [type],
        profile,
        ...("secret" in secrets && { secret: secrets.secret }),
      });
      const { list, report } = reports();
      const handle = expressHandler(
        new Receiver({
          secrets: "verifyWith" in secrets ? secrets.verifyWith : created.secret,
          profile,
          inbox,
          report,
          ...(profile === "automa" && { trustedHosts: [server.url] }),
        }),
      );
      http.on("request", (request, response) => void handle(request, response));
      const ids = await Promise.all(DATA.map((data) => server.publish({ type, data })));
      await all.promise;
      for (const [each, id] of ids.entries()) {
        assert.deepEqual(seen.get(id), DATA[each]);
        await server.deliveries(id, ([one]) => one?.state === "succeeded");
      }
      assert.deepEqual(list, []);
      http.close();
      http.closeAllConnections();
    });
  }

  test("the Autonoma bot does everything once: first attempts, duplicates, retries, a rotation", async () => {
    const [first, second] = ["your-webhook-secret", "your-next-secret"];
    const database = join(folder, "bot.db");
    let bot = await Bot.start("bot.js", first, database);
    const { port } = new URL(bot.url);
    const { id: webhook } = await server.createWebhook({
      url: bot.url,
      events: ["code.generated", "deployment.completed"],
      profile: "autonoma",
      secret: first,
    });
    const publish = (type: string, id: string) =>
      server.publish({ type, id, data: { repository: "acme/web", ratio: 1.5 } });
    const succeeded = (id: string) => server.deliveries(id, ([one]) => one?.state === "succeeded");

    // a first attempt, and duplicates of it
    await publish("code.generated", "evt_first");
    const [delivered] = await succeeded("evt_first");
    assert.ok(delivered);
    await server.retry(delivered);
    await server.deliveries("evt_first", ([one]) => one?.attempts === 2);

    // a retry: nobody is there at first
    await bot.stop();
    await publish("deployment.completed", "evt_retried");
    const [failed] = await server.deliveries("evt_retried", ([one]) => one?.attempts === 1);
    assert.ok(failed);
    bot = await Bot.start("bot.js", `${second},${first}`, database, port);
    await succeeded("evt_retried");

    // a rotation: from now on the new secret's signature comes first
    await server.call("PATCH", `/v1/webhooks/${webhook}`, { secret: second });
    await publish("code.generated", "evt_rotated");
    await succeeded("evt_rotated");
    await bot.stop();
    const work = ["evt_first review", "evt_retried smoke test", "evt_rotated review"];
    assert.deepEqual(bot.work(), work);
  });
});

function urlOf(http: HttpServer): string {
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/webhooks`;
}
