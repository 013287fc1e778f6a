// Builds `dist` twice from the same sources: ECMAScript modules and CommonJS, each
// with its own types.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}dist`;
const staging = `${root}build/cjs-sources`;

rmSync(dist, { recursive: true, force: true });
compile(["-p", root]);

// the nearest package.json decides which kind of module TypeScript writes
rmSync(staging, { recursive: true, force: true });
mkdirSync(staging, { recursive: true });
cpSync(`${root}src`, `${staging}/src`, { recursive: true });
cpSync(`${root}tsconfig.json`, `${staging}/tsconfig.json`);
writeFileSync(`${staging}/package.json`, '{ "type": "commonjs" }\n');
compile(["-p", staging, "--outDir", `${dist}/cjs`]);
writeFileSync(`${dist}/cjs/package.json`, '{ "type": "commonjs" }\n');
rmSync(staging, { recursive: true });

function compile(options) {
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  execFileSync(process.execPath, [tsc, ...options], { stdio: "inherit" });
}
