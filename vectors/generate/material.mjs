// Secrets and bodies that several files use; the named ones are contract §5's.
export const STANDARD_1 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
export const STANDARD_2 = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
export const PRIVATE_64 =
  "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
export const PRIVATE_32 = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
export const PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
export const AUTOMA_SHORT = "atma_whsec_secret";
export const AUTOMA = "atma_whsec_aB3x9dEfGhIjKlMnOpQrStUvWxYz0123456789abcdef";
export const AUTOMA_OLDER = "atma_whsec_Zz9y8Xx7w6Vv5u4Tt3s2Rr1q0Pp9o8Nn7m6Ll5k4Jj3i2";
export const AUTONOMA = "your-webhook-secret";
export const AUTONOMA_OLDER = "whsec_is-not-stripped-here é";

export const STANDARD_BODY = '{"test": 2432232314}';
export const STANDARD_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek";
export const STANDARD_SECONDS = 1614265330;

export const BODY_A =
  '{"data":{"org":{"id":1,"name":"automa","provider_type":"github"},"repo":{"id":1,"is_private":true,"name":"monorepo"},"task":{"id":1234,"items":[{"data":{"content":"* a\\n* b"},"id":1,"type":"message"}],"title":"Fix é / \\"quote\\" 1.50","token":"abc123xyz"}},"id":"whmsg_task_created_1234","timestamp":"2025-07-28T04:58:00.999Z","type":"task.created"}';
export const ID_A = "whmsg_task_created_1234";
/** `2025-07-28T04:58:00.999Z` */
export const EVENT_MS_A = 1753678680999;

export const BODY_B =
  '{"type":"code.generated","data":{"repository":"acme/web","files":3,"ratio":0.1,"note":"é /"}}';

/** An Autonoma body as Postrider sends it. */
export const BODY_C =
  '{"id":"evt_1","type":"code.generated","timestamp":"2025-07-28T04:58:00.999Z","data":{"repository":"acme/web","files":3,"ratio":0.1,"note":"é / \\u001f"}}';

export const HOST = "https://postrider.example";

/** A brand of its own, as a server's configuration can define one. */
export const BRAND = {
  name: "acme",
  body_form: "verbatim",
  secret_prefix: "acme_",
  key: "text",
  list_headers: { id: "acme-id", timestamp: "acme-timestamp", signature: "acme-signature" },
  signature_list: "per_secret",
  hex_header: { name: "acme-body-mac", value_prefix: "hmac " },
  server_host_header: "acme-server",
  timestamp_rule: "attempt",
};
export const BRAND_SECRET = "acme_correct horse battery staple";
