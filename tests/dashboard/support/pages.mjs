// A server with something on every page, and the address of every page.

/** Registers, publishes, fails, replays: ids of what came of it. */
export async function fill(server, receiver) {
  receiver.answer = (request) => ({ status: request.url.includes("bad") ? 503 : 200, body: "what the receiver said" });
  const good = await server.api("POST", "/v1/webhooks", { url: `${receiver.url}/good`, events: ["*"], description: "Everything" });
  const bad = await server.api("POST", "/v1/webhooks", { url: `${receiver.url}/bad`, events: ["code.*"], filter: "data.n > 0", headers: { "x-custom": "1" } });
  const off = await server.api("POST", "/v1/webhooks", { url: `${receiver.url}/off`, events: ["security.*"] });
  await server.api("POST", `/v1/webhooks/${off.id}/disable`);
  await server.api("POST", "/v1/event-types", { name: "own.type", description: "Ours", schema: { type: "object" }, example: { a: 1 } });
  let event;
  for (let n = 0; n < 5; n += 1) event = await server.publish(n % 2 ? "security.vulnerability_detected" : "code.generated", { n, text: "some text", list: [1, true, null] });
  const failed = await server.delivery(event.id, (one) => one.webhook_id === bad.id && one.attempts > 0);
  const replay = await server.api("POST", `/v1/webhooks/${good.id}/replay`, { since: "2020-01-01T00:00:00Z", states: ["succeeded"] });
  return { good: good.id, bad: bad.id, off: off.id, event: event.id, delivery: failed.id, replay: replay.id };
}

/** Of the tenant `default`. */
export function everyPage({ good, bad, off, event, delivery, replay }) {
  const paths = [
    "/", "/?range=1h", "/?from=2026-01-01T00:00&until=2026-01-03T00:00", "/search?q=nothing", "/search",
    "/webhooks", "/webhooks?q=bad", "/webhooks/new", `/webhooks/${good}`, `/webhooks/${bad}?range=1h`, `/webhooks/${off}`,
    `/webhooks/${bad}/edit`, `/webhooks/${good}/rotate`, `/webhooks/${good}/replay`,
    "/events", `/events/${event}`, `/events/${event}?body=exact`, "/deliveries", "/deliveries?state=failed", `/deliveries/${delivery}`,
    `/deliveries/retry?webhook_id=${bad}&state=pending`, `/replays/${replay}`,
    "/event-types", "/event-types/own.type", "/event-types/code.generated", "/keys", "/tenants", "/tenants/default",
  ];
  return paths.map((path) => `/dashboard/t/default${path}`);
}
