// Who sees what: outsiders, readers, people of a tenant, operators.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, test } from "node:test";

import { at, closeBrowser, signIn, visitor } from "./support/browser.mjs";
import { startReceiver, startServer } from "./support/server.mjs";

after(closeBrowser);

const PAGES = ["/", "/webhooks", "/webhooks/new", "/events", "/deliveries", "/event-types", "/keys", "/tenants", "/search?q=a", "/live"];

test("an outsider gets the sign-in page and nothing else, whatever the address", async (t) => {
  const server = await startServer(t);
  const webhook = await server.api("POST", "/v1/webhooks", { url: "http://127.0.0.1:9/secret-path", events: ["*"] });
  const event = await server.publish("code.generated", { secret: "sesame" });
  const { page } = await visitor(t);
  for (const path of [...PAGES, `/webhooks/${webhook.id}`, `/events/${event.id}`, "/nowhere"]) {
    const answer = await page.goto(at(server, path));
    assert.equal(answer.status(), 401, path);
    const text = await page.content();
    assert.match(text, /Sign in/, path);
    assert.doesNotMatch(text, /secret-path|sesame|Webhooks/, path);
  }
  await page.getByLabel("API key").fill("prk_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").textContent(), /unknown, expired or revoked/);
});

test("whoever signs in goes on where they wanted to go, and out again", async (t) => {
  const server = await startServer(t);
  const { page, context } = await visitor(t);
  await page.goto(at(server, "/deliveries?state=failed"));
  await page.getByLabel("API key").fill(server.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(/\/deliveries\?state=failed$/);
  const [session] = await context.cookies();
  assert.ok(session.httpOnly && session.sameSite === "Strict" && session.expires > Date.now() / 1000);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/\/dashboard\/sign-in$/);
  assert.equal((await page.goto(at(server, "/"))).status(), 401);
  // a copy of the cookie that somebody kept is worth nothing either
  await context.addCookies([session]);
  assert.equal((await page.goto(at(server, "/"))).status(), 401);
});

test("a link on another site opens the page for whoever is signed in", async (t) => {
  const server = await startServer(t);
  const { page } = await visitor(t);
  await signIn(page, server);
  const other = await serve(t, { body: `<a href="${at(server, "/deliveries")}">look at this</a>` });
  await page.goto(other);
  await page.getByText("look at this").click();
  await page.waitForURL(/\/deliveries$/);
  await page.getByRole("heading", { name: "Deliveries" }).waitFor();
});

test("another site's form does nothing", async (t) => {
  const server = await startServer(t);
  const { page } = await visitor(t);
  await signIn(page, server);
  const other = await serve(t, { body: `<form method=post action="${server.url}/dashboard/sign-out"><button>win</button></form>` });
  await page.goto(other);
  await page.getByText("win").click();
  await page.getByRole("heading", { name: "Not allowed" }).waitFor();
  assert.equal((await page.goto(at(server, "/"))).status(), 200);
});

test("a session ends with its key", async (t) => {
  const server = await startServer(t);
  const key = await server.api("POST", "/v1/keys", { scope: "read" });
  const { page } = await visitor(t);
  await signIn(page, server, key.key);
  await server.api("DELETE", `/v1/keys/${key.id}`);
  assert.equal((await page.goto(at(server, "/"))).status(), 401);
});

test("a tenant's people see nothing of another tenant", async (t) => {
  const server = await startServer(t);
  const receiver = await startReceiver(t);
  const theirs = {};
  for (const tenant of ["acme", "globex"]) {
    await server.api("POST", "/v1/tenants", { name: tenant });
    const webhook = await server.api("POST", "/v1/webhooks", { url: `${receiver.url}/${tenant}-path`, events: ["*"] }, tenant);
    const event = await server.publish("code.generated", { of: `${tenant}-data` }, tenant);
    const delivery = await server.delivery(event.id, (one) => one.state === "succeeded", tenant);
    theirs[tenant] = { webhook: webhook.id, event: event.id, delivery: delivery.id };
  }
  const { url } = await server.api("POST", "/v1/portal-links", {}, "acme");
  const { page } = await visitor(t);
  await page.goto(url);
  await page.waitForURL(/\/dashboard\/t\/acme\/$/);
  assert.ok(!page.url().includes("#"));
  const { webhook, event, delivery } = theirs.globex;
  const pages = [`/webhooks/${webhook}`, `/events/${event}`, `/deliveries/${delivery}`, "/keys", "/tenants"];
  for (const path of pages) {
    const answer = await page.goto(at(server, path, "acme"));
    assert.equal(answer.status(), 404, path);
    assert.doesNotMatch(await page.content(), /globex/, path);
  }
  for (const path of [...PAGES, ...pages]) {
    const answer = await page.goto(at(server, path, "globex"));
    assert.equal(answer.status(), 404, path);
    // the address that was asked for may stand in the page, but nothing that it is about
    assert.doesNotMatch(await page.content(), /globex-(path|data)/, path);
  }
  for (const path of ["/", "/webhooks", "/events", "/deliveries", `/deliveries?webhook_id=${webhook}`, `/search?q=${delivery}`]) {
    await page.goto(at(server, path, "acme"));
    assert.doesNotMatch(await page.content(), /globex/, path);
  }
  await page.goto(at(server, "/webhooks", "acme"));
  assert.match(await page.content(), /acme-path/);
});

test("a read-only link shows everything and changes nothing", async (t) => {
  const server = await startServer(t);
  const webhook = await server.api("POST", "/v1/webhooks", { url: "http://127.0.0.1:9/", events: ["*"] });
  const { url } = await server.api("POST", "/v1/portal-links", { is_read_only: true });
  const { page } = await visitor(t);
  await page.goto(url);
  await page.waitForURL(/\/dashboard\/t\/default\/$/);
  await page.getByText("read-only").first().waitFor();
  await page.goto(at(server, `/webhooks/${webhook.id}`));
  assert.equal(await page.locator("main form[method=post]").count(), 0);
  const status = await page.evaluate(async (path) => {
    const answer = await fetch(path, { method: "POST", body: new URLSearchParams() });
    return answer.status;
  }, `/dashboard/t/default/webhooks/${webhook.id}/disable`);
  assert.equal(status, 403);
  assert.equal((await server.api("GET", `/v1/webhooks/${webhook.id}`)).state, "enabled");
});

test("a portal link works in a frame of an allowed site, and of no other", async (t) => {
  const content = { body: "" };
  const outer = await serve(t, content);
  const server = await startServer(t, ["--dashboard-embed-origins", outer]);
  const { url } = await server.api("POST", "/v1/portal-links", {});
  content.body = `<iframe src="${url}" width="900" height="600"></iframe>`;
  const { page } = await visitor(t);
  await page.goto(outer);
  const frame = page.frameLocator("iframe");
  await frame.getByRole("heading", { name: "Overview" }).waitFor();
  await frame.getByRole("link", { name: "Webhooks" }).click();
  await frame.getByRole("heading", { name: "Webhooks" }).waitFor();

  // the same machine by another name is another site
  const stranger = await visitor(t);
  await stranger.page.goto(outer.replace("127.0.0.1", "localhost"));
  await stranger.page.waitForLoadState("load");
  const inner = stranger.page.frames()[1];
  assert.doesNotMatch(await inner.content(), /Overview|Opening/);
  stranger.faults.length = 0; // the policy has just done its work, and said so
});

/** A page of another origin, with whatever `content.body` says by then. */
async function serve(t, content) {
  const other = http.createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(content.body);
  });
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => {
    other.closeAllConnections();
    other.close();
  });
  return `http://127.0.0.1:${other.address().port}`;
}
