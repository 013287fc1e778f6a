// What people do with the dashboard, from the first webhook to signing out.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { at, closeBrowser, signIn, visitor } from "./support/browser.mjs";
import { eventually, startReceiver, startServer } from "./support/server.mjs";

after(closeBrowser);

test("somebody registers a webhook, watches an event arrive, sees one fail, reads why and retries it", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t);
  const { page } = await visitor(t);
  await signIn(page, server);

  // a form that is wrong says so beside the field, and keeps what was typed
  await page.getByRole("link", { name: "Webhooks" }).click();
  await page.getByRole("link", { name: "New webhook" }).click();
  await page.getByLabel("URL", { exact: true }).fill("ftp://nowhere");
  await page.getByLabel("Description").fill("Continuous integration");
  await page.locator("summary", { hasText: /^code/ }).click();
  await page.getByLabel(/^code\.\*/).check();
  await page.getByRole("button", { name: "Create webhook" }).last().click();
  await page.locator('[name=url][aria-invalid="true"]').waitFor();
  assert.equal(await page.getByLabel("Description").inputValue(), "Continuous integration");
  await page.getByLabel("URL", { exact: true }).fill(`${receiver.url}/ci`);
  await page.getByRole("button", { name: "Create webhook" }).last().click();
  const secret = await page.getByText(/^whsec_/).first().textContent();
  assert.match(secret, /^whsec_[A-Za-z0-9+/=]{20,}/);
  const { data: [webhook] } = await server.api("GET", "/v1/webhooks");
  assert.deepEqual([webhook.url, webhook.events], [`${receiver.url}/ci`, ["code.*"]]);

  // the list of deliveries is open while an event is published: it arrives by itself
  await page.goto(at(server, "/deliveries"));
  await page.getByText("Live", { exact: true }).waitFor();
  const event = await server.publish("code.generated", { repository: "acme/web" });
  await page.getByRole("row", { name: /succeeded/ }).waitFor();
  const arrived = await eventually("the request", () => receiver.requests[0]);
  assert.equal(arrived.headers["webhook-id"], event.id);

  // one fails, and says why in words
  receiver.answer = () => ({ status: 503, body: "upstream is <b>down</b>" });
  const failed = await server.publish("code.reviewed", { pull: 7 });
  const delivery = await server.delivery(failed.id, (one) => one.attempts === 1);
  await page.getByRole("row", { name: /retrying/ }).getByRole("link").first().click();
  await page.waitForURL(new RegExp(`/deliveries/${delivery.id}`));
  const words = await page.locator("main").textContent();
  assert.match(words, /503/);
  assert.match(words, /upstream is <b>down<\/b>/);
  assert.equal(await page.locator("main b", { hasText: "down" }).count(), 0);

  // it is retried by key, and the page follows
  receiver.answer = () => ({ status: 200 });
  await page.locator("body").press("r");
  await page.getByText("succeeded").first().waitFor();
  await server.delivery(failed.id, (one) => one.state === "succeeded" && one.attempts === 2);
});

test("what a dead receiver missed is replayed, and a bar shows how far it is", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t, () => ({ status: 500 }));
  const made = await server.api("POST", "/v1/webhooks", { url: receiver.url, events: ["*"], retry_schedule: [0] });
  const events = [];
  for (let n = 0; n < 12; n += 1) events.push((await server.publish("code.generated", { n })).id);
  for (const event of events) await server.delivery(event, (one) => one.state === "failed");
  receiver.answer = () => ({ status: 204 });

  const { page } = await visitor(t);
  await signIn(page, server);
  await page.goto(at(server, `/deliveries?webhook_id=${made.id}&state=failed`));
  assert.equal(await page.locator("[data-row]").count(), 12);
  await page.getByRole("link", { name: /retry/i }).first().click();
  await page.getByRole("button", { name: /Retry 12/ }).click();
  await page.waitForURL(/\/replays\//);
  await page.getByRole("progressbar").waitFor();
  for (const event of events) await server.delivery(event, (one) => one.state === "succeeded");
  await page.getByText(/completed|finished|done/i).first().waitFor();
  const bar = page.getByRole("progressbar");
  assert.equal(await bar.evaluate((one) => one.value === one.max), true);

  // and what is filtered for is then gone
  await page.goto(at(server, `/deliveries?webhook_id=${made.id}&state=failed`));
  assert.equal(await page.locator("[data-row]").count(), 0);
});

