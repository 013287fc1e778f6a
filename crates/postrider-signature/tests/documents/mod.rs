//! JSON documents from a seed, with everything in them that serialisers differ in.

/// `SplitMix64` (Steele, Lea, Flood 2014): every seed gives a full sequence.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    pub(crate) fn is_one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.index(from.len())]
    }
}

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "0e5",
    "1.0",
    "1.10",
    "1e3",
    "1E3",
    "1e+3",
    "1e21",
    "1e-6",
    "1e-7",
    "1e+21",
    "0.000001",
    "0.0000001",
    "100000000000000000000",
    "1000000000000000000000",
    "1e-400",
    "-1e-400",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "5e-324",
    "2.2250738585072014e-308",
    "2.2250738585072011e-308",
    "1.7976931348623157e308",
    "1.7976931348623158e+308",
    "0.1",
    "0.30000000000000004",
    "0.300000000000000044408920985",
    "333333333.33333329",
    "4.35",
    "1.005",
    "123456.789e-3",
    "0.000000000000000000000000001e27",
    "9007199254740993.0",
    "9007199254740992.9999999999",
    "4.4501477170144023e-308",
];

const KEYS: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "10",
    "9",
    "00",
    "01",
    "-1",
    "1.5",
    "1e3",
    "4294967293",
    "4294967294",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740993",
    "18446744073709551616",
    "a",
    "b",
    "A",
    "constructor",
    "toString",
    "hasOwnProperty",
    "length",
    "toJSON",
    "__proto",
    "é",
    "é",
    "\u{e000}",
    "\u{fb33}",
    "\u{ffff}",
    "😀",
    "\u{10ffff}",
    "\r",
    "\u{80}",
    "\u{7f}",
    "\"",
    "\\",
    "/",
    "id",
    "type",
    "data",
    "aa",
    "a\0",
];

/// One document, with white space here and there, at most 64 levels deep and
/// without keys that are refused.
pub(crate) fn document(random: &mut Random) -> String {
    let mut out = String::new();
    let wraps = if random.is_one_in(20) { random.below(58) } else { 0 };
    let mut ends = Vec::new();
    for _ in 0..wraps {
        if random.is_one_in(2) {
            out.push('[');
            ends.push("]");
        } else {
            out.push_str("{\"b\":0,\"a\":");
            ends.push("}");
        }
    }
    if random.is_one_in(10) {
        value(random, &mut out, 5);
    } else {
        object(random, &mut out, 5);
    }
    out.extend(ends.into_iter().rev());
    out
}

fn value(random: &mut Random, out: &mut String, depth: u32) {
    space(random, out);
    match random.below(if depth == 0 { 6 } else { 11 }) {
        0..3 => number(random, out),
        3 | 4 => {
            let text = text(random);
            string(random, out, &text);
        }
        5 => out.push_str(random.pick(&["true", "false", "null"])),
        6 | 7 => {
            out.push('[');
            for i in 0..random.below(5) {
                if i > 0 {
                    out.push(',');
                }
                value(random, out, depth - 1);
            }
            space(random, out);
            out.push(']');
        }
        _ => object(random, out, depth),
    }
    space(random, out);
}

fn object(random: &mut Random, out: &mut String, depth: u32) {
    out.push('{');
    let mut keys: Vec<String> = Vec::new();
    let len = if random.is_one_in(30) { 30 } else { random.below(7) };
    for i in 0..len {
        if i > 0 {
            out.push(',');
        }
        let key = match random.below(6) {
            0 if !keys.is_empty() => keys[random.index(keys.len())].clone(),
            0 | 1 => text(random),
            2 => random.below(40).to_string(),
            _ => random.pick(KEYS).to_owned(),
        };
        space(random, out);
        string(random, out, &key);
        space(random, out);
        out.push(':');
        value(random, out, depth - 1);
        keys.push(key);
    }
    space(random, out);
    out.push('}');
}

fn number(random: &mut Random, out: &mut String) {
    let bits = f64::from_bits(random.next());
    let double = if bits.is_finite() { bits } else { 0.5 };
    #[expect(clippy::cast_precision_loss, reason = "an awkward double is what is wanted")]
    let near = (random.below(1 << 60) as f64) / 1e3;
    let text = match random.below(10) {
        0..3 => random.pick(NUMBERS).to_owned(),
        3 => random.below(100_000).to_string(),
        4 => (random.next() >> random.below(64)).to_string(),
        5 => format!("-{}", (1 << 53) + random.below(1_000)),
        6 => format!("{double:e}"),
        7 => format!("{double:.20E}"),
        8 => format!("{near}"),
        _ => format!("{near:.12}e{}", random.below(40)),
    };
    out.push_str(&text);
}

fn text(random: &mut Random) -> String {
    let len = if random.is_one_in(20) { 60 } else { random.below(9) };
    (0..len).map(|_| character(random)).collect()
}

fn character(random: &mut Random) -> char {
    let code = match random.below(8) {
        0 => random.below(0x20),
        1 => u64::from(b"\"\\/<>&\x7f"[random.index(7)]),
        2 => random.below(0x800),
        3 => random.below(0x1_0000),
        4 => 0x1_0000 + random.below(0x10_0000),
        5 => 0x2028 + random.below(2),
        _ => 0x20 + random.below(0x5f),
    };
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('x')
}

/// Writes a string, escaping at random what need not be escaped.
fn string(random: &mut Random, out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        let short = "\"\\/\u{8}\u{c}\n\r\t".chars().position(|c| c == character);
        let must = character < ' ' || character == '"' || character == '\\';
        match short {
            Some(at) if random.is_one_in(2) => {
                out.push('\\');
                out.push(char::from(b"\"\\/bfnrt"[at]));
            }
            _ if must || random.is_one_in(6) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let escape = match random.below(2) {
                        0 => format!("\\u{unit:04x}"),
                        _ => format!("\\u{unit:04X}"),
                    };
                    out.push_str(&escape);
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

fn space(random: &mut Random, out: &mut String) {
    if random.is_one_in(6) {
        out.push_str(random.pick(&[" ", "\n", "\t", "\r\n", "    "]));
    }
}
