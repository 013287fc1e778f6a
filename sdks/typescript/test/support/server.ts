/** Postrider itself, the binary that `POSTRIDER_BIN` names, and its API. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { saying } from "./process.js";

const ADMIN_KEY = "admin-key-of-the-tests-1234567";
const DEADLINE_MS = 60_000;

export const binary = process.env["POSTRIDER_BIN"];

export interface Delivery {
  id: string;
  webhook_id: string;
  state: string;
  attempts: number;
}

export class Server {
  private constructor(
    readonly url: string,
    readonly stop: () => Promise<void>,
  ) {}

  static async start(): Promise<Server> {
    assert.ok(binary);
    const folder = mkdtempSync(join(tmpdir(), "postrider-server-"));
    const options = [
      "serve",
      "--dev",
      "--listen",
      "127.0.0.1:0",
      "--data-dir",
      join(folder, "data"),
    ];
    const child = spawn(binary, options, {
      // the server refuses variables of its prefix that are no settings, such as the tests' own
      env: { PATH: process.env["PATH"], POSTRIDER_ADMIN_KEY: ADMIN_KEY },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = Promise.any([
      saying(child, child.stdout, "listening at "),
      saying(child, child.stderr, "listening at "),
    ]);
    const address = /listening at (http:\/\/[0-9.:]+)/.exec(await said)?.[1];
    assert.ok(address);
    const stop = async () => {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true });
    };
    return new Server(address, stop);
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async createWebhook(webhook: object): Promise<{ id: string; secret: string }> {
    return this.call("POST", "/v1/webhooks", webhook);
  }

  async publish(event: object): Promise<string> {
    return (await this.call<{ id: string }>("POST", "/v1/events", event)).id;
  }

  /** The deliveries of an event, once they look as asked for. */
  async deliveries(eventId: string, are: (list: Delivery[]) => boolean): Promise<Delivery[]> {
    const endMs = performance.now() + DEADLINE_MS;
    for (;;) {
      const path = `/v1/events/${eventId}/deliveries`;
      const { data } = await this.call<{ data: Delivery[] }>("GET", path);
      if (are(data)) return data;
      assert.ok(performance.now() < endMs, `in time: ${JSON.stringify(data)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async retry(delivery: Delivery): Promise<void> {
    await this.call("POST", `/v1/deliveries/${delivery.id}/retry`);
  }
}
