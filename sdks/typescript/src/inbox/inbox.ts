/** What the three kinds of inbox share: names, settings, answers and operators. */
import { createHash } from "node:crypto";

import type { WebhookEvent } from "../event.js";
import { reportToConsole } from "../report.js";
import type { Report } from "../report.js";
import type { InboxKey, InboxName, OperableStore, Stats } from "./store.js";

const DAY_MS = 86_400_000;
/** Defaults of all SDKs; `vectors/inbox.json`. */
const RETENTION_MS = 30 * DAY_MS;
/**
 * A sender of the standard schedule retries for up to 76 hours, and for nine days
 * when every answer asks for the longest wait; a shorter memory would let a late
 * retry be new again.
 */
const RETENTION_MS_MIN = 10 * DAY_MS;
/** Errors are kept for people to read. */
const ERROR_LENGTH_MAX = 1_000;

export interface InboxOptions {
  /** Who handles the events. Two consumers of one event each handle it once. */
  consumer: string;
  /** Who sends them. Default `postrider`. */
  source?: string;
  /** How long a settled event is remembered. Default 30 days, at least 10. */
  retentionMs?: number;
  /** Milliseconds since 1970. Default: the clock. */
  now?: () => number;
  /** Hears of what needs a person. Default: `console.error`. */
  report?: (report: Report) => void;
}

/** What became of a delivery, and the HTTP status that answers it. */
export interface Delivered {
  readonly outcome:
    "new" | "done" | "accepted" | "running" | "failed" | "dead" | "other_body" | "lost";
  readonly status: number;
  readonly retryAfterSeconds?: number;
}

/** The status of the answer, where a handler has something to say. Default 200. */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a handler may return nothing
export type HandlerResult = number | void;

/** Handles each verified event exactly once, in its own way. */
export abstract class Inbox<Data = unknown> {
  readonly name: InboxName;
  protected readonly retentionMs: number;
  protected readonly now: () => number;
  protected readonly report: (report: Report) => void;
  readonly #store: OperableStore;

  constructor(store: OperableStore, options: InboxOptions) {
    this.name = {
      source: checkedName("source", options.source ?? "postrider"),
      consumer: checkedName("consumer", options.consumer),
    };
    this.retentionMs = options.retentionMs ?? RETENTION_MS;
    if (this.retentionMs < RETENTION_MS_MIN) {
      throw new RangeError("retentionMs must be at least 10 days, the longest a sender may retry");
    }
    this.now = options.now ?? Date.now;
    this.report = options.report ?? reportToConsole;
    this.#store = store;
  }

  /** Handles a verified event, unless that was done before. Never throws for a handler. */
  abstract deliver(event: WebhookEvent<Data>): Promise<Delivered>;

  stats(): Promise<Stats> {
    return this.#store.stats(this.name);
  }

  /** Lets an event run again: a queued one at once, another at its next delivery. */
  reprocess(id: string): Promise<"reprocessed" | "running" | "absent"> {
    return this.#store.reprocess(this.key(id), this.now());
  }

  /** Drops all memory of an event: its next delivery is new. */
  forget(id: string): Promise<"forgotten" | "absent"> {
    return this.#store.forget(this.key(id));
  }

  /** Removes what was settled longer ago than the retention; returns how many. */
  purge(): Promise<number> {
    return this.#store.purge(this.now() - this.retentionMs);
  }

  protected key(id: string): InboxKey {
    return { ...this.name, id };
  }

  /** The answer to the same id with another body: an id of the sender's, used twice. */
  protected otherBody(id: string): Delivered {
    const message = `event ${id} came again with another body, and was refused`;
    this.report({ kind: "other_body", eventId: id, message });
    return { outcome: "other_body", status: 422 };
  }

  protected handlerFailed(id: string, error: unknown): Delivered {
    this.report({ kind: "failed", eventId: id, error, message: `the handler of ${id} failed` });
    return { outcome: "failed", status: 500 };
  }
}

/** The same for every attempt at an event; downstream services can deduplicate by it. */
export function effectKey(key: InboxKey): string {
  return sha256(`${key.source}\n${key.consumer}\n${key.id}`);
}

export function sha256(bytes: Buffer | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The status that a handler chose; throws `RangeError` unless it says success. */
export function successStatus(result: HandlerResult): number {
  const status = result ?? 200;
  if (Number.isInteger(status) && status >= 200 && status <= 299) return status;
  throw new RangeError(`a handler returns a status of 200 to 299, or throws; it gave ${status}`);
}

export function errorText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, ERROR_LENGTH_MAX);
}

function checkedName(what: string, name: string): string {
  if (/^[A-Za-z0-9._:/-]{1,128}$/.test(name)) return name;
  throw new RangeError(`${what} must be 1 to 128 of A-Z a-z 0-9 . _ : / -`);
}
