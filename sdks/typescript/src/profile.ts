/**
 * Profiles: everything that differs between senders, as data. Signing and
 * verifying read these parameters and know no profile by name.
 */

/** How the bytes of a body are written. */
export type BodyForm = "verbatim" | "ecma" | "jcs";

/** Which bytes of a secret's text are the HMAC key. */
export type KeyDerivation = "base64" | "text" | "whole";

/** The wire parameters of one family of senders. Header names are lower-case. */
export interface Profile {
  readonly name: string;
  readonly bodyForm: BodyForm;
  /** What a secret starts with; never stripped where the key is `whole`. */
  readonly secretPrefix: string;
  readonly key: KeyDerivation;
  /** The three headers of Standard Webhooks. */
  readonly listHeaders: {
    readonly id: string;
    readonly timestamp: string;
    readonly signature: string;
  };
  /**
   * `per_secret`: one signature for each live secret. `automa`: up to three, for
   * readers of the body's id and time as well as for readers of the headers.
   */
  readonly signatureList: "per_secret" | "automa";
  /** `name: {valuePrefix}{hex of HMAC-SHA256(key, body)}` */
  readonly hexHeader?: { readonly name: string; readonly valuePrefix: string };
  /** A header that carries the server's public URL. */
  readonly serverHostHeader?: string;
  /** Up to which age the event's own time is sent; absent: always the attempt's. */
  readonly eventTimeAgeMsMax?: number;
}

export type ProfileName = "standard" | "automa" | "autonoma";

const standard: Profile = {
  name: "standard",
  bodyForm: "verbatim",
  secretPrefix: "whsec_",
  key: "base64",
  listHeaders: {
    id: "webhook-id",
    timestamp: "webhook-timestamp",
    signature: "webhook-signature",
  },
  signatureList: "per_secret",
  eventTimeAgeMsMax: 240_000,
};

/** The built-in profiles. */
export const profiles: Readonly<Record<ProfileName, Profile>> = {
  standard,
  automa: {
    ...standard,
    name: "automa",
    bodyForm: "jcs",
    secretPrefix: "atma_whsec_",
    key: "text",
    signatureList: "automa",
    serverHostHeader: "x-automa-server-host",
  },
  autonoma: {
    ...standard,
    name: "autonoma",
    bodyForm: "ecma",
    secretPrefix: "",
    key: "whole",
    hexHeader: { name: "x-autonoma-signature", valuePrefix: "sha256=" },
  },
};

/** The built-in profile whose secret format a text has. */
export function profileFor(secret: string): ProfileName {
  if (secret.startsWith("atma_whsec_")) return "automa";
  const isStandard = ["whsec_", "whsk_", "whpk_"].some((prefix) => secret.startsWith(prefix));
  return isStandard ? "standard" : "autonoma";
}
