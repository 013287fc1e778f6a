/**
 * Verifying: raw bytes, headers and secrets become an event, or an error that says
 * which step failed. The rules are those of `vectors/rejections.json`.
 */
import { timingSafeEqual, verify as verifyAsymmetric } from "node:crypto";

import { decodeBase64 } from "./base64.js";
import { rawBytes } from "./body.js";
import type { RawBody } from "./body.js";
import { WebhookEvent } from "./event.js";
import { findHeader } from "./headers.js";
import type { FindHeader, HeadersLike } from "./headers.js";
import { canonicalJson, JsonError } from "./json.js";
import type { Profile, ProfileName } from "./profile.js";
import { mac, parseKey } from "./secret.js";
import type { Key } from "./secret.js";
import { profileOf } from "./sign.js";
import { parseTimestamp } from "./timestamp.js";

/** 300 s to either side, as all Standard Webhooks libraries have it. */
const TOLERANCE_SECONDS = 300;

export interface VerifyOptions {
  /** One secret or several; public keys `whpk_…` too. One that matches is enough. */
  secrets: string | readonly string[];
  /** Default: the one whose secret format the first secret has. */
  profile?: ProfileName | Profile;
  /**
   * How far a signed time may lie from now, to either side. Default 300. With
   * `"danger_any_age"` a delivery once seen can be replayed for ever: keep an inbox.
   */
  toleranceSeconds?: number | "danger_any_age";
  /** For profiles whose sender names itself: the only public URLs that may. */
  trustedHosts?: readonly string[];
  /** Milliseconds since 1970. Default: the clock. */
  now?: () => number;
}

export type VerifyErrorCode =
  | "missing_header"
  | "malformed_header"
  | "malformed_body"
  | "too_old"
  | "too_new"
  | "no_match"
  | "untrusted_host";

/** What a receiver answers to each cause. */
const STATUS: Record<VerifyErrorCode, number> = {
  missing_header: 401,
  malformed_header: 401,
  malformed_body: 400,
  too_old: 400,
  too_new: 400,
  no_match: 401,
  untrusted_host: 401,
};

/** A delivery that is not accepted, and by which step. */
export class VerifyError extends Error {
  override readonly name = "VerifyError";
  /** The header at fault, in lower case. */
  readonly header?: string;
  /** How far behind or ahead the signed time lies. */
  readonly seconds?: number;
  /** The HTTP status that answers it. */
  readonly status: number;

  constructor(
    readonly code: VerifyErrorCode,
    message: string,
    detail: { header?: string; seconds?: number } = {},
  ) {
    super(message);
    this.status = STATUS[code];
    Object.assign(this, detail);
  }
}

/** Verifies one delivery; throws {@link VerifyError}. */
export function verify<Data = unknown>(
  body: RawBody,
  headers: HeadersLike,
  options: VerifyOptions,
): WebhookEvent<Data> {
  return new Verifier(options).verify(body, headers);
}

/** Verifies deliveries with keys that are read once. */
export class Verifier {
  readonly #profile: Profile;
  readonly #keys: readonly Key[];
  readonly #toleranceSeconds: number;
  readonly #trustedHosts: ReadonlySet<string> | undefined;
  readonly #now: () => number;

  /** Throws {@link SecretError} when a secret is none of the profile's. */
  constructor(options: VerifyOptions) {
    const secrets = [options.secrets].flat();
    this.#profile = profileOf(options.profile, secrets[0]);
    this.#keys = secrets.map((secret) => parseKey(secret, this.#profile));
    const tolerance = options.toleranceSeconds ?? TOLERANCE_SECONDS;
    this.#toleranceSeconds = tolerance === "danger_any_age" ? Infinity : tolerance;
    this.#trustedHosts = options.trustedHosts && new Set(options.trustedHosts.map(comparable));
    this.#now = options.now ?? Date.now;
  }

