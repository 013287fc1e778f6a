// `ecma` is what this JavaScript engine itself makes of the text; `jcs` is that
// with the keys sorted by UTF-16 code units, which is how `sort` compares.
import assert from "node:assert/strict";

function form(name, input) {
  const value = JSON.parse(input);
  return { name, input, ecma: JSON.stringify(value), jcs: sorted(value) };
}

/** A form that JavaScript can't compute, as its numbers have lost it already. */
function byHand(name, input, numbers, ecma, jcs = ecma) {
  return { name, input, numbers, ecma, jcs };
}

function sorted(value) {
  if (Array.isArray(value)) return `[${value.map(sorted).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${sorted(value[key])}`);
  return `{${members.join(",")}}`;
}

const numbers = [
  "1.0", "1.10", "1e3", "1E3", "1e21", "0.0000001", "1e-6", "1000000000000000000000", "-0", "-0.0",
  "0e5", "0.30000000000000000004", "3.14159265358979323846264338327950288", "1e-400", "-1e-400",
  "1e+21", "1e-7", "0.000001", "100000000000000000000", "9007199254740992", "-9007199254740992",
  "9007199254740994", "18446744073709551616", "5e-324", "2.4703282292062328e-324",
  "1.7976931348623157e308", "1.7976931348623158e308", "1e22", "1.5e300", "123456789.125",
  "0.1", "4.35", "9007199254740993.0", "9.007199254740993e15",
  // halfway between two doubles, and a little beside it
  "9007199254740993.00000000000000000000000000000000000001", "2.2250738585072011e-308",
];

const strings = [
  "\\u00e9", "\\u0041", "\\/", "\\u0022", "\\u005c", "\\u000a", "\\u000A", "\\u001F", "\\u0008\\u000b\\u000c",
  "\\u00E9", "\\u007f", "\\u2028\\u2029", "\\ud83d\\ude00", "\\uD83D\\uDE00", "\\u003c", "\\u0000",
  "\\b\\t\\n\\f\\r\\\"\\\\", "é 😀 \u2028 \u007f < > &", "\\ufeff", "\\uffff",
];

const nested = (depth, open = "[", close = "]") => open.repeat(depth) + close.repeat(depth);

