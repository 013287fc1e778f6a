/** A PostgreSQL cluster of the tests' own, on a socket in a folder that goes away again. */
import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { saying } from "./process.js";

const DEBIAN = "/usr/lib/postgresql";

export interface Cluster {
  /** Where clients connect: a folder that holds the socket. */
  readonly host: string;
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<Cluster> {
  const programs = programsFolder();
  const folder = mkdtempSync(join(tmpdir(), "postrider-pg-"));
  const user = unprivileged();
  if (user) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const options = ["-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"];
  execFileSync(join(programs, "initdb"), options, { ...user, cwd: folder, stdio: "ignore" });
  // safe here: receivers are killed, the server never
  const settings = ["fsync=off", "listen_addresses=", `unix_socket_directories=${folder}`];
  const server = spawn(
    join(programs, "postgres"),
    ["-D", data, ...settings.flatMap((setting) => ["-c", setting])],
    { ...user, cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  );
  await saying(server, server.stderr, "ready to accept connections");
  return {
    host: folder,
    stop: async () => {
      const exited = new Promise((resolve) => server.once("exit", resolve));
      // a pool that was ended is still saying goodbye; this shutdown waits for it
      server.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

function programsFolder(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN) : [];
  const newest = versions.map(Number).sort((a, b) => b - a)[0];
  if (newest === undefined) {
    throw new Error("these tests need PostgreSQL: install Debian's package `postgresql`");
  }
  return join(DEBIAN, String(newest), "bin");
}

/** PostgreSQL refuses to run as root; `nobody` will do. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}
