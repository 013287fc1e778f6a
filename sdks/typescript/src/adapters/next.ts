/** Next.js route handlers: `export const { POST } = nextRoute(receiver);` */
import type { Receiver } from "../receiver.js";
import { requestHandler } from "./request.js";

/** What a `route.ts` exports. It needs the Node.js runtime, which is the default. */
export function nextRoute<Data>(receiver: Receiver<Data>): {
  POST: (request: Request) => Promise<Response>;
} {
  return { POST: requestHandler(receiver) };
}
