/** The package as users get it: packed, unpacked elsewhere, and loaded both ways. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Manifest {
  exports: Record<string, unknown>;
  dependencies?: object;
  peerDependencies?: object;
}

describe("the packed package", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
  const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith(".json"));
  const names = entries.map((entry) => join("@postrider/receiver", entry));
  let folder: string;
  let files: string[];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "postrider-package-"));
    const options = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
    const said = execFileSync("npm", options, { cwd: ROOT, encoding: "utf8" });
    const packed = JSON.parse(said) as Packed[] | Record<string, Packed>;
    const [archive] = Object.values(packed);
    assert.ok(archive);
    files = archive.files.map(({ path }) => path);
    const home = join(folder, "node_modules/@postrider/receiver");
    mkdirSync(home, { recursive: true });
    execFileSync("tar", [
      "-xzf",
      join(folder, archive.filename),
      "--strip-components=1",
      "-C",
      home,
    ]);
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  test("depends on nothing", () => {
    assert.deepEqual([manifest.dependencies, manifest.peerDependencies], [undefined, undefined]);
    const imports = files
      .filter((path) => path.endsWith(".js"))
      .flatMap((path) => [
        ...readFileSync(join(ROOT, path), "utf8").matchAll(/(?:from |require\()"([^"]+)"/g),
      ])
      .map(([, name = ""]) => name);
    assert.ok(imports.length > 0);
    const others = imports.filter((name) => !name.startsWith(".") && !name.startsWith("node:"));
    assert.deepEqual(others, []);
  });

  test("holds its code, its types and its README, and nothing else", () => {
    assert.ok(files.includes("README.md"));
    const odd = files.filter(
      (path) =>
        !/^dist\/(?:esm|cjs)\/[a-z0-9/-]+(?:\.js|\.d\.ts)$/.test(path) &&
        !["README.md", "package.json", "dist/cjs/package.json"].includes(path),
    );
    assert.deepEqual(odd, []);
  });

  test("loads as ECMAScript modules and as CommonJS, with the same names", () => {
    const list = JSON.stringify(names);
    const load = (file: string, code: string) => {
      writeFileSync(join(folder, file), code);
      const said = execFileSync(process.execPath, [join(folder, file)], { encoding: "utf8" });
      return JSON.parse(said) as unknown;
    };
    const modules = load(
      "load.mjs",
      `const all = [];
       for (const name of ${list}) all.push(Object.keys(await import(name)).sort());
       console.log(JSON.stringify(all));`,
    );
    const common = load(
      "load.cjs",
      `const all = ${list}.map((name) => Object.keys(require(name)).sort());
       console.log(JSON.stringify(all));`,
    );
    assert.deepEqual(modules, common);
  });

  test("has types for both kinds of modules", () => {
    const code = names.map((name, at) => `import * as m${at} from "${name}"; void m${at};`);
    const sources = ["mts", "cts"].map((kind) => join(folder, `types.${kind}`));
    for (const source of sources) writeFileSync(source, code.join("\n"));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"];
    const types = ["--typeRoots", join(ROOT, "node_modules/@types"), "--types", "node"];
    execFileSync(process.execPath, [tsc, ...options, ...types, ...sources], {
      // a tsconfig.json in sight would be asked about
      cwd: folder,
      stdio: "inherit",
    });
  });
});

interface Packed {
  filename: string;
  files: { path: string }[];
}
