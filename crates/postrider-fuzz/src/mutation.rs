//! Small changes to known inputs, from a seed: what a fuzzer does, without knowing what they reach.

/// Longest input made.
const BYTES_MAX: usize = 4 << 10;
/// Changes to one input at most.
const CHANGES_MAX: usize = 6;

/// Pieces that mean something to one reader or another.
const PIECES: [&[u8]; 40] = [
    b"\0",
    b"\r\n",
    b"\n",
    b"\t",
    b" ",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\u0061",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b".",
    b"-",
    b"+",
    b"@",
    b"#",
    b"%00",
    b"//",
    b"0",
    b"1e400",
    b"NaN",
    b"inf",
    b"9007199254740993",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"__proto__",
    b"constructor",
    b"127.0.0.1",
    b"::ffff:7f00:1",
    b"v1,",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
];

/// An endless sequence of changed inputs; the same for the same seed and inputs.
#[derive(Debug)]
pub struct Mutator<'a> {
    inputs: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutator<'a> {
    /// `inputs` are not empty.
    pub fn new(inputs: &'a [Vec<u8>], seed: u64) -> Self {
        assert!(!inputs.is_empty(), "there is something to change");
        Self { inputs, state: seed }
    }

    /// The next changed input.
    pub fn changed(&mut self) -> Vec<u8> {
        let mut bytes = self.input().to_vec();
        // mostly few, for what differs much is refused at once
        let changes_max = 1 + self.below(CHANGES_MAX);
        for _ in 0..=self.below(changes_max) {
            self.change(&mut bytes);
            bytes.truncate(BYTES_MAX);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let from = self.below(bytes.len() + 1);
        let len = 1 + self.below(16);
        let range = from..(from + len).min(bytes.len());
        match self.below(7) {
            0 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << (self.next() & 7);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = self.next().to_le_bytes()[0];
                }
            }
            2 => {
                bytes.drain(range);
            }
            3 => {
                let piece = bytes[range.clone()].repeat(1 + self.below(40));
                bytes.splice(range, piece);
            }
            4 | 5 => {
                let piece = PIECES[self.below(PIECES.len())];
                bytes.splice(from..from, piece.iter().copied());
            }
            _ => {
                let other = self.input();
                let tail = other.get(self.below(other.len() + 1)..).unwrap_or_default();
                bytes.truncate(from);
                bytes.extend_from_slice(tail);
            }
        }
    }

    fn input(&mut self) -> &'a [u8] {
        &self.inputs[self.below(self.inputs.len())]
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a length");
        usize::try_from(self.next() % bound).expect("below a length")
    }

    /// `SplitMix64` (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
