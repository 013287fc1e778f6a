// A real server on a port of its own, and a receiver that answers as a test tells it to.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const BINARY = process.env.POSTRIDER_BIN;
const START_MS_MAX = 30_000;

/** Starts a server for development with `args` besides; it ends with the test `t`. */
export async function startServer(t, args = []) {
  if (!BINARY) throw new Error("POSTRIDER_BIN names no server; run these tests with cargo xtask test");
  const folder = await mkdtemp(join(tmpdir(), "postrider-dashboard-"));
  const child = spawn(BINARY, ["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", folder, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    // of this process's variables none is a setting
    env: { PATH: process.env.PATH, POSTRIDER_LOG_LEVEL: "error" },
  });
  t.after(async () => {
    child.kill("SIGTERM");
    if (child.exitCode === null) await once(child, "exit");
    await rm(folder, { recursive: true, force: true });
  });
  const told = await banner(child);
  return new Server(told);
}

/** What the server says about itself: the address, the admin key and the dashboard's link. */
async function banner(child) {
  const told = {};
  const late = setTimeout(() => child.kill(), START_MS_MAX);
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, value] = /^ {2}(API|Dashboard|Admin key) +(\S+)/.exec(line) ?? [];
    if (name) told[name] = value;
    if (told["Admin key"]) break;
  }
  clearTimeout(late);
  child.stdout.resume();
  if (!told["Admin key"]) throw new Error("the server did not start");
  return { url: told.API, link: told.Dashboard, key: told["Admin key"] };
}

class Server {
  constructor({ url, link, key }) {
    this.url = url;
    this.link = link;
    this.key = key;
  }

  /** Asks the API; throws where it refuses. */
  async api(method, path, body, tenant) {
    const headers = { authorization: `Bearer ${this.key}`, "content-type": "application/json" };
    if (tenant) headers["postrider-tenant"] = tenant;
    const answer = await fetch(this.url + path, {
      method,
      headers,
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  publish(type, data, tenant) {
    return this.api("POST", "/v1/events", { type, data }, tenant);
  }

  /** Waits until a delivery of an event is as `wanted` says. */
  async delivery(event, wanted, tenant) {
    return eventually(`a delivery of ${event} that is as wanted`, async () => {
      const { data } = await this.api("GET", `/v1/events/${event}/deliveries`, undefined, tenant);
      return data.find(wanted);
    });
  }
}

/** Starts a receiver. `answer(request, body, n)` says `{ status, headers, body }` or `"hang"`. */
export async function startReceiver(t, answer = () => ({ status: 200 })) {
  const receiver = { answer, requests: [] };
  const server = http.createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    receiver.requests.push({ path: request.url, headers: request.headers, body });
    const said = receiver.answer(request, body, receiver.requests.length);
    if (said === "hang") return;
    response.writeHead(said.status, said.headers ?? {});
    response.end(said.body ?? "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  receiver.url = `http://127.0.0.1:${server.address().port}`;
  return receiver;
}

/** Asks until there is an answer; a busy machine may take its time. */
export async function eventually(what, ask, ms = 30_000) {
  const until = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > until) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
