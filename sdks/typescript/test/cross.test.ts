/** Our signatures verified by others, and theirs by us. */
import assert from "node:assert/strict";
import { createHmac, timingSafeEqual } from "node:crypto";
import { describe, test } from "node:test";

import { Webhook } from "standardwebhooks";

import { sign, verify, VerifyError } from "@postrider/receiver";

const SECRETS = [
  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  `whsec_${Buffer.alloc(64, 9).toString("base64")}`,
];
const BODIES = ["{}", '{"a":"é 😀 \u2028"}', `{"text":"${"x".repeat(100_000)}"}`, ""];

/** Automa's secrets are text; libraries of Standard Webhooks read that text as Base64. */
const AUTOMA = "atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef";

describe("the package standardwebhooks", () => {
  for (const secrets of SECRETS) {
    for (const body of BODIES) {
      const name = `${secrets.length} letters of secret, ${body.length} of body`;
      test(`signs, and we verify: ${name}`, () => {
        const now = new Date();
        const headers = {
          "webhook-id": "msg_1",
          "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
          "webhook-signature": new Webhook(secrets).sign("msg_1", now, body),
        };
        assert.equal(verify(body, headers, { secrets }).id, "msg_1");
        const changed = () => verify(`${body} `, headers, { secrets });
        assert.throws(
          changed,
          (error) => error instanceof VerifyError && error.code === "no_match",
        );
      });

      // it parses what it verified
      if (body === "") continue;
      test(`verifies what we sign: ${name}`, () => {
        const headers = sign("msg_1", body, { secrets });
        assert.deepEqual(new Webhook(secrets).verify(body, headers), JSON.parse(body));
        assert.throws(() => new Webhook(secrets).verify(`${body} `, headers));
      });
    }
  }

  test("verifies what we sign during a rotation, with either secret", () => {
    const headers = sign("msg_1", "{}", { secrets: SECRETS });
    for (const secret of SECRETS) new Webhook(secret).verify("{}", headers);
  });

  test("verifies what the profile automa signs, first attempt and retry", () => {
    const nowMs = Date.now();
    for (const eventTimeMs of [nowMs, nowMs - 3_600_000]) {
      const headers = sign("msg_1", "{}", { secrets: AUTOMA, eventTimeMs, nowMs });
      new Webhook(AUTOMA.replace("atma_", "")).verify("{}", headers);
    }
  });

  test("signs with an Automa secret in its own way, and we verify", () => {
    const now = new Date();
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
      "webhook-signature": new Webhook(AUTOMA.replace("atma_", "")).sign("msg_1", now, "{}"),
    };
    assert.equal(verify("{}", headers, { secrets: AUTOMA }).id, "msg_1");
  });
});

/** Autonoma's published verifier, which has only the parsed body. */
function autonomaAccepts(parsed: unknown, signature: string, secret: string): boolean {
  const mac = createHmac("sha256", secret).update(JSON.stringify(parsed)).digest("hex");
  return timingSafeEqual(Buffer.from(`sha256=${mac}`), Buffer.from(signature));
}

describe("Autonoma's published verifier", () => {
  const body = '{"id":"evt_1","timestamp":"2025-07-28T04:58:00.999Z","data":{"a":1.5,"b":"é"}}';
  const nowMs = Date.parse("2025-07-28T04:58:30Z");
  const secrets = "your-webhook-secret";

  test("accepts what we sign", () => {
    const { "x-autonoma-signature": signature = "" } = sign("evt_1", body, { secrets, nowMs });
    assert.ok(autonomaAccepts(JSON.parse(body), signature, secrets));
  });

  test("signs as a sender would, and we verify, respelt or not", () => {
    const mac = createHmac("sha256", secrets).update(body).digest("hex");
    const headers = { "X-Autonoma-Signature": `sha256=${mac}` };
    for (const arrived of [body, JSON.stringify(JSON.parse(body), null, 2)]) {
      assert.equal(verify(arrived, headers, { secrets, now: () => nowMs }).id, "evt_1");
    }
  });
});
