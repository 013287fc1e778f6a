/** Every snippet of the README, run as it stands. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { SECRET } from "./support/deliveries.js";
import { startPostgres } from "./support/postgres.js";
import type { Cluster } from "./support/postgres.js";
import { startRedis } from "./support/redis.js";
import type { RedisServer } from "./support/redis.js";

const run = promisify(execFile);

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const snippets = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = ""]) => code);
const driver = new URL("support/snippet-driver.js", import.meta.url).href;
// inside of the package, so that its own name and its development packages are found
const home = fileURLToPath(new URL("readme/", import.meta.url));

describe("the README's snippets", () => {
  let cluster: Cluster;
  let redis: RedisServer;
  let folder: string;

  before(async () => {
    [cluster, redis] = await Promise.all([startPostgres(), startRedis()]);
    folder = mkdtempSync(join(tmpdir(), "postrider-readme-"));
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await Promise.all([cluster.stop(), redis.stop()]);
  });

  test("are all here", () => {
    assert.equal(snippets.length, 7);
  });

  for (const [at, code] of snippets.entries()) {
    const title = /import .*?\n\n(.*)/s.exec(code)?.[1]?.split("\n")[0] ?? "";
    test(`${at + 1}: ${title}`, async () => {
      const file = join(home, `snippet-${at + 1}.mjs`);
      writeFileSync(file, code + deliveryTo(code));
      const env = {
        ...process.env,
        PORT: "0",
        WEBHOOK_SECRET: SECRET,
        DATABASE_URL: `postgresql://postgres@/postgres?host=${encodeURIComponent(cluster.host)}`,
        REDIS_URL: redis.path,
      };
      const options = ["--import", driver, file];
      const { stdout } = await run(process.execPath, options, {
        cwd: folder,
        env,
        timeout: 60_000,
      });
      const isServer = code.includes("receiver");
      if (isServer && /Receiver\b/.test(code)) assert.match(stdout, /delivered/);
    });
  }
});

/** A handler of requests has no server: it gets its delivery here. */
function deliveryTo(code: string): string {
  if (!code.includes("export const handler")) return "";
  return `
    const { check, request } = await import(${JSON.stringify(driver)});
    await check(() => handler(request()));
  `;
}
