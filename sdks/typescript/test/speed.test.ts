import assert from "node:assert/strict";
import { test } from "node:test";

import { measure } from "./speed.js";

test("verifying is not slower than the package standardwebhooks", (context) => {
  for (const bodyBytes of [300, 30_000]) {
    const { ours, theirs } = measure(bodyBytes, 40, 25);
    context.diagnostic(`${bodyBytes} bytes: ratio ${(ours / theirs).toFixed(2)}`);
    assert.ok(ours >= theirs, `${ours} against ${theirs} per second`);
  }
});
