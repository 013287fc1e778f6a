/** Deliveries to a receiver that is killed at random moments, until all are answered. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";

import { delivery } from "./deliveries.js";
import { saying } from "./process.js";

/** `POSTRIDER_CRASH=full` is the size of the project's proof; the other runs in CI. */
export const size =
  process.env["POSTRIDER_CRASH"] === "full"
    ? { deliveries: 20_000, kills: 100 }
    : { deliveries: 1_000, kills: 8 };

const DUPLICATES_SHARE = 0.1;
const PARALLEL = 16;
/** How far apart two events may change places. */
const REORDER_SPAN = 50;

const RECEIVER = fileURLToPath(new URL("crash-receiver.js", import.meta.url));

export interface CrashOutcome {
  /** The ids that were sent, each once. */
  readonly ids: string[];
  readonly kills: number;
  /** How many deliveries a kill left without an answer. */
  readonly interrupted: number;
}

/** Sends everything, each delivery until it is answered with success. */
export async function crash(store: string, where: string): Promise<CrashOutcome> {
  const unique = Math.round(size.deliveries * (1 - DUPLICATES_SHARE));
  const ids = Array.from({ length: unique }, (_, at) => `evt_${at}`);
  const queue = shuffled(ids);
  const receiver = new Receiver(store, where);
  await receiver.start();
  const killer = new Killer(receiver, size.deliveries);
  const bodies = new Map<string, ReturnType<typeof delivery>>();
  const lane = async () => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      // the bytes of an event are the same in every attempt
      const each = bodies.get(id) ?? delivery(id);
      bodies.set(id, each);
      if (await receiver.accepts(each)) killer.progress();
      // the next attempt comes after others, as a sender's would
      else queue.splice(randomInt(0, Math.min(queue.length, REORDER_SPAN) + 1), 0, id);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
  await killer.settled();
  await receiver.kill();
  return { ids, kills: killer.kills, interrupted: receiver.interrupted };
}

/** All ids, a tenth of all deliveries a second time, out of order. */
function shuffled(ids: string[]): string[] {
  const duplicates = Array.from(
    { length: size.deliveries - ids.length },
    () => ids[randomInt(ids.length)] ?? "",
  );
  return [...ids, ...duplicates]
    .map((id) => ({ id, place: Number(id.slice(4)) + randomInt(REORDER_SPAN) }))
    .sort((a, b) => a.place - b.place)
    .map(({ id }) => id);
}

/** Kills at moments that lie evenly over the progress, and at random within it. */
class Killer {
  kills = 0;
  #answers = 0;
  readonly #receiver: Receiver;
  readonly #moments: number[];
  #killing: Promise<void> = Promise.resolve();

  constructor(receiver: Receiver, deliveries: number) {
    this.#receiver = receiver;
    this.#moments = Array.from({ length: size.kills }, () => randomInt(1, deliveries)).sort(
      (a, b) => a - b,
    );
  }

  /** Called for every success. */
  progress(): void {
    this.#answers += 1;
    while ((this.#moments[0] ?? Infinity) <= this.#answers) {
      this.#moments.shift();
      this.#killing = this.#killing.then(() => this.#kill());
    }
  }

  settled(): Promise<void> {
    return this.#killing;
  }

  async #kill(): Promise<void> {
    // somewhere inside of what is being handled now
    await new Promise((resolve) => setTimeout(resolve, randomInt(0, 20)));
    await this.#receiver.kill();
    this.kills += 1;
    await this.#receiver.start();
  }
}

/** The process under test, and the door to it. */
class Receiver {
  interrupted = 0;
  #child: ChildProcess | undefined;
  #url = "";
  #up: Promise<void> = Promise.resolve();

  constructor(
    readonly store: string,
    readonly where: string,
  ) {}

  start(): Promise<void> {
    this.#up = this.#start();
    return this.#up;
  }

  async #start(): Promise<void> {
    const options = { stdio: ["ignore", "pipe", "inherit"] as ("ignore" | "pipe" | "inherit")[] };
    const child = spawn(process.execPath, [RECEIVER, this.store, this.where], options);
    this.#child = child;
    if (!child.stdout) throw new Error("a pipe was asked for");
    const said = await saying(child, child.stdout, ".");
    this.#url = `http://127.0.0.1:${/port (\d+)/.exec(said)?.[1] ?? ""}/`;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  }

  /** Whether a delivery was answered with success; a dead receiver answers nothing. */
  async accepts({ body, headers }: { body: string; headers: Record<string, string> }) {
    await this.#up;
    try {
      const response = await fetch(this.#url, { method: "POST", body, headers });
      await response.arrayBuffer();
      // a lease of the killed one must run out first
      if (response.status === 409) await new Promise((resolve) => setTimeout(resolve, 20));
      return response.ok;
    } catch {
      this.interrupted += 1;
      return false;
    }
  }
}
