import assert from "node:assert/strict";

import {
  bytes, decodedKey, decodedTextKey, hexOfBody, publicText, sha256, textKey, v1, v1a,
} from "./crypto.mjs";
import {
  AUTOMA, AUTOMA_OLDER, AUTOMA_SHORT, AUTONOMA, AUTONOMA_OLDER, BODY_A, BODY_B, BODY_C, BRAND,
  BRAND_SECRET, EVENT_MS_A, HOST, ID_A, PRIVATE_32, PRIVATE_64, PUBLIC, STANDARD_1, STANDARD_2,
  STANDARD_BODY, STANDARD_ID, STANDARD_SECONDS,
} from "./material.mjs";

const list = (id, seconds, signature) => ({
  "webhook-id": id,
  "webhook-timestamp": String(seconds),
  "webhook-signature": signature,
});

// --- signing -----------------------------------------------------------------

function standard(name, secrets, { id, seconds, body, eventMs, nowMs, verifyWith }) {
  const signatures = secrets.map((secret) =>
    secret.startsWith("whsk_")
      ? v1a(secret, id, seconds, bytes(body))
      : v1(decodedKey(secret), id, seconds, bytes(body)),
  );
  return {
    name,
    profile: "standard",
    secrets,
    id,
    event_time_ms: eventMs ?? seconds * 1000,
    now_ms: nowMs ?? seconds * 1000,
    body,
    headers: list(id, seconds, signatures.join(" ")),
    verify_with: verifyWith ?? secrets.map((secret) => [secret]),
  };
}

const first = { id: STANDARD_ID, seconds: STANDARD_SECONDS, body: STANDARD_BODY };

function automa(name, secrets, { nowMs, seconds }) {
  const eventSeconds = Math.floor(EVENT_MS_A / 1000);
  const body = bytes(BODY_A);
  const texts = secrets.flatMap((secret) => {
    const times = seconds === eventSeconds ? [eventSeconds] : [eventSeconds, seconds];
    return times.map((time) => v1(textKey(secret), ID_A, time, body));
  });
  const decoded = secrets
    .filter((secret) => textKey(secret).length % 4 === 0)
    .map((secret) => v1(decodedTextKey(secret), ID_A, seconds, body))
    .reverse();
  return {
    name,
    profile: "automa",
    secrets,
    id: ID_A,
    event_time_ms: EVENT_MS_A,
    now_ms: nowMs,
    body: BODY_A,
    server_host: HOST,
    headers: {
      ...list(ID_A, seconds, [...texts, ...decoded].join(" ")),
      "x-automa-server-host": HOST,
    },
    verify_with: secrets.map((secret) => [secret]),
  };
}

function autonoma(name, secrets, { id, eventMs, nowMs, body, seconds }) {
  const signatures = secrets.map((secret) => v1(bytes(secret), id, seconds, bytes(body)));
  return {
    name,
    profile: "autonoma",
    secrets,
    id,
    event_time_ms: eventMs,
    now_ms: nowMs,
    body,
    headers: {
      ...list(id, seconds, signatures.join(" ")),
      "x-autonoma-signature": `sha256=${hexOfBody(secrets[0], bytes(body))}`,
    },
    verify_with: secrets.map((secret) => [secret]),
  };
}

const binary = Buffer.from([0, 255, 128, 10, 46, 195, 40]);
const retrySeconds = 1753679280;
const eventC = { id: "evt_1", eventMs: EVENT_MS_A, body: BODY_C };

