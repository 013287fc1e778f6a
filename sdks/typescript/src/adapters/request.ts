/**
 * For everything that speaks `Request` and `Response`, as long as it has `node:crypto`.
 */
import { ParsedBodyError } from "../body.js";
import { BodyTooLongError, readBytes } from "../receiver.js";
import type { Answer, Receiver } from "../receiver.js";

/** A handler that answers a webhook's `Request`. */
export function requestHandler<Data>(
  receiver: Receiver<Data>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method !== "POST") {
      return new Response(null, { status: 405, headers: { allow: "POST" } });
    }
    return response(await answerTo(receiver, request));
  };
}

async function answerTo<Data>(receiver: Receiver<Data>, request: Request): Promise<Answer> {
  try {
    return await receiver.handle(await rawBody(request, receiver.bodyBytesMax), request.headers);
  } catch (error) {
    return receiver.refuse(error);
  }
}

async function rawBody(request: Request, bytesMax: number): Promise<Buffer> {
  if (request.bodyUsed) throw new ParsedBodyError("read already by something before the receiver");
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) {
    throw new BodyTooLongError(bytesMax);
  }
  return request.body ? readBytes(request.body, bytesMax) : Buffer.alloc(0);
}

function response({ status, headers, body }: Answer): Response {
  return new Response(body === "" ? null : body, { status, headers: { ...headers } });
}
