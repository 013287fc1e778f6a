// Pictures of every page, light and dark, wide and narrow: `node screenshots.mjs FOLDER`.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 360, height: 780 } };
const TENANT = "acme";
/** Of this process's variables none is a setting; the history is longer than what is kept by default. */
const SETTINGS = { PATH: process.env.PATH, POSTRIDER_RETENTION_DAYS: "120" };

const folder = process.argv[2];
const data = await mkdtemp(join(tmpdir(), "postrider-screenshots-"));
let server;
try {
  await seed(data);
  server = await start(data);
  const found = await things(server);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  for (const scheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      const context = await browser.newContext({ viewport, colorScheme: scheme, timezoneId: "Europe/Berlin" });
      const page = await context.newPage();
      await picture(page, `${server.url}/dashboard/sign-in`, `sign-in-${scheme}-${size}`);
      await page.getByLabel("API key").fill(server.key);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.waitForURL(/\/t\//);
      for (const [name, path] of Object.entries(pages(found))) {
        await picture(page, `${server.url}/dashboard/t/${TENANT}${path}`, `${name}-${scheme}-${size}`);
      }
      await context.close();
    }
  }
  await browser.close();
  console.log(`pictures lie in ${folder}`);
} finally {
  if (server) {
    server.child.kill("SIGTERM");
    if (server.child.exitCode === null) await once(server.child, "exit");
  }
  await rm(data, { recursive: true, force: true });
}

async function picture(page, address, name) {
  await page.goto(address);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
}

async function seed(target) {
  const child = spawn(process.env.POSTRIDER_SEED_BIN, ["--data-dir", target, "--attempts", "60000"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: SETTINGS,
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error("the data could not be made");
}

async function start(target) {
  const child = spawn(process.env.POSTRIDER_BIN, ["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", target], {
    stdio: ["ignore", "pipe", "ignore"],
    env: SETTINGS,
  });
  const told = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, value] = /^ {2}(API|Admin key) +(\S+)/.exec(line) ?? [];
    if (name) told[name] = value;
    if (told["Admin key"]) break;
  }
  child.stdout.resume();
  return { child, url: told.API, key: told["Admin key"] };
}

/** One of each kind, worth looking at. */
async function things({ url, key }) {
  const ask = async (path) => {
    const headers = { authorization: `Bearer ${key}`, "postrider-tenant": TENANT };
    const answer = await fetch(url + path, { headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const { data: failed } = await ask("/v1/deliveries?state=failed&limit=1");
  const { data: retrying } = await ask("/v1/deliveries?state=pending&status_class=5xx&limit=1");
  const { data: replays } = await ask("/v1/replays?limit=1");
  const delivery = failed[0] ?? retrying[0];
  return { delivery: delivery.id, retrying: (retrying[0] ?? delivery).id, event: delivery.event_id, webhook: delivery.webhook_id, replay: replays[0]?.id };
}

function pages({ delivery, retrying, event, webhook, replay }) {
  return {
    overview: "/?range=24h",
    "overview-week": "/?range=7d",
    webhooks: "/webhooks",
    "webhook-new": "/webhooks/new",
    webhook: `/webhooks/${webhook}`,
    "webhook-replay": `/webhooks/${webhook}/replay`,
    events: "/events",
    event: `/events/${event}`,
    deliveries: "/deliveries",
    "deliveries-failed": "/deliveries?state=failed",
    delivery: `/deliveries/${delivery}`,
    "delivery-retrying": `/deliveries/${retrying}`,
    ...(replay ? { replay: `/replays/${replay}` } : {}),
    "event-types": "/event-types",
    "event-type": "/event-types/security.vulnerability_detected",
    keys: "/keys",
    tenants: "/tenants",
    nothing: "/search?q=nothing",
  };
}
