/** The scripts of `vectors/inbox.json` and `vectors/locks.json`, on every store. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { effectKey } from "@postrider/receiver";
import type { Claim, HeldLock, InboxKey } from "@postrider/receiver";

import { sha256 } from "../dist/esm/inbox/inbox.js";
import { kinds } from "./support/stores.js";
import type { Kind, Opened } from "./support/stores.js";
import { vectors } from "./vectors.js";
import type { InboxCase, Step } from "./vectors.js";

const inbox = vectors("inbox");
const locks = vectors("locks");

for (const [name, start] of Object.entries(kinds)) {
  describe(`vectors on ${name}`, () => {
    let kind: Kind;
    before(async () => {
      kind = await start();
    });
    after(() => kind.stop());

    for (const each of inbox.cases) {
      const isFor = each.stores?.includes(name) ?? true;
      const isTransactional = each.mode === "transactional";
      if (!isFor || (isTransactional && ["memory", "redis"].includes(name))) continue;
      test(`${each.mode}: ${each.name}`, async () => {
        const opened = await kind.open();
        try {
          await new Script(opened, each).run();
        } finally {
          await opened.close();
        }
      });
    }
    for (const each of locks.cases) {
      test(`lock: ${each.name}`, async () => {
        const opened = await kind.open();
        try {
          await runLocks(opened, each.steps);
        } finally {
          await opened.close();
        }
      });
    }
  });
}

/** One case, run with the verbs of a store. */
class Script {
  readonly #opened: Opened;
  readonly #case: InboxCase;
  readonly #claims = new Map<string, Claim>();

  constructor(opened: Opened, each: InboxCase) {
    this.#opened = opened;
    this.#case = each;
  }

  async run(): Promise<void> {
    for (const [at, step] of this.#case.steps.entries()) {
      const given = (await this.#result(step)) as Record<string, unknown>;
      const named = Object.keys(step.expect).map((field) => [field, given[field]]);
      assert.deepEqual(Object.fromEntries(named), step.expect, `step ${at}: ${step.op}`);
    }
  }

  #result(step: Step): unknown {
    const { store, transactional } = this.#opened;
    const { source, consumer } = { ...inbox.key, ...step };
    const key: InboxKey = { source, consumer, id: step.id ?? "" };
    switch (step.op) {
      case "claim":
        return this.#claim(step, key);
      case "accept": {
        const body = Buffer.from(step.body ?? "");
        const stored = { body, bodySha256: sha256(body), signedAtSeconds: 1 };
        return store
          .accept(key, { ...stored, orderKey: step.order_key }, step.at_ms)
          .then(snakeCase);
      }
      case "take":
        return this.#take(step, { source, consumer });
      case "heartbeat":
        return this.#whether(
          store.heartbeat(this.#held(step), step.at_ms + this.#case.lease_ms),
          "held",
        );
      case "finish":
        return this.#whether(
          store.finish(this.#held(step), step.status ?? 0, this.#settled(step)),
          "finished",
        );
      case "fail":
        return this.#fail(step);
      case "process":
        return this.#process(step, key);
      case "effects":
        return transactional?.effects().then((effects) => ({ effects }));
      case "stats":
        return store.stats({ source, consumer });
      case "reprocess":
        return store.reprocess(key, step.at_ms).then((outcome) => ({ outcome }));
      case "forget":
        return store.forget(key).then((outcome) => ({ outcome }));
      case "purge":
        return store.purge(step.at_ms - this.#case.retention_ms).then((removed) => ({ removed }));
      default:
        throw new Error(`unknown operation ${step.op}`);
    }
  }

  async #claim(step: Step, key: InboxKey) {
    const lease = { nowMs: step.at_ms, leaseMs: this.#case.lease_ms };
    const result = await this.#opened.store.claim(key, sha256(step.body ?? ""), lease);
    return result.outcome === "claimed" ? this.#claimed(step, result.claim) : snakeCase(result);
  }

  async #take(step: Step, name: Omit<InboxKey, "id">) {
    const taken = await this.#opened.store.take(name, {
      nowMs: step.at_ms,
      leaseMs: this.#case.lease_ms,
      attemptsMax: this.#case.retry_delays_ms.length + 1,
      retentionMs: this.#case.retention_ms,
    });
    if (!taken) return { outcome: "empty" };
    const { claim, event } = taken;
    return { ...this.#claimed(step, claim), id: claim.key.id, body: event.body.toString() };
  }

  #claimed(step: Step, claim: Claim) {
    if (step.as !== undefined) this.#claims.set(step.as, claim);
    return { outcome: "claimed", attempt: claim.attempt, effect_key: effectKey(claim.key) };
  }

  async #fail(step: Step) {
    const claim = this.#held(step);
    const [error, times] = [step.error ?? "", this.#settled(step)];
    if (this.#case.mode === "leased") {
      return this.#whether(this.#opened.store.fail(claim, error, times), "failed");
    }
    const delayMs = this.#case.retry_delays_ms[claim.attempt - 1];
    const dueAtMs = delayMs === undefined ? "never" : step.at_ms + delayMs;
    const isOurs = await this.#opened.store.retry(claim, error, dueAtMs, times);
    if (!isOurs) return { outcome: "lost" };
    return dueAtMs === "never" ? { outcome: "dead" } : { outcome: "pending", due_at_ms: dueAtMs };
  }

  async #process(step: Step, key: InboxKey) {
    const { transactional } = this.#opened;
    assert.ok(transactional);
    const { handler } = step;
    const run = async (tx: unknown) => {
      await transactional.addEffect(tx, key.id);
      if (typeof handler !== "number") throw new Error("no disk");
      return handler;
    };
    const body = sha256(step.body ?? "");
    return snakeCase(await transactional.store.process(key, body, step.at_ms, run));
  }

  #held(step: Step): Claim {
    const claim = this.#claims.get(step.token ?? "");
    assert.ok(claim, `no token ${step.token}`);
    return claim;
  }

  #settled(step: Step) {
    return { nowMs: step.at_ms, retentionMs: this.#case.retention_ms };
  }

  async #whether(isOurs: Promise<boolean>, word: string) {
    return { outcome: (await isOurs) ? word : "lost" };
  }
}

async function runLocks({ store }: Opened, steps: Step[]): Promise<void> {
  const held = new Map<string, HeldLock>();
  const lockOf = (step: Step): HeldLock => {
    const lock = held.get(step.token ?? "");
    assert.ok(lock, `no token ${step.token}`);
    return lock;
  };
  for (const [at, step] of steps.entries()) {
    const ttlMs = step.ttl_ms ?? 0;
    if (step.op === "acquire") {
      const { fence_above: above, ...expected } = step.expect;
      const result = await store.acquire(step.key ?? "", ttlMs, step.at_ms);
      if (result.outcome === "held_elsewhere") {
        assert.deepEqual(snakeCase(result), expected, `step ${at}`);
        continue;
      }
      assert.equal(result.outcome, expected["outcome"], `step ${at}`);
      const { lock } = result;
      if (typeof above === "string") assert.ok(lock.fence > (held.get(above)?.fence ?? Infinity));
      if (step.as !== undefined) held.set(step.as, lock);
    } else {
      const isOurs =
        step.op === "extend"
          ? await store.extend(lockOf(step), step.at_ms + ttlMs)
          : await store.release(lockOf(step));
      const word = step.op === "extend" ? "held" : "released";
      assert.deepEqual({ outcome: isOurs ? word : "lost" }, step.expect, `step ${at}`);
    }
  }
}

function snakeCase(result: object): Record<string, unknown> {
  const entries = Object.entries(result).map(([name, value]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value as unknown,
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}
