import {
  AUTOMA, AUTOMA_SHORT, AUTONOMA, PRIVATE_32, PRIVATE_64, PUBLIC, STANDARD_1, STANDARD_2,
} from "./material.mjs";

const ok = (profile, secret) => ({ name: `${profile} takes ${shown(secret)}`, profile, secret });

function refused(profile, secret, error) {
  return { name: `${profile} refuses ${shown(secret)}: ${error}`, profile, secret, error };
}

function shown(secret) {
  return secret.length > 100 ? `${secret.length} letters` : JSON.stringify(secret);
}

const base64 = (length) => Buffer.alloc(length, 7).toString("base64");
const foreignHalf = Buffer.from(PRIVATE_64.slice(5), "base64");
foreignHalf[63] ^= 1;

export const secrets = {
  parse: [
    ok("standard", STANDARD_1),
    ok("standard", STANDARD_2),
    ok("standard", `whsec_${base64(64)}`),
    ok("standard", PRIVATE_64),
    ok("standard", PRIVATE_32),
    ok("automa", AUTOMA),
    ok("automa", AUTOMA_SHORT),
    ok("autonoma", AUTONOMA),
    ok("autonoma", "a"),
    ok("autonoma", "whsec_kept whole é"),
    ok("autonoma", "a".repeat(1024)),
    refused("standard", "", "empty"),
    refused("standard", "whsec_", "empty"),
    refused("standard", AUTONOMA, "wrong_prefix"),
    refused("standard", AUTOMA, "wrong_prefix"),
    refused("standard", `WHSEC_${base64(32)}`, "wrong_prefix"),
    refused("standard", "whsec_not base64", "not_base64"),
    refused("standard", `whsec_${base64(32)}`.replace(/=+$/, ""), "not_base64"),
    refused("standard", `whsec_${base64(23)}`, "weak"),
    refused("standard", `whsec_${base64(65)}`, "weak"),
    refused("standard", `whsk_${base64(31)}`, "bad_private_key"),
    refused("standard", `whsk_${foreignHalf.toString("base64")}`, "bad_private_key"),
    refused("automa", "", "empty"),
    refused("automa", "atma_whsec_", "empty"),
    refused("automa", STANDARD_1, "wrong_prefix"),
    refused("autonoma", "", "empty"),
    refused("autonoma", "a".repeat(1025), "too_long"),
  ],
  public_keys: [
    { name: "a public key", key: PUBLIC },
    { name: "a public key with another prefix", key: PRIVATE_32, error: "wrong_prefix" },
    { name: "a public key that is no Base64", key: "whpk_***", error: "not_base64" },
    { name: "a public key of 31 bytes", key: `whpk_${base64(31)}`, error: "bad_public_key" },
  ],
  /** The profile of a receiver that names none. */
  profile_for: [
    { name: "Automa's prefix", secret: AUTOMA, profile: "automa" },
    { name: "Standard Webhooks' prefix", secret: STANDARD_1, profile: "standard" },
    { name: "a private key", secret: PRIVATE_64, profile: "standard" },
    { name: "a public key's prefix", secret: PUBLIC, profile: "standard" },
    { name: "any other text", secret: AUTONOMA, profile: "autonoma" },
    { name: "a prefix in capitals is any other text", secret: "WHSEC_x", profile: "autonoma" },
  ],
};
