/** Hono: `app.post("/webhooks", honoHandler(receiver))`. */
import type { Receiver } from "../receiver.js";
import { requestHandler } from "./request.js";

/** What is used of a context. */
export interface HonoContext {
  readonly req: { readonly raw: Request };
}

/** A handler for one route. Nothing before it may read the body. */
export function honoHandler<Data>(
  receiver: Receiver<Data>,
): (context: HonoContext) => Promise<Response> {
  const handle = requestHandler(receiver);
  return (context) => handle(context.req.raw);
}
