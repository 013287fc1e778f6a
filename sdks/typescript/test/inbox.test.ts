/** The three kinds of inbox on every store that has them: what deliveries become. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { LeasedInbox, MemoryStore, QueuedInbox, TransactionalInbox } from "@postrider/receiver";
import type { Delivered, Inbox, LeasedStore, QueuedStore, WebhookEvent } from "@postrider/receiver";

import { reports, signal, verifiedEvent } from "./support/deliveries.js";
import { kinds } from "./support/stores.js";
import type { Kind, Opened, Transactional } from "./support/stores.js";
import { vectors } from "./vectors.js";

const { answers, defaults } = vectors("inbox");
const PARALLEL = 64;
const consumer = "billing";

for (const [name, start] of Object.entries(kinds)) {
  describe(`inboxes on ${name}`, () => {
    let kind: Kind;
    let opened: Opened;
    before(async () => {
      kind = await start();
      opened = await kind.open();
    });
    after(async () => {
      await opened.close();
      await kind.stop();
    });

    test("64 parallel deliveries of one id have one effect, leased", async () => {
      let effects = 0;
      const inbox = new LeasedInbox(opened.store, { consumer }, async () => {
        effects += 1;
        await new Promise(setImmediate);
      });
      const results = await deliverInParallel(inbox, "evt_parallel_leased");
      assert.equal(effects, 1);
      checkPolite(results);
    });

    test("64 parallel deliveries of one id have one effect, queued", async () => {
      const ran = signal();
      let effects = 0;
      const inbox = new QueuedInbox(opened.store, { consumer: "queue" }, () => {
        effects += 1;
        ran.resolve();
      });
      const worker = inbox.start();
      const results = await deliverInParallel(inbox, "evt_parallel_queued");
      await ran.promise;
      await worker.stop();
      assert.equal(effects, 1);
      assert.ok(results.every(({ status }) => status === 202 || status === 200));
    });

    if (name === "sqlite" || name === "postgres") {
      test("64 parallel deliveries of one id have one effect, transactional", async () => {
        const transactional = transactionalOf(opened);
        const inbox = new TransactionalInbox(transactional.store, { consumer }, (event, tx) =>
          transactional.addEffect(tx, event.id),
        );
        checkPolite(await deliverInParallel(inbox, "evt_parallel"));
        assert.deepEqual(await transactional.effects(), ["evt_parallel"]);
      });

      test("parallel deliveries of many ids each have their effect", async () => {
        const transactional = transactionalOf(opened);
        const options = { consumer: "many" };
        const inbox = new TransactionalInbox(transactional.store, options, (event, tx) =>
          transactional.addEffect(tx, event.id),
        );
        const ids = Array.from({ length: 50 }, (_, at) => `evt_many_${at}`);
        const results = await Promise.all(ids.map((id) => inbox.deliver(verifiedEvent(id))));
        assert.ok(results.every(({ status }) => status === 200));
        const effects = (await transactional.effects()).filter((id) => ids.includes(id));
        assert.deepEqual(effects.sort(), [...ids].sort());
      });

      test("a status of a handler that is no success takes everything back", async () => {
        const transactional = transactionalOf(opened);
        const { list, report } = reports();
        const inbox = new TransactionalInbox(
          transactional.store,
          { consumer: "bad-status", report },
          async (event, tx) => {
            await transactional.addEffect(tx, event.id);
            return 302;
          },
        );
        const result = await inbox.deliver(verifiedEvent("evt_302"));
        assert.deepEqual(result, { outcome: "failed", status: 500 });
        assert.ok(!(await transactional.effects()).includes("evt_302"));
        assert.equal(list[0]?.kind, "failed");
      });
    }

    test("a failed handler answers 500, and the next delivery runs it", async () => {
      const { list, report } = reports();
      const attempts: number[] = [];
      const inbox = new LeasedInbox(
        opened.store,
        { consumer: "failing", report },
        (_, { attempt }) => {
          attempts.push(attempt);
          if (attempt === 1) throw new Error("no disk");
          return 201;
        },
      );
      const event = verifiedEvent("evt_failing");
      assert.deepEqual(await inbox.deliver(event), { outcome: "failed", status: 500 });
      assert.deepEqual(await inbox.deliver(event), { outcome: "new", status: 201 });
      assert.deepEqual(await inbox.deliver(event), { outcome: "done", status: 201 });
      assert.deepEqual(attempts, [1, 2]);
      assert.deepEqual(
        list.map(({ kind: each }) => each),
        ["failed"],
      );
    });

    test("a delivery that runs elsewhere is told to come back", async () => {
      const [started, finish] = [signal(), signal()];
      const inbox = new LeasedInbox(opened.store, { consumer: "slow" }, () => {
        started.resolve();
        return finish.promise;
      });
      const event = verifiedEvent("evt_slow");
      const first = inbox.deliver(event);
      await started.promise;
      const second = await inbox.deliver(event);
      assert.deepEqual([second.outcome, second.status], ["running", 409]);
      assert.ok((second.retryAfterSeconds ?? 0) >= 29);
      finish.resolve();
      assert.equal((await first).status, 200);
    });

    test("the same id with another body is refused and reported", async () => {
      const { list, report } = reports();
      const inbox = new LeasedInbox(opened.store, { consumer: "other", report }, () => undefined);
      await inbox.deliver(verifiedEvent("evt_other", 1));
      const result = await inbox.deliver(verifiedEvent("evt_other", 2));
      assert.deepEqual(result, { outcome: "other_body", status: 422 });
      assert.deepEqual(
        list.map(({ kind: each }) => each),
        ["other_body"],
      );
    });

    test("a handler whose lease is lost is told, and can't finish", async () => {
      const { list, report } = reports();
      const consumerOfTwo = { consumer: "taken-over", report };
      const started = signal();
      const slow = new LeasedInbox(
        opened.store,
        // its clock is behind, as a suspended process's is: its lease is over at once
        { ...consumerOfTwo, leaseMs: 60, now: () => Date.now() - 3_600_000 },
        (_, context) => {
          started.resolve();
          return new Promise<void>((resolve) => {
            context.signal.addEventListener("abort", () => {
              resolve();
            });
          });
        },
      );
      const quick = new LeasedInbox(opened.store, consumerOfTwo, () => 201);
      const event = verifiedEvent("evt_taken_over");
      const first = slow.deliver(event);
      await started.promise;
      assert.deepEqual(await quick.deliver(event), { outcome: "new", status: 201 });
      const lost = await first;
      assert.deepEqual([lost.outcome, lost.status], ["lost", 409]);
      assert.deepEqual(await quick.deliver(event), { outcome: "done", status: 201 });
      assert.deepEqual(
        list.map(({ kind: each }) => each),
        ["lost"],
      );
    });

    test("a lease lasts for as long as its handler beats", async () => {
      const beats = signal();
      let count = 0;
      const counting = countingHeartbeats(opened.store, () => {
        count += 1;
        // three of them fit into a lease
        if (count === 4) beats.resolve();
      });
      const { report } = reports();
      const inbox = new LeasedInbox(
        counting,
        { consumer: "long", leaseMs: 900, report },
        (_, context) =>
          new Promise((resolve, reject) => {
            context.signal.addEventListener("abort", () => {
              reject(context.signal.reason as Error);
            });
            void beats.promise.then(resolve);
          }),
      );
      const event = verifiedEvent("evt_long");
      assert.deepEqual(await inbox.deliver(event), { outcome: "new", status: 200 });
    });

    test("a queued event is tried again, then dead, then reprocessed", async () => {
      const { list, report } = reports();
      let nowMs = Date.now();
      let isBroken = true;
      const inbox = new QueuedInbox(
        opened.store,
        { consumer: "retried", report, retryDelaysMs: [1_000], now: () => nowMs },
        () => {
          if (isBroken) throw new Error("no disk");
        },
      );
      assert.equal((await inbox.deliver(verifiedEvent("evt_retried"))).status, 202);
      assert.equal(await inbox.runNext(), true);
      assert.equal(await inbox.runNext(), false);
      nowMs += 1_000;
      assert.equal(await inbox.runNext(), true);
      assert.equal((await inbox.stats()).dead, 1);
      assert.deepEqual(
        list.map(({ kind: each }) => each),
        ["failed", "dead"],
      );
      isBroken = false;
      assert.equal(await inbox.reprocess("evt_retried"), "reprocessed");
      assert.equal(await inbox.runNext(), true);
      assert.equal((await inbox.stats()).done, 1);
      assert.equal(await inbox.forget("evt_retried"), "forgotten");
      assert.equal((await inbox.stats()).done, 0);
    });

    test("a queued handler sees the event as it was delivered", async () => {
      const event = verifiedEvent("evt_whole", { text: "é\u0000\ud83d\ude00" });
      let seen: unknown;
      const inbox = new QueuedInbox(opened.store, { consumer: "whole" }, (given, context) => {
        seen = [given.id, given.body, given.signedAtSeconds, given.type, context.attempt];
      });
      await inbox.deliver(event);
      await inbox.runNext();
      assert.deepEqual(seen, [event.id, event.body, event.signedAtSeconds, event.type, 1]);
    });

    test("workers run events of one order key one at a time, in order", async () => {
      const order: string[] = [];
      const done = signal();
      let running = 0;
      const inbox = new QueuedInbox(
        opened.store,
        { consumer: "ordered", orderKey: (event) => (event.data as { repo: string }).repo },
        async (event) => {
          running += 1;
          assert.equal(running, 1, "one at a time");
          await new Promise(setImmediate);
          running -= 1;
          order.push(event.id);
          if (order.length === 20) done.resolve();
        },
      );
      const ids = Array.from({ length: 20 }, (_, at) => `evt_ordered_${at}`);
      for (const id of ids) await inbox.deliver(verifiedEvent(id, { repo: "web" }));
      const workers = [inbox.start({ pollMs: 5 }), inbox.start({ pollMs: 5 })];
      await done.promise;
      await Promise.all(workers.map((worker) => worker.stop()));
      assert.deepEqual(order, ids);
    });

    test("a worker that stops aborts its handlers after the grace", async () => {
      const started = signal();
      const { report } = reports();
      const inbox = new QueuedInbox(
        opened.store,
        { consumer: "stopping", report },
        (_, context) => {
          started.resolve();
          return new Promise((_resolve, reject) => {
            context.signal.addEventListener("abort", () => {
              reject(context.signal.reason as Error);
            });
          });
        },
      );
      await inbox.deliver(verifiedEvent("evt_stopping"));
      const worker = inbox.start();
      await started.promise;
      await worker.stop(1);
      assert.equal((await inbox.stats()).pending, 1);
    });
  });
}

test("every outcome is answered as the vectors say", async () => {
  const { report } = reports();
  const options = { consumer, report, retryDelaysMs: [] };
  const running = signal();
  const handler = ({ data }: WebhookEvent<string>) => {
    if (data === "throws") throw new Error("no disk");
    return data === "hangs" ? running.promise : 201;
  };
  const leased = new LeasedInbox<string>(new MemoryStore(), options, handler);
  const queued = new QueuedInbox<string>(new MemoryStore(), options, handler);
  // the same bytes each time, as every attempt has
  const events = new Map<string, WebhookEvent>();
  const deliver = (inbox: Inbox<string>, id: string, data: string) => {
    const event = events.get(id + data) ?? verifiedEvent(id, data);
    events.set(id + data, event);
    return inbox.deliver(event as WebhookEvent<string>);
  };

  const results = [
    await deliver(leased, "evt_1", ""),
    await deliver(leased, "evt_1", ""),
    await deliver(leased, "evt_1", "other"),
    await deliver(leased, "evt_2", "throws"),
    await deliver(queued, "evt_3", "throws"),
  ];
  await queued.runNext();
  results.push(await deliver(queued, "evt_3", "throws"));
  const hanging = deliver(leased, "evt_4", "hangs");
  results.push(await deliver(leased, "evt_4", "hangs"));
  await leased.forget("evt_4");
  running.resolve();
  results.push(await hanging);

  assert.deepEqual(
    results.map(({ outcome }) => outcome),
    ["new", "done", "other_body", "failed", "accepted", "dead", "running", "lost"],
  );
  for (const { outcome, status, retryAfterSeconds } of results) {
    const expected = answers[outcome];
    // what a handler gave, and what was stored of it
    const fixed = typeof expected?.status === "number" ? expected.status : 201;
    assert.equal(status, fixed, outcome);
    assert.equal(retryAfterSeconds !== undefined, expected?.retry_after ?? false, outcome);
  }
});

test("a handler is told when its store fails or hangs for a whole lease", async () => {
  const { report } = reports();
  for (const extend of [
    () => Promise.reject(new Error("down")),
    () => new Promise<boolean>(() => undefined),
  ]) {
    const store = new MemoryStore();
    store.heartbeat = extend;
    const inbox = new LeasedInbox(store, { consumer, report, leaseMs: 60 }, (_, context) => {
      return new Promise<void>((resolve) => {
        context.signal.addEventListener("abort", () => {
          resolve();
        });
      });
    });
    // nobody took it over, so it may still finish
    assert.equal((await inbox.deliver(verifiedEvent("evt_1"))).outcome, "new");
  }
});

test("settings that would break the promise are refused", () => {
  const store = new MemoryStore();
  const inbox = (options: object) => () =>
    new LeasedInbox(store, { consumer, ...options }, () => undefined);
  assert.throws(inbox({ retentionMs: defaults.retention_ms_min - 1 }), RangeError);
  assert.doesNotThrow(inbox({ retentionMs: defaults.retention_ms_min }));
  assert.throws(inbox({ consumer: "" }), RangeError);
  assert.throws(inbox({ source: "a\nb" }), RangeError);
  assert.throws(inbox({ leaseMs: 0 }), RangeError);
});

function transactionalOf(opened: Opened): Transactional {
  assert.ok(opened.transactional);
  return opened.transactional;
}

function deliverInParallel(inbox: Inbox, id: string): Promise<Delivered[]> {
  const event = verifiedEvent(id);
  return Promise.all(Array.from({ length: PARALLEL }, () => inbox.deliver(event)));
}

/** One was new; the others were told so, or told to come back. */
function checkPolite(results: Delivered[]): void {
  const news = results.filter(({ outcome }) => outcome === "new");
  assert.equal(news.length, 1);
  const others = results.filter((result) => result !== news[0]);
  assert.equal(others.length, PARALLEL - 1);
  for (const { outcome, status, retryAfterSeconds } of others) {
    if (outcome === "done") assert.equal(status, 200);
    else {
      assert.deepEqual([outcome, status], ["running", 409]);
      assert.ok((retryAfterSeconds ?? 0) >= 1);
    }
  }
}

/** A store that says when a heartbeat came. */
function countingHeartbeats(
  store: LeasedStore & QueuedStore,
  beat: () => void,
): LeasedStore & QueuedStore {
  return new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== "function") return member;
      if (name === "heartbeat") beat();
      return member.bind(target) as unknown;
    },
  });
}