const sign = [
  standard("the first vector of Standard Webhooks", [STANDARD_1], first),
  standard("the second vector of Standard Webhooks", [STANDARD_2], {
    id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    seconds: 1649367553,
    body: '{"email":"test@example.com","username":"test_user"}',
  }),
  standard("ed25519 with a key of 64 bytes", [PRIVATE_64], {
    ...first,
    verifyWith: [[PRIVATE_64], [PRIVATE_32], [PUBLIC]],
  }),
  standard("ed25519 with a key of 32 bytes", [PRIVATE_32], { ...first, verifyWith: [[PUBLIC]] }),
  standard("two live secrets during a rotation, the current one first", [STANDARD_2, STANDARD_1], {
    ...first,
    verifyWith: [[STANDARD_1], [STANDARD_2], [STANDARD_1, STANDARD_2]],
  }),
  standard("a rotation from a shared secret to ed25519", [PRIVATE_64, STANDARD_1], {
    ...first,
    verifyWith: [[PUBLIC], [STANDARD_1], [STANDARD_1, PUBLIC]],
  }),
  standard("a fresh event is signed at its own time, rounded down", [STANDARD_1], {
    ...first,
    eventMs: STANDARD_SECONDS * 1000 + 999,
    nowMs: (STANDARD_SECONDS + 240) * 1000 + 998,
  }),
  standard("an event of 240 s is signed at the attempt's time", [STANDARD_1], {
    ...first,
    seconds: STANDARD_SECONDS + 240,
    eventMs: STANDARD_SECONDS * 1000,
    nowMs: (STANDARD_SECONDS + 240) * 1000,
  }),
  standard("an event of the future is signed at the attempt's time", [STANDARD_1], {
    ...first,
    eventMs: STANDARD_SECONDS * 1000 + 1,
    nowMs: STANDARD_SECONDS * 1000,
  }),
  standard("an empty body", [STANDARD_1], { ...first, body: "" }),
  standard("a body outside of ASCII", [STANDARD_1], { ...first, body: '{"a":"é 😀 \u2028"}' }),
  {
    name: "a body that is no text",
    profile: "standard",
    secrets: [STANDARD_1],
    id: STANDARD_ID,
    event_time_ms: STANDARD_SECONDS * 1000,
    now_ms: STANDARD_SECONDS * 1000,
    body_base64: binary.toString("base64"),
    headers: list(
      STANDARD_ID,
      STANDARD_SECONDS,
      v1(decodedKey(STANDARD_1), STANDARD_ID, STANDARD_SECONDS, binary),
    ),
    verify_with: [[STANDARD_1]],
  },
  automa("Automa, first attempt: event and header time are one", [AUTOMA], {
    nowMs: EVENT_MS_A,
    seconds: 1753678680,
  }),
  automa("Automa, retry after ten minutes: three signatures", [AUTOMA], {
    nowMs: EVENT_MS_A + 600_000,
    seconds: retrySeconds,
  }),
  automa("Automa, rotation: the current secret's decoded key stands last", [AUTOMA, AUTOMA_OLDER], {
    nowMs: EVENT_MS_A + 600_000,
    seconds: retrySeconds,
  }),
  automa("Automa, a text that is no Base64 has no decoded signature", ["atma_whsec_secret"], {
    nowMs: EVENT_MS_A,
    seconds: 1753678680,
  }),
  autonoma("Autonoma, body B of the contract", [AUTONOMA], {
    id: "evt_1",
    eventMs: 0,
    nowMs: 0,
    body: BODY_B,
    seconds: 0,
  }),
  autonoma("Autonoma, rotation: the hex header is the new secret's alone", [AUTONOMA, AUTONOMA_OLDER], {
    ...eventC,
    nowMs: EVENT_MS_A + 1_000,
    seconds: 1753678680,
  }),
  autonoma("Autonoma, a prefix is part of the key", [AUTONOMA_OLDER], {
    ...eventC,
    nowMs: EVENT_MS_A + 600_000,
    seconds: retrySeconds,
  }),
  {
    name: "a brand of its own",
    profile: BRAND,
    secrets: [BRAND_SECRET],
    id: "evt_1",
    event_time_ms: EVENT_MS_A,
    now_ms: EVENT_MS_A + 2_000,
    body: BODY_C,
    server_host: HOST,
    headers: {
      "acme-id": "evt_1",
      "acme-timestamp": "1753678682",
      "acme-signature": v1(textKey(BRAND_SECRET, "acme_"), "evt_1", 1753678682, bytes(BODY_C)),
      "acme-body-mac": `hmac ${hexOfBody(BRAND_SECRET.slice(5), bytes(BODY_C))}`,
      "acme-server": HOST,
    },
    verify_with: [[BRAND_SECRET]],
  },
];

