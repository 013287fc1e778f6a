/** Secrets and public keys: their text formats, and the keys made of them. */
import { createHmac, createPrivateKey, createPublicKey, createSecretKey } from "node:crypto";
import type { KeyObject } from "node:crypto";

import { decodeBase64 } from "./base64.js";
import type { Profile } from "./profile.js";

/** Length of a Base64 key in bytes, from Standard Webhooks. */
const KEY_BYTES_MIN = 24;
const KEY_BYTES_MAX = 64;
/** A bound for what is hashed; the server's. */
const TEXT_BYTES_MAX = 1_024;

const PRIVATE_PREFIX = "whsk_";
const PUBLIC_PREFIX = "whpk_";

/** RFC 8410: what precedes the 32 bytes of an ed25519 key in DER. */
const PRIVATE_DER_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_DER_HEAD = Buffer.from("302a300506032b6570032100", "hex");

export type SecretErrorCode =
  | "empty"
  | "too_long"
  | "wrong_prefix"
  | "not_base64"
  | "weak"
  | "bad_private_key"
  | "bad_public_key";

/** A text that is no secret of its profile. Never repeats any of the text. */
export class SecretError extends Error {
  override readonly name = "SecretError";

  constructor(
    readonly code: SecretErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** What a signature is checked against. */
export type Key = SharedKey | AsymmetricKey;

export interface SharedKey {
  readonly kind: "shared";
  readonly own: KeyObject;
  /** A text key's Base64 reading: Standard Webhooks libraries sign with it. */
  readonly decoded?: KeyObject;
}

export interface AsymmetricKey {
  readonly kind: "asymmetric";
  readonly publicKey: KeyObject;
  readonly privateKey?: KeyObject;
}

/** Reads a secret of a profile, or a public key where the profile has such. */
export function parseKey(text: string, profile: Profile): Key {
  const isPublic = profile.key === "base64" && text.startsWith(PUBLIC_PREFIX);
  return isPublic ? parsePublicKey(text) : parseSecret(text, profile);
}

/** Reads a secret, which can sign. */
export function parseSecret(text: string, profile: Profile): Key {
  if (text === "") throw new SecretError("empty", "the secret is empty");
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX) {
    throw new SecretError("too_long", `the secret is longer than ${TEXT_BYTES_MAX} bytes`);
  }
  switch (profile.key) {
    case "whole":
      return { kind: "shared", own: sharedKey(Buffer.from(text)) };
    case "text": {
      const rest = afterPrefix(text, profile.secretPrefix);
      const decoded = decodeBase64(rest);
      return {
        kind: "shared",
        own: sharedKey(Buffer.from(rest)),
        ...(decoded && { decoded: sharedKey(decoded) }),
      };
    }
    case "base64":
      return text.startsWith(PRIVATE_PREFIX)
        ? parsePrivateKey(text)
        : { kind: "shared", own: sharedKey(sharedBytes(text, profile.secretPrefix)) };
  }
}

/** Reads `whpk_` and Base64 of 32 bytes. */
export function parsePublicKey(text: string): AsymmetricKey {
  const bytes = decoded(afterPrefix(text, PUBLIC_PREFIX));
  if (bytes.length !== 32) {
    throw new SecretError("bad_public_key", `a ${PUBLIC_PREFIX} key is Base64 of 32 bytes`);
  }
  return { kind: "asymmetric", publicKey: publicKey(bytes) };
}

/** HMAC-SHA256 of the pieces, one after the other. */
export function mac(key: KeyObject, ...pieces: (string | Uint8Array)[]): Buffer {
  const hmac = createHmac("sha256", key);
  for (const piece of pieces) hmac.update(piece);
  return hmac.digest();
}

function parsePrivateKey(text: string): AsymmetricKey {
  const bytes = decoded(text.slice(PRIVATE_PREFIX.length));
  const message = `a ${PRIVATE_PREFIX} key is Base64 of 32 bytes, or of 64 that end in its public key`;
  if (bytes.length !== 32 && bytes.length !== 64) {
    throw new SecretError("bad_private_key", message);
  }
  const der = Buffer.concat([PRIVATE_DER_HEAD, bytes.subarray(0, 32)]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const own = createPublicKey(privateKey);
  const ownBytes = own.export({ format: "der", type: "spki" }).subarray(-32);
  // a signature made with a foreign public key gives the private one away
  if (bytes.length === 64 && !ownBytes.equals(bytes.subarray(32))) {
    throw new SecretError("bad_private_key", message);
  }
  return { kind: "asymmetric", publicKey: own, privateKey };
}

function sharedBytes(text: string, prefix: string): Buffer {
  const bytes = decoded(afterPrefix(text, prefix));
  if (bytes.length < KEY_BYTES_MIN || bytes.length > KEY_BYTES_MAX) {
    const expected = `${KEY_BYTES_MIN} to ${KEY_BYTES_MAX}`;
    throw new SecretError(
      "weak",
      `the secret decodes to ${bytes.length} bytes; expected ${expected}`,
    );
  }
  return bytes;
}

function sharedKey(bytes: Buffer): KeyObject {
  return createSecretKey(bytes);
}

function publicKey(bytes: Buffer): KeyObject {
  const der = Buffer.concat([PUBLIC_DER_HEAD, bytes]);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

function afterPrefix(text: string, prefix: string): string {
  if (!text.startsWith(prefix)) {
    throw new SecretError("wrong_prefix", `the secret must start with \`${prefix}\``);
  }
  if (text === prefix) throw new SecretError("empty", "nothing follows the secret's prefix");
  return text.slice(prefix.length);
}

function decoded(text: string): Buffer {
  const bytes = decodeBase64(text);
  if (!bytes) {
    throw new SecretError("not_base64", "what follows the prefix is not standard, padded Base64");
  }
  return bytes;
}
