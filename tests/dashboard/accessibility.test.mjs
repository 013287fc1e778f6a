// Every page, light and dark, wide and narrow, as axe-core judges it; and no page is wider than the
// window that it is looked at in.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createRequire } from "node:module";

import { closeBrowser, signIn, visitor } from "./support/browser.mjs";
import { everyPage, fill } from "./support/pages.mjs";
import { startReceiver, startServer } from "./support/server.mjs";

after(closeBrowser);

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

for (const colorScheme of ["light", "dark"]) {
  test(`axe-core finds nothing on any page, ${colorScheme}`, async (t) => {
    const server = await startServer(t);
    const filled = await fill(server, await startReceiver(t));
    // axe is put into the page from outside, which the page's own policy forbids
    const { page } = await visitor(t, { colorScheme, bypassCSP: true });
    await page.goto(`${server.url}/dashboard`);
    await judge(page, "sign-in");
    await signIn(page, server);
    for (const path of everyPage(filled)) {
      const answer = await page.goto(server.url + path);
      assert.ok(answer.ok(), `${answer.status()} ${path}`);
      await judge(page, path);
    }
  });
}

test("no page is wider than a small window, nor lost in a large one", async (t) => {
  const server = await startServer(t);
  const filled = await fill(server, await startReceiver(t));
  const { page } = await visitor(t);
  await signIn(page, server);
  for (const width of [360, 820, 1280, 2560]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of everyPage(filled)) {
      await page.goto(server.url + path);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${path} is ${wide} wide in ${width}`);
    }
  }
});

test("every page has one heading of the first order, and none is skipped", async (t) => {
  const server = await startServer(t);
  const filled = await fill(server, await startReceiver(t));
  const { page } = await visitor(t);
  await signIn(page, server);
  for (const path of everyPage(filled)) {
    await page.goto(server.url + path);
    const orders = await page.locator(":is(h1, h2, h3, h4):visible").evaluateAll((all) => all.map((one) => Number(one.tagName[1])));
    assert.equal(orders.filter((order) => order === 1).length, 1, path);
    orders.reduce((before, order) => {
      assert.ok(order <= before + 1, `${path}: ${orders}`);
      return order;
    }, 0);
  }
});

async function judge(page, path) {
  await page.addScriptTag({ path: AXE });
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const told = violations.map((one) => `${path}: ${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any.map((any) => any.message).join("; ").slice(0, 200)}`).join(" | ")}`);
  assert.deepEqual(told, []);
}