  /** Throws {@link VerifyError}, or `ParsedBodyError` when the body is not raw. */
  verify<Data = unknown>(body: RawBody, headers: HeadersLike): WebhookEvent<Data> {
    const header = findHeader(headers);
    const bytes = rawBytes(body);
    const claim = this.#verified(bytes, header);
    return new WebhookEvent<Data>({
      id: claim.id,
      signedAtSeconds: claim.seconds,
      body: bytes,
      serverHost: this.#host(header),
    });
  }

  #verified(body: Buffer, header: FindHeader): Claim {
    const { listHeaders, hexHeader, signatureList } = this.#profile;
    const list = header(listHeaders.signature);
    if (list === undefined) {
      const value = hexHeader && header(hexHeader.name);
      if (hexHeader && value !== undefined) return this.#verifiedHex(hexHeader, value, body);
      throw missing(listHeaders.signature);
    }
    const signatures = parseList(list);
    if (!signatures) throw malformed(listHeaders.signature);
    const inBody = signatureList === "automa" ? claimsInBody(body) : [];
    const inHeaders = this.#claimInHeaders(header, body, inBody.length > 0);
    const claims = inHeaders ? [inHeaders, ...inBody] : inBody;
    const holds = (claim: Claim) => this.#keys.some((key) => hold(signatures, key, claim));
    return this.#first(claims, holds, body);
  }

  /** The signature of the body alone; id and time are the body's. */
  #verifiedHex(header: { name: string; valuePrefix: string }, value: string, body: Buffer): Claim {
    const hex = value.startsWith(header.valuePrefix) ? value.slice(header.valuePrefix.length) : "";
    if (!/^[0-9a-fA-F]{64}$/.test(hex)) throw malformed(header.name);
    const signature = Buffer.from(hex, "hex");
    const own = readBody(body);
    if (!own) {
      const message = "the body is not a JSON object with an `id` and a `timestamp`";
      throw new VerifyError("malformed_body", message);
    }
    const holds = (claim: Claim) =>
      this.#keys.some(
        (key) => key.kind === "shared" && timingSafeEqual(mac(key.own, claim.body), signature),
      );
    return this.#first([{ ...own, body }], holds, body);
  }

  /** The first claim in time that a signature holds for. */
  #first(claims: readonly Claim[], holds: (claim: Claim) => boolean, body: Buffer): Claim {
    const ages = claims.map((claim) => this.#ageError(claim.seconds));
    const inTime = claims.filter((_, at) => ages[at] === undefined);
    const found = inTime.find(holds) ?? this.#respelt(inTime, body).find(holds);
    if (found) return found;
    if (inTime.length === 0 && ages[0]) throw ages[0];
    throw new VerifyError(
      "no_match",
      "no signature matches: the secret is another one, or the body was changed",
    );
  }

  /** The claims over what JavaScript makes of the body, where senders sign that. */
  #respelt(claims: readonly Claim[], body: Buffer): Claim[] {
    if (this.#profile.bodyForm !== "ecma" || claims.length === 0) return [];
    const respelt = form(body, "ecma");
    return respelt && !respelt.equals(body)
      ? claims.map((claim) => ({ ...claim, body: respelt }))
      : [];
  }

  #claimInHeaders(header: FindHeader, body: Buffer, isInBody: boolean): Claim | undefined {
    const names = this.#profile.listHeaders;
    const id = header(names.id);
    const time = header(names.timestamp);
    if (id === undefined || time === undefined) {
      if (isInBody) return undefined;
      throw missing(id === undefined ? names.id : names.timestamp);
    }
    if (!isJoinable(id)) throw malformed(names.id);
    // 18 digits are 30 billion years
    if (!/^\d{1,18}$/.test(time)) throw malformed(names.timestamp);
    return { id, seconds: Number(time), body };
  }

  #ageError(seconds: number): VerifyError | undefined {
    const age = Math.floor(this.#now() / 1_000) - seconds;
    if (Math.abs(age) <= this.#toleranceSeconds) return undefined;
    return age > 0
      ? new VerifyError("too_old", `signed ${age} s ago, longer than is tolerated`, {
          seconds: age,
        })
      : new VerifyError(
          "too_new",
          `signed for ${-age} s from now, further ahead than is tolerated`,
          { seconds: -age },
        );
  }

  #host(header: FindHeader): string | undefined {
    const name = this.#profile.serverHostHeader;
    if (name === undefined) return undefined;
    const host = header(name);
    if (!this.#trustedHosts) return host;
    if (host === undefined) throw missing(name);
    if (!this.#trustedHosts.has(comparable(host))) {
      const message = `the server that \`${name}\` names is not on the allow list`;
      throw new VerifyError("untrusted_host", message);
    }
    return host;
  }
}

