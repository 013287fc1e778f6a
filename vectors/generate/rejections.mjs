import { bytes, decodedKey, hexOfBody, textKey, v1, v1a } from "./crypto.mjs";
import {
  AUTOMA, AUTOMA_OLDER, AUTONOMA, BODY_A, BODY_B, BODY_C, EVENT_MS_A, HOST, ID_A, PRIVATE_32,
  PUBLIC, STANDARD_1, STANDARD_2, STANDARD_BODY, STANDARD_ID, STANDARD_SECONDS,
} from "./material.mjs";

/** What a receiver answers to each cause. */
const STATUS = {
  missing_header: 401,
  malformed_header: 401,
  malformed_body: 400,
  too_old: 400,
  too_new: 400,
  no_match: 401,
  untrusted_host: 401,
};

function rejected(code, detail = {}) {
  return { code, ...detail, status: STATUS[code] };
}

const missing = (header) => rejected("missing_header", { header });
const malformed = (header) => rejected("malformed_header", { header });
const noMatch = rejected("no_match");

const sound = v1(decodedKey(STANDARD_1), STANDARD_ID, STANDARD_SECONDS, bytes(STANDARD_BODY));
const soundHeaders = {
  "webhook-id": STANDARD_ID,
  "webhook-timestamp": String(STANDARD_SECONDS),
  "webhook-signature": sound,
};

/** A sound delivery with some headers changed (`null`: taken away). */
function standard(name, changed, error, rest = {}) {
  const headers = Object.fromEntries(
    Object.entries({ ...soundHeaders, ...changed }).filter(([, value]) => value !== null),
  );
  return {
    name,
    profile: "standard",
    keys: [STANDARD_1],
    now_ms: STANDARD_SECONDS * 1000,
    tolerance_seconds: 300,
    headers,
    body: STANDARD_BODY,
    rejected: error,
    ...rest,
  };
}

const SIGNATURE = "webhook-signature";
const list = (signature) => ({ [SIGNATURE]: signature });
// the last letter before the padding carries two bits that must be zero
const looseBits = sound.replace(/(.)=$/, (_, letter) => `${String.fromCharCode(letter.charCodeAt(0) + 1)}=`);
const truncated = `v1,${Buffer.from(sound.slice(3), "base64").subarray(0, 31).toString("base64")}`;
const ed25519 = v1a(PRIVATE_32, STANDARD_ID, STANDARD_SECONDS, bytes(STANDARD_BODY));

