//! What happened, step by step: always as a hash, and as lines where somebody wants to read.

use std::fmt::{self, Write as _};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Fnv,
    lines: Option<Vec<String>>,
}

/// The 64-bit FNV-1a hash, which is the same everywhere and always.
#[derive(Debug)]
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self { hash: Fnv(0xcbf2_9ce4_8422_2325), lines: keeps_lines.then(Vec::new) }
    }

    /// Adds a step at a true time.
    pub(crate) fn note(&mut self, at: i64, step: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{at:>12} {step}"));
        }
        writeln!(self.hash, "{at} {step}").expect("a hash takes everything");
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