// --- accepting what others sign --------------------------------------------------

const sound = v1(decodedKey(STANDARD_1), STANDARD_ID, STANDARD_SECONDS, bytes(STANDARD_BODY));
const decoy = v1(decodedKey(STANDARD_2), STANDARD_ID, STANDARD_SECONDS, bytes(STANDARD_BODY));

function standardAccept(name, signature, rest = {}) {
  return {
    name,
    profile: "standard",
    keys: [STANDARD_1],
    now_ms: STANDARD_SECONDS * 1000,
    tolerance_seconds: 300,
    headers: list(STANDARD_ID, STANDARD_SECONDS, signature),
    body: STANDARD_BODY,
    accepted: { id: STANDARD_ID, timestamp_seconds: STANDARD_SECONDS },
    ...rest,
  };
}

const PYTHON_BODY = '{"id": "1", "timestamp": "2023-10-01T00:00:00Z"}';
const PYTHON_SECONDS = 1696118400;

/** What Automa's own SDKs sign: id and time out of the body. */
function automaAccept(name, rest) {
  return {
    name,
    profile: "automa",
    keys: [AUTOMA],
    now_ms: EVENT_MS_A,
    tolerance_seconds: 300,
    headers: {},
    body: BODY_A,
    accepted: { id: ID_A, timestamp_seconds: 1753678680 },
    ...rest,
  };
}

const unsortedA = JSON.stringify(reversed(JSON.parse(BODY_A)), null, 1);
const textAtEvent = v1(textKey(AUTOMA), ID_A, 1753678680, bytes(BODY_A));

function reversed(object) {
  return Object.fromEntries(Object.entries(object).reverse());
}

function autonomaAccept(name, rest) {
  return {
    name,
    profile: "autonoma",
    keys: [AUTONOMA],
    now_ms: EVENT_MS_A + 10_000,
    tolerance_seconds: 300,
    headers: { "x-autonoma-signature": `sha256=${hexOfBody(AUTONOMA, bytes(BODY_C))}` },
    body: BODY_C,
    accepted: { id: "evt_1", timestamp_seconds: 1753678680 },
    ...rest,
  };
}

const prettyC = JSON.stringify(JSON.parse(BODY_C), null, 2).replace("é /", "\\u00e9 \\/");