/** One reading of what was signed. */
interface Claim {
  readonly id: string;
  readonly seconds: number;
  readonly body: Buffer;
}

interface Signatures {
  readonly v1: readonly Buffer[];
  readonly v1a: readonly Buffer[];
}

/** `undefined` when no element has the form `scheme,base64`. */
function parseList(list: string): Signatures | undefined {
  const v1: Buffer[] = [];
  const v1a: Buffer[] = [];
  let isAnySound = false;
  for (const element of list.split(" ")) {
    const comma = element.indexOf(",");
    const bytes = comma < 0 ? undefined : decodeBase64(element.slice(comma + 1));
    if (!bytes) continue;
    isAnySound = true;
    const scheme = element.slice(0, comma);
    if (scheme === "v1" && bytes.length === 32) v1.push(bytes);
    if (scheme === "v1a" && bytes.length === 64) v1a.push(bytes);
  }
  return isAnySound ? { v1, v1a } : undefined;
}

/** Whether one of the signatures was made with this key over this claim. */
function hold(signatures: Signatures, key: Key, claim: Claim): boolean {
  const head = `${claim.id}.${claim.seconds}.`;
  if (key.kind === "asymmetric") {
    if (signatures.v1a.length === 0) return false;
    const text = Buffer.concat([Buffer.from(head), claim.body]);
    return signatures.v1a.some((each) => verifyAsymmetric(null, text, key.publicKey, each));
  }
  if (signatures.v1.length === 0) return false;
  const keys = key.decoded ? [key.own, key.decoded] : [key.own];
  return keys.some((each) => {
    const expected = mac(each, head, claim.body);
    return signatures.v1.some((signature) => timingSafeEqual(expected, signature));
  });
}

/** What Automa's SDKs may have signed: the body as it is, or with sorted keys. */
function claimsInBody(body: Buffer): Claim[] {
  const own = readBody(body);
  if (!own) return [];
  const sorted = form(body, "jcs");
  const bodies = sorted && !sorted.equals(body) ? [body, sorted] : [body];
  return bodies.map((each) => ({ ...own, body: each }));
}

/** The body's own id, and its timestamp in whole seconds. */
function readBody(body: Buffer): { id: string; seconds: number } | undefined {
  const text = form(body, "ecma")?.toString("utf8");
  if (!text?.startsWith("{")) return undefined;
  const { id, timestamp } = JSON.parse(text) as Record<string, unknown>;
  if (typeof id !== "string" || typeof timestamp !== "string" || !isJoinable(id)) return undefined;
  const ms = parseTimestamp(timestamp);
  return ms === undefined ? undefined : { id, seconds: Math.floor(ms / 1_000) };
}

function form(body: Buffer, name: "ecma" | "jcs"): Buffer | undefined {
  try {
    return Buffer.from(canonicalJson(body, name, { numbers: "round", outerLevels: 1 }));
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** Whether an id can stand in the dot-joined signed text without ambiguity. */
function isJoinable(id: string): boolean {
  return id !== "" && !id.includes(".");
}

function comparable(host: string): string {
  return host.toLowerCase().replace(/\/$/, "");
}

function missing(header: string): VerifyError {
  return new VerifyError("missing_header", `the header \`${header}\` is missing`, { header });
}

function malformed(header: string): VerifyError {
  return new VerifyError("malformed_header", `the header \`${header}\` is malformed`, { header });
}
