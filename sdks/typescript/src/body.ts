/** The raw body of a request, in the types that frameworks hand over. */
export type RawBody = Uint8Array | ArrayBuffer | string;

/**
 * Something other than the bytes that arrived. A signature covers bytes: what a
 * framework parsed can't be verified, however it is written out again.
 */
export class ParsedBodyError extends TypeError {
  override readonly name = "ParsedBodyError";
  readonly code = "parsed_body";

  constructor(given: string) {
    super(
      `the raw body is needed to verify a signature, but it was ${given}. ` +
        "Express: mount the receiver before express.json(), or use express.raw({ type: '*/*' }) on its route. " +
        "Fastify: register the receiver's plugin. " +
        "Next.js and other fetch-style handlers: pass the Request itself, unread, or await request.arrayBuffer().",
    );
  }
}

/** The bytes of a raw body; refuses anything that was parsed already. */
export function rawBytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (body instanceof Uint8Array) {
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  }
  if (body instanceof ArrayBuffer) return Buffer.from(body);
  if (typeof body === "string") return Buffer.from(body, "utf8");
  throw new ParsedBodyError(body === undefined ? "missing" : `parsed (${describe(body)})`);
}

function describe(body: unknown): string {
  if (body === null) return "null";
  return Array.isArray(body) ? "an array" : `of type ${typeof body}`;
}