const ofStandard = [
  standard("no signature", { [SIGNATURE]: null }, missing(SIGNATURE)),
  standard("no id", { "webhook-id": null }, missing("webhook-id")),
  standard("no time", { "webhook-timestamp": null }, missing("webhook-timestamp")),
  standard("a signature without a scheme", list(sound.slice(3)), malformed(SIGNATURE)),
  standard("an empty signature", list(""), malformed(SIGNATURE)),
  standard("a scheme without a signature", list("v1"), malformed(SIGNATURE)),
  standard("a signature that is no Base64", list("v1,***"), malformed(SIGNATURE)),
  standard("Base64 without its padding", list(sound.slice(0, -1)), malformed(SIGNATURE)),
  standard("Base64 with the letters of URLs", list("v1,-__-"), malformed(SIGNATURE)),
  standard("Base64 with loose bits at its end", list(looseBits), malformed(SIGNATURE)),
  standard("Base64 with a line break", list(`${sound}\n`), malformed(SIGNATURE)),
  standard("a signature with two commas", list(sound.replace(",", ",,")), malformed(SIGNATURE)),
  standard("an id with a dot", { "webhook-id": "msg.1" }, malformed("webhook-id")),
  standard("an empty id", { "webhook-id": "" }, malformed("webhook-id")),
  ...["", "abc", "+1614265330", "-1614265330", "1614265330.5", " 1614265330", "1e9", "0x60", "9".repeat(30)].map(
    (time) =>
      standard(`the time ${JSON.stringify(time)}`, { "webhook-timestamp": time }, malformed("webhook-timestamp")),
  ),
  standard("301 s old", {}, rejected("too_old", { seconds: 301 }), {
    now_ms: (STANDARD_SECONDS + 301) * 1000,
  }),
  standard("301 s ahead", {}, rejected("too_new", { seconds: 301 }), {
    now_ms: (STANDARD_SECONDS - 300) * 1000 - 1,
  }),
  standard("older than a tolerance of one's own", {}, rejected("too_old", { seconds: 61 }), {
    now_ms: (STANDARD_SECONDS + 61) * 1000,
    tolerance_seconds: 60,
  }),
  standard(
    "too old and forged: age is looked at first",
    list("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    rejected("too_old", { seconds: 301 }),
    { now_ms: (STANDARD_SECONDS + 301) * 1000 },
  ),
  standard("another secret", {}, noMatch, { keys: [STANDARD_2] }),
  standard("no key at all", {}, noMatch, { keys: [] }),
  standard("another body", {}, noMatch, { body: STANDARD_BODY.replace("4}", "5}") }),
  standard("a body with a line break more", {}, noMatch, { body: `${STANDARD_BODY}\n` }),
  standard("a body respelt: this profile signs bytes alone", {}, noMatch, {
    body: STANDARD_BODY.replace(" ", ""),
  }),
  standard("another id", { "webhook-id": "msg_1" }, noMatch),
  standard("another time", { "webhook-timestamp": String(STANDARD_SECONDS + 1) }, noMatch),
  standard("a signature that lacks its last byte", list(truncated), noMatch),
  standard("only schemes that are unknown", list(sound.replace("v1,", "v2,")), noMatch),
  standard("a shared signature under the asymmetric scheme", list(sound.replace("v1,", "v1a,")), noMatch),
  standard("an asymmetric signature, but only a shared secret", list(ed25519), noMatch),
  standard("a shared signature, but only a public key", {}, noMatch, { keys: [PUBLIC] }),
  standard("an asymmetric signature of another body", list(ed25519), noMatch, {
    keys: [PUBLIC],
    body: "{}",
  }),
  standard("an asymmetric signature that is cut short", list(`v1a,${Buffer.from(ed25519.slice(4), "base64").subarray(0, 63).toString("base64")}`), noMatch, { keys: [PUBLIC] }),
];

function automa(name, { headers, error, ...rest }) {
  return {
    name,
    profile: "automa",
    keys: [AUTOMA],
    now_ms: EVENT_MS_A,
    tolerance_seconds: 300,
    headers,
    body: BODY_A,
    rejected: error,
    ...rest,
  };
}

const atEvent = v1(textKey(AUTOMA), ID_A, 1753678680, bytes(BODY_A));
const automaHeaders = {
  "webhook-id": ID_A,
  "webhook-timestamp": "1753678680",
  [SIGNATURE]: atEvent,
};
const unsortedA = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(BODY_A)).reverse()));

const ofAutoma = [
  automa("Automa, no signature", { headers: {}, error: missing(SIGNATURE) }),
  automa("Automa, another secret", { headers: automaHeaders, keys: [AUTOMA_OLDER], error: noMatch }),
  automa("Automa, another body", {
    headers: automaHeaders,
    body: BODY_A.replace("monorepo", "monorepO"),
    error: noMatch,
  }),
  automa("Automa's own late retry: the body's time is held to the tolerance", {
    headers: { [SIGNATURE]: atEvent },
    now_ms: EVENT_MS_A + 600_000,
    error: rejected("too_old", { seconds: 600 }),
  }),
  automa("the header's time is held to the tolerance too", {
    headers: automaHeaders,
    now_ms: EVENT_MS_A + 301_000,
    error: rejected("too_old", { seconds: 301 }),
  }),
  automa("a fresh time in the header does not refresh what was signed at another", {
    headers: { ...automaHeaders, "webhook-timestamp": "1753679280" },
    now_ms: EVENT_MS_A + 600_000,
    error: noMatch,
  }),
  automa("a header time that is no number, although the body is signed", {
    headers: { ...automaHeaders, "webhook-timestamp": "soon" },
    error: malformed("webhook-timestamp"),
  }),
  automa("no headers and a body without an id", {
    headers: { [SIGNATURE]: v1(textKey(AUTOMA), ID_A, 1753678680, bytes('{"timestamp":"2025-07-28T04:58:00Z"}')) },
    body: '{"timestamp":"2025-07-28T04:58:00Z"}',
    error: missing("webhook-id"),
  }),
  automa("no headers and a body whose time is no time", {
    headers: { [SIGNATURE]: atEvent },
    body: `{"id":"${ID_A}","timestamp":"2025-02-29T00:00:00Z"}`,
    error: missing("webhook-id"),
  }),
  automa("no headers and a body whose id has a dot", {
    headers: { [SIGNATURE]: atEvent },
    body: '{"id":"a.b","timestamp":"2025-07-28T04:58:00Z"}',
    error: missing("webhook-id"),
  }),
  automa("keys in another order, signed for another secret", {
    headers: { [SIGNATURE]: atEvent },
    keys: [AUTOMA_OLDER],
    body: unsortedA,
    error: noMatch,
  }),
  automa("a server that is not on the allow list", {
    layer: "receiver",
    headers: { ...automaHeaders, "x-automa-server-host": "https://evil.example" },
    trusted_hosts: [HOST],
    error: rejected("untrusted_host"),
  }),
  automa("a server that only starts like one on the allow list", {
    layer: "receiver",
    headers: { ...automaHeaders, "x-automa-server-host": `${HOST}.evil.example` },
    trusted_hosts: [HOST],
    error: rejected("untrusted_host"),
  }),
  automa("no server named, where there is an allow list", {
    layer: "receiver",
    headers: automaHeaders,
    trusted_hosts: [HOST],
    error: missing("x-automa-server-host"),
  }),
  automa("a forged delivery from a server that is not on the allow list", {
    layer: "receiver",
    headers: { ...automaHeaders, "x-automa-server-host": "https://evil.example" },
    trusted_hosts: [HOST],
    keys: [AUTOMA_OLDER],
    error: noMatch,
  }),
];

