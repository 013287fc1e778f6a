// A real Chromium. Whatever a page must never do (break, ask in a dialog, offend its own policy,
// load from elsewhere) fails the test that opened it.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

let shared;

/** One browser for a file of tests; each visitor has cookies of their own. */
async function browser() {
  // containers have no user namespaces to make a sandbox of; the pages are our own
  shared ??= chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  return shared;
}

export async function closeBrowser() {
  await (await shared)?.close();
}

/** Somebody with a browser of their own. `options` are Playwright's. */
export async function visitor(t, options = {}) {
  const context = await (await browser()).newContext({
    viewport: { width: 1280, height: 800 },
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  const faults = watch(context);
  t.after(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });
  return { context, page, faults };
}

function watch(context) {
  const faults = [];
  const look = (page) => {
    page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
    page.on("dialog", (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("console", (message) => {
      const text = message.text();
      if (/Content Security Policy|Trusted Type|Refused to/i.test(text)) faults.push(`policy: ${text}`);
    });
  };
  context.on("page", look);
  for (const page of context.pages()) look(page);
  return faults;
}

/** Signs in with a key and waits for the first page. */
export async function signIn(page, server, key = server.key) {
  await page.goto(`${server.url}/dashboard`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(/\/dashboard\/t\/[^/]+\/$/);
}

/** The address of a page of a tenant. */
export function at(server, path, tenant = "default") {
  return `${server.url}/dashboard/t/${tenant}${path}`;
}
