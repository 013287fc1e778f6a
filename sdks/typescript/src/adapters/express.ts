/**
 * Express 4 and 5, and any server of `node:http`:
 * `app.post("/webhooks", expressHandler(receiver))`, before `express.json()`.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

import { ParsedBodyError } from "../body.js";
import { BodyTooLongError, readBytes } from "../receiver.js";
import type { Answer, Receiver } from "../receiver.js";

/** What body parsers leave on a request. */
interface ParsedRequest extends IncomingMessage {
  body?: unknown;
  rawBody?: unknown;
}

/** A handler for one route. Takes the body from `express.raw()` too, or from `rawBody`. */
export function expressHandler<Data>(
  receiver: Receiver<Data>,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const { status, headers, body } = await answerTo(receiver, request);
    // the rest of a body that was refused unread is not waited for
    const connection = request.readableEnded ? {} : { connection: "close" };
    response.writeHead(status, { ...headers, ...connection });
    response.end(body);
  };
}

async function answerTo<Data>(receiver: Receiver<Data>, request: ParsedRequest): Promise<Answer> {
  try {
    return await receiver.handle(await rawBody(request, receiver.bodyBytesMax), request.headers);
  } catch (error) {
    return receiver.refuse(error);
  }
}

async function rawBody(request: ParsedRequest, bytesMax: number): Promise<Buffer> {
  const given = [request.rawBody, request.body].find((body) => Buffer.isBuffer(body));
  if (given) {
    if (given.length > bytesMax) throw new BodyTooLongError(bytesMax);
    return given;
  }
  if (request.readableEnded || request.readableDidRead) {
    throw new ParsedBodyError("parsed or read already by something before the receiver");
  }
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) {
    throw new BodyTooLongError(bytesMax);
  }
  // leaving the loop early must not destroy the socket that the answer goes to
  return readBytes(request.iterator({ destroyOnReturn: false }), bytesMax);
}
