/** `examples/autonoma-bot` as a process of its own. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import Database from "better-sqlite3";

import { saying } from "./process.js";

export const EXAMPLE = fileURLToPath(
  new URL("../../../../examples/autonoma-bot/", import.meta.url),
);
/** Inside of the package, so that its own name and its development packages are found. */
const HOME = fileURLToPath(new URL("../autonoma-bot/", import.meta.url));

export class Bot {
  private constructor(
    readonly url: string,
    readonly database: string,
    readonly stop: () => Promise<void>,
  ) {}

  static async start(file: string, secrets: string, database: string, port = "0"): Promise<Bot> {
    mkdirSync(HOME, { recursive: true });
    cpSync(join(EXAMPLE, file), join(HOME, file));
    const env = { ...process.env, PORT: port, WEBHOOK_SECRET: secrets, DATABASE: database };
    const stdio = ["ignore", "pipe", "inherit"] as ("ignore" | "pipe" | "inherit")[];
    const child = spawn(process.execPath, [join(HOME, file)], { env, stdio });
    assert.ok(child.stdout);
    const said = await saying(child, child.stdout, "\n");
    const stop = async () => {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill();
      await exited;
    };
    return new Bot(said.trim(), database, stop);
  }

  async post(body: string, headers: Record<string, string>): Promise<number> {
    const type = { "content-type": "application/json" };
    const request = { method: "POST", body, headers: { ...type, ...headers } };
    return (await fetch(this.url, request)).status;
  }

  work(): string[] {
    const database = new Database(this.database, { readonly: true });
    const rows = database
      .prepare<[], { event_id: string; type: string }>("SELECT * FROM work")
      .all();
    database.close();
    return rows.map((row) => `${row.event_id} ${row.type}`);
  }
}
