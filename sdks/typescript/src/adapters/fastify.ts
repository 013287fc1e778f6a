/** Fastify 4 and 5: `app.register(fastifyReceiver(receiver, { url: "/webhooks" }))`. */
import type { HeadersLike } from "../headers.js";
import type { Receiver } from "../receiver.js";

/** What is used of an instance. Any version's types fit, as its calls are cast below. */
export interface FastifyInstance {
  removeAllContentTypeParsers(): unknown;
  addContentTypeParser: (...given: never[]) => unknown;
  route: (...given: never[]) => unknown;
}

interface UsedInstance {
  addContentTypeParser(
    type: string,
    options: { parseAs: "buffer"; bodyLimit: number },
    parser: (request: unknown, body: Buffer, done: (error: null, body: Buffer) => void) => void,
  ): unknown;
  route(route: {
    method: "POST";
    url: string;
    bodyLimit: number;
    handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
  }): unknown;
}

interface FastifyRequest {
  readonly body: unknown;
  readonly headers: HeadersLike;
}

interface FastifyReply {
  code(status: number): FastifyReply;
  headers(headers: Record<string, string>): FastifyReply;
  send(body: string): unknown;
}

/** A plugin with one route; only inside of it bodies stay raw. */
export function fastifyReceiver<Data>(
  receiver: Receiver<Data>,
  { url }: { url: string },
): (instance: FastifyInstance) => Promise<void> {
  const bodyLimit = receiver.bodyBytesMax;
  return async (instance) => {
    instance.removeAllContentTypeParsers();
    const used = instance as unknown as UsedInstance;
    used.addContentTypeParser("*", { parseAs: "buffer", bodyLimit }, (_, body, done) => {
      done(null, body);
    });
    used.route({
      method: "POST",
      url,
      bodyLimit,
      handler: async (request, reply) => {
        const body = request.body ?? Buffer.alloc(0);
        const answer = await receiver.handle(body as Buffer, request.headers);
        return reply
          .code(answer.status)
          .headers({ ...answer.headers })
          .send(answer.body);
      },
    });
    return Promise.resolve();
  };
}
