/**
 * The inbox whose effect happens exactly once, whatever crashes when: the row and
 * the handler's own writes are one transaction.
 */
import type { WebhookEvent } from "../event.js";
import { Inbox, sha256, successStatus } from "./inbox.js";
import type { Delivered, HandlerResult, InboxOptions } from "./inbox.js";
import type { TransactionalStore } from "./store.js";

/** Writes through `tx` alone; a throw takes all of it back. */
export type TransactionalHandler<Tx, Data = unknown> = (
  event: WebhookEvent<Data>,
  tx: Tx,
) => HandlerResult | Promise<HandlerResult>;

export class TransactionalInbox<Tx, Data = unknown> extends Inbox<Data> {
  readonly #store: TransactionalStore<Tx>;
  readonly #handler: TransactionalHandler<Tx, Data>;

  constructor(
    store: TransactionalStore<Tx>,
    options: InboxOptions,
    handler: TransactionalHandler<Tx, Data>,
  ) {
    super(store, options);
    this.#store = store;
    this.#handler = handler;
  }

  async deliver(event: WebhookEvent<Data>): Promise<Delivered> {
    const key = this.key(event.id);
    const run = async (tx: Tx) => successStatus(await this.#handler(event, tx));
    const result = await this.#store.process(key, sha256(event.body), this.now(), run);
    switch (result.outcome) {
      case "new":
      case "done":
        return result;
      case "running":
        return { ...result, status: 409 };
      case "other_body":
        return this.otherBody(event.id);
      case "failed":
        return this.handlerFailed(event.id, result.error);
    }
  }
}
