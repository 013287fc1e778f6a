/** Deliveries as Postrider makes them, for receivers under test. */
import { sign, verify } from "@postrider/receiver";
import type { Report, WebhookEvent } from "@postrider/receiver";

export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

export interface Delivery {
  readonly id: string;
  readonly body: string;
  readonly headers: Record<string, string>;
}

export function delivery(id: string, data: unknown = {}, secret = SECRET): Delivery {
  const timestamp = new Date().toISOString();
  const body = JSON.stringify({ id, type: "code.generated", timestamp, data });
  return { id, body, headers: sign(id, body, { secrets: secret }) };
}

export function verifiedEvent(id: string, data: unknown = {}): WebhookEvent {
  const { body, headers } = delivery(id, data);
  return verify(body, headers, { secrets: SECRET });
}

/** Collects what is reported, instead of printing it. */
export function reports(): { list: Report[]; report: (report: Report) => void } {
  const list: Report[] = [];
  return { list, report: (report) => list.push(report) };
}

/** A promise and its keys. */
export function signal<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((resolveIt) => {
    resolve = resolveIt;
  });
  return { promise, resolve };
}