export const canonical = {
  forms: [
    form("white space", '{ "a" :\n[ 1 ,\t2 ] }\r\n'),
    ...numbers.map((text) => form(`the number ${text}`, `[${text}]`)),
    ...strings.map((text) => form(`the string "${text}"`, `["${text}"]`)),
    form("a duplicate key: first position, last value", '{"a":1,"b":2,"a":3}'),
    form("a duplicate key through an escape", '{"a":1,"b":2,"\\u0061":3}'),
    form("duplicate keys of three", '{"a":1,"a":{"x":[1]},"b":0,"a":"3"}'),
    form("a duplicate key in an inner object", '[{"z":{"b":1,"a":2,"b":3}}]'),
    form("array indexes come first, ascending", '{"b":0,"10":1,"9":2,"a":3}'),
    form(
      "the edges of array indexes",
      '{"b":1,"4294967295":2,"4294967294":3,"01":4,"-1":5,"0":6,"1.0":7,"":8,"1":9}',
    ),
    form("a duplicate array index", '{"2":1,"x":2,"1":3,"2":4}'),
    form("keys of RFC 8785 §3.2.3", '{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}'),
    form("surrogates sort below the private use area", '{"\\uffee":1,"😀":2,"z":3}'),
    form("a key that is a prefix of another", '{"ab":1,"a":2,"abc":3,"":4}'),
    form("keys with escapes", '{"\\u0022":1,"\\/":2,"\\u001f":3,"\\n":4}'),
    form("objects in arrays in objects", '{"z":[{"b":[{"d":1,"c":2}],"a":{}}],"y":[[],{}]}'),
    form("harmless keys", '{"prototype":{"constructor":1},"constructor":{"a":{"prototype":1}},"__proto":1}'),
    form("literals", "[null,true,false]"),
    form("a text alone", '"a"'),
    form("a number alone", " 1.50 "),
    form("64 levels", nested(64)),
    byHand("an integer beyond 2^53, as a string", '[9007199254740993,{"a":-12345678901234567890}]', "stringify", '["9007199254740993",{"a":"-12345678901234567890"}]'),
    byHand("what a double holds stays a number under stringify", "[9007199254740994,18446744073709551616,1.5e300]", "stringify", "[9007199254740994,18446744073709552000,1.5e+300]"),
    { ...form("an integer beyond 2^53, rounded", '[9007199254740993,{"a":-12345678901234567890}]'), numbers: "round" },
    { ...form("65 levels, in an envelope", nested(65)), outer_levels: 1 },
  ],
  refusals: [
    { name: "an integer beyond 2^53", input: "[9007199254740993]", code: "inexact_integer", pointer: "/0" },
    { name: "a negative integer beyond 2^53", input: '{"a":{"b":-9007199254740993}}', code: "inexact_integer", pointer: "/a/b" },
    { name: "2^64 - 1", input: '{"n":18446744073709551615}', code: "inexact_integer", pointer: "/n" },
    { name: "2^128 - 1", input: "340282366920938463463374607431768211455", code: "inexact_integer", pointer: "" },
    { name: "an inexact integer that a later duplicate overwrites", input: '{"a":9007199254740993,"a":1}', code: "inexact_integer", pointer: "/a" },
    { name: "the first of two inexact integers is named", input: '{"x/y":[0,{"~":9007199254740993}],"b":18446744073709551615}', code: "inexact_integer", pointer: "/x~1y/1/~0" },
    { name: "an inexact integer before a fault of syntax", input: "[9007199254740993,}", code: "syntax" },
    { name: "1e400", input: '{"a":[1e400]}', code: "number_overflow", pointer: "/a/0" },
    { name: "-1e309", input: '{"a":-1e309}', code: "number_overflow", pointer: "/a" },
    { name: "400 digits", input: `[${"9".repeat(400)}]`, code: "number_overflow", pointer: "/0" },
    { name: "1e400 is refused when rounding, too", input: "[1e400]", numbers: "round", code: "number_overflow", pointer: "/0" },
    { name: "a lone high surrogate", input: '{"a":"x\\ud800"}', code: "lone_surrogate", pointer: "/a" },
    { name: "a lone low surrogate", input: '{"a":["\\udc00"]}', code: "lone_surrogate", pointer: "/a/0" },
    { name: "a high surrogate before another escape", input: '["\\ud83d\\u0041"]', code: "lone_surrogate", pointer: "/0" },
    { name: "two high surrogates", input: '["\\ud83d\\ud83d\\ude00"]', code: "lone_surrogate", pointer: "/0" },
    { name: "a lone surrogate in a key", input: '{"b":{"\\ud800":1}}', code: "lone_surrogate", pointer: "/b" },
    { name: "__proto__", input: '{"a":{"__proto__":1}}', code: "forbidden_key", pointer: "/a/__proto__" },
    { name: "__proto__ through escapes", input: '{"\\u005f_proto_\\u005F":1}', code: "forbidden_key", pointer: "/__proto__" },
    { name: "constructor.prototype", input: '{"constructor":{"a":1,"prototype":1}}', code: "forbidden_key", pointer: "/constructor/prototype" },
    { name: "constructor.prototype through escapes", input: '{"constructo\\u0072":{"prot\\u006ftype":1}}', code: "forbidden_key", pointer: "/constructor/prototype" },
    { name: "65 levels", input: nested(65), code: "too_deep", pointer: "/0".repeat(64) },
    { name: "65 levels of objects", input: '{"a":'.repeat(65) + "1" + "}".repeat(65), code: "too_deep", pointer: "/a".repeat(64) },
    { name: "66 levels, in an envelope", input: nested(66), outer_levels: 1, code: "too_deep", pointer: "/0".repeat(65) },
    { name: "5,000 levels that never close", input: "[".repeat(5000), code: "too_deep", pointer: "/0".repeat(64) },
    { name: "a long key leaves the pointer at its ancestor", input: `{"a":{"${"k".repeat(600)}":1e999}}`, code: "number_overflow", pointer: "/a" },
    { name: "bytes that are not UTF-8", input_base64: Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]).toString("base64"), code: "invalid_utf8" },
    { name: "a surrogate in UTF-8", input_base64: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]).toString("base64"), code: "invalid_utf8" },
    { name: "an overlong slash", input_base64: Buffer.from([0x22, 0xc0, 0xaf, 0x22]).toString("base64"), code: "invalid_utf8" },
    { name: "a byte order mark", input: "\ufeff{}", code: "syntax" },
    { name: "UTF-16", input_base64: Buffer.from("\ufeff{}", "utf16le").toString("base64"), code: "syntax" },
    ...[
      "", " ", "{", "}", "[", "[1", "[1,]", "[,1]", '{"a"', '{"a":', '{"a":1', '{"a":1,}', "{,}", "{a:1}",
      "{'a':1}", '{"a" 1}', '{"a":1 "b":2}', "[1}", '{"a":1]', "{}{}", "1 2", "01", "-", "-01", "+1", ".5",
      "1.", "1.e1", "1e", "1e+", "0x1", "NaN", "-Infinity", "nul", "nulll", "True", '"', '"\\', '"\\x"',
      '"\\u12"', '"\\u12g4"', '"\\u+123"', '"a\nb"', '"\u0000"', '"\t"', "\u000b1", "\u00a01", "//\n1", "[1 2]",
      "１",
    ].map((input) => ({ name: `no JSON: ${JSON.stringify(input)}`, input, code: "syntax" })),
  ],
};

const fixed = ["1e+21", "1e-7", "0.000001", "100000000000000000000"];
for (const each of canonical.forms.filter((f) => fixed.includes(f.input.slice(1, -1)))) {
  assert.equal(each.ecma, each.input);
}
