// Scripts of operations on one store, each at a time of its own. What they expect
// is written by hand; only digests and effect keys are computed.
import { sha256 } from "./crypto.mjs";

const SECOND = 1_000;
const DAY = 86_400_000;
/** Any instant does; the scripts count from it. */
const START = 1_753_678_680_000;

const SOURCE = "postrider";
const CONSUMER = "billing";
const BODY = '{"id":"evt_1"}';
const OTHER_BODY = '{"id":"evt_1","changed":true}';

function effectKey(id, source = SOURCE, consumer = CONSUMER) {
  return sha256(`${source}\n${consumer}\n${id}`);
}

/** Each step: [seconds since the start, operation, arguments, expectation]. */
function script(mode, name, steps, settings = {}) {
  return {
    name,
    mode,
    lease_ms: 30_000,
    retry_delays_ms: [5_000, 60_000],
    retention_ms: 30 * DAY,
    ...settings,
    steps: steps.map(([seconds, op, given, expect]) => ({
      at_ms: START + seconds * SECOND,
      op,
      ...given,
      expect,
    })),
  };
}

const leased = (name, steps, settings) => script("leased", name, steps, settings);
const queued = (name, steps, settings) => script("queued", name, steps, settings);
const transactional = (name, steps, settings) => script("transactional", name, steps, settings);

const evt = (id, rest = {}) => ({ id, body: BODY, ...rest });
const claimed = (id, attempt) => ({ outcome: "claimed", attempt, effect_key: effectKey(id) });
const running = (seconds) => ({ outcome: "running", retry_after_seconds: seconds });
const outcome = (word, rest = {}) => ({ outcome: word, ...rest });
const counts = (rest) => ({ pending: 0, running: 0, done: 0, failed: 0, dead: 0, ...rest });

