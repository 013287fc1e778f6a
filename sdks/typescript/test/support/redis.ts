/** A Redis of the tests' own, on a socket in a folder that goes away again. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { saying } from "./process.js";

export interface RedisServer {
  readonly path: string;
  stop(): Promise<void>;
}

export async function startRedis(): Promise<RedisServer> {
  if (spawnSync("redis-server", ["--version"]).status !== 0) {
    throw new Error("these tests need Redis: install Debian's package `redis-server`");
  }
  const folder = mkdtempSync(join(tmpdir(), "postrider-redis-"));
  const path = join(folder, "socket");
  const options = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""];
  const server = spawn("redis-server", options, { stdio: ["ignore", "pipe", "ignore"] });
  await saying(server, server.stdout, "eady to accept connections");
  return {
    path,
    stop: async () => {
      const exited = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}
