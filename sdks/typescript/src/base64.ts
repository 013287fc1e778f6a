/** Standard, padded Base64 without loose bits; `undefined` for anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  // Node reads leniently; only what it would write itself is sound
  return bytes.toString("base64") === text ? bytes : undefined;
}
