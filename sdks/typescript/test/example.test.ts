/** `examples/autonoma-bot`, both ways, fed as a server would. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { sign } from "@postrider/receiver";

import { Bot, EXAMPLE } from "./support/bot.js";

const [NEW, OLD] = ["your-webhook-secret", "your-former-secret"];

describe("the Autonoma bot", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "postrider-example-"));
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  test("as published does twice what comes twice", async () => {
    const bot = await Bot.start("published.js", NEW, join(folder, "published.db"));
    try {
      const body = envelope("evt_1", "code.generated");
      const headers = sign("evt_1", body, { secrets: NEW, profile: "autonoma" });
      assert.equal(await bot.post(body, headers), 200);
      assert.equal(await bot.post(body, headers), 200);
      assert.equal(await bot.post(body.replace("web", "wEb"), headers), 401);
      assert.deepEqual(bot.work(), ["evt_1 review", "evt_1 review"]);
    } finally {
      await bot.stop();
    }
  });

  test("with the SDK does everything once: duplicates, retries and a rotation", async () => {
    const bot = await Bot.start("bot.js", `${NEW},${OLD}`, join(folder, "bot.db"));
    try {
      const first = envelope("evt_1", "code.generated");
      const second = envelope("evt_2", "deployment.completed");
      const other = envelope("evt_3", "system.performance_alert");
      const autonoma = { profile: "autonoma" } as const;
      const headers = sign("evt_1", first, { secrets: NEW, ...autonoma });
      const inParallel = Array.from({ length: 8 }, () => bot.post(first, headers));
      const statuses = await Promise.all(inParallel);
      assert.ok(statuses.includes(200));
      assert.ok(statuses.every((status) => status === 200 || status === 409));
      // a retry carries the same id and body, and a signature of its own time
      const nowMs = Date.now() + 60_000;
      const retried = sign("evt_1", first, {
        secrets: NEW,
        ...autonoma,
        nowMs,
        eventTimeMs: nowMs,
      });
      assert.equal(await bot.post(first, retried), 200);
      assert.equal(await bot.post(first, retried), 200);
      // before and during the rotation
      assert.equal(
        await bot.post(second, sign("evt_2", second, { secrets: OLD, ...autonoma })),
        200,
      );
      const both = sign("evt_2", second, { secrets: [NEW, OLD], ...autonoma });
      assert.equal(await bot.post(second, both), 200);
      assert.equal(await bot.post(other, sign("evt_3", other, { secrets: NEW, ...autonoma })), 200);
      assert.equal(await bot.post(first.replace("web", "wEb"), headers), 401);
      assert.deepEqual(bot.work(), ["evt_1 review", "evt_2 smoke test"]);
    } finally {
      await bot.stop();
    }
  });

  test("takes fewer lines with the SDK", () => {
    const lines = (file: string) =>
      readFileSync(join(EXAMPLE, file), "utf8")
        .split("\n")
        .filter((line) => line.trim() !== "" && !line.startsWith("//")).length;
    assert.ok(lines("bot.js") < lines("published.js"));
  });
});

function envelope(id: string, type: string): string {
  const timestamp = new Date().toISOString();
  return JSON.stringify({ id, type, timestamp, data: { repository: "acme/web", ratio: 0.1 } });
}
