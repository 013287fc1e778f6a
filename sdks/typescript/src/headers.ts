/** Headers as Node.js has them, as `fetch` has them, or as a plain object. */
export type HeadersLike =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | { get(name: string): string | null };

/** Finds a header by its lower-case name. */
export type FindHeader = (name: string) => string | undefined;

export function findHeader(headers: HeadersLike): FindHeader {
  if (isFetchHeaders(headers)) return (name) => headers.get(name) ?? undefined;
  let lowered: Map<string, string | readonly string[] | undefined> | undefined;
  return (name) => {
    // Node's are in lower case; other objects may not be
    let value = headers[name];
    if (value === undefined) {
      lowered ??= new Map(Object.entries(headers).map(([key, each]) => [key.toLowerCase(), each]));
      value = lowered.get(name);
    }
    return typeof value === "string" || value === undefined ? value : value.join(", ");
  };
}

function isFetchHeaders(headers: HeadersLike): headers is { get(name: string): string | null } {
  return typeof headers.get === "function";
}
