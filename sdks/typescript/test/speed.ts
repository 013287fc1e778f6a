/**
 * How many deliveries one core verifies per second, beside the package that others
 * use: `npm run bench`. Prints one line for each size of body.
 */
import { Webhook } from "standardwebhooks";

import { sign, Verifier } from "@postrider/receiver";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY_BYTES = [300, 3_000, 30_000];

export interface Speed {
  readonly bodyBytes: number;
  /** Verifications per second. */
  readonly ours: number;
  readonly theirs: number;
}

/** Measures both in turns, so that a busy machine slows both alike. */
export function measure(bodyBytes: number, roundMs: number, rounds: number): Speed {
  const body = JSON.stringify({ text: "x".repeat(bodyBytes - 11) });
  const headers = sign("msg_1", body, { secrets: SECRET });
  const verifier = new Verifier({ secrets: SECRET });
  const webhook = new Webhook(SECRET);
  // theirs parses what it verified, so ours does too
  const ours = () => verifier.verify(body, headers).json();
  const theirs = () => webhook.verify(body, headers);
  const best = { ours: 0, theirs: 0 };
  for (let round = 0; round < rounds; round += 1) {
    best.ours = Math.max(best.ours, perSecond(ours, roundMs));
    best.theirs = Math.max(best.theirs, perSecond(theirs, roundMs));
  }
  return { bodyBytes, ...best };
}

function perSecond(verify: () => unknown, forMs: number): number {
  const startMs = performance.now();
  let count = 0;
  let nowMs = startMs;
  while (nowMs - startMs < forMs) {
    for (let each = 0; each < 50; each += 1) verify();
    count += 50;
    nowMs = performance.now();
  }
  return (count * 1_000) / (nowMs - startMs);
}

if (process.argv[1] === import.meta.filename) {
  for (const bodyBytes of BODY_BYTES) {
    const { ours, theirs } = measure(bodyBytes, 500, 5);
    const ratio = (ours / theirs).toFixed(2);
    console.log(
      `${bodyBytes} bytes: ours ${Math.round(ours)}/s, ` +
        `standardwebhooks ${Math.round(theirs)}/s, ratio ${ratio}`,
    );
  }
}
