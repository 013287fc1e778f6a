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
  const { page } = await visitor(t);
  await signIn(page, server);
  const told = [];
  await page.exposeFunction("told", (what) => told.push(what));
  await page.addInitScript(() => {
    globalThis.alert = (text) => globalThis.told(`alert ${text}`);
    document.addEventListener("securitypolicyviolation", (event) => globalThis.told(`policy ${event.violatedDirective} ${event.blockedURI}`));
  });
  for (const [n, text] of texts.entries()) {
    const event = await server.publish("hostile.type", { n, text, [text.slice(0, 100)]: text.length });
    const delivery = await server.delivery(event.id, (one) => one.attempts > 0);
    for (const path of [`/events/${event.id}`, `/deliveries/${delivery.id}`]) {
      await page.goto(at(server, path), { waitUntil: "domcontentloaded" });
      const strange = await page.evaluate(() => {
        const ours = new Set([...document.scripts].map((script) => new URL(script.src).pathname));
        const main = document.querySelector("main");
        const bad = [...main.querySelectorAll("script, iframe, object, embed, img, base, meta, link, style, video, audio")];
        const handled = [...document.querySelectorAll("*")].filter((element) => element.getAttributeNames().some((name) => /^on|^style$/.test(name)));
        const away = [...document.querySelectorAll("a[href], form[action]")].filter((element) => new URL(element.href || element.action, location).origin !== location.origin);
        const wide = document.documentElement.scrollWidth > innerWidth + 1;
        return { scripts: ours.size, bad: bad.length, handled: handled.length, away: away.length, wide };
      });
      assert.deepEqual(strange, { scripts: 1, bad: 0, handled: 0, away: 0, wide: false }, `${n}: ${JSON.stringify(text.slice(0, 80))} on ${path}`);
    }
  }
  for (const path of ["/", "/webhooks", "/events", "/deliveries", "/event-types", "/event-types/hostile.type", `/search?q=${encodeURIComponent(texts[1].slice(0, 150))}`]) {
    await page.goto(at(server, path));
    assert.equal(await page.locator("main img, main script, main iframe").count(), 0, path);
  }
  assert.deepEqual(told, []);
});
