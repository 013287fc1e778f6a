// Signatures as the wire contract describes them, on node:crypto alone.
import { createHash, createHmac, createPrivateKey, createPublicKey, sign } from "node:crypto";

export const bytes = (body) => Buffer.from(body, "utf8");

export function sha256(body) {
  return createHash("sha256").update(body).digest("hex");
}

/** `v1,…` of `{id}.{seconds}.{body}` under the bytes of a key. */
export function v1(key, id, seconds, body) {
  const mac = createHmac("sha256", key).update(`${id}.${seconds}.`).update(body);
  return `v1,${mac.digest("base64")}`;
}

/** The key of a `whsec_` secret. */
export function decodedKey(secret) {
  return Buffer.from(secret.slice(secret.indexOf("_") + 1), "base64");
}

/** The key of an `atma_whsec_` secret, as text. */
export function textKey(secret, prefix = "atma_whsec_") {
  return Buffer.from(secret.slice(prefix.length), "utf8");
}

/** The text key read as Base64, as Standard Webhooks libraries do. */
export function decodedTextKey(secret, prefix = "atma_whsec_") {
  return Buffer.from(secret.slice(prefix.length), "base64");
}

export function hexOfBody(secret, body) {
  return createHmac("sha256", Buffer.from(secret, "utf8")).update(body).digest("hex");
}

// RFC 8410: the fixed head of a PKCS #8 key that holds 32 bytes of ed25519
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");

export function v1a(secret, id, seconds, body) {
  const text = Buffer.concat([bytes(`${id}.${seconds}.`), body]);
  return `v1a,${sign(null, text, privateKey(secret)).toString("base64")}`;
}

export function publicText(secret) {
  const der = createPublicKey(privateKey(secret)).export({ type: "spki", format: "der" });
  return `whpk_${der.subarray(-32).toString("base64")}`;
}

function privateKey(secret) {
  const seed = decodedKey(secret).subarray(0, 32);
  return createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, seed]),
    format: "der",
    type: "pkcs8",
  });
}
