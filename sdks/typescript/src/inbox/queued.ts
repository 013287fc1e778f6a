/**
 * The inbox that answers at once: a delivery is stored, and a worker, in this
 * process or another, runs it later, with retries and a dead state.
 */
import { WebhookEvent } from "../event.js";
import { effectKey, errorText, Inbox, sha256, successStatus } from "./inbox.js";
import type { Delivered, InboxOptions } from "./inbox.js";
import { checkedLease, LEASE_MS, underLease } from "./lease.js";
import type { ClaimHandler } from "./leased.js";
import type { Claim, QueuedStore, Taken } from "./store.js";
import { Worker } from "./worker.js";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Ten attempts over half a day; the default of all SDKs. */
const RETRY_DELAYS_MS = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  2 * HOUR_MS,
  4 * HOUR_MS,
  8 * HOUR_MS,
];

export interface QueuedOptions<Data = unknown> extends InboxOptions {
  /** How long a claim lasts without a heartbeat. Default 30 s. */
  leaseMs?: number;
  /** The wait after each failed attempt; the attempt after the last one is the last. */
  retryDelaysMs?: readonly number[];
  /** Events of one order key run one at a time, in the order of their arrival. */
  orderKey?: (event: WebhookEvent<Data>) => string | undefined;
}

export interface WorkerOptions {
  /** How many events run at a time. Default 4. */
  concurrency?: number;
  /** How long an idle worker waits before it looks again. Default 1 s. */
  pollMs?: number;
}

export class QueuedInbox<Data = unknown> extends Inbox<Data> {
  readonly #store: QueuedStore;
  readonly #handler: ClaimHandler<Data>;
  readonly #orderKey: (event: WebhookEvent<Data>) => string | undefined;
  readonly #leaseMs: number;
  readonly #retryDelaysMs: readonly number[];
  readonly #workers = new Set<Worker>();

  constructor(store: QueuedStore, options: QueuedOptions<Data>, handler: ClaimHandler<Data>) {
    super(store, options);
    this.#store = store;
    this.#handler = handler;
    this.#orderKey = options.orderKey ?? (() => undefined);
    this.#leaseMs = checkedLease(options.leaseMs ?? LEASE_MS);
    this.#retryDelaysMs = options.retryDelaysMs ?? RETRY_DELAYS_MS;
  }

  /** Stores the event; 202 once that is durable. */
  async deliver(event: WebhookEvent<Data>): Promise<Delivered> {
    const acceptance = {
      body: event.body,
      bodySha256: sha256(event.body),
      signedAtSeconds: event.signedAtSeconds,
      serverHost: event.serverHost,
      orderKey: this.#orderKey(event),
    };
    const result = await this.#store.accept(this.key(event.id), acceptance, this.now());
    switch (result.outcome) {
      case "accepted":
        for (const worker of this.#workers) worker.wake();
        return { outcome: "accepted", status: 202 };
      case "dead":
        return { outcome: "dead", status: 202 };
      case "done":
        return result;
      case "other_body":
        return this.otherBody(event.id);
    }
  }

  /** Starts a worker in this process. Stop it before closing the store. */
  start(options: WorkerOptions = {}): Worker {
    const worker = new Worker({
      concurrency: options.concurrency ?? 4,
      pollMs: options.pollMs ?? SECOND_MS,
      runNext: (signal) => this.runNext(signal),
      report: this.report,
      stopped: () => this.#workers.delete(worker),
    });
    this.#workers.add(worker);
    return worker;
  }

  /** Runs one event that is due; `false` when there was none. For workers by a timer. */
  async runNext(stop?: AbortSignal): Promise<boolean> {
    const taken = await this.#store.take(this.name, {
      nowMs: this.now(),
      leaseMs: this.#leaseMs,
      attemptsMax: this.#retryDelaysMs.length + 1,
      retentionMs: this.retentionMs,
    });
    if (taken) await this.#run(taken, stop);
    return taken !== undefined;
  }

  override async reprocess(id: string): Promise<"reprocessed" | "running" | "absent"> {
    const result = await super.reprocess(id);
    for (const worker of this.#workers) worker.wake();
    return result;
  }

  async #run({ claim, event }: Taken, stop: AbortSignal | undefined): Promise<void> {
    const { id } = claim.key;
    const extend = () => this.#store.heartbeat(claim, this.now() + this.#leaseMs);
    let status: number;
    try {
      status = await underLease(this.#leaseMs, extend, async (lost) => {
        const signal = stop ? AbortSignal.any([lost, stop]) : lost;
        const context = { effectKey: effectKey(claim.key), attempt: claim.attempt, signal };
        return successStatus(
          await this.#handler(new WebhookEvent<Data>({ id, ...event }), context),
        );
      });
    } catch (error) {
      return this.#failed(claim, error);
    }
    this.#checkOurs(claim, await this.#store.finish(claim, status, this.#settled()));
  }

  async #failed(claim: Claim, error: unknown): Promise<void> {
    const { id } = claim.key;
    const settled = this.#settled();
    const delayMs = this.#retryDelaysMs[claim.attempt - 1];
    const dueAtMs = delayMs === undefined ? "never" : settled.nowMs + delayMs;
    const isOurs = await this.#store.retry(claim, errorText(error), dueAtMs, settled);
    if (!this.#checkOurs(claim, isOurs)) return;
    const kind = dueAtMs === "never" ? "dead" : "failed";
    const what = kind === "dead" ? "is dead" : `failed in attempt ${claim.attempt}`;
    this.report({ kind, eventId: id, error, message: `event ${id} ${what}` });
  }

  #checkOurs({ key }: Claim, isOurs: boolean): boolean {
    if (!isOurs) {
      const message = `the lease of ${key.id} was lost while its handler ran`;
      this.report({ kind: "lost", eventId: key.id, message });
    }
    return isOurs;
  }

  #settled() {
    return { nowMs: this.now(), retentionMs: this.retentionMs };
  }
}
