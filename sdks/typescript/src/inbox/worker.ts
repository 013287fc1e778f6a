/** A loop that runs what is due, several at a time, until it is stopped. */
import type { Report } from "../report.js";

interface WorkerParts {
  concurrency: number;
  pollMs: number;
  /** Runs one event; `false` when none was due. */
  runNext: (stop: AbortSignal) => Promise<boolean>;
  report: (report: Report) => void;
  stopped: () => void;
}

export class Worker {
  readonly #parts: WorkerParts;
  readonly #loops: Promise<unknown>;
  readonly #abort = new AbortController();
  readonly #sleepers = new Set<() => void>();
  #isStopping = false;
  #wakes = 0;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    const loops = Array.from({ length: parts.concurrency }, () => this.#loop());
    this.#loops = Promise.all(loops);
  }

  /** Ends an idle wait: something may be due. */
  wake(): void {
    this.#wakes += 1;
    for (const wakeUp of this.#sleepers) wakeUp();
  }

  /**
   * Takes nothing more, and resolves when what runs has ended. After `graceMs`,
   * default 10 s, the handlers' signals are aborted.
   */
  async stop(graceMs = 10_000): Promise<void> {
    this.#isStopping = true;
    this.wake();
    const timer = setTimeout(() => {
      this.#abort.abort(new Error("the worker is stopping"));
    }, graceMs);
    try {
      await this.#loops;
    } finally {
      clearTimeout(timer);
      this.#parts.stopped();
    }
  }

  async #loop(): Promise<void> {
    while (!this.#isStopping) {
      const wakes = this.#wakes;
      // what became due during the look is looked for again at once
      if (!(await this.#hasRun()) && wakes === this.#wakes) await this.#sleep();
    }
  }

  async #hasRun(): Promise<boolean> {
    try {
      return await this.#parts.runNext(this.#abort.signal);
    } catch (error) {
      this.#parts.report({ kind: "store", error, message: "the inbox could not be reached" });
      return false;
    }
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const wakeUp = () => {
        clearTimeout(timer);
        this.#sleepers.delete(wakeUp);
        resolve();
      };
      const timer = setTimeout(wakeUp, this.#parts.pollMs);
      this.#sleepers.add(wakeUp);
    });
  }
}