const accept = [
  standardAccept("exactly 300 s old", sound, { now_ms: (STANDARD_SECONDS + 300) * 1000 + 999 }),
  standardAccept("exactly 300 s ahead", sound, { now_ms: (STANDARD_SECONDS - 300) * 1000 }),
  standardAccept("years old, where any age is allowed", sound, {
    now_ms: (STANDARD_SECONDS + 100_000_000) * 1000,
    tolerance_seconds: null,
  }),
  standardAccept("the second of two signatures", `${decoy} ${sound}`),
  standardAccept("the second of two keys", sound, { keys: [STANDARD_2, STANDARD_1] }),
  standardAccept("unknown schemes are passed over", `v2,AAAA ${sound} v9,QQ==`),
  standardAccept("a broken element beside a sound one is passed over", `v1,*** v1 ,x ${sound}`),
  standardAccept("double and outer spaces in the list are passed over", ` ${decoy}  ${sound} `),
  standardAccept("a shared secret and a public key side by side", sound, {
    keys: [PUBLIC, STANDARD_1],
  }),
  {
    name: "what Automa's Python SDK signs, with no header but the signature",
    profile: "automa",
    keys: [AUTOMA_SHORT],
    now_ms: (PYTHON_SECONDS + 240) * 1000,
    tolerance_seconds: 300,
    headers: {
      "webhook-signature": v1(textKey(AUTOMA_SHORT), "1", PYTHON_SECONDS, bytes(PYTHON_BODY)),
    },
    body: PYTHON_BODY,
    accepted: { id: "1", timestamp_seconds: PYTHON_SECONDS },
  },
  automaAccept("what Automa's TypeScript SDK signs: the body with sorted keys", {
    headers: { "webhook-signature": textAtEvent },
    body: unsortedA,
  }),
  automaAccept("an old event retried: the header's time counts", {
    now_ms: EVENT_MS_A + 600_000,
    headers: sign[13].headers,
    accepted: { id: ID_A, timestamp_seconds: retrySeconds },
  }),
  automaAccept("Automa's own late retry, where any age is allowed", {
    now_ms: EVENT_MS_A + 3_600_000,
    tolerance_seconds: null,
    headers: { "webhook-signature": textAtEvent },
  }),
  automaAccept("a server that is on the allow list, whatever its case or last slash", {
    layer: "receiver",
    trusted_hosts: ["https://other.example", "https://Postrider.example/"],
    headers: sign[12].headers,
  }),
  autonomaAccept("Autonoma's own header alone: id and time from the body", {}),
  autonomaAccept("hexadecimal in upper case", {
    headers: {
      "x-autonoma-signature": `sha256=${hexOfBody(AUTONOMA, bytes(BODY_C)).toUpperCase()}`,
    },
  }),
  autonomaAccept("raw bytes that are no fixed point, signed as they are", {
    headers: { "x-autonoma-signature": `sha256=${hexOfBody(AUTONOMA, bytes(prettyC))}` },
    body: prettyC,
  }),
  autonomaAccept("a body respelt on its way: what JavaScript makes of it is signed", {
    layer: "receiver",
    body: prettyC,
  }),
  autonomaAccept("a body respelt on its way, with the list of signatures", {
    layer: "receiver",
    headers: {
      ...list("evt_1", 1753678680, v1(bytes(AUTONOMA), "evt_1", 1753678680, bytes(BODY_C))),
      "x-autonoma-signature": `sha256=${hexOfBody(AUTONOMA, bytes(BODY_C))}`,
    },
    body: prettyC,
  }),
];

// --- the table of contract §5 -------------------------------------------------------

const signatureOf = (index) => sign[index].headers["webhook-signature"];
assert.equal(signatureOf(0), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
assert.equal(signatureOf(1), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
const ed25519 =
  "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
assert.equal(signatureOf(2), ed25519);
assert.equal(signatureOf(3), ed25519);
assert.equal(publicText(PRIVATE_64), PUBLIC);
const python = accept.find((each) => each.name.includes("Python"));
assert.equal(
  python.headers["webhook-signature"],
  "v1,/VB+gt7CALYoWLO0Pym4MfxP3l4a29h1OYQcfJ59D+E=",
);
assert.equal(sha256(BODY_A), "c081b0b9e163b1235c58bc03fc4410fd62dfde8316b98c781de4751ff0903968");
assert.equal(bytes(BODY_A).length, 349);
assert.equal(bytes(BODY_B).length, 94);
const textAtRetry = "v1,5l11VW6Zttulnhsr9vuZopDt3ZzwCgsrXtcQ6EtY7d0=";
assert.equal(textAtEvent, "v1,Al2sF4uOuXpMpDXZqRivLj4IyRR9WkFtHfcmOfgfA3Q=");
assert.equal(
  signatureOf(12),
  `${textAtEvent} v1,TcfDvYP2BKsCdV8H4atYm9bhV431CZQSGIx1pWYW8hc=`,
);
assert.equal(
  signatureOf(13),
  `${textAtEvent} ${textAtRetry} v1,mwgE9qcWqn5mubMHjrv0Q83i6BpGntS+uHPxte8zlnU=`,
);
assert.equal(
  sign[16].headers["x-autonoma-signature"],
  "sha256=f5b542bad11519387371148534d767700b5df4619cef55e6be019c5289742ebc",
);

export const signatures = { sign, accept };