test("a webhook is disabled, enabled with what it missed, rotated and removed", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t);
  const made = await server.api("POST", "/v1/webhooks", { url: receiver.url, events: ["*"] });
  const { page } = await visitor(t);
  await signIn(page, server);
  const own = at(server, `/webhooks/${made.id}`);
  const agree = async () => page.locator("#confirm").getByRole("button", { name: "Do it" }).click();

  await page.goto(own);
  await page.getByRole("button", { name: "Disable" }).click();
  // whoever changes their mind changes nothing
  await page.locator("#confirm").getByRole("button", { name: "Leave it" }).click();
  assert.equal((await server.api("GET", `/v1/webhooks/${made.id}`)).state, "enabled");
  await page.getByRole("button", { name: "Disable" }).click();
  await agree();
  await page.getByText(/Disabled: nothing goes out/).waitFor();
  const missed = await server.publish("code.generated", { n: 1 });
  await page.getByRole("button", { name: "Enable", exact: true }).first().click();
  await eventually("the webhook to be enabled", async () => (await server.api("GET", `/v1/webhooks/${made.id}`)).state === "enabled");
  await page.getByText(/1\sdelivery/).first().waitFor();
  await page.getByRole("button", { name: /send/i }).first().click();
  await page.waitForURL(/\/replays\//);
  await server.delivery(missed.id, (one) => one.state === "succeeded");

  await page.goto(own);
  await page.getByRole("link", { name: "Replace it" }).click();
  await page.getByRole("button", { name: "Replace the secret" }).click();
  await page.getByText(/^whsec_/).first().waitFor();
  const secret = (await page.getByText(/^whsec_/).first().textContent()).trim();
  const held = await server.api("GET", `/v1/webhooks/${made.id}/secret`);
  assert.equal(secret, held.secret);
  assert.notEqual(secret, made.secret);
  // both secrets sign until the overlap ends
  receiver.requests.length = 0;
  await server.publish("code.generated", { n: 2 });
  const request = await eventually("the request", () => receiver.requests[0]);
  assert.equal(request.headers["webhook-signature"].split(" ").length, 2);

  await page.goto(own);
  await page.getByRole("button", { name: "Delete webhook" }).click();
  await agree();
  await page.waitForURL(/\/webhooks$/);
  assert.deepEqual((await server.api("GET", "/v1/webhooks")).data, []);
});

test("one box finds everything, and keys move through it", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t);
  const made = await server.api("POST", "/v1/webhooks", { url: `${receiver.url}/Billing`, events: ["*"] });
  await server.api("POST", "/v1/webhooks", { url: `${receiver.url}/other`, events: ["security.*"] });
  const event = await server.api("POST", "/v1/events", { type: "code.generated", data: 1, id: "order-77" });
  const delivery = await server.delivery(event.id, (one) => one.state === "succeeded");
  const { page } = await visitor(t);
  await signIn(page, server);
  const search = async (text) => {
    await page.locator("body").press("/");
    await page.keyboard.type(text);
    await page.keyboard.press("Enter");
  };
  await search(made.id);
  await page.waitForURL(new RegExp(`/webhooks/${made.id}$`));
  await search(delivery.id);
  await page.waitForURL(new RegExp(`/deliveries/${delivery.id}$`));
  await search("order-77");
  await page.waitForURL(/\/events\/[^/]+$/);
  await page.getByText("order-77").first().waitFor();
  await search("billing");
  await page.waitForURL(/\/webhooks\?q=billing$/);
  assert.equal(await page.locator("[data-row]").count(), 1);
  await search("nothing-like-it");
  await page.getByText("Nothing is called").waitFor();

  await page.goto(at(server, "/webhooks"));
  await page.locator("body").press("?");
  await page.getByRole("heading", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  const here = await page.locator("[data-row].here").getAttribute("id");
  assert.equal(here, await page.locator("[data-row]").first().getAttribute("id"));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/webhooks\/wh_/);
});

