/** The vectors of the repository's root, in the shapes that its README describes. */
import { readFileSync } from "node:fs";

import { profiles } from "@postrider/receiver";
import type { Profile, ProfileName } from "@postrider/receiver";

export interface Case {
  name: string;
}

export type VectorProfile =
  | ProfileName
  | {
      name: string;
      body_form: Profile["bodyForm"];
      secret_prefix: string;
      key: Profile["key"];
      list_headers: Profile["listHeaders"];
      signature_list: Profile["signatureList"];
      hex_header: { name: string; value_prefix: string } | null;
      server_host_header: string | null;
      timestamp_rule: "attempt" | { event_while_younger_than_ms: number };
    };

export interface Body {
  body?: string;
  body_base64?: string;
}

export interface SignCase extends Case, Body {
  profile: VectorProfile;
  secrets: string[];
  id: string;
  event_time_ms: number;
  now_ms: number;
  server_host?: string;
  headers: Record<string, string>;
  verify_with: string[][];
}

export interface VerifyCase extends Case, Body {
  profile: VectorProfile;
  keys: string[];
  now_ms: number;
  tolerance_seconds: number | null;
  trusted_hosts?: string[];
  headers: Record<string, string>;
}

export interface AcceptCase extends VerifyCase {
  accepted: { id: string; timestamp_seconds: number };
}

export interface RejectCase extends VerifyCase {
  rejected: { code: string; header?: string; seconds?: number; status: number };
}

export interface FormCase extends Case {
  input?: string;
  input_base64?: string;
  numbers?: "refuse" | "stringify" | "round";
  outer_levels?: number;
}

/** One step of a script; which fields are there depends on `op`. */
export interface Step {
  at_ms: number;
  op: string;
  source?: string;
  consumer?: string;
  id?: string;
  body?: string;
  order_key?: string;
  handler?: number | "throws";
  status?: number;
  error?: string;
  key?: string;
  ttl_ms?: number;
  as?: string;
  token?: string;
  expect: Record<string, unknown>;
}

export interface InboxCase extends Case {
  mode: "leased" | "queued" | "transactional";
  lease_ms: number;
  retry_delays_ms: number[];
  retention_ms: number;
  stores?: string[];
  steps: Step[];
}

interface Files {
  signatures: { sign: SignCase[]; accept: AcceptCase[] };
  rejections: { cases: RejectCase[] };
  secrets: {
    parse: (Case & { profile: ProfileName; secret: string; error?: string })[];
    public_keys: (Case & { key: string; error?: string })[];
    profile_for: (Case & { secret: string; profile: string })[];
  };
  canonical: {
    forms: (FormCase & { ecma: string; jcs: string })[];
    refusals: (FormCase & { code: string; pointer?: string })[];
  };
  inbox: {
    key: { source: string; consumer: string };
    answers: Record<string, { status: number | string; retry_after?: boolean }>;
    defaults: { retention_ms_min: number };
    cases: InboxCase[];
  };
  locks: { cases: (Case & { steps: Step[] })[] };
}

export function vectors<Name extends keyof Files>(name: Name): Files[Name] {
  const path = new URL(`../../../vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8")) as Files[Name];
}

export function bytesOf({ body, body_base64: base64 }: Body): Buffer {
  return base64 === undefined ? Buffer.from(body ?? "") : Buffer.from(base64, "base64");
}

export function profileOf(profile: VectorProfile): Profile {
  if (typeof profile === "string") return profiles[profile];
  const { hex_header: hex, server_host_header: host, timestamp_rule: rule } = profile;
  return {
    name: profile.name,
    bodyForm: profile.body_form,
    secretPrefix: profile.secret_prefix,
    key: profile.key,
    listHeaders: profile.list_headers,
    signatureList: profile.signature_list,
    ...(hex && { hexHeader: { name: hex.name, valuePrefix: hex.value_prefix } }),
    ...(host !== null && { serverHostHeader: host }),
    ...(rule !== "attempt" && { eventTimeAgeMsMax: rule.event_while_younger_than_ms }),
  };
}
