import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  canonicalJson,
  JsonError,
  ParsedBodyError,
  profileFor,
  SecretError,
  sign,
  Verifier,
  verify,
  VerifyError,
  WebhookEvent,
} from "@postrider/receiver";
import type { RawBody } from "@postrider/receiver";

import { parsePublicKey } from "../dist/esm/secret.js";
import { bytesOf, profileOf, vectors } from "./vectors.js";
import type { FormCase, VerifyCase } from "./vectors.js";

describe("vectors: what is signed", () => {
  for (const each of vectors("signatures").sign) {
    test(each.name, () => {
      const profile = profileOf(each.profile);
      const body = bytesOf(each);
      const headers = sign(each.id, body, {
        secrets: each.secrets,
        profile,
        eventTimeMs: each.event_time_ms,
        nowMs: each.now_ms,
        ...(each.server_host !== undefined && { serverHost: each.server_host }),
      });
      assert.deepEqual(headers, each.headers);
      for (const secrets of each.verify_with) {
        const event = verify(body, headers, { secrets, profile, now: () => each.now_ms });
        assert.equal(event.id, each.id);
        assert.equal(String(event.signedAtSeconds), headers[profile.listHeaders.timestamp]);
        assert.deepEqual(event.body, body);
        assert.equal(event.serverHost, each.server_host);
      }
    });
  }
});

describe("vectors: what is accepted", () => {
  for (const each of vectors("signatures").accept) {
    test(each.name, () => {
      const { id, signedAtSeconds } = verified(each);
      assert.deepEqual({ id, timestamp_seconds: signedAtSeconds }, each.accepted);
    });
  }
});

describe("vectors: what is rejected", () => {
  for (const each of vectors("rejections").cases) {
    test(each.name, () => {
      assert.throws(
        () => verified(each),
        (error) => {
          assert.ok(error instanceof VerifyError, String(error));
          const { code, header, seconds, status } = error;
          const given = { code, header, seconds, status };
          assert.deepEqual(given, { header: undefined, seconds: undefined, ...each.rejected });
          return true;
        },
      );
    });
  }
});

function verified(each: VerifyCase): WebhookEvent {
  return new Verifier({
    secrets: each.keys,
    profile: profileOf(each.profile),
    toleranceSeconds: each.tolerance_seconds ?? "danger_any_age",
    now: () => each.now_ms,
    ...(each.trusted_hosts && { trustedHosts: each.trusted_hosts }),
  }).verify(bytesOf(each), each.headers);
}

describe("vectors: secrets", () => {
  const { parse, public_keys: publicKeys, profile_for: profileForCases } = vectors("secrets");
  const check = (read: () => unknown, code: string | undefined) => {
    if (code === undefined) assert.doesNotThrow(read);
    else assert.throws(read, (error) => error instanceof SecretError && error.code === code);
  };
  for (const { name, profile, secret, error } of parse) {
    test(name, () => {
      check(() => new Verifier({ secrets: secret, profile }), error);
    });
  }
  for (const { name, key, error } of publicKeys) {
    test(name, () => {
      check(() => parsePublicKey(key), error);
    });
  }
  for (const { name, secret, profile } of profileForCases) {
    test(name, () => {
      assert.equal(profileFor(secret), profile);
    });
  }
});

describe("vectors: body forms", () => {
  const { forms, refusals } = vectors("canonical");
  const form = (each: FormCase, name: "ecma" | "jcs") => {
    const input =
      each.input_base64 === undefined
        ? Buffer.from(each.input ?? "")
        : Buffer.from(each.input_base64, "base64");
    const options = {
      ...(each.numbers && { numbers: each.numbers }),
      ...(each.outer_levels !== undefined && { outerLevels: each.outer_levels }),
    };
    return canonicalJson(input, name, options);
  };
  for (const each of forms) {
    test(each.name, () => {
      assert.equal(form(each, "ecma"), each.ecma);
      assert.equal(form(each, "jcs"), each.jcs);
    });
  }
  for (const each of refusals) {
    test(each.name, () => {
      for (const name of ["ecma", "jcs"] as const) {
        assert.throws(
          () => form(each, name),
          (error) => {
            assert.ok(error instanceof JsonError, String(error));
            assert.equal(error.code, each.code);
            if (each.pointer !== undefined) assert.equal(error.pointer, each.pointer);
            return true;
          },
        );
      }
    });
  }
  test("a text of a megabyte takes no more than linear time", () => {
    const long = JSON.stringify({ a: `\\"${"x".repeat(1_000_000)}`, b: "\\".repeat(300_000) });
    assert.equal(canonicalJson(Buffer.from(long), "ecma"), long);
  });
});

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"id":"evt_1","type":"a.b","timestamp":"2025-07-28T04:58:00.999Z","data":{"n":"é"}}';

describe("verify", () => {
  const headers = sign("evt_1", BODY, { secrets: SECRET });

  test("takes every kind of raw body", () => {
    const bytes = new TextEncoder().encode(BODY);
    const inside = new Uint8Array([0, ...bytes, 0]).subarray(1, -1);
    const bodies: RawBody[] = [BODY, Buffer.from(BODY), bytes, bytes.buffer, inside];
    for (const body of bodies) {
      assert.equal(verify(body, headers, { secrets: SECRET }).id, "evt_1");
    }
  });

  test("takes every kind of headers", () => {
    const capitals = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]),
    );
    for (const each of [
      headers,
      new Headers(headers),
      new Map(Object.entries(headers)),
      capitals,
    ]) {
      assert.equal(verify(BODY, each as Headers, { secrets: SECRET }).id, "evt_1");
    }
  });

  test("refuses a parsed body, and says how to get the raw one", () => {
    for (const body of [JSON.parse(BODY), undefined, null, [1], 7]) {
      assert.throws(
        () => verify(body as string, headers, { secrets: SECRET }),
        (error) => error instanceof ParsedBodyError && error.message.includes("express.raw"),
      );
    }
  });

  test("gives a typed event out of the envelope", () => {
    const event = verify<{ n: string }>(BODY, headers, { secrets: SECRET });
    assert.equal(event.type, "a.b");
    assert.equal(event.data.n, "é");
    assert.equal(event.occurredAt?.toISOString(), "2025-07-28T04:58:00.999Z");
    assert.deepEqual(event.json(), JSON.parse(BODY));
  });

  test("says nothing of an envelope that is not there", () => {
    const signed = sign("evt_1", "[1]", { secrets: SECRET });
    const event = verify("[1]", signed, { secrets: SECRET });
    assert.deepEqual([event.type, event.data, event.occurredAt], ["", undefined, undefined]);
  });

  test("never repeats a secret in an error", () => {
    for (const secret of ["whsec_topsecret!", "whsec_dG9wc2VjcmV0", "whsk_dG9wc2VjcmV0"]) {
      assert.throws(
        () => new Verifier({ secrets: secret }),
        (error) => error instanceof SecretError && !error.message.includes(secret.slice(6)),
      );
    }
  });
});
