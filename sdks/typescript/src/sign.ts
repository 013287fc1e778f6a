/** Signing, as the server does it: for tests, and for sending to oneself. */
import { sign as signAsymmetric } from "node:crypto";

import { rawBytes } from "./body.js";
import type { RawBody } from "./body.js";
import { profileFor, profiles } from "./profile.js";
import type { Profile, ProfileName } from "./profile.js";
import { mac, parseSecret, SecretError } from "./secret.js";
import type { Key } from "./secret.js";

export interface SignOptions {
  /** The current secret, then those still in their overlap, newest first. */
  secrets: string | readonly string[];
  /** Default: the one whose secret format the first secret has. */
  profile?: ProfileName | Profile;
  /** When the event occurred. Default `nowMs`. */
  eventTimeMs?: number;
  /** Default: the clock's. */
  nowMs?: number;
  /** The server's public URL, for profiles that send it. */
  serverHost?: string;
}

/** The headers that sign a body: names in lower case. */
export function sign(id: string, body: RawBody, options: SignOptions): Record<string, string> {
  const secrets = [options.secrets].flat();
  const profile = profileOf(options.profile, secrets[0]);
  const keys = secrets.map((secret) => parseSecret(secret, profile));
  const nowMs = options.nowMs ?? Date.now();
  const eventTimeMs = options.eventTimeMs ?? nowMs;
  const seconds = headerSeconds(profile, eventTimeMs, nowMs);
  const signed = new Signed(id, rawBytes(body));
  const names = profile.listHeaders;
  return {
    [names.id]: id,
    [names.timestamp]: String(seconds),
    [names.signature]: signatures(profile, keys, signed, eventTimeMs, seconds).join(" "),
    ...hexHeader(profile, keys, signed.body),
    ...(profile.serverHostHeader !== undefined &&
      options.serverHost !== undefined && { [profile.serverHostHeader]: options.serverHost }),
  };
}

/** The profile asked for, else the one whose secret format a secret has. */
export function profileOf(
  profile: ProfileName | Profile | undefined,
  secret: string | undefined,
): Profile {
  if (typeof profile === "object") return profile;
  return profiles[profile ?? profileFor(secret ?? "")];
}

class Signed {
  constructor(
    readonly id: string,
    readonly body: Buffer,
  ) {}

  element(key: Key, seconds: number): string {
    const head = `${this.id}.${seconds}.`;
    if (key.kind === "shared") return `v1,${mac(key.own, head, this.body).toString("base64")}`;
    if (!key.privateKey) throw new SecretError("wrong_prefix", "a public key can't sign");
    const text = Buffer.concat([Buffer.from(head), this.body]);
    return `v1a,${signAsymmetric(null, text, key.privateKey).toString("base64")}`;
  }

  decodedElement(key: Key, seconds: number): string | undefined {
    if (key.kind !== "shared" || !key.decoded) return undefined;
    return this.element({ kind: "shared", own: key.decoded }, seconds);
  }
}

function signatures(
  profile: Profile,
  keys: readonly Key[],
  signed: Signed,
  eventTimeMs: number,
  seconds: number,
): string[] {
  if (profile.signatureList === "per_secret") {
    return keys.map((key) => signed.element(key, seconds));
  }
  const eventSeconds = Math.floor(eventTimeMs / 1_000);
  const times = seconds === eventSeconds ? [seconds] : [eventSeconds, seconds];
  const ofText = keys.flatMap((key) => times.map((time) => signed.element(key, time)));
  const ofDecoded = keys.flatMap((key) => signed.decodedElement(key, seconds) ?? []);
  // the current secret's stands last of all, for the library that reads only that
  return [...ofText, ...ofDecoded.reverse()];
}

function headerSeconds(profile: Profile, eventTimeMs: number, nowMs: number): number {
  const ageMs = nowMs - eventTimeMs;
  const isEventTime = ageMs >= 0 && ageMs < (profile.eventTimeAgeMsMax ?? 0);
  return Math.floor((isEventTime ? eventTimeMs : nowMs) / 1_000);
}

function hexHeader(profile: Profile, keys: readonly Key[], body: Buffer): Record<string, string> {
  // receivers compare the whole value, so it is the newest shared secret's alone
  const key = keys.find((each) => each.kind === "shared");
  if (!profile.hexHeader || !key) return {};
  const { name, valuePrefix } = profile.hexHeader;
  return { [name]: valuePrefix + mac(key.own, body).toString("hex") };
}