const HEX = "x-autonoma-signature";

function autonoma(name, { value, error, ...rest }) {
  return {
    name,
    profile: "autonoma",
    keys: [AUTONOMA],
    now_ms: EVENT_MS_A + 10_000,
    tolerance_seconds: 300,
    headers: { [HEX]: value },
    body: BODY_C,
    rejected: error,
    ...rest,
  };
}

const hexC = `sha256=${hexOfBody(AUTONOMA, bytes(BODY_C))}`;
const soundC = { value: hexC };

const ofAutonoma = [
  autonoma("Autonoma, no signature of either kind", {
    ...soundC,
    headers: {},
    error: missing(SIGNATURE),
  }),
  autonoma("hexadecimal without its prefix", { value: hexC.slice(7), error: malformed(HEX) }),
  autonoma("hexadecimal that is too short", { value: hexC.slice(0, -2), error: malformed(HEX) }),
  autonoma("hexadecimal that is too long", { value: `${hexC}00`, error: malformed(HEX) }),
  autonoma("letters that are not hexadecimal", {
    value: `sha256=${"g".repeat(64)}`,
    error: malformed(HEX),
  }),
  autonoma("two values joined by a comma", { value: `${hexC}, ${hexC}`, error: malformed(HEX) }),
  autonoma("body B, which has neither id nor time, with the hex header alone", {
    value: `sha256=${hexOfBody(AUTONOMA, bytes(BODY_B))}`,
    body: BODY_B,
    error: rejected("malformed_body"),
  }),
  autonoma("a body that is no JSON, with the hex header alone", {
    value: `sha256=${hexOfBody(AUTONOMA, bytes("id=evt_1"))}`,
    body: "id=evt_1",
    error: rejected("malformed_body"),
  }),
  autonoma("Autonoma, another secret", { ...soundC, keys: ["your-webhook-secre"], error: noMatch }),
  autonoma("Autonoma, another body", {
    ...soundC,
    body: BODY_C.replace("0.1", "0.2"),
    error: noMatch,
  }),
  autonoma("Autonoma, another order of keys is another body", {
    ...soundC,
    body: JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(BODY_C)).reverse())),
    error: noMatch,
  }),
  autonoma("Autonoma, an old body with the hex header alone", {
    ...soundC,
    now_ms: EVENT_MS_A + 301_000,
    error: rejected("too_old", { seconds: 301 }),
  }),
  autonoma("Autonoma, a body of the future with the hex header alone", {
    ...soundC,
    now_ms: EVENT_MS_A - 301_000,
    error: rejected("too_new", { seconds: 301 }),
  }),
  autonoma("where there is a list, the hex header alone does not do", {
    ...soundC,
    headers: {
      [HEX]: hexC,
      "webhook-id": "evt_1",
      "webhook-timestamp": "1753678680",
      [SIGNATURE]: v1(bytes("another"), "evt_1", 1753678680, bytes(BODY_C)),
    },
    error: noMatch,
  }),
];

export const rejections = { status: STATUS, cases: [...ofStandard, ...ofAutoma, ...ofAutonoma] };
