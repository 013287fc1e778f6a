/**
 * A receiver: verifies a request, hands the event to an inbox, and says what to
 * answer. It knows no framework; the adapters bring it raw bodies.
 */
import { ParsedBodyError } from "./body.js";
import type { RawBody } from "./body.js";
import type { HeadersLike } from "./headers.js";
import type { Delivered, Inbox } from "./inbox/inbox.js";
import { reportToConsole } from "./report.js";
import type { Report } from "./report.js";
import { Verifier, VerifyError } from "./verify.js";
import type { VerifyOptions } from "./verify.js";

/** Ten times what Postrider warns about; whoever needs more says so. */
const BODY_BYTES_MAX = 1_048_576;
/** When something here broke: soon, but not at once. */
const RETRY_SECONDS = 5;

export interface ReceiverOptions<Data = unknown> extends VerifyOptions {
  inbox: Inbox<Data>;
  /** Longer bodies are refused unread. Default 1 MiB. */
  bodyBytesMax?: number;
  /** Hears of what needs a person. Default: `console.error`. */
  report?: (report: Report) => void;
}

/** What to answer to a request. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; empty for a status that has no body. */
  readonly body: string;
}

export class Receiver<Data = unknown> {
  readonly bodyBytesMax: number;
  readonly #verifier: Verifier;
  readonly #inbox: Inbox<Data>;
  readonly #report: (report: Report) => void;

  /** Throws `SecretError` when a secret is none of the profile's. */
  constructor(options: ReceiverOptions<Data>) {
    this.bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    this.#verifier = new Verifier(options);
    this.#inbox = options.inbox;
    this.#report = options.report ?? reportToConsole;
  }

  /** Verifies first, and only then claims. Never throws: a failure is an answer too. */
  async handle(body: RawBody, headers: HeadersLike): Promise<Answer> {
    try {
      return delivered(await this.#inbox.deliver(this.#verifier.verify<Data>(body, headers)));
    } catch (error) {
      return this.refuse(error);
    }
  }

  /** The answer to what kept a request from being handled. */
  refuse(error: unknown): Answer {
    if (error instanceof VerifyError) {
      this.#report({
        kind: "rejected",
        error,
        message: `a delivery was refused: ${error.message}`,
      });
      return answer(error.status, { error: error.code });
    }
    if (error instanceof BodyTooLongError) {
      this.#report({ kind: "rejected", error, message: error.message });
      return answer(413, { error: error.code });
    }
    if (error instanceof ParsedBodyError) {
      this.#report({ kind: "rejected", error, message: error.message });
      return answer(500, { error: error.code });
    }
    this.#report({ kind: "store", error, message: "the inbox could not be reached" });
    return answer(500, { error: "inbox" }, RETRY_SECONDS);
  }
}

/** A body over the receiver's limit. */
export class BodyTooLongError extends Error {
  override readonly name = "BodyTooLongError";
  readonly code = "body_too_long";

  constructor(bytesMax: number) {
    super(`the body is longer than ${bytesMax} bytes`);
  }
}

/** Collects a stream of bytes, up to a limit. */
export async function readBytes(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > bytesMax) throw new BodyTooLongError(bytesMax);
    pieces.push(chunk);
  }
  return Buffer.concat(pieces);
}

function delivered({ outcome, status, retryAfterSeconds }: Delivered): Answer {
  return answer(status, { outcome }, retryAfterSeconds);
}

function answer(status: number, body: object, retryAfterSeconds?: number): Answer {
  const retryAfter = retryAfterSeconds !== undefined && {
    "retry-after": String(retryAfterSeconds),
  };
  // RFC 9110 §15.3: these two have no content
  if (status === 204 || status === 205) return { status, headers: { ...retryAfter }, body: "" };
  return {
    status,
    headers: { "content-type": "application/json", ...retryAfter },
    body: JSON.stringify(body),
  };
}
