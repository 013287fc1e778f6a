/**
 * The strict reading of JSON, and the two body forms that rewrite it: `ecma`, what
 * `JSON.stringify(JSON.parse(text))` gives, and `jcs`, RFC 8785. Reading and
 * writing are one pass; the rules are those of `vectors/canonical.json`.
 */

/** How deep arrays and objects may nest: `[]` is 1 deep. */
const DEPTH_MAX = 64;
const POINTER_BYTES_MAX = 512;
/** Integers of up to this many digits are below 2^53. */
const EXACT_DIGITS = 15;

export type JsonErrorCode =
  | "syntax"
  | "invalid_utf8"
  | "too_deep"
  | "lone_surrogate"
  | "number_overflow"
  | "forbidden_key"
  | "inexact_integer";

/** A document that has no body form, and the RFC 6901 pointer to the place. */
export class JsonError extends Error {
  override readonly name = "JsonError";

  constructor(
    readonly code: JsonErrorCode,
    readonly pointer: string,
  ) {
    super(`${code.replaceAll("_", " ")} at JSON pointer ${JSON.stringify(pointer)}`);
  }
}

export interface CanonicalOptions {
  /** What becomes of integers that a double can't hold exactly. Default `refuse`. */
  numbers?: "refuse" | "stringify" | "round";
  /** How many levels surround the data that may itself be 64 deep. Default 0. */
  outerLevels?: number;
}

/** The body form of a JSON text; throws {@link JsonError}. */
export function canonicalJson(
  body: Uint8Array,
  form: "ecma" | "jcs",
  options: CanonicalOptions = {},
): string {
  return new Pass(decode(body), form, options).run();
}

function decode(body: Uint8Array): string {
  const starts = (...mark: number[]) => mark.every((byte, at) => body[at] === byte);
  const hasMark = starts(0xef, 0xbb, 0xbf) || starts(0xff, 0xfe) || starts(0xfe, 0xff);
  if (hasMark) throw new JsonError("syntax", "");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new JsonError("invalid_utf8", "");
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
const LITERAL = /true|false|null/y;

class Pass {
  readonly #text: string;
  readonly #form: "ecma" | "jcs";
  readonly #numbers: "refuse" | "stringify" | "round";
  readonly #depthMax: number;
  readonly #path: string[] = [];
  #at = 0;
  #inexact: string | undefined;

  constructor(text: string, form: "ecma" | "jcs", options: CanonicalOptions) {
    this.#text = text;
    this.#form = form;
    this.#numbers = options.numbers ?? "refuse";
    this.#depthMax = DEPTH_MAX + (options.outerLevels ?? 0);
  }

  run(): string {
    this.#skipSpace();
    const written = this.#value(0, false);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#fault("syntax");
    // any fault of the whole document comes before what only this form can't hold
    if (this.#inexact !== undefined) throw new JsonError("inexact_integer", this.#inexact);
    return written;
  }

  #value(depth: number, isUnderConstructor: boolean): string {
    const first = this.#text[this.#at];
    if (first === "{" || first === "[") {
      if (depth === this.#depthMax) throw this.#fault("too_deep");
      return first === "{" ? this.#object(depth + 1, isUnderConstructor) : this.#array(depth + 1);
    }
    if (first === '"') return JSON.stringify(this.#string());
    return this.#match(LITERAL) ?? this.#number();
  }

  #object(depth: number, isUnderConstructor: boolean): string {
    const members = new Map<string, string>();
    this.#list("}", () => {
      if (this.#text[this.#at] !== '"') throw this.#fault("syntax");
      const key = this.#string();
      this.#path.push(key);
      if (key === "__proto__" || (isUnderConstructor && key === "prototype")) {
        throw this.#fault("forbidden_key");
      }
      this.#skipSpace();
      this.#expect(":");
      this.#skipSpace();
      // a key that is there already keeps its place and gets the new value
      members.set(key, this.#value(depth, key === "constructor"));
      this.#path.pop();
    });
    const written = this.#ordered([...members.keys()]).map(
      (key) => `${JSON.stringify(key)}:${members.get(key) ?? ""}`,
    );
    return `{${written.join(",")}}`;
  }

  #array(depth: number): string {
    const elements: string[] = [];
    this.#list("]", () => {
      this.#path.push(String(elements.length));
      elements.push(this.#value(depth, false));
      this.#path.pop();
    });
    return `[${elements.join(",")}]`;
  }

  /** Reads what stands between an opening and its closing, element by element. */
  #list(close: string, element: () => void): void {
    this.#at += 1;
    this.#skipSpace();
    if (this.#text[this.#at] !== close) {
      for (;;) {
        element();
        this.#skipSpace();
        if (this.#text[this.#at] !== ",") break;
        this.#at += 1;
        this.#skipSpace();
      }
    }
    this.#expect(close);
  }

  #ordered(keys: string[]): string[] {
    // without a comparison function keys are sorted by UTF-16 code units
    if (this.#form === "jcs") return keys.sort();
    const indexes = keys.filter(isArrayIndex).sort((a, b) => Number(a) - Number(b));
    return indexes.length === 0 ? keys : [...indexes, ...keys.filter((key) => !isArrayIndex(key))];
  }

  #string(): string {
    const text = this.#text.slice(this.#at, this.#endOfString());
    let value: string;
    try {
      value = JSON.parse(text) as string;
    } catch {
      throw this.#fault("syntax");
    }
    // raw surrogates never come out of UTF-8
    if (text.includes("\\u") && !isWellFormed(value)) throw this.#fault("lone_surrogate");
    this.#at += text.length;
    return value;
  }

  /** The place behind the quote that closes the string which opens here. */
  #endOfString(): number {
    let end = this.#at;
    for (;;) {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) throw this.#fault("syntax");
      let backslashes = 0;
      while (this.#text[end - 1 - backslashes] === "\\") backslashes += 1;
      if (backslashes % 2 === 0) return end + 1;
    }
  }

  #number(): string {
    const text = this.#match(NUMBER);
    if (text === undefined) throw this.#fault("syntax");
    const value = Number(text);
    if (!Number.isFinite(value)) throw this.#fault("number_overflow");
    if (isInexactInteger(text, value)) {
      if (this.#numbers === "stringify") return JSON.stringify(text);
      if (this.#numbers === "refuse") this.#inexact ??= pointer(this.#path);
    }
    return JSON.stringify(value);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skipSpace(): void {
    this.#match(SPACE);
  }

  #expect(character: string): void {
    if (this.#text[this.#at] !== character) throw this.#fault("syntax");
    this.#at += 1;
  }

  #fault(code: JsonErrorCode): JsonError {
    return new JsonError(code, pointer(this.#path));
  }
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

function isArrayIndex(key: string): boolean {
  return /^(?:0|[1-9]\d{0,9})$/.test(key) && Number(key) < 4_294_967_295;
}

/** Whether the text is an integer in plain digits that its nearest double is not. */
function isInexactInteger(text: string, value: number): boolean {
  return text.length > EXACT_DIGITS && /^-?\d+$/.test(text) && BigInt(text) !== BigInt(value);
}

function pointer(path: readonly string[]): string {
  let written = "";
  for (const segment of path) {
    const next = `${written}/${segment.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (Buffer.byteLength(next) > POINTER_BYTES_MAX) break;
    written = next;
  }
  return written;
}