test("the chosen row of a list is retried by key, and none is when none is chosen", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t, () => ({ status: 500 }));
  await server.api("POST", "/v1/webhooks", { url: receiver.url, events: ["*"], retry_schedule: [0] });
  const events = [];
  for (let n = 0; n < 2; n += 1) events.push((await server.publish("code.generated", n)).id);
  for (const event of events) await server.delivery(event, (one) => one.state === "failed");
  receiver.answer = () => ({ status: 200 });
  const { page } = await visitor(t);
  await signIn(page, server);
  await page.goto(at(server, "/deliveries"));
  const list = page.url();
  await page.locator("body").press("r");
  await page.keyboard.press("j");
  assert.equal(page.url(), list);
  await page.keyboard.press("r");
  await page.waitForURL(/\/deliveries\/dlv_/);
  // the newest event's delivery is the first row
  await server.delivery(events[1], (one) => one.state === "succeeded");
  await server.delivery(events[0], (one) => one.state === "failed");
});

test("a list that is read waits until it is left", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t);
  await server.api("POST", "/v1/webhooks", { url: receiver.url, events: ["*"] });
  const first = await server.publish("code.generated", 1);
  await server.delivery(first.id, (one) => one.state === "succeeded");
  const { page } = await visitor(t);
  await signIn(page, server);
  await page.goto(at(server, "/deliveries"));
  await page.getByText("Live", { exact: true }).waitFor();
  await page.locator("[data-row]").first().hover();
  await server.publish("code.generated", 2);
  await page.getByText("Paused while you read").waitFor();
  assert.equal(await page.locator("[data-row]").count(), 1);
  await page.getByRole("button", { name: "Show new" }).click();
  await page.locator("[data-row]").nth(1).waitFor();
  await page.mouse.move(5, 5);
  await page.getByText("Live", { exact: true }).waitFor();
});

test("dark and light follow the system until somebody chooses, and stay chosen", async (t) => {
  const server = await startServer(t);
  const { page } = await visitor(t, { colorScheme: "dark" });
  await signIn(page, server);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.getByRole("button", { name: /dark and light/ }).click();
  const light = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  assert.equal(await ground(), light);
  await page.getByRole("button", { name: /dark and light/ }).click();
  assert.equal(await ground(), dark);
});

test("times are the viewer's own", async (t) => {
  const server = await startServer(t);
  const event = await server.api("POST", "/v1/events", { type: "code.generated", data: 1, timestamp: "2026-01-31T23:30:00Z" });
  const { page } = await visitor(t, { timezoneId: "Asia/Tokyo" });
  await signIn(page, server);
  await page.goto(at(server, `/events/${event.id}`));
  const occurred = page.locator('time[datetime="2026-01-31T23:30:00.000Z"]').first();
  await occurred.waitFor();
  const told = `${await occurred.textContent()} ${await occurred.getAttribute("title")}`;
  assert.match(told, /1 Feb 2026|Feb 1, 2026/);
  assert.match(told, /8:30|08:30/);
});

test("a bar keeps the focus while the page is live, and leads to the deliveries of its time", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t);
  await server.api("POST", "/v1/webhooks", { url: receiver.url, events: ["*"] });
  const deliver = async (number) => {
    const event = await server.publish("code.generated", number);
    await server.delivery(event.id, (one) => one.state === "succeeded");
  };
  await deliver(1);
  const { page } = await visitor(t);
  await signIn(page, server);
  await page.goto(at(server, "/?range=1h"));
  const last = page.locator("figure.chart").first().locator("a.slot").last();
  await last.focus();
  const before = await last.evaluate((slot) => ((globalThis.before = slot), slot.dataset.at));
  await deliver(2);
  await page.waitForFunction(() => !globalThis.before.isConnected);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.at), before);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/deliveries\?after=.*&before=/);
  assert.ok((await page.locator("[data-row]").count()) >= 1);
});
