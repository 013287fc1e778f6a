/**
 * Loaded before a snippet of the README: sends what listens a signed delivery, twice,
 * and ends the process when both were answered with success.
 */
import { Server } from "node:http";
import type { AddressInfo } from "node:net";

import { delivery } from "./deliveries.js";

const each = delivery("evt_1", { repository: "acme/web" });

// eslint-disable-next-line @typescript-eslint/unbound-method -- is called on the server below
const { listen } = Server.prototype;
Server.prototype.listen = function (this: Server, ...given: unknown[]) {
  this.once("listening", () => {
    const { port } = this.address() as AddressInfo;
    const post = () =>
      fetch(`http://localhost:${port}/webhooks`, {
        method: "POST",
        body: each.body,
        headers: each.headers,
      });
    void check(post);
  });
  return Reflect.apply(listen, this, given) as Server;
};

export async function check(post: () => Promise<Response>): Promise<never> {
  for (let times = 0; times < 2; times += 1) {
    const response = await post();
    if (!response.ok) throw new Error(`answered ${response.status}: ${await response.text()}`);
  }
  console.log("delivered");
  process.exit(0);
}

export function request(): Request {
  const { body, headers } = each;
  return new Request("http://localhost/webhooks", { method: "POST", body, headers });
}
