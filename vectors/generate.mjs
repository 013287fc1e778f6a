// Writes the vectors. `node vectors/generate.mjs` writes the files beside it,
// `node vectors/generate.mjs --check` only says whether they are as it would
// write them.
//
// What is expected is computed here from node:crypto and JavaScript's own JSON,
// and none of it from Postrider: the files are a second opinion on its code.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";

import { canonical } from "./generate/canonical.mjs";
import { inbox, locks } from "./generate/inbox.mjs";
import { rejections } from "./generate/rejections.mjs";
import { secrets } from "./generate/secrets.mjs";
import { signatures } from "./generate/signatures.mjs";

const files = { canonical, inbox, locks, rejections, secrets, signatures };
const isCheck = process.argv.includes("--check");

for (const [name, content] of Object.entries(files)) {
  const path = new URL(`./${name}.json`, import.meta.url);
  const text = `${JSON.stringify(content, null, 2)}\n`;
  if (isCheck) assert.equal(readFileSync(path, "utf8"), text, `${name}.json`);
  else writeFileSync(path, text);
  for (const [part, cases] of Object.entries(content)) {
    if (!Array.isArray(cases)) continue;
    const names = cases.map((each) => each.name);
    assert.equal(new Set(names).size, names.length, `names of ${name}.${part} are unique`);
    console.log(`${name}.${part}: ${cases.length}`);
  }
}
