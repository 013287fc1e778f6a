import { parseTimestamp } from "./timestamp.js";

/** What identifies a delivery and what was signed. */
export interface EventParts {
  id: string;
  signedAtSeconds: number;
  body: Buffer;
  serverHost?: string | undefined;
}

/** A verified event. `Data` is what its `data` is expected to be; nothing checks that. */
export class WebhookEvent<Data = unknown> {
  /** The same in every attempt. */
  readonly id: string;
  /** The time that was signed: the event's or the attempt's, in whole seconds since 1970. */
  readonly signedAtSeconds: number;
  /** Exactly what arrived. */
  readonly body: Buffer;
  /** The public URL of the server that sent it, for profiles that say so. */
  readonly serverHost: string | undefined;
  #parsed: { value: unknown } | undefined;

  constructor(parts: EventParts) {
    this.id = parts.id;
    this.signedAtSeconds = parts.signedAtSeconds;
    this.body = parts.body;
    this.serverHost = parts.serverHost;
  }

  /** The body, parsed once; throws `SyntaxError` when it is no JSON. */
  json(): unknown {
    this.#parsed ??= { value: JSON.parse(this.body.toString("utf8")) as unknown };
    return this.#parsed.value;
  }

  /** The envelope's `type`, such as `code.generated`; `""` when there is none. */
  get type(): string {
    const type = this.#member("type");
    return typeof type === "string" ? type : "";
  }

  /** When the event occurred, by its envelope. */
  get occurredAt(): Date | undefined {
    const timestamp = this.#member("timestamp");
    const ms = typeof timestamp === "string" ? parseTimestamp(timestamp) : undefined;
    return ms === undefined ? undefined : new Date(ms);
  }

  /** The envelope's `data`. */
  get data(): Data {
    return this.#member("data") as Data;
  }

  #member(name: string): unknown {
    const value = this.json();
    const isObject = typeof value === "object" && value !== null && Object.hasOwn(value, name);
    return isObject ? (value as Record<string, unknown>)[name] : undefined;
  }
}