const leasedScripts = [
  leased("a new event is claimed, finished, and then known", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [1, "finish", { token: "a", status: 200 }, outcome("finished")],
    [2, "claim", evt("evt_1"), outcome("done", { status: 200 })],
    [90, "claim", evt("evt_1"), outcome("done", { status: 200 })],
  ]),
  leased("the stored status is the answer to a duplicate", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [1, "finish", { token: "a", status: 202 }, outcome("finished")],
    [2, "claim", evt("evt_1"), outcome("done", { status: 202 })],
  ]),
  leased("an event that runs elsewhere is not claimed again", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [0, "claim", evt("evt_1"), running(30)],
    [10, "claim", evt("evt_1"), running(20)],
    [29.5, "claim", evt("evt_1"), running(1)],
  ]),
  leased("a heartbeat keeps the lease", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [20, "heartbeat", { token: "a" }, outcome("held")],
    [40, "claim", evt("evt_1"), running(10)],
    [40, "heartbeat", { token: "a" }, outcome("held")],
    [60, "finish", { token: "a", status: 200 }, outcome("finished")],
  ]),
  leased("an expired lease is taken over, and the former holder's token is stale", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [30, "claim", evt("evt_1", { as: "b" }), claimed("evt_1", 2)],
    [31, "heartbeat", { token: "a" }, outcome("lost")],
    [31, "finish", { token: "a", status: 200 }, outcome("lost")],
    [31, "fail", { token: "a", error: "late" }, outcome("lost")],
    [31, "claim", evt("evt_1"), running(29)],
    [32, "finish", { token: "b", status: 200 }, outcome("finished")],
    [33, "claim", evt("evt_1"), outcome("done", { status: 200 })],
  ]),
  leased("a holder whose lease expired and that nobody took over still finishes", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [45, "finish", { token: "a", status: 200 }, outcome("finished")],
    [46, "claim", evt("evt_1"), outcome("done", { status: 200 })],
  ]),
  leased("a heartbeat revives an expired lease that nobody took over", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [45, "heartbeat", { token: "a" }, outcome("held")],
    [46, "claim", evt("evt_1"), running(29)],
  ]),
  leased("a token is spent once", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [1, "finish", { token: "a", status: 200 }, outcome("finished")],
    [2, "finish", { token: "a", status: 500 }, outcome("lost")],
    [2, "heartbeat", { token: "a" }, outcome("lost")],
    [2, "fail", { token: "a", error: "late" }, outcome("lost")],
    [3, "claim", evt("evt_1"), outcome("done", { status: 200 })],
  ]),
  leased("a failed event is claimed by its next delivery", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [1, "fail", { token: "a", error: "no disk" }, outcome("failed")],
    [1, "stats", {}, counts({ failed: 1 })],
    [1, "claim", evt("evt_1", { as: "b" }), claimed("evt_1", 2)],
    [2, "fail", { token: "b", error: "no disk" }, outcome("failed")],
    [3, "claim", evt("evt_1", { as: "c" }), claimed("evt_1", 3)],
    [4, "finish", { token: "c", status: 200 }, outcome("finished")],
    [4, "stats", {}, counts({ done: 1 })],
  ]),
  leased("the same id with another body is not claimed, whatever the state", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [1, "claim", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
    [2, "fail", { token: "a", error: "no disk" }, outcome("failed")],
    [3, "claim", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
    [4, "claim", evt("evt_1", { as: "b" }), claimed("evt_1", 2)],
    [40, "claim", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
    [41, "finish", { token: "b", status: 200 }, outcome("finished")],
    [42, "claim", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
    [43, "claim", evt("evt_1"), outcome("done", { status: 200 })],
  ]),
  leased("ids, consumers and sources are apart", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [0, "claim", evt("evt_2", { as: "b" }), claimed("evt_2", 1)],
    [0, "claim", evt("evt_1", { consumer: "mail" }), { outcome: "claimed", attempt: 1, effect_key: effectKey("evt_1", SOURCE, "mail") }],
    [0, "claim", evt("evt_1", { source: "automa" }), { outcome: "claimed", attempt: 1, effect_key: effectKey("evt_1", "automa") }],
    [1, "finish", { token: "a", status: 200 }, outcome("finished")],
    [2, "claim", evt("evt_2"), running(28)],
    [2, "stats", {}, counts({ done: 1, running: 1 })],
    [2, "stats", { consumer: "mail" }, counts({ running: 1 })],
  ]),
  leased("forgetting lets an event be new again, and makes its tokens stale", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [1, "forget", { id: "evt_1" }, outcome("forgotten")],
    [1, "forget", { id: "evt_1" }, outcome("absent")],
    [2, "claim", { id: "evt_1", body: OTHER_BODY, as: "b" }, claimed("evt_1", 1)],
    [3, "finish", { token: "a", status: 200 }, outcome("lost")],
    [4, "finish", { token: "b", status: 201 }, outcome("finished")],
    [5, "claim", { id: "evt_1", body: OTHER_BODY }, outcome("done", { status: 201 })],
  ]),
  leased("reprocessing lets the next delivery run a done event again", [
    [0, "reprocess", { id: "evt_1" }, outcome("absent")],
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [1, "reprocess", { id: "evt_1" }, outcome("running")],
    [2, "finish", { token: "a", status: 200 }, outcome("finished")],
    [3, "reprocess", { id: "evt_1" }, outcome("reprocessed")],
    [3, "stats", {}, counts({ failed: 1 })],
    [4, "claim", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
    [4, "claim", evt("evt_1", { as: "b" }), claimed("evt_1", 1)],
    [5, "finish", { token: "b", status: 204 }, outcome("finished")],
    [6, "claim", evt("evt_1"), outcome("done", { status: 204 })],
  ]),
  leased("purging removes what was settled a retention ago, and nothing that runs", [
    [0, "claim", evt("evt_1", { as: "a" }), claimed("evt_1", 1)],
    [0, "claim", evt("evt_2", { as: "b" }), claimed("evt_2", 1)],
    [0, "claim", evt("evt_3", { as: "c" }), claimed("evt_3", 1)],
    [10, "finish", { token: "a", status: 200 }, outcome("finished")],
    [20, "fail", { token: "b", error: "no disk" }, outcome("failed")],
    [30 * 86_400 + 9, "purge", {}, { removed: 0 }],
    [30 * 86_400 + 10, "purge", {}, { removed: 1 }],
    [30 * 86_400 + 20, "purge", {}, { removed: 1 }],
    [90 * 86_400, "purge", {}, { removed: 0 }],
    [90 * 86_400, "stats", {}, counts({ running: 1 })],
    [90 * 86_400, "claim", evt("evt_1"), claimed("evt_1", 1)],
  ], { stores: ["memory", "sqlite", "postgres"] }),
];

const accepted = outcome("accepted");

const queuedScripts = [
  queued("what is accepted is taken once, finished, and then known", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "accept", evt("evt_1"), accepted],
    [0, "stats", {}, counts({ pending: 1 })],
    [1, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1", body: BODY }],
    [1, "take", {}, outcome("empty")],
    [1, "accept", evt("evt_1"), accepted],
    [2, "finish", { token: "a", status: 200 }, outcome("finished")],
    [3, "accept", evt("evt_1"), outcome("done", { status: 200 })],
    [3, "take", {}, outcome("empty")],
    [3, "stats", {}, counts({ done: 1 })],
  ]),
  queued("events are taken in the order in which they were accepted", [
    [0, "accept", evt("evt_2"), accepted],
    [0, "accept", evt("evt_1"), accepted],
    [0, "accept", evt("evt_3"), accepted],
    [1, "take", { as: "a" }, { ...claimed("evt_2", 1), id: "evt_2" }],
    [1, "take", { as: "b" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [1, "take", { as: "c" }, { ...claimed("evt_3", 1), id: "evt_3" }],
  ]),
  queued("a failed event comes back after its delay, and is dead after the last", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [1, "fail", { token: "a", error: "no disk" }, outcome("pending", { due_at_ms: START + 6_000 })],
    [5, "take", {}, outcome("empty")],
    [6, "take", { as: "b" }, { ...claimed("evt_1", 2), id: "evt_1" }],
    [7, "fail", { token: "b", error: "no disk" }, outcome("pending", { due_at_ms: START + 67_000 })],
    [67, "take", { as: "c" }, { ...claimed("evt_1", 3), id: "evt_1" }],
    [68, "fail", { token: "c", error: "no disk" }, outcome("dead")],
    [3_600, "take", {}, outcome("empty")],
    [3_600, "accept", evt("evt_1"), outcome("dead")],
    [3_600, "stats", {}, counts({ dead: 1 })],
  ]),
  queued("a dead event that is reprocessed has all its attempts again", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [1, "fail", { token: "a", error: "no disk" }, outcome("dead")],
    [2, "reprocess", { id: "evt_1" }, outcome("reprocessed")],
    [2, "stats", {}, counts({ pending: 1 })],
    [2, "take", { as: "b" }, { ...claimed("evt_1", 1), id: "evt_1", body: BODY }],
    [3, "finish", { token: "b", status: 200 }, outcome("finished")],
    [4, "reprocess", { id: "evt_1" }, outcome("reprocessed")],
    [4, "take", { as: "c" }, { ...claimed("evt_1", 1), id: "evt_1", body: BODY }],
    [5, "reprocess", { id: "evt_1" }, outcome("running")],
  ], { retry_delays_ms: [] }),
  queued("reprocessing a waiting event makes it due at once", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [0, "fail", { token: "a", error: "no disk" }, outcome("pending", { due_at_ms: START + 5_000 })],
    [1, "take", {}, outcome("empty")],
    [1, "reprocess", { id: "evt_1" }, outcome("reprocessed")],
    [1, "take", { as: "b" }, { ...claimed("evt_1", 1), id: "evt_1" }],
  ]),
  queued("a worker that vanished is taken over, and its token is stale", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [29, "take", {}, outcome("empty")],
    [30, "take", { as: "b" }, { ...claimed("evt_1", 2), id: "evt_1", body: BODY }],
    [31, "heartbeat", { token: "a" }, outcome("lost")],
    [31, "finish", { token: "a", status: 200 }, outcome("lost")],
    [31, "fail", { token: "a", error: "late" }, outcome("lost")],
    [32, "heartbeat", { token: "b" }, outcome("held")],
    [61, "take", {}, outcome("empty")],
    [61, "finish", { token: "b", status: 200 }, outcome("finished")],
  ]),
  queued("an event whose workers always vanish is dead after its last attempt", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "take", {}, { ...claimed("evt_1", 1), id: "evt_1" }],
    [30, "take", {}, { ...claimed("evt_1", 2), id: "evt_1" }],
    [60, "take", { as: "c" }, { ...claimed("evt_1", 3), id: "evt_1" }],
    [90, "take", {}, outcome("empty")],
    [90, "stats", {}, counts({ dead: 1 })],
    [91, "finish", { token: "c", status: 200 }, outcome("lost")],
    [92, "accept", evt("evt_1"), outcome("dead")],
  ]),
  queued("the same id with another body is not accepted, whatever the state", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "accept", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
    [1, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1", body: BODY }],
    [2, "accept", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
    [3, "finish", { token: "a", status: 200 }, outcome("finished")],
    [4, "accept", { id: "evt_1", body: OTHER_BODY }, outcome("other_body")],
  ]),
  queued("of one order key one event runs at a time, in order", [
    [0, "accept", evt("evt_1", { order_key: "k" }), accepted],
    [0, "accept", evt("evt_2", { order_key: "k" }), accepted],
    [0, "accept", evt("evt_3", { order_key: "other" }), accepted],
    [0, "accept", evt("evt_4"), accepted],
    [1, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [1, "take", { as: "b" }, { ...claimed("evt_3", 1), id: "evt_3" }],
    [1, "take", { as: "c" }, { ...claimed("evt_4", 1), id: "evt_4" }],
    [1, "take", {}, outcome("empty")],
    [2, "fail", { token: "a", error: "no disk" }, outcome("pending", { due_at_ms: START + 7_000 })],
    [3, "take", {}, outcome("empty")],
    [7, "take", { as: "d" }, { ...claimed("evt_1", 2), id: "evt_1" }],
    [7, "take", {}, outcome("empty")],
    [8, "finish", { token: "d", status: 200 }, outcome("finished")],
    [8, "take", { as: "e" }, { ...claimed("evt_2", 1), id: "evt_2" }],
  ]),
  queued("a dead event does not hold up those behind it", [
    [0, "accept", evt("evt_1", { order_key: "k" }), accepted],
    [0, "accept", evt("evt_2", { order_key: "k" }), accepted],
    [1, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [2, "fail", { token: "a", error: "no disk" }, outcome("dead")],
    [2, "take", {}, { ...claimed("evt_2", 1), id: "evt_2" }],
  ], { retry_delays_ms: [] }),
  queued("a forgotten event is not taken", [
    [0, "accept", evt("evt_1", { order_key: "k" }), accepted],
    [0, "accept", evt("evt_2", { order_key: "k" }), accepted],
    [1, "forget", { id: "evt_1" }, outcome("forgotten")],
    [1, "take", { as: "a" }, { ...claimed("evt_2", 1), id: "evt_2" }],
    [1, "take", {}, outcome("empty")],
    [2, "forget", { id: "evt_2" }, outcome("forgotten")],
    [2, "finish", { token: "a", status: 200 }, outcome("lost")],
    [2, "stats", {}, counts({})],
  ]),
  queued("a worker takes the events of its own consumer only", [
    [0, "accept", evt("evt_1", { consumer: "mail" }), accepted],
    [0, "take", {}, outcome("empty")],
    [0, "take", { consumer: "mail" }, { outcome: "claimed", attempt: 1, id: "evt_1", effect_key: effectKey("evt_1", SOURCE, "mail") }],
  ]),
  queued("purging leaves what is pending, and removes dead and done events", [
    [0, "accept", evt("evt_1"), accepted],
    [0, "accept", evt("evt_2"), accepted],
    [0, "accept", evt("evt_3"), accepted],
    [0, "take", { as: "a" }, { ...claimed("evt_1", 1), id: "evt_1" }],
    [0, "take", { as: "b" }, { ...claimed("evt_2", 1), id: "evt_2" }],
    [0, "finish", { token: "a", status: 200 }, outcome("finished")],
    [0, "fail", { token: "b", error: "no disk" }, outcome("dead")],
    [30 * 86_400, "purge", {}, { removed: 2 }],
    [30 * 86_400, "stats", {}, counts({ pending: 1 })],
  ], { retry_delays_ms: [], stores: ["memory", "sqlite", "postgres"] }),
];

const effect = (effects) => ({ effects });

const transactionalScripts = [
  transactional("the effect of a new event happens once", [
    [0, "process", evt("evt_1", { handler: 200 }), outcome("new", { status: 200 })],
    [1, "process", evt("evt_1", { handler: 200 }), outcome("done", { status: 200 })],
    [2, "process", evt("evt_2", { handler: 204 }), outcome("new", { status: 204 })],
    [3, "process", evt("evt_2", { handler: 200 }), outcome("done", { status: 204 })],
    [3, "effects", {}, effect(["evt_1", "evt_2"])],
    [3, "stats", {}, counts({ done: 2 })],
  ]),
  transactional("a handler that throws leaves nothing behind, and is run again", [
    [0, "process", evt("evt_1", { handler: "throws" }), outcome("failed")],
    [0, "effects", {}, effect([])],
    [0, "stats", {}, counts({})],
    [1, "process", evt("evt_1", { handler: 200 }), outcome("new", { status: 200 })],
    [1, "effects", {}, effect(["evt_1"])],
  ]),
  transactional("the same id with another body is refused and has no effect", [
    [0, "process", evt("evt_1", { handler: 200 }), outcome("new", { status: 200 })],
    [1, "process", { id: "evt_1", body: OTHER_BODY, handler: 200 }, outcome("other_body")],
    [2, "process", evt("evt_1", { handler: 200 }), outcome("done", { status: 200 })],
    [2, "effects", {}, effect(["evt_1"])],
  ]),
  transactional("a reprocessed event has its effect again, with the same body only", [
    [0, "process", evt("evt_1", { handler: 200 }), outcome("new", { status: 200 })],
    [1, "reprocess", { id: "evt_1" }, outcome("reprocessed")],
    [2, "process", { id: "evt_1", body: OTHER_BODY, handler: 200 }, outcome("other_body")],
    [2, "process", evt("evt_1", { handler: "throws" }), outcome("failed")],
    [3, "process", evt("evt_1", { handler: 201 }), outcome("new", { status: 201 })],
    [4, "process", evt("evt_1", { handler: 200 }), outcome("done", { status: 201 })],
    [4, "effects", {}, effect(["evt_1", "evt_1"])],
  ]),
  transactional("a forgotten or purged event is new again", [
    [0, "process", evt("evt_1", { handler: 200 }), outcome("new", { status: 200 })],
    [1, "forget", { id: "evt_1" }, outcome("forgotten")],
    [2, "process", { id: "evt_1", body: OTHER_BODY, handler: 200 }, outcome("new", { status: 200 })],
    [30 * 86_400 + 1, "purge", {}, { removed: 0 }],
    [30 * 86_400 + 2, "purge", {}, { removed: 1 }],
    [30 * 86_400 + 2, "process", evt("evt_1", { handler: 200 }), outcome("new", { status: 200 })],
    [30 * 86_400 + 2, "effects", {}, effect(["evt_1", "evt_1", "evt_1"])],
  ]),
];

export const inbox = {
  key: { source: SOURCE, consumer: CONSUMER },
  /** What a receiver answers to each outcome; `handler` is the status the handler gave. */
  answers: {
    new: { status: "handler" },
    done: { status: "stored" },
    accepted: { status: 202 },
    running: { status: 409, retry_after: true },
    failed: { status: 500 },
    dead: { status: 202 },
    other_body: { status: 422 },
    lost: { status: 409, retry_after: true },
  },
  defaults: {
    retention_ms: 30 * DAY,
    retention_ms_min: 10 * DAY,
    lease_ms: 30_000,
    retry_delays_ms: [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000],
  },
  cases: [...leasedScripts, ...queuedScripts, ...transactionalScripts],
};

const above = (token) => ({ outcome: "acquired", fence_above: token });

function lockScript(name, steps) {
  return {
    name,
    steps: steps.map(([seconds, op, given, expect]) => ({
      at_ms: START + seconds * SECOND,
      op,
      ...given,
      expect,
    })),
  };
}

const k = (key, rest = {}) => ({ key, ttl_ms: 10_000, ...rest });
const held = (seconds) => ({ outcome: "held_elsewhere", retry_after_seconds: seconds });

export const locks = {
  cases: [
    lockScript("a lock has one holder until it is released", [
      [0, "acquire", k("repo:1", { as: "a" }), above(null)],
      [1, "acquire", k("repo:1"), held(9)],
      [1, "acquire", k("repo:2"), above(null)],
      [2, "release", { token: "a" }, outcome("released")],
      [2, "acquire", k("repo:1", { as: "b" }), above("a")],
      [3, "release", { token: "a" }, outcome("lost")],
      [3, "acquire", k("repo:1"), held(9)],
    ]),
    lockScript("an expired lock is taken by the next, with a higher fence", [
      [0, "acquire", k("repo:1", { as: "a" }), above(null)],
      [9.5, "acquire", k("repo:1"), held(1)],
      [10, "acquire", k("repo:1", { as: "b" }), above("a")],
      [11, "extend", { token: "a", ttl_ms: 10_000 }, outcome("lost")],
      [11, "release", { token: "a" }, outcome("lost")],
      [20, "acquire", k("repo:1", { as: "c" }), above("b")],
    ]),
    lockScript("an extended lock is held for longer", [
      [0, "acquire", k("repo:1", { as: "a" }), above(null)],
      [8, "extend", { token: "a", ttl_ms: 10_000 }, outcome("held")],
      [12, "acquire", k("repo:1"), held(6)],
      [18, "acquire", k("repo:1", { as: "b" }), above("a")],
    ]),
    lockScript("a released token is spent", [
      [0, "acquire", k("repo:1", { as: "a" }), above(null)],
      [1, "release", { token: "a" }, outcome("released")],
      [1, "release", { token: "a" }, outcome("lost")],
      [1, "extend", { token: "a", ttl_ms: 10_000 }, outcome("lost")],
    ]),
  ],
};
