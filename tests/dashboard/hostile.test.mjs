// Whatever publishers and receivers write stays text.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { at, closeBrowser, signIn, visitor } from "./support/browser.mjs";
import { hostileTexts } from "./support/hostile.mjs";
import { startReceiver, startServer } from "./support/server.mjs";

after(closeBrowser);

test("200 hostile payloads, answers, descriptions and ids render inert", async (t) => {
  const texts = hostileTexts();
  assert.ok(texts.length >= 200, `${texts.length}`);
  const server = await startServer(t);
  const receiver = await startReceiver(t, (request, body) => {
    const { n } = JSON.parse(body).data;
    // headers take no control characters and only latin
    const header = texts[n].replace(/[^\x20-\x7e]/g, "?").slice(0, 900);
    return { status: n % 2 ? 200 : 400, headers: { "x-hostile": header, "content-type": "text/html" }, body: texts[n] };
  });
  await server.api("POST", "/v1/webhooks", {
    url: `${receiver.url}/?q=%3Cscript%3Ealert(1)%3C/script%3E`,
    events: ["*"],
    description: texts[0].slice(0, 200),
    headers: { "x-custom": "\"><img src=x onerror=alert(1)>" },
    retry_schedule: [0],
  });
  await server.api("POST", "/v1/event-types", { name: "hostile.type", description: "<img src=x onerror=alert(2)>{{7*7}}", example: { a: "</script><script>alert(3)</script>" } });
  const told = [];
  const { context, page } = await visitor(t);
  await context.exposeFunction("told", (what) => told.push(what));
  await context.addInitScript(() => {
    globalThis.alert = (text) => globalThis.told(`alert ${text}`);
    document.addEventListener("securitypolicyviolation", (event) => globalThis.told(`policy ${event.violatedDirective} ${event.blockedURI}`));
  });
  await signIn(page, server);
  const published = [];
  for (const [n, text] of texts.entries()) {
    const name = Array.from(text).slice(0, 100).join("");
    published.push(await server.publish("hostile.type", { n, text, [name]: text.length }));
  }
  const left = [...published.entries()];
  const tabs = [page, await context.newPage(), await context.newPage()];
  await Promise.all(tabs.map(async (tab) => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [n, event] = next;
      const delivery = await server.delivery(event.id, (one) => one.attempts > 0);
      for (const path of [`/events/${event.id}`, `/deliveries/${delivery.id}`]) {
        await tab.goto(at(server, path), { waitUntil: "domcontentloaded" });
        const strange = await tab.evaluate(look);
        assert.deepEqual(strange, INERT, `${n}: ${JSON.stringify(texts[n].slice(0, 80))} on ${path}`);
      }
    }
  }));
  for (const path of ["/", "/webhooks", "/events", "/deliveries", "/event-types", "/event-types/hostile.type", `/search?q=${encodeURIComponent(texts[1].slice(0, 150))}`]) {
    await page.goto(at(server, path));
    assert.equal(await page.locator("main img, main script, main iframe").count(), 0, path);
  }
  assert.deepEqual(told, []);
});

const INERT = { scripts: 1, loads: 0, handlers: 0, away: 0, isWide: false };

/** What is on a page that nobody of us put there. Runs in the page. */
function look() {
  const main = document.querySelector("main");
  const loads = main.querySelectorAll("script, iframe, object, embed, img, base, meta, link, style, video, audio");
  const isHandler = (name) => /^on|^style$/.test(name);
  const handlers = [...document.querySelectorAll("*")].filter((one) => one.getAttributeNames().some(isHandler));
  const links = [...document.querySelectorAll("a[href], form[action]")];
  // a form's field may be called action
  const target = (one) => new URL(one.getAttribute("href") ?? one.getAttribute("action"), location);
  return {
    scripts: document.scripts.length,
    loads: loads.length,
    handlers: handlers.length,
    away: links.filter((one) => target(one).origin !== location.origin).length,
    isWide: document.documentElement.scrollWidth > innerWidth + 1,
  };
}
