/**
 * The inbox for effects outside of a database: a claim with a lease, taken over
 * when its holder vanishes. The effect happens at least once, and never by two
 * holders of a valid token at a time.
 */
import type { WebhookEvent } from "../event.js";
import { effectKey, errorText, Inbox, sha256, successStatus } from "./inbox.js";
import type { Delivered, HandlerResult, InboxOptions } from "./inbox.js";
import { checkedLease, LEASE_MS, underLease } from "./lease.js";
import type { Claim, LeasedStore } from "./store.js";

export interface LeasedOptions extends InboxOptions {
  /** How long a claim lasts without a heartbeat. Default 30 s. */
  leaseMs?: number;
}

/** What a handler knows of its claim. */
export interface ClaimContext {
  /** The same in every attempt: pass it downstream, as an idempotency key. */
  readonly effectKey: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Aborted when the lease is lost: stop, someone else may be at it. */
  readonly signal: AbortSignal;
}

export type ClaimHandler<Data = unknown> = (
  event: WebhookEvent<Data>,
  context: ClaimContext,
) => HandlerResult | Promise<HandlerResult>;

export class LeasedInbox<Data = unknown> extends Inbox<Data> {
  readonly #store: LeasedStore;
  readonly #handler: ClaimHandler<Data>;
  readonly #leaseMs: number;

  constructor(store: LeasedStore, options: LeasedOptions, handler: ClaimHandler<Data>) {
    super(store, options);
    this.#store = store;
    this.#handler = handler;
    this.#leaseMs = checkedLease(options.leaseMs ?? LEASE_MS);
  }

  async deliver(event: WebhookEvent<Data>): Promise<Delivered> {
    const lease = { nowMs: this.now(), leaseMs: this.#leaseMs };
    const result = await this.#store.claim(this.key(event.id), sha256(event.body), lease);
    switch (result.outcome) {
      case "done":
        return result;
      case "running":
        return { ...result, status: 409 };
      case "other_body":
        return this.otherBody(event.id);
      case "claimed":
        return this.#run(event, result.claim);
    }
  }

  async #run(event: WebhookEvent<Data>, claim: Claim): Promise<Delivered> {
    let status: number;
    try {
      status = await underLease(
        this.#leaseMs,
        () => this.#store.heartbeat(claim, this.now() + this.#leaseMs),
        async (signal) => {
          const context = { effectKey: effectKey(claim.key), attempt: claim.attempt, signal };
          return successStatus(await this.#handler(event, context));
        },
      );
    } catch (error) {
      const isOurs = await this.#store.fail(claim, errorText(error), this.#settled());
      return isOurs ? this.handlerFailed(event.id, error) : this.#lost(event.id);
    }
    const isOurs = await this.#store.finish(claim, status, this.#settled());
    return isOurs ? { outcome: "new", status } : this.#lost(event.id);
  }

  #settled() {
    return { nowMs: this.now(), retentionMs: this.retentionMs };
  }

  #lost(id: string): Delivered {
    const message = `the lease of ${id} was lost while its handler ran`;
    this.report({ kind: "lost", eventId: id, message });
    return { outcome: "lost", status: 409, retryAfterSeconds: Math.ceil(this.#leaseMs / 1_000) };
  }
}
